"""Variants of a run configuration: the same data, other parameters.

What belongs here: reading what is to vary, building and checking the configurations that follow.
What does not: running them.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from odum_assets.config.exact_json import map_json, read_json
from odum_assets.config.hashing import canonical_json, content_hash
from odum_assets.config.loading import LoadedConfig
from odum_assets.config.problems import Problem, find_problems, show
from odum_assets.errors import ConfigError

_DATA = "it decides which data are replayed, and a sweep replays the same; copy the configuration"
_LOCATION = "it says where data are, not what happens to them"
_FIXED = {
    "instrument": _DATA,
    "instruments": _DATA,
    "bars": _DATA,
    "session": _DATA,
    "kind": _DATA,
    "data_catalog": _DATA,
    "time_window": _DATA,
    "environment": _LOCATION,
    "data_source": _LOCATION,
    "quality": "it judges the data and changes no result",
    "$schema": "it has no meaning",
}
"""Sections that may not vary, each with the reason."""

SweepFigure = Literal[
    "net_pnl",
    "realized",
    "commissions",
    "orders",
    "fills",
    "win_rate",
    "max_drawdown",
    "sharpe",
]
"""A figure that a sweep puts side by side."""

_NUMBER = "$number"
_INDEX = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Variant:
    """One configuration of a sweep.

    Parameters
    ----------
    varied : dict[str, Any]
        Values by dotted path, as they were requested.
    config : LoadedConfig
        The configuration with them; name and file are those of the one that was varied.
    """

    varied: dict[str, Any]
    config: LoadedConfig

    @property
    def label(self) -> str:
        """Return what is varied, on one line."""
        return label_of(self.varied)


def label_of(varied: Mapping[str, Any]) -> str:
    """Return values by path on one line."""
    return ", ".join(f"{path}={value_text(value)}" for path, value in varied.items())


def value_text(value: object) -> str:
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
    path, equals, values = text.partition("=")
    if not (equals and path.strip() and values.strip()):
        raise ConfigError(f"found {text!r}, allowed PATH=VALUE,VALUE,...")
    try:
        return path.strip(), read_json(f"[{values}]")
    except ValueError:
        parts = [part.strip() for part in values.split(",")]
    if "" in parts:
        raise ConfigError(f'found {text!r} with an empty value; an empty text is written ""')
    return path.strip(), [_json_or_text(part) for part in parts]


def read_variants(path: Path) -> list[dict[str, Any]]:
    """Read a list of ``{path: value}`` objects.

    Raises
    ------
    ConfigError
        If the file cannot be read or holds something else.
    """
    try:
        variants = read_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from None
    if not isinstance(variants, list) or not all(isinstance(item, dict) for item in variants):
        raise ConfigError(f'{path}: allowed a list of objects, [{{"risk.throttling_per_sec": 5}}]')
    return variants


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
    variants: list[Variant] = []
    meanings: set[str] = set()
    for requested in settings:
        varied = {path: map_json(_read_number, value) for path, value in requested.items()}
        label = label_of(varied) or "no value at all"
        exact = {path: map_json(_exact, value) for path, value in varied.items()}
        meaning = canonical_json(exact)
        texts = ["given twice; a variant runs once"] if meaning in meanings else []
        meanings.add(meaning)
        texts += _refusals(exact)
        if not texts:
            try:
                variants.append(Variant(varied, _varied(loaded, exact)))
            except _ProblemsError as error:
                texts += error.texts
        for text in texts:
            problems.setdefault(text, label)
    if problems:
        lines = [f"  {label}: {text}" for text, label in problems.items()]
        raise ConfigError("\n".join([f"{loaded.name} these variants are not valid:", *lines]))
    return variants


def override(loaded: LoadedConfig, values: Mapping[str, Any]) -> LoadedConfig:
    """Return a configuration with other values for one run.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration; name and file stay.
    values : mapping
        Values by dotted path, as of `make_variants`.

    Raises
    ------
    ConfigError
        If a path may not vary or does not exist, or a value is not allowed.
    """
    exact = {
        path: map_json(_exact, map_json(_read_number, value)) for path, value in values.items()
    }
    texts = _refusals(exact)
    if not texts:
        try:
            return _varied(loaded, exact)
        except _ProblemsError as error:
            texts += error.texts
    raise ConfigError("\n".join(f"{loaded.name} overrides: {text}" for text in texts))


def as_run_config(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value as Dagster's run config can hold it, without a loss.

    Run config knows floats and no Decimals: one that is not a float is ``{"$number": "0.1..."}``,
    which `make_variants` reads.
    """
    return map_json(_float_or_object, value)


class _ProblemsError(Exception):
    def __init__(self, *texts: str) -> None:
        self.texts = texts


def _json_or_text(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return read_json(text)
    except ValueError:
        return text


def _refusals(varied: Mapping[str, Any]) -> list[str]:
    sections = {path: path.partition(".")[0] for path in varied}
    return [
        f"{path}: may not vary: {_FIXED[section]}"
        for path, section in sections.items()
        if section in _FIXED
    ]


def _varied(loaded: LoadedConfig, varied: Mapping[str, Any]) -> LoadedConfig:
    # What the file leaves out stays out: it may not be allowed beside what varies.
    document = loaded.config.model_dump(by_alias=True, exclude_unset=True)
    for path, value in varied.items():
        _set(document, path, value)
    model = type(loaded.config)
    try:
        config = model.model_validate(document)
    except ValidationError as error:
        raise _ProblemsError(*map(str, find_problems(error, model))) from None
    notes = tuple(note for note in loaded.notes if note.partition(":")[0] not in varied)
    return LoadedConfig(loaded.name, loaded.path, config, content_hash(config), config.key, notes)


def _set(document: dict[str, Any], path: str, value: object) -> None:
    """Put a value where a path points to; sections on the way are added."""
    *way, last = _INDEX.sub(r".\1", path).split(".")
    node: Any = document
    for part in way:
        key = _key(node, part, path)
        inner = node[key] if isinstance(node, list) else node.get(key)
        node[key] = {} if inner is None else list(inner) if isinstance(inner, tuple) else inner
        node = node[key]
    node[_key(node, last, path)] = value


def _key(node: object, part: str, path: str) -> Any:  # noqa: ANN401 - a name or an index
    """Return a part of a path as the key of an object or the index of a list."""
    if isinstance(node, list):
        if not part.isdigit() or int(part) >= len(node):
            raise _ProblemsError(str(Problem(path, f"no such entry: the list has {len(node)}")))
        return int(part)
    if not isinstance(node, dict) or not part:
        raise _ProblemsError(str(Problem(path, "no such path in a run configuration")))
    return part


def _exact(value: object) -> object:
    """Return a decimal for a float: those of a launchpad are meant as written."""
    return Decimal(repr(value)) if isinstance(value, float) else value


def _float_or_object(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    return float(value) if Decimal(repr(float(value))) == value else {_NUMBER: str(value)}


def _read_number(value: object) -> object:
    """Return the number that `as_run_config` wrote as an object; anything else as it is."""
    if not isinstance(value, Mapping) or set(value) != {_NUMBER}:
        return value
    try:
        return Decimal(str(value[_NUMBER]))
    except InvalidOperation:
        return value[_NUMBER]
