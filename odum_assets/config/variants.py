"""Variants of a run configuration: the same data, other parameters.

What belongs here: reading what is to vary, building and checking the configurations that follow.
What does not: running them.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from odum_assets.config.exact_json import read_json
from odum_assets.config.hashing import canonical_json, content_hash
from odum_assets.config.loading import LoadedConfig
from odum_assets.config.model import RunConfig
from odum_assets.config.problems import Problem, find_problems, show
from odum_assets.errors import ConfigError

_DATA = "it decides which data are replayed, and a sweep replays the same; copy the configuration"
_PLACE = "it says where data are, not what happens to them"
_FIXED = {
    "instrument": _DATA,
    "data_catalog": _DATA,
    "time_window": _DATA,
    "environment": _PLACE,
    "data_source": _PLACE,
    "quality": "it judges the data and changes no result",
    "$schema": "it has no meaning",
}
"""Sections that may not vary, each with the reason."""

_NUMBER = "$number"
_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration of a sweep.

    Parameters
    ----------
    varied : dict[str, Any]
        Values by dotted path, as they were given.
    config : LoadedConfig
        The configuration that they make; name and file are those of the one that was varied.
    """

    varied: dict[str, Any]
    config: LoadedConfig

    @property
    def label(self) -> str:
        """Return what is varied, on one line."""
        return label_of(self.varied)


def label_of(varied: Mapping[str, Any]) -> str:
    """Return values by path on one line."""
    return ", ".join(f"{path}={shown(value)}" for path, value in varied.items())


def shown(value: object) -> str:
    """Return a varied value as a person writes it."""
    return value if isinstance(value, str) else show(value)


def short_names(paths: Sequence[str]) -> list[str]:
    """Return the last parts of paths, or the paths where those do not tell them apart."""
    last = [path.rpartition(".")[2] for path in paths]
    return last if len(set(last)) == len(last) else list(paths)


def parse_vary(text: str) -> tuple[str, list[Any]]:
    """Return path and values of ``strategy.params.window=10,20``.

    Values are JSON; what is none is text. A text with a comma is written as JSON (``"a,b"``).

    Raises
    ------
    ConfigError
        If there is no path or a value is missing.
    """
    path, equals, given = text.partition("=")
    if not (equals and path.strip() and given.strip()):
        raise ConfigError(f"found {text!r}, allowed PATH=VALUE,VALUE,...")
    try:
        return path.strip(), read_json(f"[{given}]")
    except ValueError:
        parts = [each.strip() for each in given.split(",")]
    if "" in parts:
        raise ConfigError(f'found {text!r} with an empty value; an empty text is written ""')
    return path.strip(), [_value(each) for each in parts]


def read_variants(path: Path) -> list[dict[str, Any]]:
    """Read a list of ``{path: value}`` objects.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds something else.
    """
    try:
        found = read_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError(f'{path}: allowed a list of objects, [{{"risk.throttling_per_sec": 5}}]')
    return found


def grid(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of values, the last path changing fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def make_variants(loaded: LoadedConfig, settings: Sequence[Mapping[str, Any]]) -> list[Variant]:
    """Return the configurations of a sweep.

    Parameters
    ----------
    loaded : LoadedConfig
        What is varied.
    settings : sequence of mapping
        Values by dotted path (``execution.latency.insert_ms``, ``strategy.orders[0].price``), one
        mapping per variant.

    Raises
    ------
    ConfigError
        If there is none, two are equal, a path may not vary or does not exist, or a value is not
        allowed; every problem is named once, with the first variant that has it.
    """
    if not settings:
        raise ConfigError(f"{loaded.name}: nothing varies; give paths with values, or variants")
    problems: dict[str, str] = {}
    found: list[Variant] = []
    seen: set[str] = set()
    for given in settings:
        varied = {path: _read_numbers(value) for path, value in given.items()}
        label = label_of(varied) or "no value at all"
        meaning = canonical_json({path: _exact(value) for path, value in varied.items()})
        texts = ["given twice; a variant runs once"] if meaning in seen else []
        seen.add(meaning)
        texts += list(_refused(varied))
        if not texts:
            try:
                found.append(Variant(varied, _varied(loaded, varied)))
            except _ProblemsError as error:
                texts += error.texts
        for text in texts:
            problems.setdefault(text, label)
    if problems:
        lines = [f"  {label}: {text}" for text, label in problems.items()]
        raise ConfigError("\n".join([f"{loaded.name} cannot be varied like this:", *lines]))
    return found


def as_run_config(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as Dagster's run config can hold it, without a loss.

    Run config knows floats and no Decimals: one that is not a float is ``{"$number": "0.1..."}``,
    which `make_variants` reads.
    """
    if isinstance(value, Decimal):
        return float(value) if Decimal(repr(float(value))) == value else {_NUMBER: str(value)}
    if isinstance(value, Mapping):
        return {name: as_run_config(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_run_config(each) for each in value]
    return value


class _ProblemsError(Exception):
    def __init__(self, *texts: str) -> None:
        self.texts = texts


def _value(text: str) -> object:
    try:
        value: object = read_json(text)
    except ValueError:
        return text
    return value


def _refused(varied: Mapping[str, Any]) -> Iterator[str]:
    for path in varied:
        section = path.partition(".")[0]
        if section in _FIXED:
            yield f"{path}: may not vary: {_FIXED[section]}"


def _varied(loaded: LoadedConfig, varied: Mapping[str, Any]) -> LoadedConfig:
    # What the file leaves out stays out: it may not be allowed beside what varies.
    document = loaded.config.model_dump(by_alias=True, exclude_unset=True)
    for path, value in varied.items():
        _set(document, path, _exact(value))
    try:
        config = RunConfig.model_validate(document)
    except ValidationError as error:
        raise _ProblemsError(*map(str, find_problems(error, RunConfig))) from None
    return LoadedConfig(loaded.name, loaded.path, config, content_hash(config), config.key)


def _set(document: dict[str, Any], path: str, value: object) -> None:
    """Put a value where a path points to; sections on the way are made."""
    *way, last = _INDEX.sub(r".\1", path).split(".")
    here: Any = document
    for part in way:
        here = _enter(here, part, path)
    _enter(here, last, path, value)


_NOTHING: Any = object()


def _enter(here: Any, part: str, path: str, value: Any = _NOTHING) -> Any:  # noqa: ANN401
    """Return what is at a place, or put a value there."""
    key: Any = part
    if isinstance(here, list):
        if not part.isdigit() or int(part) >= len(here):
            raise _ProblemsError(str(Problem(path, f"no such entry: the list has {len(here)}")))
        key = int(part)
    elif not isinstance(here, dict) or not part:
        raise _ProblemsError(str(Problem(path, "no such path in a run configuration")))
    if value is not _NOTHING:
        here[key] = value
        return value
    inside = here[key] if isinstance(here, list) else here.get(key)
    if inside is None:
        inside = {}
    elif isinstance(inside, tuple):
        inside = list(inside)
    here[key] = inside
    return inside


def _exact(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with decimals for floats: those of a launchpad are meant as written."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    return value


def _read_numbers(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with the numbers that `as_run_config` wrote as objects."""
    if isinstance(value, Mapping):
        if set(value) == {_NUMBER}:
            return _number(value[_NUMBER])
        return {name: _read_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_read_numbers(each) for each in value]
    return value


def _number(text: object) -> object:
    """Return the number that a text spells, the text where it spells none."""
    try:
        return Decimal(str(text))
    except InvalidOperation:
        return text
