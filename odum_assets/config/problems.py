"""What is wrong with a configuration, in words for the person who wrote the file.

What belongs here: turning pydantic's findings into ``path: found ..., allowed ...``. What does not:
the rules themselves (``model``), reading files (``loading``).
"""

import json
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any

import annotated_types as at
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

MOST_PROBLEMS = 100
"""Problems of one file that are told; whoever has more has sent something else."""

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Parameters
    ----------
    path : str
        Where, as keys joined by dots (``venue.maker_fee``, ``strategy.orders[0].price``).
    text : str
        What is wrong and what is allowed.
    """

    path: str
    text: str

    def __str__(self) -> str:
        """Return ``path: text`` on one line, whatever characters the file has."""
        return printable(f"{shortened(self.path)}: {self.text}" if self.path else self.text)


def printable(text: str) -> str:
    """Return a text on one line that every terminal can print, odd characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def raise_problems(*problems: Problem) -> None:
    """Raise problems out of a pydantic validator, if there are any.

    Parameters
    ----------
    *problems : Problem
        Problems with paths from the section that is being validated.

    Raises
    ------
    PydanticCustomError
        Which pydantic collects, and `find_problems` takes apart again.
    """
    if problems:
        text = "; ".join(map(str, problems))
        raise PydanticCustomError("problems", "{text}", {"text": text, "problems": problems})


def find_problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Return what pydantic found, in words.

    Parameters
    ----------
    error : ValidationError
        What validating ``model`` raised.
    model : type[BaseModel]
        The model, which knows what is allowed.

    Returns
    -------
    list[Problem]
        In the order of the model's fields; none beyond one more than `MOST_PROBLEMS`, which says
        that there are more than are told.
    """
    found: list[Problem] = []
    for detail in error.errors(include_url=False):
        if len(found) > MOST_PROBLEMS:
            break
        path, owner, field = _locate(detail["loc"], model)
        if detail["type"].startswith("union_tag"):
            path += ".type"  # pydantic reports the tag at the union itself
        if detail["type"] == "problems":
            found += [
                Problem(".".join(filter(None, (path, inner.path))), inner.text)
                for inner in detail["ctx"]["problems"]
            ]
        else:
            found.append(Problem(path, _text(detail, owner, field)))
    return found


def show(value: object) -> str:
    """Return a value as it stands in the file, shortened."""
    if isinstance(value, Decimal):
        return shortened(str(value))
    return shortened(json.dumps(value, ensure_ascii=False, default=str))


def shortened(text: str) -> str:
    """Return a text, cut when it is too long to be read in a message."""
    return text if len(text) <= 120 else f"{text[:117]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean "x"?``, or the known names when none is near."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known keys: {', '.join(names)}" if names else "no keys are known here"


def _text(detail: ErrorDetails, owner: type[BaseModel] | None, field: object) -> str:
    kind = detail["type"]
    value = detail["input"]
    if kind == "problem":
        return detail["msg"]
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(str(detail['loc'][-1]), _names(owner))}"
    if kind == "missing":
        return f"missing; give {_allowed(field)}"
    if kind == "union_tag_not_found":
        return f"missing; give one of {', '.join(_tagged(field))}"
    if kind == "union_tag_invalid":
        tag = detail["ctx"]["tag"]
        return f"found {show(tag)}, allowed one of {', '.join(_tagged(field))}"
    if kind in ("too_short", "too_long"):
        return f"found {len(value)} entries, allowed 1"
    if kind == "decimal_max_places":
        places = detail["ctx"]["decimal_places"]
        return f"found {show(value)}, allowed at most {places} decimals"
    return f"found {show(value)}, allowed {_allowed(field)}"


def _locate(
    loc: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[str, type[BaseModel] | None, object]:
    """Return path in the file, the innermost model on the way, and the annotation at its end."""
    path = ""
    owner: type[BaseModel] | None = model
    here: object = model
    for part in loc:
        tagged = _tagged(here)
        if isinstance(part, str) and part in tagged:
            here = owner = tagged[part]  # pydantic puts the tag into the path; the file has none
            continue
        if part == "[key]":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        inner = _model_of(here)
        if inner is None:
            here = _item_of(here)
            continue
        owner = inner
        here = next((f for n, f in inner.model_fields.items() if part in (n, f.alias)), _MISSING)
    return path, owner, here


def _names(owner: type[BaseModel] | None) -> list[str]:
    if owner is None:
        return []
    return [field.alias or name for name, field in owner.model_fields.items()]


def _allowed(field: object) -> str:
    """Return in words what an annotation allows."""
    annotation, metadata, optional = _unwrap(field)
    text = " ".join(filter(None, (_kind(annotation), _bounds(metadata))))
    pattern = next((m.pattern for m in metadata if getattr(m, "pattern", None)), None)
    if pattern is not None and isinstance(field, FieldInfo) and field.examples:
        text += f" such as {field.examples[0]} (pattern {pattern})"
    return f"{text} or null" if optional else text


def _kind(annotation: Any) -> str:  # noqa: ANN401 - whatever a type hint can be
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(annotation)))}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    if _tagged(annotation) or _model_of(annotation) is not None:
        return "an object"
    words = {
        bool: "true or false",
        int: "a whole number",
        Decimal: "a number",
        datetime: "a time such as 2023-05-23T19:23:00Z",
        str: "text",
    }
    origin = typing.get_origin(annotation) or annotation
    if origin is tuple:
        return "a list"
    return words.get(origin, "an object")


def _bounds(metadata: list[Any]) -> str:
    low = high = ""
    for item in metadata:
        if isinstance(item, at.Ge):
            low = f"{item.ge}"
        elif isinstance(item, at.Gt):
            low = f"more than {item.gt}"
        elif isinstance(item, at.Le):
            high = f"{item.le}"
        elif isinstance(item, at.MinLen):
            return "that is not empty"
    if low and high:
        return f"{low} to {high}" if not low.startswith("more") else f"{low}, up to {high}"
    return f"{low} or more" if low and not low.startswith("more") else low


def _unwrap(field: object) -> tuple[Any, list[Any], bool]:
    """Return the bare annotation, all its metadata, and whether null is allowed."""
    metadata: list[Any] = []
    optional = False
    annotation: Any = field
    while True:
        if isinstance(annotation, FieldInfo):
            metadata += annotation.metadata
            annotation = annotation.annotation
        elif typing.get_origin(annotation) is typing.Annotated:
            annotation, *extra = typing.get_args(annotation)
            for item in extra:
                metadata += item.metadata if isinstance(item, FieldInfo) else [item]
        elif typing.get_origin(annotation) in (types.UnionType, typing.Union):
            members = [m for m in typing.get_args(annotation) if m is not types.NoneType]
            optional = optional or len(members) < len(typing.get_args(annotation))
            if len(members) != 1:
                return annotation, metadata, optional
            annotation = members[0]
        else:
            return annotation, metadata, optional


def _model_of(annotation: object) -> type[BaseModel] | None:
    bare = _unwrap(annotation)[0]
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _item_of(annotation: object) -> object:
    """Return the annotation of a list's or an object's values."""
    arguments = typing.get_args(_unwrap(annotation)[0])
    if not arguments:
        return _MISSING
    return arguments[0] if typing.get_origin(_unwrap(annotation)[0]) is tuple else arguments[-1]


def _tagged(annotation: object) -> dict[str, type[BaseModel]]:
    """Return the members of a discriminated union by tag, empty for anything else."""
    members = typing.get_args(_unwrap(annotation)[0])
    if len(members) < 2 or not all(_model_of(member) for member in members):
        return {}
    return {typing.get_args(m.model_fields["type"].annotation)[0]: m for m in members}
