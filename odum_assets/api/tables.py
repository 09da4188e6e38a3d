"""The tables that a result has, and their rows in pieces that can be sent."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from odum_assets.api.problems import ProblemError
from odum_assets.api.sending import PIECE, ReadOn
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.converted import converted
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.results.stored_file import StoredFile
from odum_assets.results.tables import SCHEMAS, TICKS_KIND, TIMELINE_KIND, StoredTable, TableKind

TIMELINE_EVENTS: Final = {"signal": "Order", "trade": "Fill"}
"""Entries of a timeline, by the type of the event that they are."""

REFUSED: Final = ("denied", "rejected")
"""States of orders that never worked."""

_PIECE_ROWS: Final = 512


def line_pieces(table: StoredTable, offset: int, limit: int) -> ReadOn[bytes]:
    """Return rows as JSON lines, in pieces that can be read on from any of them."""
    return ReadOn(table.lines, _cut_lines, offset, limit)


def batch_pieces(table: StoredTable, offset: int, limit: int) -> ReadOn[pa.RecordBatch]:
    """Return rows as record batches, in pieces that can be read on from any of them."""
    return ReadOn(table.arrow, _cut_batch, offset, limit)


def fills_of(entry: ResultEntry) -> StoredTable:
    """Return the fills of a result, in order of time."""
    return StoredTable(_report_file(entry, "fills.parquet"))


def orders_of(entry: ResultEntry, *statuses: str) -> StoredTable:
    """Return the orders of a result in order of creation, all or those of some states."""
    return StoredTable(_report_file(entry, "orders.parquet"), statuses)


def equity_of(entry: ResultEntry) -> StoredTable:
    """Return the equity curve of a result."""
    return StoredTable(_report_file(entry, "equity.parquet"))


def trades_of(entry: ResultEntry) -> StoredTable:
    """Return the round trips of a result by their end, then what is open."""
    return StoredTable(_report_file(entry, "positions.parquet"))


def timeline_of(entry: ResultEntry) -> StoredTable:
    """Return orders, fills and refusals of a result, in order of time."""
    return _documented(_report_file(entry, "timeline.json"), TIMELINE_KIND)


def timeline_events(
    table: StoredTable, event_type: str, after: int, limit: int
) -> list[dict[str, Any]]:
    """Return entries of a timeline as events.

    Parameters
    ----------
    table : StoredTable
        The timeline.
    event_type : str
        One of `TIMELINE_EVENTS`.
    after : int
        Row of the last one of the page before.
    limit : int
        Events at most.
    """
    events: list[dict[str, Any]] = []
    first = after + 1
    for batch in table.batches(first):
        rows = pc.indices_nonzero(pc.equal(batch["event"], TIMELINE_EVENTS[event_type]))
        rows = rows.slice(0, limit - len(events))
        entries = [json.loads(str(text)) for text in table.kind.objects(batch.take(rows))]
        events += [
            {
                "sequence": first + row,
                "event_type": event_type,
                "timestamp": entry["ts"],
                "payload": entry["data"],
            }
            for row, entry in zip(rows.to_pylist(), entries, strict=True)
        ]
        first += batch.num_rows
        if len(events) == limit:
            break
    return events


def ticks_of(store: ResultStore, entry: ResultEntry) -> StoredTable:
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
    return _documented(file, TICKS_KIND)


def _documented(document: StoredFile, kind: TableKind) -> StoredTable:
    """Return the table beside a JSON document; results of earlier versions have none."""
    *folders, name = document.parts
    table = document.at(*folders, name.removesuffix(".json") + ".parquet")
    file = table if table.is_there() else converted(document, SCHEMAS[kind.time])
    return StoredTable(file, kind=kind)


def _report_file(entry: ResultEntry, name: str) -> StoredFile:
    """Return a file of a result's report.

    Raises
    ------
    ProblemError
        If the result has none.
    ResultError
        If something else is in its place, such as a link.
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


def _cut_lines(block: bytes) -> Iterator[tuple[bytes, int]]:
    first = 0
    while first < len(block):
        # A row that is longer than a piece is one.
        end = block.rfind(b"\n", first, first + PIECE) + 1 or block.find(b"\n", first) + 1
        piece = block[first : end or len(block)]
        first += len(piece)
        yield piece, piece.count(b"\n")


def _cut_batch(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int]]:
    for first in range(0, max(batch.num_rows, 1), _PIECE_ROWS):
        piece = batch.slice(first, _PIECE_ROWS)
        yield piece, piece.num_rows
