"""Trades: raw rows to Nautilus trade ticks, column by column."""

import numpy as np
import pyarrow as pa

from odum_assets.catalog.arrow import Column, flags_of, kernels, text_parts
from odum_assets.catalog.fixed_point import MAX_PRICE, MAX_SIZE, to_decimals, to_ticks
from odum_assets.catalog.labels import classify_labels, side_code
from odum_assets.catalog.nautilus_schema import SIDES
from odum_assets.catalog.rejects import PRICE_PROBLEMS, SIZE_PROBLEMS, Reject, RowErrors
from odum_assets.catalog.times import to_timestamps
from odum_assets.catalog.transform import Transform

MAX_ID_LENGTH = 36
"""Longest trade id that Nautilus holds, in characters."""


class TradesTransform(Transform):
    """Turn raw trades into normalized ones (ticks, side code, id), then into trade ticks."""

    def _normalized_schema(self) -> pa.Schema:
        kinds: list[tuple[str, pa.DataType]] = [
            *((name, pa.int64()) for name in ("ts_init", "ts_event", "price", "size")),
            ("side", pa.int8()),
            ("trade_id", pa.string()),
        ]
        return pa.schema(kinds)

    def _columns(self, batch: pa.RecordBatch, errors: RowErrors) -> list[Column]:
        named, spec = self._inputs.schema.named, self._inputs.spec
        ids = _trade_ids(batch.column(named["trade_id"]), errors)
        price = to_ticks(batch.column(named["price"]), spec.price_precision, MAX_PRICE)
        errors.mark_problems(PRICE_PROBLEMS, price.problems)
        size = to_ticks(batch.column(named["size"]), spec.size_precision, MAX_SIZE)
        errors.mark_problems(SIZE_PROBLEMS, size.problems)
        if "side" in named:
            side = classify_labels(batch.column(named["side"]), side_code)
        else:
            side = np.zeros(batch.num_rows, np.int8)
        return [pa.array(price.values), pa.array(size.values), pa.array(side), ids]

    def encode(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return trades in the catalog's schema, n rows to n rows."""
        spec = self._inputs.spec
        columns = [
            to_decimals(normalized["price"].to_numpy(), spec.price_precision),
            to_decimals(normalized["size"].to_numpy(), spec.size_precision),
            pa.DictionaryArray.from_arrays(normalized["side"], pa.array(SIDES)),
            normalized["trade_id"],
            to_timestamps(normalized["ts_event"].to_numpy()),
            to_timestamps(normalized["ts_init"].to_numpy()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _trade_ids(column: Column, errors: RowErrors) -> Column:
    """Return ids as strings, and mark those that Nautilus would refuse."""
    ids = column if column.type == pa.string() else kernels.cast(column, pa.string())
    if ids.null_count:
        errors.mark(flags_of(kernels.is_null(ids)), Reject.ID_MISSING)
        ids = kernels.fill_null(ids, "")
    if len(ids) == 0:
        return ids
    ends, data = text_parts(ids)
    lengths = np.diff(ends)
    if not lengths.all():
        errors.mark(lengths == 0, Reject.ID_MISSING)
    letters = data[ends[0] : ends[-1]]
    if len(letters) and (letters.min() <= ord(" ") or letters.max() >= 0x7F):
        # Nautilus refuses ids of blanks only and ids outside ASCII, some by ending the process.
        # By bytes: what a file calls text need not be UTF-8.
        blank = kernels.equal(kernels.ascii_trim_whitespace(ids), "")
        errors.mark(flags_of(blank), Reject.ID_MISSING)
        printable = kernels.match_substring_regex(ids, r"\A[\x20-\x7e]*\z")
        errors.mark(~flags_of(printable), Reject.ID_NOT_ASCII)
    if lengths.max() > MAX_ID_LENGTH:
        errors.mark(lengths > MAX_ID_LENGTH, Reject.ID_TOO_LONG)
    return ids
