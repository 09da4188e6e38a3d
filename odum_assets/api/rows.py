"""Rows of tables, typed: what a generated client sees.

Rows are sent as they are stored; files of later versions may have more columns. Times have
nanoseconds. What is not known is null.
"""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow")


class OrderRow(_Row):
    """An order, with what became of it."""

    timestamp: datetime
    id: str
    side: str | None = Field(examples=["buy"])
    type: str | None = Field(examples=["LIMIT"])
    time_in_force: str | None
    price: float | None
    amount: float | None
    status: str | None = Field(description="filled, canceled, expired, denied, rejected or open.")
    filled: float | None
    avg_fill_price: float | None
    reason: str | None = Field(description="Why it was denied or rejected.")
    ended: datetime | None
    parent_id: str | None = Field(description="Order that it is a part of.")
    exec_algorithm: str | None
    purpose: str | None


class FillRow(_Row):
    """An execution, and cash and position after it."""

    timestamp: datetime
    order_id: str | None
    position_id: str | None
    side: str | None
    price: float | None
    quantity: float | None
    commission: float | None
    liquidity: str | None = Field(examples=["taker"])
    realized_pnl: float | None
    balance: float | None
    position_quantity: float | None = Field(description="Negative: short.")


class PositionRow(_Row):
    """A round trip, or what is open at the end."""

    position_id: str
    side: str | None
    status: str | None = Field(description="closed or open.")
    opened: datetime
    closed: datetime | None
    quantity: float | None
    peak_quantity: float | None
    avg_entry_price: float | None
    avg_exit_price: float | None
    realized_pnl: float | None
    commissions: float | None
    net_pnl: float | None
    fills: int | None


class EquityRow(_Row):
    """The account at a moment, marked to the market."""

    timestamp: datetime
    portfolio_value: float | None
    balance: float | None
    realized_pnl: float | None
    unrealized_pnl: float | None
    position: float | None
    avg_entry_price: float | None
    price: float | None


class TickRow(_Row):
    """A trade that a run replayed."""

    ts_event: str = Field(description="ns since 1970; a text: it does not fit JavaScript.")
    ts_init: str = Field(description="The same, of its arrival.")
    instrument_id: str
    price: float
    size: float
    aggressor_side: str
    trade_id: str


class EventData(_Row):
    """What an event tells; the kinds differ in what they have."""

    id: str | None = None
    order_id: str | None = None
    side: str | None = None
    price: float | None = None
    amount: float | None = None
    quantity: float | None = None
    status: str | None = None
    type: str | None = None
    commission: float | None = None
    liquidity: str | None = None
    reason: str | None = None


class EventRow(_Row):
    """An order, a fill or a refusal."""

    ts: datetime
    event: str = Field(description="Order, Fill, OrderDenied or OrderRejected.")
    data: EventData
