"""What a result is made up of and what it was made from, typed: breakdown, lineage, comparison."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from odum_assets.api.charts import AccountCurve

type Align = Literal["time", "start"]
type By = Literal["hour", "weekday", "day", "month", "side", "instrument", "liquidity", "purpose"]


class BreakdownRow(BaseModel):
    """Round trips, or fills, that have something in common."""

    key: str = Field(
        description="Hour of the day, weekday, day or month (UTC) of the end of the round trips; "
        "side, instrument, liquidity of the fills or purpose of their orders. ``open``: positions "
        "open at the end; ``none``: not said."
    )
    trades: int | None = Field(description="Round trips; null where fills are grouped.")
    fills: int
    net_pnl: str | None = Field(description="After commissions, without funding; exact.")
    commissions: str | None


class Histogram(BaseModel):
    """How the net results of closed round trips are distributed."""

    edges: list[float] = Field(description="One more than there are bins; the last bin has both.")
    n: list[int] = Field(description="Round trips per bin.")


class Breakdown(BaseModel):
    """The result of a run by what its trades have in common; the rows add up to all of it."""

    run_id: str
    by: By
    rows: list[BreakdownRow]
    histogram: Histogram | None = Field(description="Null without closed round trips.")


class LineageNode(BaseModel):
    """Something that a result was made from, or a part of it."""

    kind: Literal[
        "raw", "catalog", "config", "options", "strategy", "input", "version", "digest", "pnl"
    ]
    name: str
    sha256: str | None = Field(description="Of a version none; what it is, says the name.")
    rows_in: int | None = Field(description="Rows of the raw file; null where not known.")
    rows_written: int | None
    rejected: int | None
    rejected_by: dict[str, int] | None = Field(
        description="Rejected rows by reason; null where the catalog has other data now."
    )
    now: Literal["same", "changed", "gone"] | None = Field(
        description="What is there now, compared with what the run used; null where there is "
        "nothing to compare."
    )
    detail: str | None = Field(description="How it was compared, or what is there now.")


class LineageAccount(BaseModel):
    """The account from start to end; difference is that of the engine's own account to it."""

    currency: str | None
    start: str | None
    realized: str | None
    commissions: str | None
    funding: str | None
    final: str | None
    difference: str | None


class Lineage(BaseModel):
    """From the raw files to the profit."""

    run_id: str
    nodes: list[LineageNode]
    account: LineageAccount


class LineageValue(BaseModel):
    """What one run used of something."""

    sha256: str | None
    rows: int | None
    rejected: int | None


class LineageRow(BaseModel):
    """What runs used of something; null: not at all."""

    kind: str
    name: str
    differs: bool
    values: list[LineageValue | None]


class SimulatedValue(BaseModel):
    """Whether a run simulated an aspect of a real market, and how."""

    simulated: bool
    detail: str


class SimulatedRow(BaseModel):
    """An aspect of a real market; null: the result does not say it."""

    aspect: str
    differs: bool
    values: list[SimulatedValue | None]


class FirstDifference(BaseModel):
    """The first row in which a run differs from the base; null rows: one has no more rows."""

    run_id: str
    table: Literal["fills", "orders", "trades"]
    row: int = Field(description="Number of the row in both tables, from 0.")
    ts_ns: str | None = Field(description="The earlier time of both rows.")
    columns: list[str] = Field(description="Columns that differ; empty if one has no row.")
    a: dict[str, Any] | None = Field(description="The row of the base; numbers are texts.")
    b: dict[str, Any] | None = Field(description="The row of the run.")


class Curves(BaseModel):
    """Equity of several runs in the same buckets."""

    align: Align
    t0_ns: str = Field(description="Since 1970, or since each run's begin.")
    step_ns: str
    runs: dict[str, AccountCurve]
    missing: list[str] = Field(description="Runs in fast mode, which have no curve.")


class AlignedEquity(BaseModel):
    """Equity of several runs at the same moments; null before a run's begin and after its end."""

    align: Align
    times_ns: list[str] = Field(
        description="Since 1970, or since each run's begin. Texts: they do not fit JavaScript."
    )
    equity: dict[str, list[float | None]]
    missing: list[str] = Field(description="Runs in fast mode, which have no curve.")


class Comparison(BaseModel):
    """Runs side by side; values stand in the order of `run_ids`."""

    run_ids: list[str]
    base: str = Field(description="The run that the others are compared with.")
    same_digest: bool = Field(description="Whether they are equal in every order and fill.")
    metrics: dict[str, list[Any]]
    config: dict[str, list[Any]] = Field(description="Settings that differ.")
    inputs: dict[str, list[Any]] = Field(description="Options and data that differ.")
    lineage: list[LineageRow] = Field(description="Data, strategy, versions.")
    simulated: list[SimulatedRow]
    first_differences: list[FirstDifference] = Field(
        description="Of each run that differs from the base in a fill, an order or a round trip."
    )
    not_compared: list[str] = Field(
        description="Runs whose rows cannot be compared: they, or the base, ran in fast mode."
    )
    curves: Curves
    equity: AlignedEquity = Field(
        deprecated=True, description="Last values of `curves`, which has the extremes, too."
    )
