"""Funding: ticker rows to Nautilus funding rate updates, one per change.

A ticker repeats its funding rate with every price; a row whose rate and next funding time equal
those of the row before it says nothing new and is counted as unchanged. Rates keep 16 decimals.
The funding interval is left open: the rows do not state it.
"""

import numpy as np
import pyarrow as pa

from odum_assets.catalog.arrow import Column, kernels
from odum_assets.catalog.fixed_point import Int64s, Problem, to_rounded_ticks
from odum_assets.catalog.rejects import Reject, RowErrors
from odum_assets.catalog.times import raw_integers, to_ns, to_timestamps, wide_window
from odum_assets.catalog.transform import Transform, TransformInput

RATE_DECIMALS = 16
MAX_RATE = 100
"""Largest rate taken for one, as a fraction per interval."""

UNKNOWN_TIME = -1

_PROBLEMS = {
    Problem.MISSING: Reject.RATE_MISSING,
    Problem.NOT_FINITE: Reject.RATE_NOT_FINITE,
    Problem.TOO_LARGE: Reject.RATE_TOO_LARGE,
}


class FundingTransform(Transform):
    """Turn ticker rows into normalized updates (rate in 1e-16, next funding time), then updates."""

    def __init__(self, inputs: TransformInput) -> None:
        super().__init__(inputs)
        self._last: tuple[int, int] | None = None

    def _normalized_schema(self) -> pa.Schema:
        names = ("ts_init", "ts_event", "rate", "next_funding")
        return pa.schema([(name, pa.int64()) for name in names])

    def _columns(self, batch: pa.RecordBatch, errors: RowErrors) -> list[Column]:
        named, inputs = self._inputs.schema.named, self._inputs
        rates = to_rounded_ticks(batch.column(named["rate"]), RATE_DECIMALS, MAX_RATE)
        errors.mark_problems(_PROBLEMS, rates.problems)
        following = np.full(batch.num_rows, UNKNOWN_TIME, np.int64)
        if "next_funding" in named:
            name = named["next_funding"]
            times, outside = to_ns(
                raw_integers(batch.column(name)), inputs.units[name], wide_window(inputs.window)
            )
            following = times if outside is None else np.where(outside, UNKNOWN_TIME, times)
        return [pa.array(rates.values), pa.array(following)]

    def drop_unchanged(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return only the rows that differ from the row before them; remember the last one."""
        if normalized.num_rows == 0:
            return normalized
        rate, following = normalized["rate"].to_numpy(), normalized["next_funding"].to_numpy()
        changed = np.empty(normalized.num_rows, np.bool_)
        changed[1:] = (rate[1:] != rate[:-1]) | (following[1:] != following[:-1])
        changed[0] = self._last != (int(rate[0]), int(following[0]))
        self._last = (int(rate[-1]), int(following[-1]))
        return normalized.filter(pa.array(changed))

    def encode(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return updates in the catalog's schema, n rows to n rows."""
        following = normalized["next_funding"].to_numpy()
        unknown = pa.array(following == UNKNOWN_TIME)
        time_type = self.schema.field("next_funding_ns").type
        columns = [
            rate_texts(normalized["rate"].to_numpy()),
            pa.nulls(normalized.num_rows, pa.uint64()),
            kernels.if_else(unknown, pa.scalar(None, time_type), to_timestamps(following)),
            to_timestamps(normalized["ts_event"].to_numpy()),
            to_timestamps(normalized["ts_init"].to_numpy()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def rate_texts(ticks: Int64s) -> Column:
    """Return rates in units of 1e-16 as decimal texts, without exponent or trailing zeros."""
    whole, rest = np.divmod(np.abs(ticks), 10**RATE_DECIMALS)
    digits = kernels.utf8_lpad(kernels.cast(pa.array(rest), pa.string()), RATE_DECIMALS, "0")
    text = kernels.binary_join_element_wise(kernels.cast(pa.array(whole), pa.string()), digits, ".")
    text = kernels.utf8_rtrim(kernels.utf8_rtrim(text, "0"), ".")
    signs = kernels.if_else(pa.array(ticks < 0), "-", "")
    joined: Column = kernels.binary_join_element_wise(signs, text, "")
    return joined
