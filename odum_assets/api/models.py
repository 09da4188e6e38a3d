"""Replies, typed: what a generated client sees.

Figures that are not known are null. Results come from files of this and later versions, so groups
of figures may hold more than is named here.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Health(BaseModel):
    """Whether the service is up."""

    status: Literal["ok"]
    service: str
    version: str


class MountStatus(BaseModel):
    """Where raw data lie, and whether they can be read."""

    path: str
    mounted: bool = Field(description="Whether the folder lies on a mount other than the root's.")
    mount_type: str | None = Field(description="File system; null for a URL.")
    fuse_enabled: bool
    gcs_bucket: str | None
    path_exists: bool
    path_readable: bool
    file_count: int = Field(description="Entries of the folder, counted up to 100.")


class PnlBreakdown(_Open):
    """Parts of the profit, in the account's currency."""

    realized: float | None
    unrealized: float | None
    unrealized_before_closing: float | None
    commissions: float | None
    funding: float | None
    net: float | None


class Account(_Open):
    """The account."""

    currency: str | None
    starting_balance: float | None
    final_balance: float | None
    balance_change: float | None


class Returns(_Open):
    """Returns in percent of the starting balance."""

    total_return_pct: float | None
    realized_return_pct: float | None
    unrealized_return_pct: float | None


class Trades(_Open):
    """Round trips."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    break_even_trades: int
    win_rate: float | None = Field(description="Percent.")
    profit_factor: float | None
    expectancy: float | None


class Drawdown(_Open):
    """Largest fall of the equity from its peak."""

    max_drawdown: float | None
    max_drawdown_pct: float | None


class Ratios(_Open):
    """Ratios of returns over fixed intervals."""

    sharpe: float | None
    sortino: float | None


class Summary(_Open):
    """Figures of a result."""

    orders: int
    fills: int
    pnl: float | None
    pnl_breakdown: PnlBreakdown
    account: Account
    returns: Returns
    trades: Trades
    drawdown: Drawdown
    ratios: Ratios
    orders_by_status: dict[str, int]
    flags: list[str] = Field(default=[], description="What a reader must know.")


class ListedMetadata(BaseModel):
    """What a list tells of how a result was made."""

    config_name: str
    partition: str
    snapshot_mode: str
    digest: str


class ListedResult(BaseModel):
    """A result in a list."""

    run_id: str
    mode: str
    instrument: str
    dataset: str
    start: str | None
    end: str | None
    execution_time: str
    summary: Summary
    metadata: ListedMetadata


class Result(BaseModel):
    """A result: figures, and everything that it was made of."""

    run_id: str
    mode: str
    instrument: str
    dataset: str
    start: str | None
    end: str | None
    execution_time: str
    summary: Summary
    metadata: dict[str, Any]
    ticks_path: str | None = Field(default=None, description="Where its exported ticks are.")


class Row(_Open):
    """A row of a table; its columns are those of the file."""


class Paged(BaseModel):
    """A page of rows."""

    total: int
    limit: int
    offset: int
    has_more: bool


class Fills(Paged):
    """A page of fills, in order of time."""

    fills: list[Row]


class PriceRange(BaseModel):
    """Prices of refused orders."""

    min: float | None
    max: float | None
    avg: float | None


class Pattern(BaseModel):
    """A reason, and how many orders were refused for it."""

    reason: str | None
    count: int


class Bucket(BaseModel):
    """Refused orders in a range of prices; the upper end belongs to the last one only."""

    low: float
    high: float
    count: int


class Rejections(BaseModel):
    """What refused orders have in common."""

    total_rejected: int
    by_side: dict[str, int]
    by_price_range: list[Bucket]
    common_patterns: list[Pattern]
    price_range: PriceRange


class RejectedOrders(Paged):
    """A page of orders that were denied or rejected."""

    rejected_orders: list[Row]
    analysis: Rejections


class Ticks(Paged):
    """A page of the trades that a run replayed; times in ns are texts."""

    ticks: list[Row]


class Pagination(BaseModel):
    """Which rows of how many."""

    total: int
    limit: int | None
    offset: int
    has_more: bool


class Report(Result):
    """A result with its timeline and orders."""

    timeline: list[Row]
    orders: list[Row]
    timeline_pagination: Pagination
    orders_pagination: Pagination


class Dataset(BaseModel):
    """A day of raw data."""

    name: str = Field(examples=["day-2024-07-18"])
    day: str
    files: int
    size: int = Field(description="Bytes.")
    instruments: list[str]
    data_types: list[str]


class Datasets(BaseModel):
    """Days of raw data, newest first."""

    datasets: list[Dataset]
    total: int
    limit: int
    offset: int
    has_more: bool


class ListedConfig(BaseModel):
    """A run configuration in a list."""

    name: str
    file: str
    valid: bool
    instrument: str | None
    hash: str | None = Field(description="Content hash; results carry it.")
    problems: list[str]


class Configs(BaseModel):
    """Run configurations."""

    configs: list[ListedConfig]
    problems: list[str] = Field(description="Where configurations contradict each other.")


class Venue(BaseModel):
    """A venue."""

    code: str
    name: str
    types: list[str]


class Venues(BaseModel):
    """Venues that are known; traditional markets are not."""

    cefi: list[Venue]
    tradfi: list[Venue]


class InstrumentTypes(BaseModel):
    """Kinds of instrument of a venue."""

    venue: str
    types: list[str]


class Instrument(BaseModel):
    """An instrument for which there is a configuration."""

    symbol: str
    gcs_id: str = Field(description="Name of its raw files.")
    nautilus_id: str
    config_id: str = Field(description="Its id as the configuration spells it.")
    configs: list[str]


class Instruments(BaseModel):
    """Instruments of a venue."""

    venue: str
    type: str
    instruments: list[Instrument]


class Parameter(BaseModel):
    """A parameter of an execution algorithm."""

    name: str
    type: str
    default: float | int | None
    minimum: float | None
    maximum: float | None
    description: str


class Algorithm(BaseModel):
    """An execution algorithm."""

    id: str
    name: str
    description: str
    parameters: list[Parameter]


class DataCheck(BaseModel):
    """Whether there are the data for a run."""

    valid: bool
    has_trades: bool
    has_book: bool
    date: str | None
    dataset: str | None
    source: str
    messages: list[str]
    errors: list[str]
    warnings: list[str]
