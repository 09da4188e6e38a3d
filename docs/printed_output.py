"""What commands print, as the pages show it.

A block of a page that shows output stands below a mark: ``<!-- output: odum data list -->``, or
``<!-- first 8 lines of: odum demo -->``. ``tests/e2e/test_new_project.py`` runs the commands of all
marks in the order of the pages, in a new project, and compares; with ``ODUM_UPDATE_PAGES=1`` it
writes the pages instead. ``RUN_ID`` in a command is the newest run that an earlier one printed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_MARK = re.compile(
    r"(<!-- (?:output:|first (\d+) lines of:) (.+?) -->\n```text\n)(.*?)(?=^```$)",
    re.MULTILINE | re.DOTALL,
)
_RANDOM = re.compile(r"_[0-9a-f]{6}\b(?!_)|\b\d+(?:\.\d+)? (?:ms|s)\b|\b\d+(?:\.\d+)? [kM]B\b")


@dataclass(frozen=True, slots=True)
class Shown:
    """Output that a page shows.

    Parameters
    ----------
    page : Path
        The page.
    command : str
        What printed it.
    text : str
        What is shown.
    """

    page: Path
    command: str
    text: str


def pages() -> list[Path]:
    """Return the pages that show output, in the order in which a reader comes to them."""
    found = [FOLDER.parent / "README.md", *sorted(FOLDER.glob("*.md"))]
    return [page for page in found if _MARK.search(page.read_text(encoding="utf-8"))]


def shown() -> Iterator[Shown]:
    """Yield all outputs in order."""
    for page in pages():
        for mark in _MARK.finditer(page.read_text(encoding="utf-8")):
            yield Shown(page, mark[3], mark[4])


def with_output(page: Path, printed: Callable[[str], str]) -> str:
    """Return the text of a page with what its commands print now."""

    def replaced(mark: re.Match[str]) -> str:
        return mark[1] + cut(printed(mark[3]), mark[2])

    return _MARK.sub(replaced, page.read_text(encoding="utf-8"))


def cut(text: str, lines: str | None) -> str:
    """Return the first lines of an output without spaces at their ends."""
    found = [line.rstrip() for line in text.strip("\n").splitlines()]
    return "\n".join(found[: None if lines is None else int(lines)]) + "\n"


def normalized(text: str) -> str:
    """Return an output without what differs from run to run: random ids, seconds, sizes."""
    return _RANDOM.sub("?", text)
