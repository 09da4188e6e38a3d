"""The tables that a result has, and what their rows are."""

import re
from typing import Final

import numpy as np
import pyarrow as pa

from odum_assets.api.problems import ProblemError
from odum_assets.api.tables import Document, DocumentTable, ParquetTable
from odum_assets.catalog.arrow import Column, arrow
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.results.stored_file import StoredFile

REFUSED: Final = ("denied", "rejected")
"""States of orders that never worked."""

_TIME: Final = pa.timestamp("ns", tz="UTC")
_TICK_MOMENT: Final = re.compile(rb'"ts_init":"(-?\d+)"')
_EVENT_MOMENT: Final = re.compile(rb'\{"ts":"([^"Z]+)Z"')


def _tick_ns(line: bytes) -> int:
    return int(_found(_TICK_MOMENT, line))


def _event_ns(line: bytes) -> int:
    return int(np.datetime64(_found(_EVENT_MOMENT, line).decode(), "ns").astype(np.int64))


def _found(pattern: re.Pattern[bytes], line: bytes) -> bytes:
    found = pattern.search(line)
    if found is None:
        raise ProblemError(409, "damaged-report", "a row has no time")
    return found[1]


def _from_ns(texts: Column) -> Column:
    return texts.cast(pa.int64()).cast(_TIME)


def _from_iso(texts: Column) -> Column:
    return texts.cast(_TIME)


_TICKS: Final = Document(
    arrow.schema(
        [
            ("ts_event", _TIME),
            ("ts_init", _TIME),
            ("instrument_id", pa.string()),
            ("price", pa.float64()),
            ("size", pa.float64()),
            ("aggressor_side", pa.string()),
            ("trade_id", pa.string()),
        ]
    ),
    _tick_ns,
    _from_ns,
)
_EVENT_DATA: Final[dict[str, pa.DataType]] = {
    "id": pa.string(),
    "order_id": pa.string(),
    "side": pa.string(),
    "price": pa.float64(),
    "amount": pa.float64(),
    "quantity": pa.float64(),
    "status": pa.string(),
    "type": pa.string(),
    "commission": pa.float64(),
    "liquidity": pa.string(),
    "reason": pa.string(),
}
"""What orders, fills and refusals tell; each has some of it."""

_TIMELINE: Final = Document(
    arrow.schema(
        [
            ("ts", _TIME),
            ("event", pa.string()),
            ("data", pa.struct(list(_EVENT_DATA.items()))),
        ]
    ),
    _event_ns,
    _from_iso,
)


def fills_of(entry: ResultEntry) -> ParquetTable:
    """Return the fills of a result, in order of time."""
    return ParquetTable(report_file(entry, "fills.parquet"))


def orders_of(entry: ResultEntry, *statuses: str) -> ParquetTable:
    """Return the orders of a result in order of creation, all or those of some states."""
    return ParquetTable(report_file(entry, "orders.parquet"), statuses)


def equity_of(entry: ResultEntry) -> ParquetTable:
    """Return the equity curve of a result."""
    return ParquetTable(report_file(entry, "equity.parquet"))


def trades_of(entry: ResultEntry) -> ParquetTable:
    """Return the round trips of a result by their end, then what is open."""
    return ParquetTable(report_file(entry, "positions.parquet"))


def timeline_of(entry: ResultEntry) -> DocumentTable:
    """Return orders, fills and refusals of a result, in order of time."""
    return DocumentTable(report_file(entry, "timeline.json"), _TIMELINE)


def ticks_of(store: ResultStore, entry: ResultEntry) -> DocumentTable:
    """Return the trades that a run replayed, by arrival.

    Raises
    ------
    ProblemError
        If they were not exported.
    """
    file = store.file("tickdata", store.ticks_path(entry.run_id).name)
    if not file.is_there():
        raise ProblemError(
            404,
            "no-ticks",
            f"the ticks of {entry.run_id} were not exported; run {entry.config_name} again with "
            "export_ticks",
        )
    return DocumentTable(file, _TICKS)


def report_file(entry: ResultEntry, name: str) -> StoredFile:
    """Return a file of a result's report.

    Raises
    ------
    ProblemError
        If the result has none.
    ResultError
        If something else lies in its place, such as a link.
    """
    if entry.report_path is None:
        raise ProblemError(
            404,
            "no-report",
            f"{entry.run_id} ran in fast mode, which keeps the summary only; run "
            f"{entry.config_name} {entry.partition} again in report mode",
        )
    file = entry.report_file(name)
    if not file.is_there():
        raise ProblemError(409, "damaged-report", f"the report of {entry.run_id} has no {name}")
    return file
