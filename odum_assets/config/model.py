"""The run configuration as a pydantic model.

What belongs here: the sections, what each key allows, and the rules between keys. What does not:
files (``loading``), the wording of structural errors (``problems``), settings of a machine.
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    field_serializer,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from odum_assets.config.problems import Problem, raise_problems, show
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import (
    VENUE_CODES,
    InstrumentKey,
    Product,
    normalize_venue,
    parse_dotted_id,
    parse_instrument_key,
)
from odum_assets.instruments.specs import contract_multiplier, currency_precision
from odum_assets.settings import parse_boolean, parse_folder, parse_root

_NS_PER_MS = 1_000_000
_DEFAULT_PATTERN = "{key}.parquet"
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_FX_PAIR = re.compile(r"[A-Z0-9]{2,16}_[A-Z0-9]{2,16}")
_LONGEST_NAME = 255
"""Bytes that file systems take in one name."""

_DAY_NAMES = ("day-*", "day-{date}")


# --- values -------------------------------------------------------------------------------------


def _number(value: object) -> object:
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise PydanticCustomError("decimal_type", "not a number")
    return value


def _time(value: object) -> object:
    if not isinstance(value, datetime):
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise PydanticCustomError("datetime_type", "not a time")
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("datetime_type", "not a time") from None
    text = value.isoformat()
    if value.utcoffset() is None:
        raise PydanticCustomError(
            "problem", f"found {text} without a time zone, add Z for UTC: {text}Z"
        )
    if not 1970 < value.year < 2200:  # nanoseconds since 1970 end in 2262
        raise PydanticCustomError("problem", f"found {text}, allowed the years 1971 to 2199")
    return value.astimezone(UTC)


def _fx_pair(value: object) -> object:
    if not isinstance(value, str) or not _FX_PAIR.fullmatch(value):
        raise PydanticCustomError("problem", "unknown key, allowed FROM_TO such as USDT_USD")
    return value


def _venue(value: object) -> object:
    try:
        return normalize_venue(value) if isinstance(value, str) else value
    except ConfigError:
        return value  # the enumeration says what is allowed


def _instrument_id(value: object) -> object:
    if isinstance(value, str):
        try:
            _parse_id(value)
        except ConfigError as error:
            raise PydanticCustomError("problem", "{text}", {"text": str(error)}) from None
    return value


Number = Annotated[Decimal, BeforeValidator(_number), Field(allow_inf_nan=False)]
Ratio = Annotated[Number, Field(ge=0, le=1)]
# NautilusTrader's decimals have 28 places at most, and 28 digits.
Margin = Annotated[Ratio, Field(decimal_places=28)]
Fee = Annotated[Number, Field(ge=-1, le=1, decimal_places=28)]
Milliseconds = Annotated[Number, Field(ge=0, le=3_600_000)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True)]
Time = Annotated[
    datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
Currency = Annotated[Text, Field(pattern=r"^[A-Z0-9]{2,16}$")]
VenueName = Annotated[
    Literal["BINANCE", "BINANCE-FUTURES", "BYBIT", "DERIBIT", "OKX"],
    BeforeValidator(_venue),
    WithJsonSchema({"type": "string", "enum": [*VENUE_CODES, "BINANCE_FUTURES"]}),
]


class OmsType(StrEnum):
    """How the venue keeps positions: one per instrument, or one per order."""

    NETTING = "NETTING"
    HEDGING = "HEDGING"


class AccountType(StrEnum):
    """Whether positions are paid in full or on margin."""

    CASH = "CASH"
    MARGIN = "MARGIN"


class BookType(StrEnum):
    """Depth of the simulated order book: best bid and ask, or price levels."""

    L1_MBP = "L1_MBP"
    L2_MBP = "L2_MBP"


class SubmissionMode(StrEnum):
    """When orders are sent."""

    PER_TRADE_TICK = "per_trade_tick"
    SEED_ORDERS = "seed_orders"


class OrderType(StrEnum):
    """Type of the orders that are sent for trade rows."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"


class TimeInForce(StrEnum):
    """How long an order stays."""

    IOC = "IOC"
    GTC = "GTC"
    FOK = "FOK"


class OrderSide(StrEnum):
    """Side of a listed order."""

    BUY = "buy"
    SELL = "sell"


class DataSource(StrEnum):
    """Where raw files are read from."""

    LOCAL = "local"
    GCS = "gcs"
    AUTO = "auto"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


# --- sections -----------------------------------------------------------------------------------


class InstrumentConfig(_Section):
    """What is traded."""

    id: Annotated[Text, BeforeValidator(_instrument_id)] = Field(
        description="VENUE:TYPE:SYMBOL, the same with @LIN or @INV, or BASE-QUOTE.VENUE (the name "
        "of the file in data_catalog.trades_path then says which product).",
        examples=["BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BTC-USDT.BINANCE-FUTURES"],
    )
    price_precision: Whole = Field(
        ge=0, le=16, description="Decimals of a price; a row with more is rejected.", examples=[1]
    )
    size_precision: Whole = Field(
        ge=0, le=16, description="Decimals of a size; a row with more is rejected.", examples=[3]
    )
    multiplier: Number | None = Field(
        default=None,
        gt=0,
        le=1_000_000_000,
        decimal_places=16,
        description="Size of one contract: sizes times multiplier are base units (linear) or quote "
        "units (inverse). null: the venue's own contract size.",
        examples=[None, 0.01],
    )
    margin_init: Margin = Field(
        default=Decimal("0.01"),
        description="Initial margin as a fraction of the notional value.",
        examples=[0.01],
    )
    margin_maint: Margin = Field(
        default=Decimal("0.005"),
        description="Maintenance margin as a fraction of the notional value.",
        examples=[0.005],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.margin_maint > self.margin_init:
            raise_problems(
                Problem(
                    "margin_maint",
                    f"found {self.margin_maint}, allowed up to margin_init ({self.margin_init})",
                )
            )
        return self


class VenueConfig(_Section):
    """Where it is traded, with which account and at what fees."""

    name: VenueName = Field(
        description="Venue; the one in instrument.id. Hyphen or underscore.",
        examples=["BINANCE-FUTURES"],
    )
    oms_type: OmsType = Field(
        description="NETTING keeps one position, HEDGING one per order.", examples=["NETTING"]
    )
    account_type: AccountType = Field(
        description="MARGIN, or CASH for spot: a cash account cannot sell what it does not hold.",
        examples=["MARGIN"],
    )
    base_currency: Currency = Field(
        description="Currency of the account: the quote currency for spot and linear contracts, "
        "the base currency for inverse ones.",
        examples=["USDT"],
    )
    starting_balance: Number = Field(
        gt=0,
        le=1_000_000_000_000,
        decimal_places=8,
        description="Balance at the start of every run, in base_currency.",
        examples=[1000000],
    )
    book_type: BookType = Field(
        default=BookType.L2_MBP,
        description="L2_MBP needs book snapshots; L1_MBP holds best bid and ask only.",
        examples=["L2_MBP"],
    )
    maker_fee: Fee = Field(
        description="Fee of resting orders as a fraction of the notional value; negative: rebate.",
        examples=[0.0002],
    )
    taker_fee: Fee = Field(
        description="Fee of crossing orders as a fraction of the notional value.",
        examples=[0.0005],
    )
    leverage: Number = Field(
        default=Decimal(1),
        ge=1,
        le=1000,
        decimal_places=24,
        description="Leverage that the venue grants; margins are divided by it.",
        examples=[1],
    )


class DataCatalogConfig(_Section):
    """Where the raw files are, below the raw root."""

    trades_path: Text = Field(
        description="Path of the trades below the raw root, with one day-* folder for the day; a "
        ".parquet file named after the instrument key, or a folder when it ends in /.",
        examples=[
            "raw_tick_data/by_date/day-*/data_type-trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
        ],
    )
    book_snapshot_5_path: Text | None = Field(
        default=None,
        description="Path of the book snapshots, spelled like trades_path. null: only runs with "
        "snapshot_mode trades are possible.",
        examples=["raw_tick_data/by_date/day-*/data_type-book_snapshot_5/"],
    )
    derivative_ticker_path: Text | None = Field(
        default=None,
        description="Path of the funding rates of a perpetual, spelled like trades_path. null: "
        "results are without funding and say so.",
        examples=["raw_tick_data/by_date/day-*/data_type-derivative_ticker/"],
    )
    auto_discover: Switch = Field(
        default=True,
        description="true: the sensor reports new days and requests their runs; false: days run "
        "only on request.",
        examples=[True],
    )
    instrument_file_pattern: Text | None = Field(
        default=None,
        description="Name of the instrument's file in the day's folder; {key} is the instrument "
        "key. null: {key}.parquet.",
        examples=["{key}.parquet"],
    )
    parquet_root: Text | None = Field(
        default=None,
        min_length=1,
        description="Folder of the converted catalog; DATA_CATALOG_PATH goes before it.",
        examples=[None],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        pattern = self.instrument_file_pattern
        if pattern is not None and (
            pattern.count("{key}") != 1
            or not pattern.endswith(".parquet")
            or re.search(r"[*?\[\]{}/\\\x00-\x1f]", pattern.replace("{key}", ""))
        ):
            raise_problems(
                Problem(
                    "instrument_file_pattern",
                    f'found "{pattern}", allowed a file name with one {{key}} that ends in '
                    ".parquet",
                )
            )
        for data_type, path in self.paths().items():
            name = f"{data_type}_path"
            text = _path_problem(path)
            if text is None:
                try:
                    self.file_key(data_type)
                except ConfigError as error:
                    text = str(error)
            if text is not None:
                problems.append(Problem(name, f"found {show(path)}, {text}"))
        if self.parquet_root is not None:
            try:
                parse_folder(self.parquet_root)
            except ValueError as error:
                problems.append(Problem("parquet_root", str(error)))
        raise_problems(*problems)
        return self

    def paths(self) -> dict[str, str]:
        """Return the configured paths, as written, by raw data type."""
        found = {
            "trades": self.trades_path,
            "book_snapshot_5": self.book_snapshot_5_path,
            "derivative_ticker": self.derivative_ticker_path,
        }
        return {data_type: path for data_type, path in found.items() if path is not None}

    def file_key(self, data_type: str) -> InstrumentKey | None:
        """Return the instrument key in the file name of a configured path, None for a folder.

        Raises
        ------
        ConfigError
            If the file name does not fit the pattern or is no instrument key.
        """
        path = self.paths()[data_type]
        if path.endswith("/"):
            return None
        file_name = path.rsplit("/", 1)[-1]
        pattern = self.instrument_file_pattern or _DEFAULT_PATTERN
        before, _, after = pattern.partition("{key}")
        if not (file_name.startswith(before) and file_name.endswith(after)):
            raise ConfigError(f'the file name does not fit instrument_file_pattern "{pattern}"')
        return parse_instrument_key(file_name[len(before) : len(file_name) - len(after)])

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
        if path is None:
            return None
        if path.endswith("/"):
            pattern = self.instrument_file_pattern or _DEFAULT_PATTERN
            path += pattern.replace("{key}", str(key))
        return "/".join("day-*" if part in _DAY_NAMES else part for part in path.split("/"))


class TimeWindow(_Section):
    """Which time is simulated: from start up to, not including, end."""

    start: Time | None = Field(
        description="First moment, ISO 8601 with a time zone. null: open.",
        examples=["2023-05-23T19:23:00Z"],
    )
    end: Time | None = Field(
        description="First moment after the window, ISO 8601 with a time zone. null: open.",
        examples=["2023-05-23T19:28:00Z"],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise_problems(
                Problem(
                    "end",
                    f"found {_iso(self.end)}, allowed a time after start ({_iso(self.start)})",
                )
            )
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
        """Return whether any moment of the UTC day lies in the window."""
        first = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return (self.end is None or first < self.end) and (
            self.start is None or self.start < first + timedelta(days=1)
        )


class SeedOrder(_Section):
    """An order that is sent once, at the start of the window."""

    side: OrderSide = Field(description="buy or sell.", examples=["buy"])
    price: Number | None = Field(
        default=None,
        gt=0,
        le=1_000_000_000_000,
        description="Limit price; null: a market order.",
        examples=[27000.1],
    )
    amount: Number = Field(
        gt=0,
        le=1_000_000_000_000,
        description="Size, in the unit of the raw data's amounts.",
        examples=[0.5],
    )


class NoParams(_Section):
    """No parameters."""


class NormalAlgorithm(_Section):
    """Send every order as it is."""

    type: Literal["NORMAL"] = Field(description="Send every order as it is.")
    params: NoParams = Field(default=NoParams(), description="None.", examples=[{}])


class TwapParams(_Section):
    """Parameters of TWAP."""

    horizon_secs: Seconds = Field(
        default=Decimal(10), description="Time over which an order is spread.", examples=[10]
    )
    interval_secs: Seconds = Field(
        default=Decimal(1), description="Time between two parts of an order.", examples=[1]
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.interval_secs > self.horizon_secs:
            raise_problems(
                Problem(
                    "interval_secs",
                    f"found {self.interval_secs}, allowed up to horizon_secs ({self.horizon_secs})",
                )
            )
        return self


class TwapAlgorithm(_Section):
    """Spread every order evenly over time."""

    type: Literal["TWAP"] = Field(description="Spread every order evenly over time.")
    params: TwapParams = Field(
        default=TwapParams(),
        description="Horizon and interval.",
        examples=[{"horizon_secs": 10, "interval_secs": 1}],
    )


class VwapParams(_Section):
    """Parameters of VWAP."""

    horizon_secs: Seconds = Field(
        default=Decimal(10), description="Time over which an order is spread.", examples=[10]
    )
    intervals: Whole = Field(
        default=10, ge=1, le=10_000, description="Number of parts of an order.", examples=[10]
    )
    lookback_days: Whole = Field(
        default=5,
        ge=1,
        le=365,
        description="Days before the window whose volume curve is followed.",
        examples=[5],
    )


class VwapAlgorithm(_Section):
    """Spread every order over time by the volume curve of the days before."""

    type: Literal["VWAP"] = Field(
        description="Spread every order over time by the volume curve of the days before."
    )
    params: VwapParams = Field(
        default=VwapParams(),
        description="Horizon, number of parts and days looked back.",
        examples=[{"horizon_secs": 10, "intervals": 10, "lookback_days": 5}],
    )


class IcebergParams(_Section):
    """Parameters of ICEBERG."""

    visible_pct: Number = Field(
        default=Decimal("0.1"),
        gt=0,
        le=1,
        description="Visible part of an order, as a fraction.",
        examples=[0.1],
    )


class IcebergAlgorithm(_Section):
    """Show a part of every order and replenish it."""

    type: Literal["ICEBERG"] = Field(
        description="Show a part of every order and replenish it when it has filled."
    )
    params: IcebergParams = Field(
        default=IcebergParams(), description="Visible part.", examples=[{"visible_pct": 0.1}]
    )


ExecAlgorithm = Annotated[
    NormalAlgorithm | TwapAlgorithm | VwapAlgorithm | IcebergAlgorithm,
    Field(discriminator="type"),
]

_OWN_STRATEGY_DECIDES = (
    "submission_mode",
    "order_type",
    "time_in_force",
    "orders",
    "exec_algorithm",
)


class StrategyConfig(_Section):
    """What orders are sent."""

    name: Text = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="Name of the strategy in results: letters, digits, _ . -",
        examples=["TradeReplay"],
    )
    path: Text | None = Field(
        default=None,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="Your own strategy class as package.module:Class. It decides itself what to "
        "send: " + ", ".join(_OWN_STRATEGY_DECIDES) + " are not allowed with it.",
        examples=["my_strategies.momentum:Momentum"],
    )
    params: dict[str, Any] = Field(
        default={},
        description="Parameters of your own strategy class.",
        examples=[{"window": 20}],
    )
    submission_mode: SubmissionMode = Field(
        default=SubmissionMode.PER_TRADE_TICK,
        description="per_trade_tick: one order per trade row, besides the listed orders; "
        "seed_orders: only the listed orders.",
        examples=["per_trade_tick"],
    )
    order_type: OrderType = Field(
        default=OrderType.LIMIT,
        description="LIMIT at the row's price, or MARKET.",
        examples=["LIMIT"],
    )
    time_in_force: TimeInForce = Field(
        default=TimeInForce.IOC,
        description="IOC fills at once what it can, FOK all or nothing, GTC rests in the book.",
        examples=["IOC"],
    )
    orders: tuple[SeedOrder, ...] = Field(
        default=(),
        description="Orders that are sent once, at the start of the window.",
        examples=[[{"side": "buy", "price": 27000.1, "amount": 0.5}]],
    )
    exec_algorithm: ExecAlgorithm = Field(
        default=NormalAlgorithm(type="NORMAL"),
        description="How an order is worked.",
        examples=[{"type": "TWAP", "params": {"horizon_secs": 10, "interval_secs": 1}}],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.path is not None:
            problems += [
                Problem(name, "not allowed with strategy.path: the strategy decides; remove it")
                for name in _OWN_STRATEGY_DECIDES
                if name in self.model_fields_set
            ]
        elif self.params:
            problems.append(Problem("params", "only allowed with strategy.path; remove it"))
        if self.submission_mode is SubmissionMode.SEED_ORDERS and not self.orders:
            problems.append(Problem("orders", "missing; submission_mode seed_orders sends these"))
        problems += _value_problems(self.params, "params")
        raise_problems(*problems)
        return self

    @field_serializer("params", when_used="json")
    def _params_as_json(self, params: dict[str, Any]) -> dict[str, Any]:
        # Pydantic would write a Decimal of an untyped field as text.
        found: dict[str, Any] = _json_numbers(params)
        return found

    @model_serializer(mode="wrap")
    def _without_refused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What is refused on the way in stays out on the way out, so that a dump loads again.
        values: dict[str, Any] = handler(self)
        refused = ("params",) if self.path is None else _OWN_STRATEGY_DECIDES
        return {name: value for name, value in values.items() if name not in refused}


class FillModel(_Section):
    """Chances of fills."""

    prob_fill_on_limit: Ratio = Field(
        default=Decimal(1),
        description="Chance that a resting limit order fills when the market touches its price.",
        examples=[1],
    )
    prob_slippage: Ratio = Field(
        default=Decimal(0),
        description="Chance that a crossing order slips by one price increment; without effect on "
        "an L2 book, from whose levels orders fill.",
        examples=[0],
    )
    random_seed: Whole | None = Field(
        default=42,
        ge=0,
        le=2**63 - 1,
        description="Seed of these chances; null: other draws on every run.",
        examples=[42],
    )


class Latency(_Section):
    """Time that orders take to reach the venue."""

    insert_ms: Milliseconds = Field(
        default=Decimal(0), description="Milliseconds until a new order arrives.", examples=[5]
    )
    update_ms: Milliseconds = Field(
        default=Decimal(0), description="Milliseconds until a change arrives.", examples=[5]
    )
    cancel_ms: Milliseconds = Field(
        default=Decimal(0), description="Milliseconds until a cancel arrives.", examples=[5]
    )

    @property
    def insert_ns(self) -> int:
        """Return the insert latency in whole nanoseconds."""
        return int(self.insert_ms * _NS_PER_MS)

    @property
    def update_ns(self) -> int:
        """Return the update latency in whole nanoseconds."""
        return int(self.update_ms * _NS_PER_MS)

    @property
    def cancel_ns(self) -> int:
        """Return the cancel latency in whole nanoseconds."""
        return int(self.cancel_ms * _NS_PER_MS)


class ExecutionConfig(_Section):
    """How the venue fills orders."""

    fill_model: FillModel = Field(
        default=FillModel(), description="Chances of fills.", examples=[{"random_seed": 42}]
    )
    latency: Latency = Field(
        default=Latency(),
        description="Time that orders take to reach the venue.",
        examples=[{"insert_ms": 5}],
    )
    queue_position: Switch = Field(
        default=False,
        description="Resting orders wait behind what the book showed before them.",
        examples=[False],
    )
    liquidity_consumption: Switch = Field(
        default=False,
        description="Fills use up the book's sizes until the next snapshot.",
        examples=[False],
    )


class RiskConfig(_Section):
    """Limits on orders."""

    throttling_per_sec: Whole | None = Field(
        default=None,
        gt=0,
        le=1_000_000_000,
        description="Orders allowed per second; more are denied. null: unlimited.",
        examples=[None],
    )


class EnvironmentConfig(_Section):
    """Variables for this configuration; the process environment goes before them."""

    UNIFIED_CLOUD_LOCAL_PATH: Text | None = Field(
        default=None,
        min_length=1,
        description="Raw root: folder or URL that holds raw_tick_data/.",
        examples=["data"],
    )
    UNIFIED_CLOUD_SERVICES_USE_PARQUET: Text | None = Field(
        default=None, description='Must be "true": parquet is the only format.', examples=["true"]
    )
    UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS: Text | None = Field(
        default=None,
        description='"true" reads raw files from Google Cloud Storage (not wired yet).',
        examples=["false"],
    )
    DATA_CATALOG_PATH: Text | None = Field(
        default=None,
        min_length=1,
        description="Folder of the converted catalog.",
        examples=["data/catalog"],
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        readers = {
            "UNIFIED_CLOUD_LOCAL_PATH": parse_root,
            "UNIFIED_CLOUD_SERVICES_USE_PARQUET": parse_boolean,
            "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": parse_boolean,
            "DATA_CATALOG_PATH": parse_folder,
        }
        problems = []
        for name, value in self.variables().items():
            try:
                parsed = readers[name](value)
            except ValueError as error:
                problems.append(Problem(name, str(error)))
                continue
            if name == "UNIFIED_CLOUD_SERVICES_USE_PARQUET" and not parsed:
                problems.append(
                    Problem(name, f'found "{value}", allowed "true": there is no other format')
                )
        raise_problems(*problems)
        return self

    def variables(self) -> dict[str, str]:
        """Return the variables that are given."""
        return {name: value for name, value in self if value is not None}


class Policy(StrEnum):
    """What is done about data that are not whole."""

    WARN = "warn"
    REFUSE = "refuse"


class QualityConfig(_Section):
    """Thresholds of the data quality checks."""

    max_reject_ratio: Ratio = Field(
        default=Decimal("0.01"),
        description="Rejected rows as a fraction of all; above it no backtest runs.",
        examples=[0.01],
    )
    max_crossed_ratio: Ratio = Field(
        default=Decimal("0.01"),
        description="Crossed or locked books as a fraction of all books.",
        examples=[0.01],
    )
    max_gap_secs: Number = Field(
        default=Decimal(300),
        gt=0,
        le=1_000_000_000,
        description="Longest time without a row.",
        examples=[300],
    )
    max_duplicate_ids: Whole = Field(
        default=0,
        ge=0,
        le=1_000_000_000_000,
        description="Trade ids that occur more than once.",
        examples=[0],
    )
    max_negative_latency_ratio: Ratio = Field(
        default=Decimal("0.05"),
        description="Rows that arrived before the exchange made them, as a fraction of all.",
        examples=[0.05],
    )
    max_unknown_side_ratio: Ratio = Field(
        default=Decimal("0.01"),
        description="Trades without a known side, as a fraction of all.",
        examples=[0.01],
    )
    max_edge_gap_secs: Number = Field(
        default=Decimal(300),
        gt=0,
        le=1_000_000_000,
        description="Longest time from midnight to a day's first row, and from its last row to "
        "midnight.",
        examples=[300],
    )
    partial_days: Policy = Field(
        default=Policy.WARN,
        description="What becomes of a day whose rows do not reach its edges that closely; refuse: "
        "no backtest runs on it.",
        examples=["warn"],
    )
    missing_days: Policy = Field(
        default=Policy.WARN,
        description="What becomes of a window some days of which are not in the catalog. warn: it "
        "runs over the others, and the result names those that are missing.",
        examples=["warn"],
    )


class MetricsConfig(_Section):
    """How figures are computed."""

    equity_interval_secs: Whole = Field(
        default=60,
        ge=1,
        le=86_400,
        description="Interval at which equity is marked to the market; Sharpe, Sortino and "
        "drawdown come from it.",
        examples=[60],
    )
    annualization_days: Whole = Field(
        default=365,
        ge=1,
        le=366,
        description="Trading days of a year, for annualized figures.",
        examples=[365],
    )


class RunConfig(_Section):
    """Configuration of one backtest: what, where, from which data, when, how."""

    schema_url: Text | None = Field(
        default=None,
        alias="$schema",
        exclude=True,
        description="JSON Schema of this file, for editors; without meaning.",
        examples=["./run_config.schema.json"],
    )
    instrument: InstrumentConfig = Field(description="What is traded.")
    venue: VenueConfig = Field(description="Where it is traded, account and fees.")
    data_catalog: DataCatalogConfig = Field(description="Where the raw files are.")
    time_window: TimeWindow = Field(description="Which time is simulated.")
    strategy: StrategyConfig = Field(description="What orders are sent.")
    execution: ExecutionConfig = Field(
        default=ExecutionConfig(), description="How the venue fills orders."
    )
    risk: RiskConfig = Field(default=RiskConfig(), description="Limits on orders.")
    environment: EnvironmentConfig = Field(
        default=EnvironmentConfig(), description="Variables for this configuration."
    )
    fx_stub: (
        dict[
            Annotated[str, BeforeValidator(_fx_pair)],
            Annotated[Number, Field(gt=0, le=1_000_000_000_000)],
        ]
        | None
    ) = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="One fixed rate FROM_TO that values results in another currency; FROM is "
        "venue.base_currency.",
        examples=[{"USDT_USD": 1.0}],
    )
    data_source: DataSource = Field(
        default=DataSource.AUTO,
        description="local, gcs (not wired yet) or auto (local).",
        examples=["auto"],
    )
    quality: QualityConfig = Field(
        default=QualityConfig(), description="Thresholds of the data quality checks."
    )
    metrics: MetricsConfig = Field(default=MetricsConfig(), description="How figures are computed.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        raise_problems(*cross_problems({name: getattr(self, name) for name in CROSS_CHECKED}))
        return self

    @property
    def key(self) -> InstrumentKey:
        """Return the instrument key: the raw file's when a path names one, else the id's."""
        return resolve_key(self.instrument, self.data_catalog)

    @property
    def multiplier(self) -> Decimal:
        """Return the size of one contract: the configured one, else the venue's."""
        given = self.instrument.multiplier
        return contract_multiplier(self.key) if given is None else given

    def document(self) -> dict[str, Any]:
        """Return the configuration as a JSON document from which it can be read again unchanged.

        Returns
        -------
        dict[str, Any]
            Defaults filled in. Numbers of ``strategy.params`` are Decimals with all their digits:
            `odum_assets.config.exact_json.write_json` writes them, `read_json` reads them.
        """
        found = self.model_dump(mode="json", by_alias=True)
        if self.strategy.path is not None:
            found["strategy"]["params"] = self.strategy.params
        return found


# --- rules between sections ---------------------------------------------------------------------

CROSS_CHECKED = ("instrument", "venue", "data_catalog", "strategy", "fx_stub")
"""Sections that `cross_problems` looks at."""


def cross_problems(sections: dict[str, Any]) -> list[Problem]:
    """Return what is wrong between sections.

    Parameters
    ----------
    sections : dict[str, Any]
        Validated sections by name; one that is not usable is left out, and so are its rules.

    Returns
    -------
    list[Problem]
        Problems with paths from the top of the file.
    """
    instrument: InstrumentConfig | None = sections.get("instrument")
    venue: VenueConfig | None = sections.get("venue")
    data: DataCatalogConfig | None = sections.get("data_catalog")
    strategy: StrategyConfig | None = sections.get("strategy")
    problems = []
    if instrument is not None:
        key = _parse_id(instrument.id)
        if data is not None:
            problems += _path_key_problems(instrument, data)
            if not problems:
                key = resolve_key(instrument, data)
                problems += _product_problems(instrument, data, key)
        if venue is not None:
            problems += _venue_problems(venue, key)
        if strategy is not None:
            problems += _order_problems(strategy, instrument)
    fx_stub = sections.get("fx_stub")
    if fx_stub is not None and venue is not None:
        text = f"allowed a rate from venue.base_currency: {venue.base_currency}_..."
        problems += [
            Problem(f"fx_stub.{pair}", text)
            for pair in fx_stub
            if not pair.startswith(f"{venue.base_currency}_")
        ]
    return problems


def resolve_key(instrument: InstrumentConfig, data: DataCatalogConfig) -> InstrumentKey:
    """Return the instrument key: the raw file's when a path names one, else the id's."""
    named = (data.file_key(data_type) for data_type in data.paths())
    return next(filter(None, named), None) or _parse_id(instrument.id)


def _parse_id(text: str) -> InstrumentKey:
    return parse_instrument_key(text) if ":" in text else parse_dotted_id(text)


def _path_key_problems(instrument: InstrumentConfig, data: DataCatalogConfig) -> list[Problem]:
    problems = []
    named = _parse_id(instrument.id)
    # BASE-QUOTE.VENUE leaves the product open: the file name may say any.
    is_open = ":" not in instrument.id and "-PERP." not in instrument.id
    first: InstrumentKey | None = None
    for data_type in data.paths():
        key = data.file_key(data_type)
        if key is None:
            continue
        if is_open:
            agrees = (key.venue, key.symbol) == (named.venue, named.symbol)
        else:
            agrees = key.agrees_with(named)
        if not agrees:
            text = f"names {key}, allowed the instrument of instrument.id ({instrument.id})"
            problems.append(Problem(f"data_catalog.{data_type}_path", text))
        elif first is not None and key != first:
            text = f"names {key}, allowed the file name of trades_path ({first})"
            problems.append(Problem(f"data_catalog.{data_type}_path", text))
        first = first or key
    return problems


def _product_problems(
    instrument: InstrumentConfig, data: DataCatalogConfig, key: InstrumentKey
) -> list[Problem]:
    problems = []
    if key.product is not Product.PERPETUAL and data.derivative_ticker_path is not None:
        text = f"not allowed: {key} pays no funding, only a perpetual does; remove it"
        problems.append(Problem("data_catalog.derivative_ticker_path", text))
    if instrument.multiplier is None:
        try:
            contract_multiplier(key)
        except ConfigError as error:
            problems.append(Problem("instrument.multiplier", f"missing: {error}"))
    elif key.product is Product.SPOT_PAIR and instrument.multiplier != 1:
        text = f"found {instrument.multiplier}, allowed 1: spot sizes are in {key.base}"
        problems.append(Problem("instrument.multiplier", text))
    return problems


def _venue_problems(venue: VenueConfig, key: InstrumentKey) -> list[Problem]:
    problems = []
    if venue.name != key.venue:
        text = f"found {venue.name}, allowed the venue of instrument.id ({key.venue})"
        problems.append(Problem("venue.name", text))
    if venue.base_currency != key.settlement_currency:
        kind = "inverse" if key.is_inverse else str(key.product)
        text = (
            f"found {venue.base_currency}, allowed {key.settlement_currency}: "
            f"{kind} {key.symbol} settles in it"
        )
        problems.append(Problem("venue.base_currency", text))
    decimals = currency_precision(venue.base_currency)
    if _decimals(venue.starting_balance) > decimals:
        text = (
            f"found {venue.starting_balance}, allowed up to {decimals} decimals: accounts in "
            f"{venue.base_currency} are kept to these"
        )
        problems.append(Problem("venue.starting_balance", text))
    if venue.account_type is AccountType.CASH and key.product is not Product.SPOT_PAIR:
        text = f"found CASH, allowed MARGIN: a {key.product} is traded on margin"
        problems.append(Problem("venue.account_type", text))
    return problems


def _order_problems(strategy: StrategyConfig, instrument: InstrumentConfig) -> list[Problem]:
    problems = []
    for index, order in enumerate(strategy.orders):
        for name, value, decimals in (
            ("price", order.price, instrument.price_precision),
            ("amount", order.amount, instrument.size_precision),
        ):
            if value is not None and _decimals(value) > decimals:
                text = f"found {value}, allowed up to {decimals} decimals (instrument precision)"
                problems.append(Problem(f"strategy.orders[{index}].{name}", text))
    return problems


def _decimals(value: Decimal) -> int:
    """Return the decimals of a number, trailing zeros left out."""
    _, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    zeros = len(digits) - len(text)
    return max(0, -int(exponent) - zeros) if text else 0


def _value_problems(value: Any, path: str) -> list[Problem]:  # noqa: ANN401 - any JSON value
    """Return what of a value no strategy can be given: numbers beyond floats, lone surrogates."""
    problems = []
    if isinstance(value, dict):
        for name, each in value.items():
            problems += _value_problems(each, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            problems += _value_problems(each, f"{path}[{index}]")
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        problems.append(Problem(path, f"found {show(value)}, allowed whole characters"))
    elif isinstance(value, Decimal | float):
        number = float(value)
        if not math.isfinite(number) or (value and not number):
            text = f"found {value}, allowed 0 and sizes from 5e-324 to 1.7e308"
            problems.append(Problem(path, text))
    return problems


def _json_numbers(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value with the numbers that `json.loads` gives in place of Decimals."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: _json_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_numbers(each) for each in value]
    return value


def _path_problem(path: str) -> str | None:
    """Return what is wrong with a raw path, None if nothing is."""
    parts = path.removesuffix("/").split("/")
    days = [part for part in parts if part in _DAY_NAMES]
    rest = [part for part in parts if part not in _DAY_NAMES]
    text = None
    if "\\" in path:
        text = "write / in place of a backslash"
    elif path.startswith("/") or "://" in path or re.match(r"[A-Za-z]:[/\\]|~", path):
        text = "allowed a path below the raw root: leave out what UNIFIED_CLOUD_LOCAL_PATH says"
    elif any(part in ("", ".", "..") for part in parts):
        text = 'allowed a path below the raw root without "..", "." and empty parts'
    elif len(days) != 1:
        text = f"allowed exactly one day-* folder (found {len(days)}), such as by_date/day-*/"
    elif any(re.search(r"[*?\[\]{}\x00-\x1f]", part) for part in rest):
        text = "allowed no wildcard but the one of the day-* folder"
    elif not path.endswith(("/", ".parquet")):
        text = "allowed a .parquet file, or a folder that ends in /"
    elif any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in parts):
        text = f"allowed names of up to {_LONGEST_NAME} bytes"
    return text


def _to_ns(moment: datetime) -> int:
    # Integer arithmetic: a float timestamp loses microseconds.
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
