"""The result of a run by what its round trips or fills have in common; sums are exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.buckets import nearest_floats
from odum_assets.results.json_figures import amount_text
from odum_assets.results.tables import TableFile
from odum_assets.utc import DAY_NS

_BATCH_ROWS: Final = 131_072
_HOUR_NS: Final = DAY_NS // 24
_FIRST: Final = date(1970, 1, 1)
_WEEKDAYS: Final = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
_BINS: Final = 40
_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Time:
    """A key that follows from the end of a round trip, ns since 1970."""

    number: Callable[[Any], Any]
    label: Callable[[int], str]


_TIMES: Final = {
    "hour": _Time(lambda ns: ns // _HOUR_NS % 24, lambda key: f"{key:02}:00"),
    # 1970 began on a Thursday.
    "weekday": _Time(lambda ns: (ns // DAY_NS + 3) % 7, lambda key: _WEEKDAYS[key]),
    "day": _Time(lambda ns: ns // DAY_NS, lambda key: (_FIRST + timedelta(key)).isoformat()),
    "month": _Time(
        lambda ns: ns.astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64),
        lambda key: f"{1970 + key // 12}-{key % 12 + 1:02}",
    ),
}
OF_FILLS: Final = ("liquidity", "purpose")
"""Keys by which fills are grouped in place of round trips."""


def trade_rows(positions: TableFile, by: str, instrument: str) -> list[dict[str, Any]]:
    """Return round trips by hour, weekday, day or month (UTC) of their end, side or instrument.

    Parameters
    ----------
    positions : TableFile
        Round trips, and what is open at the end: its key is ``open`` where the end counts.
    by : str
        The key.
    instrument : str
        Name of the only one, where the table has no such column.
    """
    names = ["closed", "side", "fills", "net_pnl", "commissions", "instrument"]

    def key(batch: pa.RecordBatch) -> Any:  # noqa: ANN401 - a column
        if by in _TIMES:
            closed = batch["closed"].cast(pa.int64())
            absent = closed.is_null().to_numpy(zero_copy_only=False)
            numbers = _TIMES[by].number(closed.fill_null(0).to_numpy())
            return pa.array(numbers, mask=absent)
        if by not in batch.schema.names:
            return pa.array([instrument] * batch.num_rows)
        return pc.utf8_lower(batch[by]) if by == "side" else batch[by]

    sums = ("fills", "net_pnl", "commissions")
    rows = _grouped(positions, names, key, sums)
    label = _TIMES[by].label if by in _TIMES else str
    return [
        {
            "key": "open" if row["key"] is None else label(row["key"]),
            "trades": row["rows"],
            "fills": row["fills"] or 0,
            "net_pnl": _text(row["net_pnl"]),
            "commissions": _text(row["commissions"]),
        }
        for row in rows
    ]


def fill_rows(fills: TableFile, orders: TableFile, by: str) -> list[dict[str, Any]]:
    """Return fills by their liquidity, or by the purpose of their orders."""
    purposes = _purposes(orders) if by == "purpose" else None
    names = ["realized_pnl", "commission", "order_id" if by == "purpose" else "liquidity"]

    def key(batch: pa.RecordBatch) -> Any:  # noqa: ANN401 - a column
        if purposes is None:
            return batch["liquidity"]
        at = pc.index_in(batch["order_id"], value_set=purposes["id"])
        return purposes["purpose"].take(at)

    return [
        {
            "key": "none" if row["key"] is None else row["key"],
            "trades": None,
            "fills": row["rows"],
            "net_pnl": _text((row["realized_pnl"] or _ZERO) - (row["commission"] or _ZERO)),
            "commissions": _text(row["commission"]),
        }
        for row in _grouped(fills, names, key, ("realized_pnl", "commission"))
    ]


def histogram(positions: TableFile) -> dict[str, Any] | None:
    """Return how the net results of closed round trips are distributed; None without any.

    Edges are multiples of 1, 2 or 5 times a power of ten, so that zero is one of them.
    """
    with positions.opened() as path:
        table = pq.read_table(path, columns=["status", "net_pnl"])
    closed = table.filter(pc.not_equal(table["status"], "open"))["net_pnl"].combine_chunks()
    values = nearest_floats(closed)
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    low, high = float(values.min()), float(values.max())
    step = _step((high - low) / _BINS or abs(high) or 1.0)
    first, last = int(np.floor(low / step)), int(np.floor(high / step)) + 1
    edges = [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    counted, _ = np.histogram(values, edges)
    return {"edges": edges, "n": counted.tolist()}


def _step(width: float) -> float:
    """Return the next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(width))
    return float(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width))


def _grouped(
    file: TableFile,
    names: Sequence[str],
    key: Callable[[pa.RecordBatch], Any],
    sums: Sequence[str],
) -> list[dict[str, Any]]:
    """Return the groups of a table by key, null last: key, rows, and exact sums."""
    totals: dict[Any, dict[str, Any]] = {}
    with file.opened() as path, pq.ParquetFile(path, memory_map=True) as parquet:
        present = [name for name in names if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=present):
            table = pa.table({"key": key(batch), **{name: batch[name] for name in sums}})
            aggregated = table.group_by("key", use_threads=False).aggregate(
                [([], "count_all"), *((name, "sum") for name in sums)]
            )
            for row in aggregated.to_pylist():
                total = totals.setdefault(row["key"], dict.fromkeys(("rows", *sums)))
                for name, part in (
                    ("rows", row["count_all"]),
                    *((name, row[f"{name}_sum"]) for name in sums),
                ):
                    total[name] = part if total[name] is None else total[name] + (part or 0)
    ordered = sorted(totals, key=lambda group: (group is None, group if group is not None else 0))
    return [{"key": key, **totals[key]} for key in ordered]


def _purposes(orders: TableFile) -> dict[str, Any]:
    """Return ids and purposes of the orders that have one."""
    with orders.opened() as path, pq.ParquetFile(path, memory_map=True) as parquet:
        batches = [
            batch.filter(batch["purpose"].is_valid())
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=["id", "purpose"])
        ]
    table = pa.Table.from_batches(batches) if batches else pa.table({"id": [], "purpose": []})
    return {name: table[name].combine_chunks() for name in ("id", "purpose")}


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else amount_text(amount)
