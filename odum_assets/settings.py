"""Environment variables, read once and typed.

What belongs here: where data, catalog, results and configurations lie on this machine. What does
not: anything that changes what a result means (that is the run configuration).
"""

import os
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from odum_assets.errors import ConfigError
from odum_assets.storage.addresses import (
    CACHE_VARIABLE,
    DEFAULT_CACHE,
    SIZE_VARIABLE,
    local_copy,
)

_LONGEST_NAME = 255
_LONGEST_PATH = 3_000
"""Bytes; file systems take 4,096, and names of partitions follow the path of a folder."""

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True}
_BOOLEANS |= {"false": False, "0": False, "no": False, "off": False}


def parse_boolean(value: object) -> bool:
    """Return the truth of ``true/1/yes/on`` or ``false/0/no/off``, in any case.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    if isinstance(value, bool):
        return value
    truth = _BOOLEANS.get(str(value).strip().lower())
    if truth is None:
        raise ValueError(f"found {value!r}, allowed {', '.join(_BOOLEANS)}")
    return truth


def parse_root(value: object) -> str:
    """Return a raw root as an absolute path, or as it is when it is a URL (``scheme://``).

    Raises
    ------
    ValueError
        If the text is empty.
    """
    text = str(value).strip()
    if not text:
        raise ValueError("found an empty path, allowed a folder or a URL")
    if "://" in text and "\x00" not in text:
        if not text.partition("://")[2].strip("/"):
            raise ValueError(f"found {text!r}, allowed a folder or an address such as gs://bucket")
        # Google's other spelling, so that one is enough everywhere else.
        return re.sub("^gcs://", "gs://", text.rstrip("/"))
    return str(_absolute(text))


def parse_folder(value: object) -> Path:
    """Return a local folder as an absolute path.

    Raises
    ------
    ValueError
        If the text is empty or a URL.
    """
    text = str(value).strip()
    if not text or "://" in text:
        raise ValueError(f"found {text!r}, allowed a local folder")
    return _absolute(text)


def parse_data_folder(value: object) -> Path:
    """Return a local folder as an absolute path, of a folder in a bucket its local copy.

    Raises
    ------
    ValueError
        If the text is empty, or the address of something else.
    """
    text = str(value).strip()
    # What a setting holds already is read again when settings are copied.
    return local_copy(text) if "://" in text else parse_folder(text)


def parse_true(value: object) -> bool:
    """Return true for ``true/1/yes/on``; nothing else is supported.

    Raises
    ------
    ValueError
        If the text is anything else.
    """
    if not parse_boolean(value):
        raise ValueError(f"found {value!r}, allowed true: parquet is the only format there is")
    return True


def _parse_day(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise ValueError(f"found {value!r}, allowed a day such as 2017-01-01") from None


def _parse_bucket(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip().rstrip("/")
    address = text if "://" in text else f"gs://{text}"
    local_copy(address)  # what it refuses is none
    return address


def is_inside(path: Path, root: Path) -> bool:
    """Return whether a path, all links followed, lies inside a folder, which may be a link."""
    return path.resolve().is_relative_to(root.resolve())


def _absolute(text: str) -> Path:
    try:
        os.fsencode(text)
        expanded = Path(text).expanduser()
    except (UnicodeEncodeError, RuntimeError):  # half a character; the home of an unknown user
        raise ValueError(f"found {text!r}, allowed the path of a folder") from None
    if "\x00" in text:
        raise ValueError(f"found {text!r}, allowed the path of a folder")
    if len(os.fsencode(expanded)) > _LONGEST_PATH or any(
        len(os.fsencode(part)) > _LONGEST_NAME for part in expanded.parts
    ):
        raise ValueError(
            f"found a path of {len(text):,} characters, allowed up to {_LONGEST_PATH:,} bytes, and "
            f"{_LONGEST_NAME} in one name"
        )
    # Not resolve(): a linked data folder should be shown as the user named it.
    return Path(os.path.normpath(expanded.absolute()))


def _split_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CONFIG_VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "UNIFIED_CLOUD_LOCAL_PATH": ("raw_root", parse_root),
    "UNIFIED_CLOUD_SERVICES_USE_PARQUET": ("use_parquet", parse_true),
    "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": ("use_direct_gcs", parse_boolean),
    "DATA_CATALOG_PATH": ("catalog_path", parse_data_folder),
}
"""Variables that a run configuration's ``environment`` section may also give, with their fields and
what reads them."""

_Folder = Annotated[Path, BeforeValidator(parse_folder)]
_DataFolder = Annotated[Path, BeforeValidator(parse_data_folder)]
_Root = Annotated[str, BeforeValidator(parse_root)]
_Folders = Annotated[tuple[_Folder, ...], NoDecode, BeforeValidator(_split_list)]
_Roots = Annotated[tuple[_Root, ...], NoDecode, BeforeValidator(_split_list)]


class Settings(BaseSettings):
    """Paths and options of this machine.

    Values come from arguments (by variable or field name), then from the process environment, then
    from the defaults; relative paths are taken from the current folder. `model_fields_set` names
    the values that were given, so that a run configuration can fill in only the others.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        extra="forbid",
        env_ignore_empty=True,
        case_sensitive=True,
        validate_by_name=True,
        validate_by_alias=True,
        validate_default=True,
    )

    raw_root: _Root = Field(default="data", validation_alias="UNIFIED_CLOUD_LOCAL_PATH")
    """Folder or URL that holds raw_tick_data/by_date/day-YYYY-MM-DD/."""
    catalog_path: _DataFolder = Field(
        default=Path("data/catalog"), validation_alias="DATA_CATALOG_PATH"
    )
    """Folder of the converted NautilusTrader catalog, or gs:// or s3://bucket/prefix."""
    results_path: _DataFolder = Field(
        default=Path("data/results"), validation_alias="ODUM_RESULTS_PATH"
    )
    """Folder of backtest results, or gs:// or s3://bucket/prefix."""
    configs_path: _Folder = Field(default=Path("configs"), validation_alias="ODUM_CONFIGS_PATH")
    """Folder of run configurations, one JSON file each."""
    models_path: _Folder = Field(default=Path("data/models"), validation_alias="ODUM_MODELS_PATH")
    """Folder of uploaded models."""
    allow_pickle: Annotated[bool, BeforeValidator(parse_boolean)] = Field(
        default=False, validation_alias="ODUM_ALLOW_PICKLE"
    )
    """Take pickled models (.pkl, .joblib), which are programs, and run them in the sandbox."""
    use_parquet: Annotated[bool, BeforeValidator(parse_true)] = Field(
        default=True, validation_alias="UNIFIED_CLOUD_SERVICES_USE_PARQUET"
    )
    """Raw files and catalog are parquet; false is refused."""
    use_direct_gcs: Annotated[bool, BeforeValidator(parse_boolean)] = Field(
        default=False, validation_alias="UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS"
    )
    """Read raw files of configurations with data_source auto from Google Cloud Storage."""
    gcs_bucket: Annotated[str | None, BeforeValidator(_parse_bucket)] = Field(
        default=None, validation_alias="UNIFIED_CLOUD_SERVICES_GCS_BUCKET"
    )
    """Bucket that holds raw_tick_data/, for data_source gcs: its name, or gs://bucket/prefix."""
    data_source: Literal["local", "gcs", "auto"] = Field(
        default="auto", validation_alias="ODUM_DATA_SOURCE"
    )
    """Where raw files are read, for all configurations: local, gcs, or auto (they say it)."""
    cache_path: _Folder = Field(default=Path(DEFAULT_CACHE), validation_alias=CACHE_VARIABLE)
    """Folder of local copies of what is in buckets."""
    cache_gb: float = Field(default=20.0, ge=0, validation_alias=SIZE_VARIABLE)
    """How much of the data files of bucket catalogs are kept in it, GB; the least used go first."""
    database_url: SecretStr | None = Field(default=None, validation_alias="DATABASE_URL")
    """Database of the run registry; a SQLite file beside the results without it."""
    partitions_start: Annotated[date, BeforeValidator(_parse_day)] = Field(
        default=date(2017, 1, 1), validation_alias="ODUM_PARTITIONS_START"
    )
    """First day of the daily partitions."""
    remote_raw_roots: _Roots = Field(default=(), validation_alias="ODUM_REMOTE_RAW_ROOTS")
    """Folders and addresses (scheme://host/path), separated by commas, that a configuration sent
    over HTTP may have its raw root in, besides the raw root."""
    remote_catalogs: _Folders = Field(default=(), validation_alias="ODUM_REMOTE_CATALOGS")
    """Folders, separated by commas, that a configuration sent over HTTP may have its catalog in,
    besides the catalog."""
    remote_strategies: _Folders = Field(default=(), validation_alias="ODUM_REMOTE_STRATEGIES")
    """Folders, separated by commas, whose modules a configuration sent over HTTP may name as
    strategies, besides the built-in ones."""


def load_settings() -> Settings:
    """Read the settings from the environment of the process.

    Raises
    ------
    ConfigError
        If a value cannot be used; the message names every such variable, its value and what is
        allowed.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"environment variable {'.'.join(map(str, detail['loc']))}: "
            + detail["msg"].removeprefix("Value error, ")
            for detail in error.errors(include_url=False)
        ]
        raise ConfigError("\n".join(lines)) from None
