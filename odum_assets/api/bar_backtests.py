"""Backtests on bars that are asked for by symbol and interval, as the earlier service took them.

What belongs here: which configuration and bars a request means, what a run of it overrides, and the
rows and figures of a reply. What does not: HTTP forms (``routes``), GraphQL types (``graphql``).
"""

from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.strategies.ma_cross import crossings
from odum_assets.backtest.strategies.ml_signals import SIGNALS
from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import OUTSIDE, SessionRules
from odum_assets.catalog import scan_manifests
from odum_assets.catalog.bar_reader import read_bars
from odum_assets.config import BarsConfig, LoadedConfig, catalog_root
from odum_assets.config.instrument_names import names_instrument
from odum_assets.config.variants import as_run_config, override
from odum_assets.errors import DataError
from odum_assets.orchestration.assets.backtest import refuse_unusable
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.requests import NewRun
from odum_assets.raw.layout import DataType
from odum_assets.results.bar_sweep import UNCERTAIN_ACCOUNT, BarSweep, SweepBars
from odum_assets.results.store import ResultEntry
from odum_assets.utc import DAY_NS, day_of_ns, day_start_ns, iso_ns
from odum_assets.vectorized.grid import KernelFill

type Signs = NDArray[np.int8]

MAX_ROWS = 10_000
"""Bars of one request."""

_FIRST_DAY = date(1970, 1, 1)
_END_OF_TIME = 2**62
_MARGIN_NS = 7 * DAY_NS
"""Time beyond that of the bars which is read at first: nights and weekends."""
_SIGNALS: dict[int, Literal["buy", "sell", "hold"]] = {1: "buy", -1: "sell", 0: "hold"}


class BarSelection(BaseModel):
    """Which bars: the last ones of an instrument's in the catalog, or of its days."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(
        min_length=1, max_length=128, description="Any spelling.", examples=["BTC-USD"]
    )
    interval: Literal["1m", "5m", "15m", "1h", "1d"] = Field(
        default="1d", description="Length of a bar."
    )
    limit: int = Field(default=1000, ge=1, le=MAX_ROWS, description="The last bars at most.")
    start_date: date | None = Field(default=None, description="First session; null: no bound.")
    end_date: date | None = Field(default=None, description="Last session; null: no bound.")
    config: str | None = Field(
        default=None,
        max_length=255,
        description="Configuration to take. Null: the first by name that has this instrument alone "
        "and this interval.",
    )


class BacktestTerms(BarSelection):
    """How an account trades."""

    period: Literal["1D"] = Field(
        default="1D", description="Figures are annualized from daily returns."
    )
    init_cash: Decimal = Field(default=Decimal(10_000), gt=0, description="Starting balance.")
    fees: Decimal = Field(
        default=Decimal("0.001"), ge=0, lt=1, description="Fraction of a fill's value."
    )
    slippage: Decimal = Field(
        default=Decimal("0.001"), ge=0, lt=1, description="Fraction by which orders fill worse."
    )
    side: Literal["long", "long_short"] = "long"
    fixed_size: Decimal | None = Field(default=None, gt=0, description="Units of an entry.")
    percent_size: Decimal | None = Field(
        default=None, gt=0, le=1, description="Fraction of the equity that an entry may cost."
    )
    use_fallback: bool = Field(
        default=False, description="Refused: no other strategy runs in place of the asked one."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.use_fallback:
            raise ValueError(
                "use_fallback: no other strategy runs in place of the asked one; leave it out"
            )
        if self.fixed_size is not None and self.percent_size is not None:
            raise ValueError("fixed_size and percent_size are both given; give one of them")
        return self

    def overrides(self, strategy: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return what a run has in place of its configuration's, by path."""
        sizes = {"fixed_size": self.fixed_size, "percent_size": self.percent_size}
        given = {name: size for name, size in sizes.items() if size is not None}
        values = {
            "strategy": {"name": strategy, "params": {**params, "side": self.side, **given}},
            "venue.starting_balance": self.init_cash,
            "venue.fees": {"model": "rate", "rate": self.fees},
            "execution.slippage": self.slippage,
        }
        return {path: as_run_config(value) for path, value in values.items()}


class BacktestRow(BaseModel):
    """The account at the close of a bar."""

    Date: str = Field(description="Date of a daily bar, else the time of the close (UTC).")
    portfolio_value: float
    signal: Literal["buy", "sell", "hold"] = Field(description="Decided at this close.")


class BacktestMetrics(BaseModel):
    """Figures; rates are in percent, drawdowns zero or negative, what is not known is null."""

    strategy_name: str
    total_return: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    total_trades: int
    winning_trades: int
    losing_trades: int


class BarBacktest(BaseModel):
    """A backtest that was run."""

    id: str = Field(description="Id of the run, or of the variant of a vectorized one.")
    symbol: str
    status: Literal["completed"] = "completed"
    data: list[BacktestRow]
    metrics: BacktestMetrics
    total_trades: int
    winning_trades: int
    losing_trades: int
    profit_factor: float | None


@dataclass(frozen=True)
class SelectedBars(SweepBars):
    """The bars of a selection and the configuration that they are run with."""

    @cached_property
    def selected(self) -> BarSeries:
        """Return the selected bars."""
        return self.series.after(self.first)

    def dates(self) -> list[str]:
        """Return what replies call each selected bar."""
        if self.config.bars.is_daily:
            days = self.sessions[self.first :].tolist()
            return [(_FIRST_DAY + timedelta(days=day)).isoformat() for day in days]
        return [iso_ns(time) for time in self.selected.close_time.tolist()]

    def new_run(self, terms: BacktestTerms, strategy: str, params: dict[str, Any]) -> NewRun:
        """Return the request that runs a strategy over the selected bars.

        Raises
        ------
        ConfigError
            If a value is not allowed.
        """
        overrides = terms.overrides(strategy, params)
        override(self.loaded, overrides)
        closes, step = self.selected.close_time, self.config.bars.step_ns
        start = int(closes[0]) - step
        if self.config.bars.is_daily:
            rules = SessionRules.of(self.config.session)
            bounds = rules.bounds(_FIRST_DAY + timedelta(days=int(self.sessions[self.first])))
            start = int(closes[0]) - 1 if bounds is None else bounds[0]
        return NewRun(
            config=self.loaded.name,
            window=True,
            start=iso_ns(start),
            end=iso_ns(int(closes[-1])),
            close_positions=False,
            overrides=overrides,
        )

    def rows(self, values: NDArray[np.float64], signs: Signs) -> list[BacktestRow]:
        """Return the rows of a reply."""
        return [
            BacktestRow.model_construct(Date=day, portfolio_value=value, signal=_SIGNALS[sign])
            for day, value, sign in zip(self.dates(), values.tolist(), signs.tolist(), strict=True)
        ]


def bar_configs(service: Service) -> list[LoadedConfig]:
    """Return the configurations for bars of one instrument, by name."""
    return [
        loaded
        for loaded in service.project().configs
        if loaded.bars is not None and len(loaded.keys) == 1
    ]


def select_bars(service: Service, selection: BarSelection) -> SelectedBars:
    """Return the bars that a selection means, from the catalog.

    Raises
    ------
    ProblemError
        404 if no configuration fits; the message says which there are.
    DataError
        If the catalog has no such bars.
    """
    loaded = _config(service, selection)
    config = loaded.bars
    assert config is not None  # noqa: S101 - one for bars
    rules = SessionRules.of(config.session)
    item = config.instruments[0]
    root = catalog_root(loaded, service.settings)
    series = _history(root, config, rules, selection)
    sessions = rules.assign(series.close_time)
    inside = sessions != OUTSIDE
    wanted = inside.copy()
    if selection.start_date is not None:
        wanted &= sessions >= _day_number(selection.start_date)
    if selection.end_date is not None:
        wanted &= sessions <= _day_number(selection.end_date)
    chosen = np.flatnonzero(wanted)[-selection.limit :]
    if not len(chosen):
        raise DataError(f"{item.id}: the catalog has no bars inside of sessions in these days")
    opened = _FIRST_DAY + timedelta(days=int(sessions[chosen[0]]))
    earlier = rules.before(opened, config.bars.warmup_sessions)
    warm = np.flatnonzero(np.isin(sessions, [_day_number(day) for day in earlier]) & inside)
    taken = np.concatenate([warm, chosen])
    kept = np.zeros(len(series), np.bool_)
    kept[taken] = True
    return SelectedBars(loaded, item, series.where(kept), sessions[kept], len(warm))


def _history(
    root: Path, config: BarsConfig, rules: SessionRules, selection: BarSelection
) -> BarSeries:
    """Read the catalog from its end until there are the bars of a selection and their warm-up."""
    key, step = config.instruments[0].key, config.bars.step
    manifests = scan_manifests(root, key, DataType(config.bars.data_type)).manifests
    if not manifests or config.bars.is_daily:
        return read_bars(root, key, step, 0, _END_OF_TIME)
    earliest, last = manifests[0].first_ts_init - 1, manifests[-1].last_ts_init
    if selection.end_date is not None:
        # Sessions may end on the UTC day after their date.
        last = min(last, day_start_ns(selection.end_date) + 2 * DAY_NS)
    if selection.start_date is not None:
        earliest = max(earliest, day_start_ns(selection.start_date) - 2 * DAY_NS)
    end = 2**31 if selection.end_date is None else _day_number(selection.end_date)
    reach, start, count = _MARGIN_NS + 2 * selection.limit * config.bars.step_ns, last, 0
    while start > earliest and count < selection.limit:
        start = max(last - reach, earliest)
        # A stretch without any bar is no error as long as there are earlier ones.
        with nullcontext() if start == earliest else suppress(DataError):
            sessions = rules.assign(read_bars(root, key, step, start, last).close_time)
            count = int(((sessions != OUTSIDE) & (sessions <= end)).sum())
        reach *= 4
    earlier = rules.before(day_of_ns(start), config.bars.warmup_sessions)
    bounds = rules.bounds(earlier[0]) if earlier else None
    return read_bars(root, key, step, start if bounds is None else min(start, bounds[0]), last)


def result_reply(entry: ResultEntry, bars: SelectedBars, strategy: str) -> BarBacktest:
    """Return the reply of a run over selected bars.

    Parameters
    ----------
    entry : ResultEntry
        Its result, with a report.
    bars : SelectedBars
        The bars.
    strategy : {"ML_SIGNALS", "MA_CROSS"}
        Its strategy.
    """
    summary = entry.summary()
    with entry.report_file("equity.parquet").opened() as path:
        equity = pq.read_table(path, columns=["timestamp", "portfolio_value"])
    times = equity["timestamp"].cast(pa.int64()).to_numpy()
    at = times.searchsorted(bars.selected.close_time, side="right") - 1
    values = equity["portfolio_value"].cast(pa.float64()).to_numpy()[at]
    if strategy == "ML_SIGNALS":
        with entry.report_file(SIGNALS).opened() as path:
            signs = pq.read_table(path)["signal"].to_numpy()
    else:
        params = entry.metadata()["config"]["strategy"]["params"]
        signs = _crossings(bars, params["fast"], params["slow"])
    trades = summary["trades"]
    metrics = BacktestMetrics(
        strategy_name=strategy,
        total_return=summary["returns"]["total_return_pct"],
        sharpe_ratio=summary["ratios"]["sharpe"],
        max_drawdown=summary["drawdown"]["max_drawdown_pct"],
        **{name: trades[name] for name in _TRADES},
    )
    return _reply(entry.run_id, bars, metrics, bars.rows(values, signs))


def vectorized_reply(
    project: Project, bars: SelectedBars, terms: BacktestTerms, fast: int, slow: int
) -> BarBacktest:
    """Run one crossover in the kernel, without a run of its own, and return the reply.

    Raises
    ------
    OdumError
        If a value is not allowed, the catalog is not good enough, the account cannot be followed,
        or Numba is not installed.
    """
    dates = [_FIRST_DAY + timedelta(days=day) for day in np.unique(bars.sessions).tolist()]
    request = RunRequest(bars.loaded, (), "vsweep", snapshot_mode="bars")
    refuse_unusable(project, request, BarCalendar.of(bars.config).catalog_days(dates))
    params = {"fast": fast, "slow": slow}
    loaded = override(bars.loaded, terms.overrides("MA_CROSS", params))
    bars = replace(bars, loaded=loaded)
    item, sweep = bars.item, BarSweep(bars, ("fast", "slow"))
    sweep.params((fast, slow))
    (figures,) = sweep.figures([(fast, slow)]).to_pylist()
    if figures["fills"] is None:
        raise DataError(f"{loaded.name}: crossover {fast}/{slow}: {UNCERTAIN_ACCOUNT}")
    fills = sweep.fills((fast, slow))
    tick_value = item.tick_size.scaleb(-item.size_precision) * bars.config.spec(item.key).multiplier
    cash, positions = _account(fills, terms.init_cash, tick_value)
    index = np.searchsorted([fill.bar for fill in fills], np.arange(len(bars.series)), "right")
    value = positions[index] * bars.series.close * float(tick_value)
    values = np.round(cash[index] + value, 8)[bars.first :]
    results = _round_trips(fills, tick_value)
    metrics = BacktestMetrics(
        strategy_name="MA_CROSS",
        total_return=figures["return_pct"],
        sharpe_ratio=figures["sharpe"],
        max_drawdown=figures["max_drawdown_pct"],
        win_rate=figures["win_rate"],
        profit_factor=figures["profit_factor"],
        total_trades=figures["trades"],
        winning_trades=sum(result > 0 for result in results),
        losing_trades=sum(result < 0 for result in results),
    )
    rows = bars.rows(values, _crossings(bars, fast, slow))
    return _reply(sweep.facts([(fast, slow)])["id"], bars, metrics, rows)


_TRADES = ("win_rate", "profit_factor", "total_trades", "winning_trades", "losing_trades")


def _config(service: Service, selection: BarSelection) -> LoadedConfig:
    known = bar_configs(service)
    for loaded in known:
        if (
            selection.config in (None, loaded.name)
            and _interval(loaded) == selection.interval
            and names_instrument(selection.symbol, loaded)
        ):
            return loaded
    there = ", ".join(f"{next(iter(item.config.ids.values()))} {_interval(item)} ({item.name})"
                      for item in known)  # fmt: skip
    which = "no configuration" if selection.config is None else f"{selection.config[:80]!r} is none"
    raise ProblemError(
        404,
        "unknown-symbol",
        f"{which} for bars of {selection.interval} of {selection.symbol!r} alone; there is "
        f"{there or 'none for bars'}",
    )


def _interval(loaded: LoadedConfig) -> str:
    return "" if loaded.bars is None else loaded.bars.bars.step


def _day_number(day: date) -> int:
    return (day - _FIRST_DAY).days


def _crossings(bars: SelectedBars, fast: int, slow: int) -> Signs:
    return crossings(bars.series.close, fast, slow)[bars.first :]


def _account(
    fills: list[KernelFill], cash: Decimal, tick_value: Decimal
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cash and position (units) before the first fill and after each; shape (m + 1,)."""
    money, position = Fraction(cash), 0
    points = [(float(money), 0.0)]
    for fill in fills:
        money -= fill.quantity * fill.price * Fraction(tick_value) + fill.fee
        position += fill.quantity
        points.append((float(money), float(position)))
    table = np.array(points)
    return table[:, 0], table[:, 1]


def _round_trips(fills: list[KernelFill], tick_value: Decimal) -> list[Fraction]:
    """Return what each closed position made, fees included: entry and exit follow each other."""
    value = Fraction(tick_value)
    return [
        -(entry.quantity * entry.price + leave.quantity * leave.price) * value
        - entry.fee
        - leave.fee
        for entry, leave in list(pairwise(fills))[::2]
    ]


def _reply(
    name: str, bars: SelectedBars, metrics: BacktestMetrics, rows: list[BacktestRow]
) -> BarBacktest:
    return BarBacktest(
        id=name,
        symbol=bars.item.id,
        data=rows,
        metrics=metrics,
        total_trades=metrics.total_trades,
        winning_trades=metrics.winning_trades,
        losing_trades=metrics.losing_trades,
        profit_factor=metrics.profit_factor,
    )
