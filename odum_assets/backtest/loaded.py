"""A day's data loaded into an engine, for several runs over the same rows.

What belongs here: catalog rows to an engine, in the order in which a node streams them. What does
not: settings of venue and engine (``node``), running (``sweep_worker``).

Rows come through NautilusTrader's wranglers and not through its catalog: that one starts threads,
and a process with threads must not be forked.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.model import FundingRateUpdate, InstrumentId
from nautilus_trader.persistence import OrderBookDepthDataWrangler, TradeTickDataWrangler

from odum_assets.backtest.node import Replay, add_venue, build_engine
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.simulation import run_until
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.paths import FOLDERS
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType

# Python objects of one batch live for a moment beside the engine's own rows.
_BATCH_ROWS = 10_000
_WRANGLERS: dict[DataType, Any] = {
    DataType.TRADES: TradeTickDataWrangler,
    DataType.BOOK: OrderBookDepthDataWrangler,
}


def load_engine(plan: RunPlan, report: Callable[[float], None]) -> BacktestEngine:
    """Return an engine without a venue that holds the rows of a plan.

    Rows of one time are replayed as a node replays them: trades, then books, then funding, each in
    the order of their file. (The engine keeps a stream per batch and takes equal times in the order
    in which streams were added.)

    Parameters
    ----------
    plan : RunPlan
        Over one day; its engine settings count, its venue and strategy do not.
    report : Callable
        Called with the share of the rows that is loaded.
    """
    engine = build_engine(plan.config)
    files = [(kind, file) for kind in plan.data_types for file in _files(plan, kind)]
    total = sum(pq.read_metadata(file).num_rows for _, file in files)
    done = 0
    for kind, path in files:
        with pq.ParquetFile(path) as file:
            decode = _decoder(kind, plan, file.schema_arrow.metadata)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                rows = _inside(batch, plan.bounds)
                if rows.num_rows:
                    engine.add_data(decode(rows), validate=False, sort=False)
                done += batch.num_rows
                report(done / total)
    engine.sort_data()
    return engine


def loaded_replay(engine: BacktestEngine, plan: RunPlan) -> Replay:
    """Give an engine of `load_engine` the venue and instrument of a plan, for one run."""
    # First: it registers the coin of the account, if Nautilus does not know it.
    instrument = nautilus_instrument(plan.config.spec())
    add_venue(engine, plan.config, plan.snapshot_mode)
    for _ in plan.data_types:
        # As often as a node does, once per type of data: ids of positions count it.
        engine.add_instrument(instrument)

    def run() -> None:
        # As a node does whose only chunk all rows are.
        engine.run(end=run_until(plan), streaming=True)
        engine.end()

    return Replay(engine.add_strategy, engine.add_exec_algorithm, engine.add_actor, run)


def _files(plan: RunPlan, kind: DataType) -> Iterator[Path]:
    folder = plan.catalog / "data" / FOLDERS[kind] / plan.config.key.nautilus_id
    yield from sorted(folder.glob("*.parquet"))


def _inside(batch: pa.RecordBatch, bounds: tuple[int | None, int | None]) -> pa.RecordBatch:
    """Return the rows of a window."""
    times = batch["ts_init"].cast(pa.int64())
    start, end = bounds
    if start is not None:
        inside = pc.greater_equal(times, start)
        batch, times = batch.filter(inside), times.filter(inside)
    if end is not None:
        batch = batch.filter(pc.less(times, end))
    return batch


def _decoder(
    kind: DataType, plan: RunPlan, metadata: dict[bytes, bytes]
) -> Callable[[pa.RecordBatch], list[Any]]:
    name = plan.config.key.nautilus_id
    if kind is DataType.FUNDING:
        instrument_id = InstrumentId.from_str(name)
        return lambda batch: _funding(batch, instrument_id)
    digits = (int(metadata[name]) for name in (b"price_precision", b"size_precision"))
    wrangler = _WRANGLERS[kind](name, *digits)

    def decode(batch: pa.RecordBatch) -> list[Any]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        objects: list[Any] = wrangler.process_record_batch_bytes(sink.getvalue().to_pybytes())
        return objects

    return decode


def _funding(batch: pa.RecordBatch, instrument_id: InstrumentId) -> list[FundingRateUpdate]:
    times = {
        name: batch[name].cast(pa.int64()).to_pylist()
        for name in ("ts_event", "ts_init", "next_funding_ns")
    }
    columns = (batch["rate"].to_pylist(), batch["interval"].to_pylist(), *times.values())
    # A few rows a day: only changes are kept.
    return [
        FundingRateUpdate(
            instrument_id,
            Decimal(rate),
            event,
            init,
            interval=interval,
            next_funding_ns=following,
        )
        for rate, interval, event, init, following in zip(*columns, strict=True)
    ]
