"""What the charts of a run are drawn from, typed: columns by bucket of time, and single moments.

Times in ns are texts: they do not fit JavaScript. Buckets are named by their number: bucket ``i``
begins at ``t0_ns + i * step_ns``. Those without anything in them are left out.
"""

from typing import Literal

from pydantic import BaseModel, Field

type MarketSource = Literal["same", "changed", "gone"]

_SOURCE = Field(
    description="Whether the catalog has the data that the run replayed. If they are changed or "
    "gone, the market is not in the reply, unless the ticks of the run were exported."
)
_DETAIL = Field(description="Which data are not those of the run, and what to do.")


class SideFills(BaseModel):
    """Fills of one side by bucket."""

    i: list[int] = Field(description="Numbers of the buckets.")
    n: list[int] = Field(description="How many.")
    qty: list[float]
    vwap: list[float] = Field(description="Mean price, weighted by quantity.")


class Refusals(BaseModel):
    """Orders that were denied or rejected by bucket."""

    i: list[int] = Field(description="Numbers of the buckets.")
    n: list[int] = Field(description="How many.")


class Band(BaseModel):
    """A span of time with a fault in the data."""

    kind: Literal["gap", "crossed", "missing_day"] = Field(
        description="No rows of the market for a while; the best bid above the best ask; a "
        "day of the run without data."
    )
    from_ns: str
    to_ns: str
    data_type: str | None = Field(description="Which data; null where it is all of them.")


class Buckets(BaseModel):
    """Equal spans of time."""

    t0_ns: str = Field(description="When bucket 0 begins, ns since 1970 (UTC).")
    step_ns: str = Field(description="Length of a bucket, from 10 ms to 1 day.")
    i: list[int] = Field(description="Numbers of the buckets, ascending.")


class Bars(Buckets):
    """The market of a run as candles, with its fills and refusals by bucket.

    Trades lie in the bucket of their arrival (ts_init); a bar of the catalog in that of its begin.
    """

    run_id: str
    instrument: str
    instruments: list[str] = Field(description="All of the run's.")
    o: list[float]
    h: list[float]
    l: list[float]  # noqa: E741 - candles are named so
    c: list[float]
    v: list[float] = Field(description="Traded quantity.")
    n: list[int] = Field(description="Trades, or bars of the catalog.")
    buys: SideFills
    sells: SideFills
    refused: Refusals
    bands: list[Band]
    source: MarketSource = _SOURCE
    source_detail: str | None = _DETAIL


class EquityColumns(BaseModel):
    """Equity by bucket: no extreme is lost."""

    first: list[float]
    min: list[float]
    max: list[float]
    last: list[float]


class DrawdownColumns(BaseModel):
    """Fall of equity from its highest value since the begin of the run, by bucket."""

    min: list[float | None] = Field(
        description="A fraction of the peak, zero or negative; null while no peak is positive."
    )


class PositionColumns(BaseModel):
    """Position by bucket."""

    last: list[float | None] = Field(
        description="Negative: short. Null: several instruments have no common quantity."
    )


class AccountPoint(BaseModel):
    """The account at a moment."""

    ts_ns: str
    equity: float
    drawdown: float | None
    position: float | None


class AccountCurve(Buckets):
    """The account of a run by bucket."""

    run_id: str
    instrument: str | None = Field(description="Null: the whole account.")
    equity: EquityColumns
    drawdown: DrawdownColumns
    position: PositionColumns
    before: AccountPoint | None = Field(description="The last sample before the window.")


class MomentTrades(BaseModel):
    """Trades of the market."""

    dt_ns: list[int] = Field(description="Arrival (ts_init), ns after `base_ns`.")
    event_dt_ns: list[int] = Field(description="Time at the exchange (ts_event).")
    price: list[float]
    size: list[float]
    side: list[str] = Field(description="buy, sell, or none where it is not known.")
    trade_id: list[str]


class MomentBooks(BaseModel):
    """Book snapshots: of each side a list of levels, the best first, each with a value per row.

    The first one may be from before the span: the book that stood when it begins.
    """

    dt_ns: list[int]
    event_dt_ns: list[int]
    bid_price: list[list[float | None]]
    bid_size: list[list[float | None]]
    ask_price: list[list[float | None]]
    ask_size: list[list[float | None]]


class MomentBars(BaseModel):
    """Bars of the catalog, for a run on bars."""

    dt_ns: list[int] = Field(description="When the bar closes, ns after `base_ns`.")
    o: list[float]
    h: list[float]
    l: list[float]  # noqa: E741 - candles are named so
    c: list[float]
    v: list[float]


class MomentOrders(BaseModel):
    """Orders that were alive in the span.

    Of a run with more than 200,000 orders: those made in the span, or in ten minutes before it.
    """

    dt_ns: list[int] = Field(description="When it was made, ns after `base_ns`.")
    ended_dt_ns: list[int | None] = Field(
        description="Its last fill, or when it was canceled, expired or refused; null: still open."
    )
    id: list[str]
    side: list[str | None]
    type: list[str | None]
    price: list[float | None]
    amount: list[float | None]
    filled: list[float | None]
    avg_fill_price: list[float | None]
    status: list[str | None]
    reason: list[str | None]
    purpose: list[str | None]


class MomentFills(BaseModel):
    """Fills of the run."""

    dt_ns: list[int]
    order_id: list[str | None]
    side: list[str | None]
    price: list[float | None]
    quantity: list[float | None]
    commission: list[float | None]
    liquidity: list[str | None]
    realized_pnl: list[float | None]
    position_quantity: list[float | None]


class Moment(BaseModel):
    """Everything within a span around a moment, to the nanosecond; at most 5,000 rows of each."""

    run_id: str
    instrument: str
    instruments: list[str] = Field(description="All of the run's.")
    base_ns: str = Field(description="The moment.")
    span_ns: str
    trades: MomentTrades
    books: MomentBooks
    bars: MomentBars
    orders: MomentOrders
    fills: MomentFills
    truncated: list[Literal["trades", "books", "bars", "orders", "fills"]] = Field(
        description="Tables of which there are more rows; those nearest to the moment are given."
    )
    source: MarketSource = _SOURCE
    source_detail: str | None = _DETAIL
