"""Replies, typed: what a generated client sees.

Figures that are not known are null. Results come from files of this and later versions, so groups
of figures may hold more than is named here.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


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
    """Returns in percent of the starting balance, and what is annualized, in percent too."""

    total_return_pct: float | None
    realized_return_pct: float | None
    unrealized_return_pct: float | None
    cagr_pct: float | None = Field(default=None, description="Null for less than 30 days.")
    volatility_pct: float | None = None


class Trades(_Open):
    """Round trips."""

    total_trades: int
    winning_trades: int
    losing_trades: int
    break_even_trades: int
    win_rate_pct: float | None = Field(default=None, description="Won of all, in percent.")
    win_rate: float | None = Field(
        description="Earlier name of win_rate_pct, in percent. In runs of the registry win_rate is "
        "a fraction.",
        deprecated=True,
    )
    profit_factor: float | None
    expectancy: float | None


class Drawdown(_Open):
    """Largest falls of the equity from its running peak, zero or negative."""

    max_drawdown: float | None = Field(description="Largest fall as a fraction of its peak.")
    max_drawdown_pct: float | None = Field(description="The same in percent.")
    max_drawdown_amount: float | None = Field(
        default=None, description="Largest fall in money, in the account's currency."
    )
    max_drawdown_duration_secs: float | None = Field(
        default=None, description="Longest time until equity was as high again, or to the end."
    )


class Ratios(_Open):
    """Ratios of returns over fixed intervals."""

    sharpe: float | None
    sortino: float | None
    calmar: float | None = Field(default=None, description="Null for less than 30 days.")


class Summary(_Open):
    """Figures of a result."""

    figures_version: int = Field(
        default=1,
        description="Rules that the figures follow. In version 1 returns lack the first and the "
        "last interval, and the drawdown in percent is that of the largest amount.",
    )
    orders: int
    fills: int
    pnl: float | None = Field(description="Net of commissions and funding.")
    pnl_breakdown: PnlBreakdown
    account: Account
    returns: Returns
    trades: Trades
    drawdown: Drawdown
    ratios: Ratios
    orders_by_status: dict[str, int]
    flags: list[str] = Field(default=[], description="Warnings about the result.")


class ListedMetadata(BaseModel):
    """What a list tells of how a result was made."""

    config_name: str
    partition: str
    snapshot_mode: str
    digest: str
    time_range: str = Field(description="A day, a part of it, or several days (UTC).")
    exec_algorithm: str
    overrides: dict[str, Any] = Field(
        description="Options that are not the configuration's, and values that a sweep varied."
    )


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
    tags: list[str] = []
    note: str = ""
    star: bool = False


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


class Pagination(BaseModel):
    """Which rows of how many."""

    total: int
    limit: int | None
    offset: int
    has_more: bool


class Paged(Pagination):
    """A page of rows."""

    limit: int


class PagedSelection(Paged):
    """A page of rows that can be sorted, filtered and searched."""

    row: int | None = Field(default=None, description="Number of the row that `around` names.")
