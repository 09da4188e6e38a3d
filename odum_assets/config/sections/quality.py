"""When data count as good, and how figures are computed: ``quality`` and ``metrics``."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Gap, Ratio, Whole

Policy = Literal["warn", "refuse"]


class QualityConfig(Section):
    """Thresholds of the data quality checks."""

    max_reject_ratio: Ratio = Decimal("0.01")
    """Rejected rows as a fraction of all; above it no backtest runs."""
    max_crossed_ratio: Ratio = Decimal("0.01")
    """Crossed or locked books as a fraction of all books."""
    max_gap_secs: Gap = Decimal(300)
    """Longest time without a row."""
    max_duplicate_ids: Whole = Field(default=0, ge=0, le=1_000_000_000_000)
    """Trade ids that occur more than once."""
    max_negative_latency_ratio: Ratio = Decimal("0.05")
    """Rows that arrived before the exchange made them, as a fraction of all."""
    max_unknown_side_ratio: Ratio = Decimal("0.01")
    """Trades without a known side, as a fraction of all."""
    max_edge_gap_secs: Gap = Decimal(300)
    """Longest time from midnight to a day's first row, and from its last row to midnight."""
    partial_days: Policy = "warn"
    """What becomes of a day whose rows do not reach its edges that closely; refuse: no backtest
    runs on it."""
    missing_days: Policy = "warn"
    """Whether a window runs when the catalog lacks days of it. warn: it runs over the others, and
    the result lists the missing ones."""
    missing_funding: Policy = "refuse"
    """What becomes of a day without funding data where derivative_ticker_path is given. warn: it
    runs without funding, and the result says so; refuse: no backtest runs on it."""


class MetricsConfig(Section):
    """How figures are computed."""

    equity_interval_secs: Whole = Field(default=60, ge=1, le=86_400)
    """Interval at which equity is marked to the market; Sharpe, Sortino and drawdown come from
    it."""
    annualization_days: Whole = Field(default=365, ge=1, le=366)
    """Trading days of a year, for annualized figures."""
