"""Replaying a plan through NautilusTrader and writing down what happened."""

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow.parquet as pq
from nautilus_trader.model import Currency, Venue
from nautilus_trader.persistence import ParquetDataCatalog

from odum_assets.backtest.algorithms.iceberg import IcebergAlgorithm
from odum_assets.backtest.algorithms.lots import Lots
from odum_assets.backtest.algorithms.schedule import VolumeCurve
from odum_assets.backtest.algorithms.timed import TimedAlgorithm, Timing
from odum_assets.backtest.closing import ClosingTimes, close_at_last_price, closing_strategy
from odum_assets.backtest.guard import Failures, guarded
from odum_assets.backtest.journal import journal
from odum_assets.backtest.monitor import RunMonitor
from odum_assets.backtest.node import CHUNK_ROWS, Replay, build_node
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import SETTLE_NS, RunPlan
from odum_assets.backtest.recorder import recorded
from odum_assets.backtest.strategies.base import OdumStrategy, StrategySetup
from odum_assets.backtest.strategies.loading import load_strategy_class
from odum_assets.backtest.strategies.order_replay import OrderReplay
from odum_assets.backtest.strategies.params import strategy_params
from odum_assets.backtest.strategies.sources import StrategySources, strategy_path
from odum_assets.backtest.strategies.trade_replay import TradeReplay
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.config.sections.algorithms import IcebergAlgorithm as IcebergConfig
from odum_assets.config.sections.algorithms import TwapAlgorithm, VwapAlgorithm
from odum_assets.errors import BacktestError
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.utc import NS_PER_SECOND

Report = Callable[[str, float, int, int | None], None]


def streamed(plan: RunPlan) -> Replay:
    """Return a node that streams the plan's view of the catalog.

    Raises
    ------
    BacktestError
        If the engine cannot be built.
    """
    ParquetDataCatalog(str(plan.catalog)).write_instruments(
        [nautilus_instrument(plan.config.spec())]
    )
    return build_node(
        plan.config,
        plan.catalog,
        plan.data_types,
        plan.snapshot_mode,
        plan.bounds,
        run_until(plan),
        plan.chunk_rows or CHUNK_ROWS,
    )


def run_until(plan: RunPlan) -> int:
    """Return the market time (ns) at which closing orders have reached the venue and a run ends."""
    # Orders on their way have reached the venue in time.
    return plan.ends_at_ns + SETTLE_NS


def simulate(
    plan: RunPlan,
    replay: Replay,
    report: Report,
    finish: Callable[[ReplayOutcome], None],
    sources: StrategySources,
) -> None:
    """Replay a plan; order, fill and end events are written to the plan's work folder.

    The run ends in its last timer, from where `finish` is called: what comes after in
    NautilusTrader copies every position with all its fills, which takes several times the memory of
    the run and is used by nobody.

    Parameters
    ----------
    plan : RunPlan
        The run.
    replay : Replay
        What it is replayed on, without a strategy.
    report : Callable
        Called with phase, share done, orders and market time.
    finish : Callable
        Called with the outcome when everything is written down; it ends the process.
    sources : StrategySources
        The code of the plan's strategy, read before and installed.

    Raises
    ------
    BacktestError
        If the strategy cannot be loaded, it raised, or the engine cannot run (a window without a
        book where the book drives the market).
    """
    started = time.perf_counter()
    config = plan.config
    until = run_until(plan)
    end_ns = plan.ends_at_ns
    currency = Currency.from_str(config.venue.base_currency)
    venue = Venue(config.key.nautilus_id.rpartition(".")[2])
    failures = Failures()
    with journal(plan.work) as record, failures.refused():
        strategy_class, params = load_strategy(plan)
        algorithm = _algorithm(plan, failures)
        closes = closing_strategy(
            strategy_class, record, ClosingTimes.of(plan), getattr(algorithm, "abandon", _nothing)
        )
        hedging = config.venue.oms_type == "HEDGING"
        guarded_class = guarded(recorded(closes, record, hedging=hedging), failures)
        strategy = guarded_class(_setup(plan), params)
        replay.add_strategy(strategy)
        if algorithm is not None:
            replay.add_exec_algorithm(algorithm)

        def end() -> None:
            with suppress(Exception):  # noted by the guard
                strategy.on_stop()
            if failures:
                # The run is refused when the engine is through.
                return
            is_flat = not record.open_positions()
            flat_at = record.last_fill_ns if is_flat else None
            if plan.closing is not None and plan.closing.method == "last_price":
                close_at_last_price(plan, record, end_ns)
            record.close()
            report("replay", 1.0, len(record.orders), plan.close_at_ns)
            report("finish", 0.0, len(record.orders), None)
            finish(
                ReplayOutcome(
                    engine_balance=monitor.balance(),
                    engine_quantity=strategy.portfolio.net_position(strategy.setup.instrument_id),
                    currency_precision=currency.precision,
                    funding=monitor.funding,
                    closing_at_ns=record.closing_at_ns,
                    flat_at_ns=flat_at,
                    skipped_no_aggressor=getattr(strategy, "skipped_no_aggressor", None),
                    orders_without_curve=getattr(algorithm, "orders_without_curve", 0),
                    strategy_modules=sources.modules(strategy_of(plan)),
                    strategy_changed=sources.changed(strategy_of(plan)),
                    replay_secs=round(time.perf_counter() - started, 3),
                    peak_memory_mib=peak_memory_mib(),
                )
            )

        was_broken = False

        def progress(done: float, orders: int, now: int) -> None:
            # NautilusTrader goes on after a callback raised. Shown is where that was.
            nonlocal was_broken
            if not was_broken:
                report("replay", done, orders, now)
            was_broken = bool(failures)

        monitor = guarded(RunMonitor, failures)(
            f"{venue}-001",
            currency,
            record,
            (plan.first_trade_ns, plan.close_at_ns),
            _settlements(plan, plan.first_trade_ns, until),
            progress,
            (end_ns, end),
        )
        replay.add_actor(monitor)
        try:
            replay.run()
        except RuntimeError as error:
            raise BacktestError(f"NautilusTrader ended the run: {error}") from error
    raise BacktestError("NautilusTrader ended the run before its last moment")


def _nothing() -> None:
    """Cancel nothing: no execution algorithm is working an order."""


def _setup(plan: RunPlan) -> StrategySetup:
    from nautilus_trader.model import InstrumentId

    return StrategySetup(
        instrument_id=InstrumentId.from_str(plan.config.key.nautilus_id),
        price_precision=plan.config.instrument.price_precision,
        size_precision=plan.config.instrument.size_precision,
        multiplier=plan.config.multiplier,
        snapshot_mode=plan.snapshot_mode,
    )


def strategy_of(plan: RunPlan) -> str:
    """Return the import path of a plan's strategy."""
    return strategy_path(plan.config.strategy)


def load_strategy(plan: RunPlan) -> tuple[type[OdumStrategy], Any]:
    """Return the strategy class of a plan and its validated parameters.

    Raises
    ------
    BacktestError
        If the class cannot be imported or its parameters cannot be used.
    """
    strategy = plan.config.strategy
    if strategy.path is not None:
        strategy_class = load_strategy_class(strategy.path)
        return strategy_class, strategy_params(strategy_class, strategy.params, strategy.path)
    algorithm = plan.exec_algorithm.type
    if plan.orders is not None:
        name = None if algorithm == "NORMAL" else algorithm
        return OrderReplay, OrderReplay.Params(orders=plan.orders, exec_algorithm=name)
    values: dict[str, object] = {
        "per_trade": strategy.submission_mode == "per_trade_tick",
        "order_type": strategy.order_type,
        "time_in_force": strategy.time_in_force,
        "orders": [order.model_dump() for order in strategy.orders],
        "exec_algorithm": None if algorithm == "NORMAL" else algorithm,
    }
    return TradeReplay, TradeReplay.Params.model_validate(values)


def peak_memory_mib() -> int:
    """Return the largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, other systems KiB.
    return peak // (1024**2 if sys.platform == "darwin" else 1024)


def _algorithm(plan: RunPlan, failures: Failures) -> TimedAlgorithm | IcebergAlgorithm | None:
    chosen = plan.exec_algorithm
    lots = Lots(plan.config.instrument.size_precision)
    if isinstance(chosen, TwapAlgorithm):
        interval_ns = int(chosen.params.interval_secs * NS_PER_SECOND)
        intervals = max(int(chosen.params.horizon_secs // chosen.params.interval_secs), 1)
        timing = Timing(interval_ns, intervals, None)
        is_market = chosen.params.child_order_type == "MARKET"
        return guarded(TimedAlgorithm, failures)("TWAP", timing, lots, is_market)
    if isinstance(chosen, VwapAlgorithm):
        intervals = chosen.params.intervals
        interval_ns = int(chosen.params.horizon_secs * NS_PER_SECOND / intervals)
        curve = None if plan.volume_curve is None else VolumeCurve(plan.volume_curve)
        timing = Timing(interval_ns, intervals, curve)
        is_market = chosen.params.child_order_type == "MARKET"
        return guarded(TimedAlgorithm, failures)("VWAP", timing, lots, is_market)
    if isinstance(chosen, IcebergConfig):
        return guarded(IcebergAlgorithm, failures)(chosen.params.visible_pct, lots)
    return None


def _settlements(plan: RunPlan, start: int, end: int) -> tuple[int, ...]:
    """Return the times in the run at which the funding data say that funding is due."""
    moments: set[int] = set()
    for file in plan.funding_files:
        column = pq.read_table(file, columns=["next_funding_ns"])["next_funding_ns"]
        moments |= {ns for ns in pc.unique(column).cast("int64").to_pylist() if ns}
    return tuple(sorted(moment for moment in moments if start < moment <= end))
