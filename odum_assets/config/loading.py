"""One run configuration from its file, with every problem reported at once.

What belongs here: files and JSON text. What does not: the rules (``sections``, ``rules``) and their
wording (``problems``), several files (``folder``).
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.earlier_spellings import Translation, translate
from odum_assets.config.exact_json import write_json
from odum_assets.config.hashing import content_hash
from odum_assets.config.model import RunConfig
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

type AnyConfig = RunConfig | BarsConfig
"""A configuration of either kind."""

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
    config : RunConfig or BarsConfig
        The validated content.
    content_hash : str
        SHA-256 of the meaning, 64 hex digits; see `odum_assets.config.hashing`.
    key : InstrumentKey
        The instrument; of several the first, which names runs.
    notes : tuple[str, ...]
        What the file leaves open or spells as the earlier system did, and what it means here.
    """

    name: str
    path: Path
    config: AnyConfig
    content_hash: str
    key: InstrumentKey
    notes: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[InstrumentKey, ...]:
        """Return all instruments, in the order of the configuration."""
        return (self.key,) if self.bars is None else self.config.keys

    @property
    def ticks(self) -> RunConfig:
        """Return the configuration where only one for ticks can be meant.

        Raises
        ------
        ConfigError
            If it is one for bars.
        """
        if isinstance(self.config, RunConfig):
            return self.config
        raise ConfigError(f"{self.path}: kind is bars; allowed here: a configuration for ticks")

    @property
    def bars(self) -> BarsConfig | None:
        """Return the configuration if it is one for bars."""
        return self.config if isinstance(self.config, BarsConfig) else None

    @property
    def optional_types(self) -> tuple[str, ...]:
        """Return the raw data types that a day may lack: runs use them where they are there."""
        is_optional = self.bars is None and self.config.quality.missing_funding == "warn"
        return ("derivative_ticker",) if is_optional else ()

    @property
    def required_bars(self) -> BarsConfig:
        """Return the configuration where only one for bars can be meant.

        Raises
        ------
        ConfigError
            If it is one for ticks.
        """
        if isinstance(self.config, BarsConfig):
            return self.config
        raise ConfigError(f"{self.path}: kind is not bars; allowed here: a configuration for bars")


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
    return parse_config(_read(file), file)


def parse_config(text: str, path: Path) -> LoadedConfig:
    """Validate the text of a configuration, whatever its file holds now.

    Parameters
    ----------
    text : str
        JSON.
    path : Path
        The file that the text is, or is to be; it is not opened.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    loaded, problems = checked_config(text, path)
    if loaded is None:
        file = printable(str(path))
        lines = [f"{file}: {problem}" for problem in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f"{file}: more than {MOST_PROBLEMS} problems; the rest is not shown")
        raise ConfigError("\n".join(lines))
    return loaded


def checked_config(text: str, path: Path) -> tuple[LoadedConfig | None, list[Problem]]:
    """Return the configuration in a text, or None and what is wrong with it.

    Parameters
    ----------
    text, path
        As for `parse_config`.

    Raises
    ------
    ConfigError
        If the text is no JSON object.
    """
    file = printable(str(path))
    problems: list[Problem] = []
    if not _NAME.fullmatch(path.stem):
        allowed = "allowed small letters, digits and _"
        problems.append(Problem("file name", f'found "{path.stem}", {allowed}'))
    document, translations = translate(_parse(text, file, problems))
    config = None
    model = model_of(document)
    try:
        config = model.model_validate(document)
    except ValidationError as error:
        reported = {printable(problem.path) for problem in problems}
        model_problems = _problems(error, document, model)
        problems += [other for other in model_problems if other.path not in reported]
    if config is None or problems:
        return None, problems
    notes = tuple(str(translation) for translation in translations if translation.is_note)
    loaded = LoadedConfig(path.stem, path, config, content_hash(config), config.key, notes)
    return loaded, []


def migrated(path: Path) -> tuple[str, list[Translation]]:
    """Return a configuration as JSON in today's spelling, and what is spelled in another way.

    Raises
    ------
    ConfigError
        As `load_config`.
    """
    text = _read(path)
    loaded = parse_config(text, path)
    document, translations = translate(_parse(text, printable(str(path)), []))
    new_text = write_json(document, indent=2) + "\n"
    if parse_config(new_text, path).config != loaded.config:
        raise AssertionError(f"{path}: its migration has another meaning")
    return new_text, translations


def model_of(document: Mapping[str, Any]) -> type[RunConfig] | type[BarsConfig]:
    """Return the model of a document by its ``kind``; without one it is for ticks."""
    return BarsConfig if "kind" in document else RunConfig


def _read(path: Path) -> str:
    file = printable(str(path))
    try:
        if not is_inside(path, path.parent):
            raise ConfigError(
                f"{file}: is a link to {printable(str(path.resolve()))}, outside the folder of "
                "configurations; put the file itself there, or set ODUM_CONFIGS_PATH to the folder "
                "that holds it"
            )
        if path.exists() and not path.is_file():
            # Opening a pipe would wait for a writer for good.
            raise ConfigError(f"{file}: cannot be read: a folder or a device, not a file")
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{file}: not a valid file name") from None


def _parse(text: str, file: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the document with exact decimals; note duplicate keys and unusable numbers."""
    try:
        value = json.loads(
            text,
            parse_float=_decimal,
            parse_constant=lambda word: _NoNumber(word, "which is not valid JSON"),
            object_pairs_hook=_Pairs,
        )
        document = _plain(value, "", problems)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{file}: not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply") from None
    except ValueError as error:  # Python refuses whole numbers of more than some thousand digits
        raise ConfigError(f"{file}: not valid: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: line 1, column 1: allowed one JSON object {{...}}")
    return document


def _decimal(text: str) -> Decimal | _NoNumber:
    """Return a number exactly, unless it is beyond what any key or strategy can use."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = None
    if number is None or abs(number.adjusted()) > _MAX_EXPONENT or len(text) > _MAX_DIGITS:
        why = f"allowed up to {_MAX_DIGITS} digits and exponents up to {_MAX_EXPONENT}"
        return _NoNumber(text, why)
    return number


def _plain(value: object, path: str, problems: list[Problem], depth: int = 0) -> object:
    """Return a parsed value without the types that only this module knows; note what is wrong."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested too deeply, allowed {_MAX_DEPTH} levels")
    if isinstance(value, _Pairs):
        counts = Counter(key for key, _ in value)
        members = [(key, f"{path}.{key}".removeprefix("."), item) for key, item in value]
        problems += [
            Problem(inner, f"given {counts.pop(key)} times, allowed once")
            for key, inner, _ in members
            if counts.get(key, 0) > 1
        ]
        return {
            _whole(key, inner, problems): _plain(item, inner, problems, depth + 1)
            for key, inner, item in members
        }
    if isinstance(value, list):
        return [_plain(item, f"{path}[{i}]", problems, depth + 1) for i, item in enumerate(value)]
    if isinstance(value, _NoNumber):
        problems.append(Problem(path, f"found {shortened(value.text)}, {value.why}"))
        return value.text
    return _whole(value, path, problems) if isinstance(value, str) else value


def _whole(text: str, path: str, problems: list[Problem]) -> str:
    """Return a text, escaped if it has a lone surrogate, which JSON can spell and no file holds."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        problems.append(Problem(path, f"found {show(text)}, allowed valid Unicode"))
        return printable(text)
    return text


def _problems(
    error: ValidationError, document: dict[str, Any], model: type[RunConfig] | type[BarsConfig]
) -> list[Problem]:
    """Return what pydantic found, and what is wrong between the sections that hold."""
    broken = {detail["loc"][0] if detail["loc"] else "" for detail in error.errors()}
    problems = find_problems(error, model)
    if "" not in broken:  # else pydantic has come to the rules between sections itself
        sections: dict[str, Any] = {}
        for name in {*model.cross_checked} & document.keys() - broken:
            annotation: Any = model.model_fields[name].annotation
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            sections[name] = adapter.validate_python(document[name])
        problems += model.cross_problems(sections)
    return problems
