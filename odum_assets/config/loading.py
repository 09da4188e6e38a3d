"""Reading run configurations from files, with every problem reported at once.

What belongs here: files, JSON text, and rules between files. What does not: rules within one
configuration (``model``) and their wording (``problems``).
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odum_assets.config.hashing import content_hash
from odum_assets.config.model import CROSS_CHECKED, RunConfig, cross_problems
from odum_assets.config.problems import (
    MOST_PROBLEMS,
    Problem,
    find_problems,
    printable,
    shortened,
    show,
)
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.settings import is_inside

_NAME = re.compile(r"[a-z0-9_]+")
_MAX_DEPTH = 64
_MAX_EXPONENT = 400
_MAX_DIGITS = 1000


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A run configuration together with what follows from it.

    Parameters
    ----------
    name : str
        Stem of the file name: small letters, digits and ``_``.
    path : Path
        The file, as it was given.
    config : RunConfig
        The validated content.
    content_hash : str
        SHA-256 of the meaning, 64 hex digits; see `odum_assets.config.hashing`.
    key : InstrumentKey
        The instrument.
    """

    name: str
    path: Path
    config: RunConfig
    content_hash: str
    key: InstrumentKey


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its keys are known to be unique."""


@dataclass(frozen=True, slots=True)
class _NoNumber:
    """What Python's parser takes for a number and cannot be used as one."""

    text: str
    why: str


def load_config(path: str | Path) -> LoadedConfig:
    """Read and validate one configuration.

    Parameters
    ----------
    path : str or Path
        A JSON file.

    Returns
    -------
    LoadedConfig
        The configuration.

    Raises
    ------
    ConfigError
        If the file cannot be read or used; one line per problem, each with the file, the path in
        the file, what was found and what is allowed.
    """
    file = Path(path)
    shown = printable(str(file))
    problems: list[Problem] = []
    if not _NAME.fullmatch(file.stem):
        text = f'found "{file.stem}", allowed small letters, digits and _'
        problems.append(Problem("file name", text))
    document = _parse(_read(file, shown), shown, problems)
    noted = {problem.path for problem in problems}
    problems += [problem for problem in _validate(document) if problem.path not in noted]
    if problems:
        lines = [f"{shown}: {problem}" for problem in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f"{shown}: more problems than these {MOST_PROBLEMS}")
        raise ConfigError("\n".join(lines))
    config = RunConfig.model_validate(document)
    return LoadedConfig(file.stem, file, config, content_hash(config), config.key)


def load_configs(folder: str | Path) -> list[LoadedConfig]:
    """Read every configuration of a folder and check that they fit together.

    Configurations of one instrument share its raw files and catalog, so they must say the same
    about them. Files named ``*.schema.json`` are no configurations.

    Parameters
    ----------
    folder : str or Path
        Folder of ``*.json`` files; folders in it are not searched.

    Returns
    -------
    list[LoadedConfig]
        By name; empty when the folder has none.

    Raises
    ------
    ConfigError
        If the folder does not exist or any file cannot be used; the problems of all files at once.
    """
    loaded = []
    errors = []
    for file in config_files(folder):
        try:
            loaded.append(load_config(file))
        except ConfigError as error:
            errors.append(str(error))
    for first, second in combinations(loaded, 2):
        errors += conflicts(first, second)
    if errors:
        raise ConfigError("\n".join(errors))
    return loaded


def config_files(folder: str | Path) -> list[Path]:
    """Return the files of a folder that should be configurations, by name.

    Raises
    ------
    ConfigError
        If the folder does not exist or cannot be read.
    """
    place = Path(folder)
    shown = printable(str(place))
    if not place.is_dir():
        raise ConfigError(
            f"{shown}: no such folder of run configurations; create it or set ODUM_CONFIGS_PATH"
        )
    try:
        # Not glob(): of a folder that may not be read it would say that it is empty.
        files = sorted(each for each in place.iterdir() if each.suffix == ".json")
    except OSError as error:
        raise ConfigError(f"{shown}: the folder cannot be read: {error.strerror}") from None
    return [
        file
        for file in files
        if not file.name.endswith(".schema.json") and not file.name.startswith(".")
    ]


def _read(file: Path, shown: str) -> str:
    try:
        real = file.resolve()
        if not is_inside(file, file.parent):
            raise ConfigError(
                f"{shown}: leads to {printable(str(real))}, outside the folder of configurations; "
                "put the file itself there, or set ODUM_CONFIGS_PATH to the folder that holds it"
            )
        if file.exists() and not file.is_file():
            # Opening a pipe would wait for a writer for good.
            raise ConfigError(f"{shown}: cannot be read: a folder or a device, not a file")
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{shown}: cannot be read: no file can have this name") from None


def _parse(text: str, shown: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the document with exact decimals; note duplicate keys and non-JSON words."""
    try:
        value = json.loads(
            text, parse_float=_decimal, parse_constant=_word, object_pairs_hook=_Pairs
        )
        document = _plain(value, "", problems)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{shown}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{shown}: nested too deeply") from None
    except ValueError as error:  # Python refuses whole numbers of more than some thousand digits
        raise ConfigError(f"{shown}: not usable: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{shown}: line 1, column 1: allowed one JSON object {{...}}")
    return document


def _decimal(text: str) -> Decimal | _NoNumber:
    """Return a number exactly, unless it lies beyond what any key or strategy can use."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or abs(number.adjusted()) > _MAX_EXPONENT or len(text) > _MAX_DIGITS:
        why = f"allowed up to {_MAX_DIGITS} digits and exponents up to {_MAX_EXPONENT}"
        return _NoNumber(text, why)
    return number


def _word(text: str) -> _NoNumber:
    return _NoNumber(text, "which JSON does not have")


def _plain(value: object, path: str, problems: list[Problem], depth: int = 0) -> object:
    """Return a parsed value without the types that only this module knows; note what is wrong."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested too deeply, allowed {_MAX_DEPTH} levels")
    if isinstance(value, _Pairs):
        return _plain_object(value, path, problems, depth)
    if isinstance(value, list):
        return [_plain(item, f"{path}[{i}]", problems, depth + 1) for i, item in enumerate(value)]
    if isinstance(value, _NoNumber):
        problems.append(Problem(path, f"found {shortened(value.text)}, {value.why}"))
        return value.text
    if isinstance(value, str):
        _check_text(value, path, problems)
    return value


def _plain_object(
    pairs: _Pairs, path: str, problems: list[Problem], depth: int
) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, count in Counter(key for key, _ in pairs).items():
        here = f"{path}.{key}".removeprefix(".")
        _check_text(key, here, problems)
        if count > 1:
            problems.append(Problem(here, f"given {count} times, allowed once"))
    for key, item in pairs:
        here = f"{path}.{key}".removeprefix(".")
        found[key] = _plain(item, here, problems, depth + 1)
    return found


def _check_text(text: str, path: str, problems: list[Problem]) -> None:
    """Note a lone surrogate: JSON can spell it, but no file and no path can hold it."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        problems.append(Problem(path, f"found {show(text)}, allowed whole characters"))


def _validate(document: dict[str, Any]) -> list[Problem]:
    try:
        RunConfig.model_validate(document)
    except ValidationError as error:
        problems = find_problems(error, RunConfig)
        if all(detail["loc"] for detail in error.errors(include_url=False)):
            # Pydantic stops before the rules between sections: try them on the sections that hold.
            problems += cross_problems(_usable_sections(document))
        return problems
    return []


def _usable_sections(document: dict[str, Any]) -> dict[str, Any]:
    usable = {}
    for name in CROSS_CHECKED:
        if name not in document:
            continue
        annotation: Any = RunConfig.model_fields[name].annotation
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        try:
            usable[name] = adapter.validate_python(document[name])
        except ValidationError:
            continue
    return usable


def conflicts(first: LoadedConfig, second: LoadedConfig) -> list[str]:
    """Return what two configurations say differently about one instrument, a line each.

    Parameters
    ----------
    first : LoadedConfig
        The one to agree with.
    second : LoadedConfig
        The one that the lines are about.
    """
    if first.key != second.key:
        return _name_clashes(first, second)
    errors = []
    for name, read in SHARED.items():
        one, other = read(first), read(second)
        if one is not None and other is not None and one != other:
            errors.append(
                f"{second.path}: {name}: found {other}, but {first.path} has {one} for the same "
                f"instrument {first.key}; they share its data, so make them agree"
            )
    return errors


def _name_clashes(first: LoadedConfig, second: LoadedConfig) -> list[str]:
    for one, other in (
        (first.key.slug, second.key.slug),
        (first.key.nautilus_id, second.key.nautilus_id),
    ):
        if one == other:
            return [
                f"{second.path}: instrument.id: {second.key} and {first.key} of {first.path} would "
                f"both be stored as {one}; write both the same way"
            ]
    return []


def _shared_path(data_type: str) -> Callable[[LoadedConfig], object]:
    return lambda loaded: loaded.config.data_catalog.template(data_type, loaded.key)


def _shared_variable(name: str) -> Callable[[LoadedConfig], object]:
    return lambda loaded: loaded.config.environment.variables().get(name, "nothing")


SHARED: dict[str, Callable[[LoadedConfig], object]] = {
    "instrument.price_precision": lambda loaded: loaded.config.instrument.price_precision,
    "instrument.size_precision": lambda loaded: loaded.config.instrument.size_precision,
    "instrument.multiplier": lambda loaded: loaded.config.multiplier,
    # Nautilus reads the margins from the instrument definition in the catalog.
    "instrument.margin_init": lambda loaded: loaded.config.instrument.margin_init,
    "instrument.margin_maint": lambda loaded: loaded.config.instrument.margin_maint,
    "data_catalog.trades_path": _shared_path("trades"),
    "data_catalog.book_snapshot_5_path": _shared_path("book_snapshot_5"),
    "data_catalog.derivative_ticker_path": _shared_path("derivative_ticker"),
    "data_catalog.parquet_root": lambda c: c.config.data_catalog.parquet_root or "nothing",
    "environment.DATA_CATALOG_PATH": _shared_variable("DATA_CATALOG_PATH"),
    "environment.UNIFIED_CLOUD_LOCAL_PATH": _shared_variable("UNIFIED_CLOUD_LOCAL_PATH"),
}
"""What configurations of one instrument must agree about; None says nothing about it."""
