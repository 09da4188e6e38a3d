"""Replaying a plan on bars through NautilusTrader and writing down what happened."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.model import AccountId, AccountType, Currency, Money
from numpy.typing import NDArray

from odum_assets.backtest.bar_broker import AmbiguousExit, BarStrategyHost
from odum_assets.backtest.bar_engine import CHUNK_BARS, bar_engine, replay
from odum_assets.backtest.bar_market import BarFeeModel, BarMarket, BarPosition
from odum_assets.backtest.bar_plan import AMBIGUOUS, LEGS, STRATEGY_FILES, BarPlan
from odum_assets.backtest.bar_strategies import (
    bar_strategy_params,
    bar_strategy_path,
    load_bar_strategy,
)
from odum_assets.backtest.guard import Failures, guarded
from odum_assets.backtest.journal import journal
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.recorder import recorded
from odum_assets.backtest.simulation import Report, peak_memory_mib
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.bars.broker import BarHandler
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules
from odum_assets.bars.strategy import BarSetup, BarStrategy
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.errors import BacktestError
from odum_assets.instruments.definitions import nautilus_instrument

_FIRST_DAY = date(1970, 1, 1)

AMBIGUOUS_BARS: pa.Schema = arrow.schema(
    [
        ("timestamp", pa.timestamp("ns", tz="UTC")),
        ("instrument", pa.string()),
        ("leg", pa.string()),
        ("given", pa.string()),
        ("given_ticks", pa.int64()),
        ("other", pa.string()),
        ("other_ticks", pa.int64()),
        ("difference_r", pa.float64()),
    ]
)
"""Bars by close, how a leg ended on the run's path and on the other (null: it is still open), and
by how many R the other is better."""


def simulate_bars(
    plan: BarPlan,
    report: Report,
    finish: Callable[[ReplayOutcome], None],
    sources: StrategySources,
) -> None:
    """Replay a plan; order, fill and end events are written to the plan's work folder.

    Parameters
    ----------
    plan : BarPlan
        The run; its bars lie in its work folder.
    report : Callable
        Called with phase, share done, orders and market time.
    finish : Callable
        Called with the outcome when everything is written down; it ends the process.
    sources : StrategySources
        The code of the plan's strategy, read before and installed.

    Raises
    ------
    BacktestError
        If the strategy is not known or its parameters cannot be used, it raised, or the engine
        cannot run.
    """
    started = time.perf_counter()
    config = plan.config
    failures = Failures()
    whole = [plan.read_bars(number) for number in range(len(config.instruments))]
    specs = [config.spec(key) for key in config.keys]
    market = BarMarket(
        [
            BarPosition(
                series.after(first),
                config.execution.path,
                config.execution.slippage,
                spec.multiplier,
                _session_opens(plan, sessions[first:]),
            )
            for (series, sessions), first, spec in zip(whole, plan.first_bars, specs, strict=True)
        ],
        [nautilus_instrument(spec, config.venue.name) for spec in specs],
    )
    strategies: list[BarStrategy] = []

    def handlers(host: BarStrategyHost) -> Sequence[BarHandler]:
        strategies.append(_strategy(plan, host, whole))
        return strategies[0].handlers

    with journal(plan.work) as record, failures.refused():
        kind: Any = guarded(recorded(BarStrategyHost, record), failures)
        host: BarStrategyHost = kind(market, handlers, config.venue.starting_balance)
        host.closes_at_end = plan.close_positions
        engine = _engine(plan, market)
        engine.add_strategy(host)

        def progress(now: int) -> None:
            if failures:
                raise BacktestError("a callback raised")
            record.flush_if_worth()
            span = max(plan.last_close_ns - plan.first_close_ns, 1)
            share = min((now - plan.first_close_ns) / span, 1.0)
            report("replay", share, len(record.orders), now)

        try:
            replay(engine, market, progress, plan.chunk_rows or CHUNK_BARS)
        except RuntimeError as error:
            raise BacktestError(f"NautilusTrader ended the run: {error}") from error
        if failures:
            return
        record.close()
        report("finish", 0.0, len(record.orders), None)
        write_legs(plan.work / LEGS, host.sent, host.triggers)
        write_ambiguous(
            plan.work / AMBIGUOUS, [item for broker in host.brokers for item in broker.ambiguous]
        )
        (plan.work / STRATEGY_FILES).mkdir()
        strategies[0].finish(plan.work / STRATEGY_FILES)
        currency = Currency.from_str(config.venue.base_currency)
        account: Any = engine.cache.account(AccountId(f"{venue_name(plan)}-001"))
        path = bar_strategy_path(config.strategy.name)
        finish(
            ReplayOutcome(
                engine_balance=account.balance_total(currency).as_decimal(),
                engine_quantity=sum(map(_net_position(engine), market.instruments)),
                engine_quantities={
                    item.id: _net_position(engine)(instrument)
                    for item, instrument in zip(config.instruments, market.instruments, strict=True)
                },
                currency_precision=currency.precision,
                funding=[],
                closing_at_ns=plan.last_close_ns if plan.close_positions else None,
                flat_at_ns=None if record.open_positions() else record.last_fill_ns,
                skipped_no_aggressor=None,
                orders_without_curve=0,
                strategy_modules=sources.modules(path),
                strategy_changed=sources.changed(path),
                replay_secs=round(time.perf_counter() - started, 3),
                peak_memory_mib=peak_memory_mib(),
            )
        )
    raise BacktestError("NautilusTrader ended the run before its last moment")


def _session_opens(plan: BarPlan, sessions: NDArray[np.int32]) -> list[int]:
    """Return when daily bars open: with their session, which is shorter than a step."""
    if not plan.config.bars.is_daily:
        return []
    rules = SessionRules.of(plan.config.session)
    bounds = [rules.bounds(_FIRST_DAY + timedelta(days=day)) for day in sessions.tolist()]
    return [opened for opened, _ in filter(None, bounds)]


def _strategy(
    plan: BarPlan,
    host: BarStrategyHost,
    whole: Sequence[tuple[BarSeries, NDArray[np.int32]]],
) -> BarStrategy:
    config = plan.config
    name = config.strategy.name
    kind = load_bar_strategy(name)
    setups = [
        BarSetup(
            instrument=item.id,
            broker=broker,
            account=host,
            series=series,
            first=first,
            sessions=sessions,
            rules=SessionRules.of(config.session),
            path=config.execution.path,
            tick_value=position.tick_value,
            lot=int(item.lot_size.scaleb(item.size_precision)),
            fees=plan.fees,
            params=bar_strategy_params(kind, config.strategy.params_of(item.id), name),
            prepared=prepared if prepared.exists() else None,
        )
        for item, broker, position, (series, sessions), first, prepared in zip(
            config.instruments,
            host.brokers,
            host.market.positions,
            whole,
            plan.first_bars,
            map(plan.prepared, range(len(whole))),
            strict=True,
        )
    ]
    return kind(setups)


def _engine(plan: BarPlan, market: BarMarket) -> Any:  # noqa: ANN401 - a BacktestEngine
    venue = plan.config.venue
    return bar_engine(
        market,
        venue_name(plan),
        BarFeeModel(plan.fees, venue.base_currency),
        Money.from_str(f"{venue.starting_balance:f} {venue.base_currency}"),
        AccountType.CASH if venue.account_type == "CASH" else AccountType.MARGIN,
        venue.leverage,
    )


def venue_name(plan: BarPlan) -> str:
    """Return NautilusTrader's name of the venue of the account."""
    return plan.config.venue.name.replace("-", "_")


def _net_position(engine: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    return lambda instrument: engine.portfolio.net_position(instrument.id)


def write_legs(
    path: Path, sent: Sequence[tuple[str, str, str, str]], triggers: Mapping[str, Decimal]
) -> None:
    """Write what every order was for, and the trigger price of stop orders."""
    names = ("order_id", "instrument", "leg", "role")
    columns = zip(*sent, strict=True) if sent else ([], [], [], [])
    pq.write_table(
        pa.table(
            {
                name: pa.array(column, pa.string())
                for name, column in zip(names, columns, strict=True)
            }
            | {"trigger_price": pa.array([triggers.get(row[0]) for row in sent], DECIMAL)}
        ),
        path,
    )


def write_ambiguous(path: Path, exits: Sequence[AmbiguousExit]) -> None:
    """Write the bars in which the other path gives another answer, by time."""
    rows = [
        {
            "timestamp": item.time,
            "instrument": item.instrument,
            "leg": item.leg,
            "given": item.given.role,
            "given_ticks": item.given.price,
            "other": item.other.role,
            "other_ticks": item.other.price,
            "difference_r": item.difference_r,
        }
        for item in sorted(exits, key=lambda item: item.time)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=AMBIGUOUS_BARS), path)
