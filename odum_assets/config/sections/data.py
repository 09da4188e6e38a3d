"""Which data are read: the sections ``data_catalog``, ``time_window`` and ``environment``."""

from datetime import UTC, date, datetime, timedelta
from typing import Self

from pydantic import Field, model_validator

from odum_assets.config.problems import Problem, raise_problems, show
from odum_assets.config.raw_paths import (
    DEFAULT_PATTERN,
    FilePattern,
    RawPath,
    key_in_path,
    path_template,
)
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import BooleanText, Folder, RawRoot, Switch, Time, TrueText
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DataCatalogConfig(Section):
    """Where the raw files are, below the raw root."""

    trades_path: RawPath = Field(
        examples=[
            "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
        ]
    )
    """Path of the trades below the raw root, with one day-* folder for the day; a .parquet file
    named after the instrument key, or a folder when it ends in /."""
    book_snapshot_5_path: RawPath | None = Field(
        default=None, examples=["raw_tick_data/by_date/day-*/data_type-book_snapshot_5/"]
    )
    """Path of the book snapshots, spelled like trades_path. null: only runs with snapshot_mode
    trades are possible."""
    derivative_ticker_path: RawPath | None = Field(
        default=None, examples=["raw_tick_data/by_date/day-*/data_type-derivative_ticker/"]
    )
    """Path of the funding rates of a perpetual, spelled like trades_path; quality.missing_funding
    says what becomes of days without such a file. null: results are without funding and say so."""
    auto_discover: Switch = True
    """true: the sensor reports new days and requests their runs; false: days run only on
    request."""
    instrument_file_pattern: FilePattern | None = Field(default=None, examples=[DEFAULT_PATTERN])
    """Name of the instrument's file in the day's folder; {key} is the instrument key. null:
    {key}.parquet."""
    parquet_root: Folder | None = Field(default=None, examples=["data/catalog"])
    """Folder of the converted catalog; DATA_CATALOG_PATH takes precedence over it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        for data_type, path in self.paths().items():
            try:
                self.file_key(data_type)
            except ConfigError as error:
                problems.append(Problem(f"{data_type}_path", f"found {show(path)}, {error}"))
        raise_problems(*problems)
        return self

    @property
    def file_pattern(self) -> str:
        """Return the name of an instrument's file, with ``{key}`` for the key."""
        return self.instrument_file_pattern or DEFAULT_PATTERN

    def paths(self) -> dict[str, str]:
        """Return the configured paths, as written, by raw data type."""
        paths = {
            "trades": self.trades_path,
            "book_snapshot_5": self.book_snapshot_5_path,
            "derivative_ticker": self.derivative_ticker_path,
        }
        return {data_type: path for data_type, path in paths.items() if path is not None}

    def file_key(self, data_type: str) -> InstrumentKey | None:
        """Return the instrument key in the file name of a configured path, None for a folder.

        Raises
        ------
        ConfigError
            If the file name does not fit the pattern or is no instrument key.
        """
        return key_in_path(self.paths()[data_type], self.file_pattern)

    def template(self, data_type: str, key: InstrumentKey) -> str | None:
        """Return the path of a data type with ``day-*`` for the day, None if it has no path.

        Parameters
        ----------
        data_type : str
            ``trades``, ``book_snapshot_5`` or ``derivative_ticker``.
        key : InstrumentKey
            The instrument, for paths that name a folder.

        Returns
        -------
        str or None
            Path of a parquet file below the raw root.
        """
        path = self.paths().get(data_type)
        return None if path is None else path_template(path, self.file_pattern, key)


class TimeWindow(Section):
    """Which time is simulated: from start up to, not including, end."""

    start: Time | None = Field(examples=["2023-05-23T19:23:00Z"])
    """First moment, ISO 8601 with a time zone. null: open."""
    end: Time | None = Field(examples=["2023-05-23T19:28:00Z"])
    """First moment after the window, ISO 8601 with a time zone. null: open."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            text = f"found {_iso(self.end)}, allowed a time after start ({_iso(self.start)})"
            raise_problems(Problem("end", text))
        return self

    @property
    def start_ns(self) -> int | None:
        """Return the start in nanoseconds since 1970 (UTC), None when open."""
        return None if self.start is None else _to_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """Return the exclusive end in nanoseconds since 1970 (UTC), None when open."""
        return None if self.end is None else _to_ns(self.end)

    def overlaps_day(self, day: date) -> bool:
        """Return whether any moment of the UTC day is in the window."""
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return self.overlaps(_to_ns(first), _to_ns(first + timedelta(days=1)))

    def overlaps(self, first: int, end: int) -> bool:
        """Return whether a moment from `first` up to `end` (ns) is in the window."""
        start_ns, end_ns = self.start_ns, self.end_ns
        return (end_ns is None or first < end_ns) and (start_ns is None or start_ns < end)


class EnvironmentConfig(Section):
    """Variables for this configuration; the process environment takes precedence over them."""

    UNIFIED_CLOUD_LOCAL_PATH: RawRoot | None = Field(default=None, examples=["data"])
    """Raw root: folder or URL that holds raw_tick_data/."""
    UNIFIED_CLOUD_SERVICES_USE_PARQUET: TrueText | None = Field(default=None, examples=["true"])
    """Must be "true": parquet is the only format."""
    UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS: BooleanText | None = Field(
        default=None, examples=["false"]
    )
    """"true" reads raw files from Google Cloud Storage (not supported yet)."""
    DATA_CATALOG_PATH: Folder | None = Field(default=None, examples=["data/catalog"])
    """Folder of the converted catalog."""

    def variables(self) -> dict[str, str]:
        """Return the variables that are given."""
        return {name: value for name, value in self if value is not None}


def _to_ns(moment: datetime) -> int:
    # Integer arithmetic: a float timestamp loses microseconds.
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
