"""What the opening-range breakout adds to a run: figures and curve in R, attribution, factors."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from odum_assets.api.problems import ProblemError
from odum_assets.api.service import ResultHere
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.orb.run import OrbRun, is_orb
from odum_assets.results.store import ResultEntry

router = APIRouter(prefix="/api", tags=["runs"])

_Symbol = Annotated[str | None, Query(description="Only this symbol.", examples=["SPY"])]


class ConfigHash(BaseModel):
    """What a run's configuration was."""

    run_id: str
    config_hash: str
    timestamp: str


class CurvePoint(BaseModel):
    """The curve after a trade."""

    trade_number: int
    trade_id: str
    symbol: str
    exit_timestamp: datetime
    realized_r: float
    cumulative_r: float
    drawdown_r: float
    drawdown_pct: float | None = Field(description="Percent of the highest equity in money.")


class Curve(BaseModel):
    """Closed trades in R, in order of their exits."""

    run_id: str
    equity_curve: list[CurvePoint]
    final_r: float
    max_drawdown_r: float


class FactorAttribution(BaseModel):
    """Trades with a factor and without it; null where there are none."""

    factor_name: str
    present_count: int
    present_win_rate: float | None
    present_avg_r: float | None
    absent_count: int
    absent_win_rate: float | None
    absent_avg_r: float | None
    delta_win_rate: float | None
    delta_avg_r: float | None


class ScoreBucket(BaseModel):
    """Trades whose score lies in a fifth of what can be reached."""

    bucket: str
    count: int
    avg_r: float | None
    win_rate: float | None


class Attribution(BaseModel):
    """What factors and scores were worth."""

    run_id: str
    factor_attribution: list[FactorAttribution]
    score_buckets: list[ScoreBucket]


class FactorSnapshot(BaseModel):
    """Factors at a close; null while they are unknown."""

    timestamp: datetime
    symbol: str
    bar_number: int = Field(description="Bar of its session, from 1.")
    rel_vol: float | None
    rel_vol_spike: bool | None
    vwap: float | None
    vwap_long: bool | None
    vwap_short: bool | None
    adx: float | None
    adx_trend: bool | None
    price_action_long: bool
    price_action_short: bool
    profile_long: bool
    profile_short: bool
    score_long: float
    score_short: float
    required: float


class FactorSample(BaseModel):
    """Closes at equal distances over the run."""

    run_id: str
    sample_count: int
    snapshots: list[FactorSnapshot]


@router.get("/config/hash")
def get_config_hash(entry: ResultHere) -> ConfigHash:
    """Return the hash of a run's configuration."""
    return ConfigHash(
        run_id=entry.run_id,
        config_hash=entry.metadata()["config_hash"],
        timestamp=entry.created_at,
    )


@router.get("/equity")
def get_curve(entry: ResultHere, symbol: _Symbol = None) -> Curve:
    """Return the curve of a breakout's trades, of a symbol or of all together."""
    run = _run(entry)
    rows = run.table("combined_equity" if symbol is None else f"{_known(run, symbol)}_equity")
    points = rows.select(list(CurvePoint.model_fields)).to_pylist()
    return Curve(
        run_id=entry.run_id,
        equity_curve=[CurvePoint(**point) for point in points],
        final_r=points[-1]["cumulative_r"] if points else 0.0,
        max_drawdown_r=min((point["drawdown_r"] for point in points), default=0.0),
    )


@router.get("/attribution")
def get_attribution(entry: ResultHere, symbol: _Symbol = None) -> Attribution:
    """Compare trades with and without each factor, and trades of low and high scores."""
    figures = orb_metrics(entry, symbol)
    return Attribution(
        run_id=entry.run_id,
        factor_attribution=figures["factor_attribution"],
        score_buckets=figures["score_buckets"],
    )


@router.get("/factors/sample")
def sample_factors(
    entry: ResultHere,
    symbol: _Symbol = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> FactorSample:
    """Return factors at closes of equal distances over the run."""
    run = _run(entry)
    table = run.table("factor_snapshots")
    if symbol is not None:
        wanted = _known(run, symbol)
        table = table.filter(pc.equal(table["symbol"], wanted))
    step = max(-(-table.num_rows // limit), 1)
    rows = table.take(list(range(0, table.num_rows, step))).to_pylist()
    return FactorSample(
        run_id=entry.run_id,
        sample_count=len(rows),
        snapshots=[FactorSnapshot(**row) for row in rows],
    )


def orb_metrics(entry: ResultEntry, symbol: str | None) -> dict[str, Any]:
    """Return the figures of a breakout's run.

    Raises
    ------
    ProblemError
        If it is no such run, or has no such symbol (404).
    """
    run = _run(entry)
    return run.metrics() if symbol is None else run.symbol_metrics()[_known(run, symbol)]


def _run(entry: ResultEntry) -> OrbRun:
    if not is_orb(entry):
        raise ProblemError(
            404,
            "no-breakout",
            f"{entry.run_id} has no tables of the opening-range breakout: it is a run of another "
            "strategy, or was run in fast mode",
        )
    return OrbRun(entry)


def _known(run: OrbRun, symbol: str) -> str:
    if symbol.upper() not in run.symbols:
        raise ProblemError(
            404,
            "unknown-symbol",
            f"{run.entry.run_id} has no symbol {symbol[:80]}; it has {', '.join(run.symbols)}",
        )
    return symbol.upper()
