"""Where a configuration's data lie on this machine, and what its instrument is.

What belongs here: bringing a configuration and the settings together. What does not: looking
whether anything is there (``raw``, ``catalog``).
"""

from datetime import date
from pathlib import Path
from typing import Any

from odum_assets.config.loading import LoadedConfig
from odum_assets.config.raw_paths import path_of_day
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.instruments.specs import InstrumentSpec
from odum_assets.settings import CONFIG_VARIABLES, Settings, parse_data_folder


def instrument_spec(loaded: LoadedConfig, key: InstrumentKey | None = None) -> InstrumentSpec:
    """Return the spec of a configuration's instrument, the first by default."""
    return loaded.config.spec(loaded.key if key is None else key)


def effective_settings(loaded: LoadedConfig, settings: Settings) -> Settings:
    """Return the settings that count for one configuration.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    settings : Settings
        The settings of the process; what was given there (environment or argument) stays.

    Returns
    -------
    Settings
        With what the configuration says in place of defaults: its ``environment`` section first,
        then ``data_catalog.parquet_root``.
    """
    values: dict[str, Any] = {}
    parquet_root = loaded.config.data_catalog.parquet_root
    if parquet_root is not None:
        values["catalog_path"] = parse_data_folder(parquet_root)
    for variable, text in loaded.config.environment.variables().items():
        field, parse = CONFIG_VARIABLES[variable]
        values[field] = parse(text)
    effective = settings.model_copy(
        update={name: values[name] for name in values.keys() - settings.model_fields_set}
    )
    if is_from_bucket(loaded, effective) and not effective.raw_root.startswith("gs://"):
        # Without a bucket the local folder stays, and `require_source` says what is missing.
        root = effective.gcs_bucket or effective.raw_root
        return effective.model_copy(update={"raw_root": root})
    return effective


def is_from_bucket(loaded: LoadedConfig, settings: Settings) -> bool:
    """Return whether raw files are to be read from Google Cloud Storage.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    settings : Settings
        Those that count for it.
    """
    source = settings.data_source
    if source == "auto":
        source = loaded.config.data_source
    return source == "gcs" or (source == "auto" and settings.use_direct_gcs)


def raw_path(
    loaded: LoadedConfig,
    data_type: str,
    day: date,
    settings: Settings,
    key: InstrumentKey | None = None,
) -> str:
    """Return the raw file of one data type and day, whether it exists or not.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    data_type : str
        ``trades``, ``book_snapshot_5``, ``derivative_ticker`` or ``bars_1m`` and so on.
    day : date
        The UTC day; for daily bars the first one of their year.
    settings : Settings
        The settings of the process.
    key : InstrumentKey, optional
        Which instrument of the configuration; the first by default.

    Returns
    -------
    str
        An absolute path, or a URL when the raw root is one.

    Raises
    ------
    ConfigError
        If the configuration has no path for this data type, or its data source cannot be used.
    """
    effective = effective_settings(loaded, settings)
    _require_source(loaded, effective)
    template = loaded.config.template(data_type, loaded.key if key is None else key)
    if template is None:
        raise ConfigError(
            f"{loaded.path}: data_catalog.{data_type}_path: missing; {data_type} data are needed, "
            "so give their path"
        )
    return f"{effective.raw_root}/{path_of_day(template, day)}"


def catalog_root(loaded: LoadedConfig, settings: Settings) -> Path:
    """Return the folder of the catalog that a configuration reads and writes.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    settings : Settings
        The settings of the process.

    Returns
    -------
    Path
        An absolute path: DATA_CATALOG_PATH of the process, else of the configuration, else
        ``data_catalog.parquet_root``, else the default.

    Raises
    ------
    ConfigError
        If its data source cannot be used.
    """
    effective = effective_settings(loaded, settings)
    _require_source(loaded, effective)
    return effective.catalog_path


def require_source(loaded: LoadedConfig, settings: Settings) -> None:
    """Refuse a configuration whose raw files cannot be where it says.

    Raises
    ------
    ConfigError
        If it reads from Google Cloud Storage and no bucket is named, or from local files and the
        raw root is a bucket.
    """
    _require_source(loaded, effective_settings(loaded, settings))


def _require_source(loaded: LoadedConfig, settings: Settings) -> None:
    is_bucket = settings.raw_root.startswith("gs://")
    if is_from_bucket(loaded, settings) and not is_bucket:
        if "gcs" in (settings.data_source, loaded.config.data_source):
            cause, other = 'data_source is "gcs"', 'data_source to "local"'
        else:
            cause, other = "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS is true", "it to false"
        raise ConfigError(
            f"{loaded.path}: {cause}, but no bucket is named; set "
            f"UNIFIED_CLOUD_SERVICES_GCS_BUCKET, or {other}"
        )
    source = settings.data_source if settings.data_source != "auto" else loaded.config.data_source
    is_remote = "://" in settings.raw_root and not settings.raw_root.startswith("file://")
    if source == "local" and is_remote:
        raise ConfigError(
            f'{loaded.path}: data_source is "local", but the raw root is {settings.raw_root}; set '
            "UNIFIED_CLOUD_LOCAL_PATH to a local folder, which may be a mounted bucket, or "
            'data_source to "auto"'
        )
