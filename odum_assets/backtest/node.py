"""Assembling what a run is replayed on. One place for every simulation setting.

A run is replayed on a `BacktestNode`, which streams the catalog, or on a `BacktestEngine` that has
its data loaded already (``loaded``). Both get their venue and engine from here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngine,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import (
    DefaultFillModel,
    ExecutionEngineConfig,
    MakerTakerFeeModel,
    StaticLatencyModel,
)
from nautilus_trader.model import Currency, InstrumentId, Money, NautilusDataType, Venue
from nautilus_trader.risk import RiskEngineConfig

from odum_assets.backtest.request import SnapshotMode
from odum_assets.config import RunConfig
from odum_assets.raw.layout import DataType

_NAUTILUS_TYPES = {
    DataType.TRADES: NautilusDataType.TradeTick,
    DataType.BOOK: NautilusDataType.OrderBookDepth,
    DataType.FUNDING: NautilusDataType.FundingRateUpdate,
}
# The engine's own default denies orders above 100 a second; unlimited must be said with a number.
_UNLIMITED_RATE = 1_000_000_000
# Streamed by chunks, memory does not follow the day's size.
CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class Replay:
    """What a run is replayed on: adds one component each, then replays everything.

    `run` raises RuntimeError if it cannot be run.
    """

    add_strategy: Callable[[Any], None]
    add_exec_algorithm: Callable[[Any], None]
    add_actor: Callable[[Any], None]
    run: Callable[[], object]


def build_engine(config: RunConfig) -> BacktestEngine:
    """Build an engine without a venue, as the node of `build_node` has it inside."""
    return BacktestEngine(engine_config(config))


def add_venue(engine: BacktestEngine, config: RunConfig, snapshot_mode: SnapshotMode) -> None:
    """Add the venue to an engine, with every setting that a node would give it."""
    settings = _venue(config, snapshot_mode)
    # Defaults of the engine's method differ from the node's: nothing is left to them.
    values = {name: getattr(settings, name) for name in dir(settings) if not name.startswith("_")}
    engine.add_venue(
        Venue(values.pop("name")),
        starting_balances=[Money.from_str(balance) for balance in values.pop("starting_balances")],
        **values,
    )


def build_node(
    config: RunConfig,
    catalog: Path,
    data_types: tuple[DataType, ...],
    snapshot_mode: SnapshotMode,
    bounds: tuple[int | None, int | None],
    run_until_ns: int,
    chunk_rows: int = CHUNK_ROWS,
) -> Replay:
    """Build a node with one run, which streams the catalog.

    Parameters
    ----------
    config : RunConfig
        The run configuration.
    catalog : Path
        Absolute path of the catalog; a relative one is not found by Nautilus.
    data_types : tuple[DataType, ...]
        What is replayed.
    snapshot_mode : {"trades", "book", "both"}
        What moves the market.
    bounds : tuple[int or None, int or None]
        Replayed rows by ``ts_init`` (ns): first, and first excluded.
    run_until_ns : int
        Market time at which the run ends, after the last row.
    chunk_rows : int
        Rows that are loaded at a time.
    """
    instrument_id = InstrumentId.from_str(config.key.nautilus_id)
    start, end = bounds
    run = BacktestRunConfig(
        venues=[_venue(config, snapshot_mode)],
        data=[
            BacktestDataConfig(
                _NAUTILUS_TYPES[data_type],
                str(catalog),
                instrument_id=instrument_id,
                start_time=start,
                end_time=None if end is None else end - 1,
            )
            for data_type in data_types
        ],
        engine=engine_config(config),
        chunk_size=chunk_rows,
        raise_exception=True,
        dispose_on_completion=False,
        end=run_until_ns,
    )
    node = BacktestNode([run])
    node.build()
    return Replay(
        add_strategy=partial(node.add_strategy, run.id),
        add_exec_algorithm=partial(node.add_exec_algorithm, run.id),
        add_actor=partial(node.add_actor, run.id),
        run=node.run,
    )


def _venue(config: RunConfig, snapshot_mode: SnapshotMode) -> BacktestVenueConfig:
    venue, execution = config.venue, config.execution
    latency = execution.latency
    has_latency = latency.insert_ns or latency.update_ns or latency.cancel_ns
    return BacktestVenueConfig(
        name=config.key.nautilus_id.rpartition(".")[2],
        oms_type=venue.oms_type,
        account_type=venue.account_type,
        starting_balances=[f"{venue.starting_balance:f} {venue.base_currency}"],
        # A cash account holds what it buys: Nautilus wants it in several currencies.
        base_currency=None
        if venue.account_type == "CASH"
        else Currency.from_str(venue.base_currency),
        default_leverage=venue.leverage,
        book_type="L1_MBP" if snapshot_mode == "trades" else venue.book_type,
        trade_execution=snapshot_mode != "book",
        liquidity_consumption=execution.liquidity_consumption,
        queue_position=execution.queue_position,
        fee_model=MakerTakerFeeModel(venue.maker_fee, venue.taker_fee),
        fill_model=DefaultFillModel(
            float(execution.fill_model.prob_fill_on_limit),
            float(execution.fill_model.prob_slippage),
            execution.fill_model.random_seed,
        ),
        latency_model=StaticLatencyModel(
            insert_latency_nanos=latency.insert_ns,
            update_latency_nanos=latency.update_ns,
            cancel_latency_nanos=latency.cancel_ns,
        )
        if has_latency
        else None,
    )


def engine_config(config: RunConfig) -> BacktestEngineConfig:
    """Return the settings of an engine; its text holds all of them."""
    rate = config.risk.throttling_per_sec or _UNLIMITED_RATE
    return BacktestEngineConfig(
        bypass_logging=True,
        logging=LoggerConfig(stdout_level=LogLevel.ERROR),
        run_analysis=False,
        risk_engine=RiskEngineConfig(
            max_order_submit_rate=f"{rate}/00:00:01", max_order_modify_rate=f"{rate}/00:00:01"
        ),
        exec_engine=ExecutionEngineConfig(
            purge_closed_orders_interval_mins=1,
            purge_closed_orders_buffer_mins=0,
            purge_closed_positions_interval_mins=1,
            purge_closed_positions_buffer_mins=0,
            purge_account_events_interval_mins=1,
            purge_account_events_lookback_mins=0,
        ),
    )
