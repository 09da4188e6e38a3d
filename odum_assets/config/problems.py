"""What is wrong with a configuration, in words for the person who wrote the file.

What belongs here: pydantic's errors as ``path: found ..., should be ...``, with the path in the
file and a guess at the key that was meant. What does not: the rules themselves (``sections``,
``rules``), reading files (``loading``).
"""

import json
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

MOST_PROBLEMS = 100
"""Problems of one file that are named; whoever has more has sent something else."""

_WORDS = {
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dict_type": "should be an object",
    "tuple_type": "should be a list",
    "bool_type": "should be true or false",
    "decimal_type": "should be a number",
    "datetime_type": "should be a time such as 2023-05-23T19:23:00Z",
}
"""Errors that pydantic describes with Python's types, in JSON's words."""


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


_VALUE_AND_ALLOWED = re.compile(r"found (.*?), (?:should be |allowed )?(.*)", re.DOTALL)


def value_and_allowed(problem: Problem) -> tuple[str | None, str]:
    """Return what was found, None where something is missing, and what is allowed instead."""
    before, mark, after = problem.text.partition("; ")
    if mark and before == "missing":
        return None, after.removeprefix("give: ").removeprefix("give ")
    if mark and before == "unknown key":
        return problem.path.rpartition(".")[2], after
    match = _VALUE_AND_ALLOWED.fullmatch(problem.text)
    return (match[1], match[2]) if match else (None, problem.text)


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
        The model, which knows the keys.

    Returns
    -------
    list[Problem]
        In the order of the model's fields; none beyond one more than `MOST_PROBLEMS`, which says
        that there are more than are named.
    """
    problems: list[Problem] = []
    for detail in error.errors(include_url=False):
        if len(problems) > MOST_PROBLEMS:
            break
        path, owners = _locate(detail["loc"], model)
        if detail["type"].startswith("union_tag"):
            # Pydantic reports the tag at the union itself.
            path += f".{detail['ctx']['discriminator'].strip("'")}"
        if detail["type"] == "problems":
            problems += [
                Problem(".".join(filter(None, (path, inner.path))), inner.text)
                for inner in detail["ctx"]["problems"]
            ]
        else:
            problems.append(Problem(path, _text(detail, owners)))
    return problems


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


def _text(detail: ErrorDetails, owners: list[type[BaseModel]]) -> str:
    kind, message, context = detail["type"], detail["msg"], detail.get("ctx", {})
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    fields = {name: field for owner in owners for name, field in _fields(owner).items()}
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return f"unknown key; {suggestion(key, fields)}"
    if kind == "missing":
        return f"missing; give: {' '.join((fields[key].description or key).split())}"
    if kind == "union_tag_not_found":
        tags = (_tag(member) for member in _models(fields[key].annotation))
        return f"missing; give one of {', '.join(map(str, tags))}"
    if kind == "union_tag_invalid":
        return f"found {show(context['tag'])}, should be one of {context['expected_tags']}"
    _, should, rest = message.replace(" after validation", "").partition("should ")
    text = f"found {show(detail['input'])}, {_WORDS.get(kind) or should + rest or message}"
    examples = fields[key].examples if key in fields else None
    if kind == "string_pattern_mismatch" and examples:
        text += f", such as {examples[0]}"
    return text


def _locate(
    loc: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[str, list[type[BaseModel]]]:
    """Return the path in the file, and the models that the last key of it may belong to."""
    path = ""
    owners: list[type[BaseModel]] = []
    inside = [model]
    for part in loc:
        tagged = [member for member in inside if _tag(member) == part]
        if tagged:
            inside = tagged  # pydantic puts the tag into the path; the file has none
        elif isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path else part
            owners = inside
            fields = [_fields(owner).get(part) for owner in owners]
            inside = [member for field in fields if field for member in _models(field.annotation)]
    return path, owners


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by the keys of a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: object) -> list[type[BaseModel]]:
    """Return the models in an annotation: of a section, a list's items, a union's members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _tag(model: type[BaseModel]) -> object:
    """Return what tells a member of a union from the others, None for any other model."""
    field = model.model_fields.get("type") or model.model_fields.get("model")
    return None if field is None else typing.get_args(field.annotation)[0]
