"""Entity tags, and the conditions that a request sets on them (RFC 9110, sections 8.8.3 and 13.1).

``If-Match`` compares strongly: a weak tag matches nothing. ``If-None-Match`` compares weakly. ``*``
stands for any representation that exists. The lines of a header that is sent several times count as
one list.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from starlette.datastructures import Headers

from odum_assets.api.problems import ProblemError

_TAG: Final = re.compile(r'[ \t,]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)')
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a request says of the representation that it is about.

    Parameters
    ----------
    if_match, if_none_match : frozenset[str] or None
        Tags as they were sent, or ``*`` alone; None without such a header.
    """

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    @classmethod
    def of(cls, headers: Headers, *, is_reading: bool = False) -> Self:
        """Return the conditions of a request.

        Parameters
        ----------
        headers : Headers
            The request's.
        is_reading : bool
            Whether the request changes nothing: an If-None-Match that says nothing is then left
            out, and the whole representation sent.

        Raises
        ------
        ProblemError
            If a header is no list of entity tags (400): to ignore it could overwrite what the
            sender wants to keep.
        """
        required, known = _tags(headers, "if-match"), _tags(headers, "if-none-match")
        if isinstance(required, ProblemError):
            raise required
        if isinstance(known, ProblemError):
            if not is_reading:
                raise known
            known = None
        return cls(required, known)

    def failed(self, tag: str | None) -> bool:
        """Return whether a request that changes something must be refused (412).

        Parameters
        ----------
        tag : str or None
            Tag of the current representation, None if there is none.
        """
        return not self._matched(tag) or self._known(tag)

    def answers_known(self, tag: str) -> bool:
        """Return whether a reader has what a tag stands for (304).

        Raises
        ------
        ProblemError
            If ``If-Match`` asks for another representation (412).
        """
        if not self._matched(tag):
            raise ProblemError(
                412, "changed", f"If-Match: the current ETag is {tag}, which is not among these"
            )
        return self._known(tag)

    def _matched(self, tag: str | None) -> bool:
        if self.if_match is None:
            return True
        if _ANY in self.if_match:
            return tag is not None
        return tag is not None and not tag.startswith("W/") and tag in self.if_match

    def _known(self, tag: str | None) -> bool:
        if self.if_none_match is None or tag is None:
            return False
        weak = {tag.removeprefix("W/") for tag in self.if_none_match}
        return _ANY in weak or tag.removeprefix("W/") in weak


def _tags(headers: Headers, name: str) -> frozenset[str] | ProblemError | None:
    """Return the tags of a header, None without one, or what is wrong with it."""
    lines = headers.getlist(name)
    if not lines:
        return None
    text = ", ".join(lines).strip(" \t,")
    if text == _ANY:
        return frozenset({_ANY})
    tags = []
    end = 0
    while match := _TAG.match(text, end):
        tags.append(match[1])
        end = match.end()
    if tags and end == len(text):
        return frozenset(tags)
    return ProblemError(
        400,
        "invalid-precondition",
        f'{name}: found {text[:80]!r}, allowed * or entity tags such as "0a1b2c", "3d4e5f"',
    )


def tag_of(content: bytes) -> str:
    """Return the ETag of a content."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def tag_of_files(files: tuple[Path, ...], *parts: object) -> str:
    """Return an ETag of the files that a reply is made of, and of how it is made."""
    # Not by name: what is open may go by the number of its descriptor.
    stats = [file.stat() for file in files]
    identity = [(stat.st_mtime_ns, stat.st_size, stat.st_dev, stat.st_ino) for stat in stats]
    return tag_of(repr((identity, parts)).encode())
