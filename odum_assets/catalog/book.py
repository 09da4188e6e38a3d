"""Book snapshots: raw rows to Nautilus depths, column by column.

A level without price or size is left out and the others keep their order; nothing else is repaired.
"""

import numpy as np
import pyarrow as pa

from odum_assets.catalog.arrow import Column, arrow
from odum_assets.catalog.fixed_point import (
    MAX_PRICE,
    MAX_SIZE,
    Int64s,
    Problem,
    Ticks,
    to_decimals,
    to_ticks,
)
from odum_assets.catalog.nautilus_schema import LEVEL, LEVELS, SNAPSHOT_FLAGS
from odum_assets.catalog.rejects import PRICE_PROBLEMS, SIZE_PROBLEMS, Reject, RowErrors
from odum_assets.catalog.times import to_timestamps
from odum_assets.catalog.transform import Transform

_ABSENT = (Problem.MISSING, Problem.ZERO)
_PRICES = {problem: why for problem, why in PRICE_PROBLEMS.items() if problem not in _ABSENT}
_SIZES = {problem: why for problem, why in SIZE_PROBLEMS.items() if problem not in _ABSENT}


class BookTransform(Transform):
    """Turn raw books into normalized ones (ticks per level, 0 where there is none), then depths."""

    def _normalized_schema(self) -> pa.Schema:
        names = ["ts_init", "ts_event"]
        for side, levels in (("bid", self._inputs.schema.bids), ("ask", self._inputs.schema.asks)):
            for level in range(len(levels)):
                names += [f"{side}_price_{level}", f"{side}_size_{level}"]
        return pa.schema([(name, pa.int64()) for name in names])

    def _columns(self, batch: pa.RecordBatch, errors: RowErrors) -> list[Column]:
        spec, schema = self._inputs.spec, self._inputs.schema
        levels = [
            (
                to_ticks(batch.column(price), spec.price_precision, MAX_PRICE),
                to_ticks(batch.column(size), spec.size_precision, MAX_SIZE),
            )
            for price, size in (*schema.bids, *schema.asks)
        ]
        errors.mark_problems(_PRICES, *(price.problems for price, _ in levels))
        errors.mark_problems(_SIZES, *(size.problems for _, size in levels))
        columns: list[Column] = []
        empty = np.ones(batch.num_rows, np.bool_) if _any_absent(levels) else None
        for price, size in levels:
            prices, sizes = price.values, size.values
            if price.problems is not None or size.problems is not None:
                there = (prices > 0) & (sizes > 0)
                prices, sizes = prices * there, sizes * there
            if empty is not None:
                empty &= prices == 0
            columns += [pa.array(prices), pa.array(sizes)]
        errors.mark(empty, Reject.EMPTY_BOOK)
        return columns

    def encode(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return books in the catalog's schema, n rows to n rows."""
        rows = normalized.num_rows
        columns = [
            self._side(normalized, "bid", len(self._inputs.schema.bids)),
            self._side(normalized, "ask", len(self._inputs.schema.asks)),
            pa.array(np.full(rows, SNAPSHOT_FLAGS, np.uint8)),
            pa.array(np.zeros(rows, np.uint64)),
            to_timestamps(normalized["ts_event"].to_numpy()),
            to_timestamps(normalized["ts_init"].to_numpy()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _side(self, normalized: pa.RecordBatch, side: str, levels: int) -> Column:
        """Return the levels of one side as a list column, best first."""
        spec = self._inputs.spec
        prices, sizes = (level_matrix(normalized, side, part, levels) for part in ("price", "size"))
        there = prices > 0
        ends = np.zeros(normalized.num_rows + 1, np.int32)
        if there.all():
            ends[1:] = levels
            flat_prices, flat_sizes = prices.ravel(), sizes.ravel()
        else:
            ends[1:] = there.sum(axis=1)
            flat_prices, flat_sizes = prices[there], sizes[there]
        np.cumsum(ends, out=ends)
        # An aggregated level stands for one order without an id, as in Nautilus' own loader.
        children = [
            to_decimals(flat_prices, spec.price_precision),
            to_decimals(flat_sizes, spec.size_precision),
            pa.array(np.ones(len(flat_prices), np.uint32)),
            pa.array(np.zeros(len(flat_prices), np.uint64)),
        ]
        items = pa.StructArray.from_arrays(children, fields=list(LEVEL))
        column: Column = arrow.ListArray.from_arrays(pa.array(ends), items, type=LEVELS)
        return column


def level_matrix(normalized: pa.RecordBatch, side: str, part: str, levels: int) -> Int64s:
    """Return the ticks of all levels of one side of a normalized batch, shape (rows, levels)."""
    matrix = np.empty((normalized.num_rows, levels), np.int64)
    for level in range(levels):
        matrix[:, level] = normalized[f"{side}_{part}_{level}"].to_numpy()
    return matrix


def _any_absent(levels: list[tuple[Ticks, Ticks]]) -> bool:
    """Return whether some row lacks the best level of both sides or more."""
    return all(price.problems is not None or size.problems is not None for price, size in levels)
