"""What refused orders have in common: sides, reasons, prices."""

from collections import Counter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, Field

from odum_assets.catalog.arrow import Column
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.tables import StoredTable

_BUCKETS: Final = 10
_PATTERNS: Final = 20


class PriceRange(BaseModel):
    """Prices of refused orders; null where none has a price."""

    min: float | None
    max: float | None
    avg: float | None


class Pattern(BaseModel):
    """A reason, without what is about the one order, and how many orders were refused for it."""

    reason: str | None
    count: int


class Bucket(BaseModel):
    """Refused orders in a range of prices; the upper end belongs to the last one only."""

    low: float
    high: float
    count: int


class Rejections(BaseModel):
    """What refused orders have in common."""

    total_rejected: int
    by_side: dict[str, int] = Field(examples=[{"buy": 3, "sell": 1}])
    by_price_range: list[Bucket]
    common_patterns: list[Pattern] = Field(description="The most frequent reasons.")
    price_range: PriceRange


def analyze(orders: StoredTable) -> Rejections:
    """Return what refused orders have in common, batch by batch.

    Parameters
    ----------
    orders : StoredTable
        The refused ones.
    """
    sides: Counter[str] = Counter()
    reasons: Counter[str | None] = Counter()
    total, priced, value = 0, 0, 0.0
    lowest, highest = float("inf"), float("-inf")
    for batch in orders.batches(columns=["status", "side", "price", "reason"]):
        total += batch.num_rows
        sides.update(_counts(batch["side"]))
        # What follows the colon is about the one order.
        reasons.update(_counts(pc.replace_substring_regex(batch["reason"], r"(?s):.*", "")))
        prices = _prices(batch)
        if len(prices):
            priced, value = priced + len(prices), value + float(prices.sum())
            lowest = min(lowest, float(prices.min()))
            highest = max(highest, float(prices.max()))
    known = (lowest, highest) if priced else None
    frequent = sorted(reasons.items(), key=lambda item: (-item[1], item[0] or ""))
    return Rejections(
        total_rejected=total,
        by_side=dict(sorted(sides.items())),
        by_price_range=[] if known is None else _buckets(orders, known),
        common_patterns=[Pattern(reason=name, count=n) for name, n in frequent[:_PATTERNS]],
        price_range=PriceRange(
            min=lowest if priced else None,
            max=highest if priced else None,
            avg=value / priced if priced else None,
        ),
    )


def _buckets(orders: StoredTable, known: tuple[float, float]) -> list[Bucket]:
    counts = np.zeros(_BUCKETS, np.int64)
    edges = np.histogram_bin_edges(np.array(known), _BUCKETS, known)
    for batch in orders.batches(columns=["status", "price"]):
        counts += np.histogram(_prices(batch), edges)[0]
    return [
        Bucket(low=float(low), high=float(high), count=int(count))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]


def _prices(batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
    prices: npt.NDArray[np.float64] = pc.drop_null(batch["price"].cast(pa.float64())).to_numpy()
    return prices


def _counts(column: Column) -> dict[Any, int]:
    return {
        value_count["values"]: value_count["counts"]
        for value_count in pc.value_counts(column).to_pylist()
    }
