"""Rows that cannot become catalog rows: why, how many, and the side file that keeps them.

Each rejected row is counted once, under the first reason in the order of `Reject`.
"""

from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import Column, kernels
from odum_assets.catalog.fixed_point import Codes, Problem


class Reject(StrEnum):
    """Name the reasons for which a row is rejected, in the order in which they are looked for."""

    TIMESTAMP_MISSING = "timestamp_missing"
    PREVIOUS_DAY = "previous_day"
    """It arrived on the day before, and belongs to that day's partition."""
    NEXT_DAY = "next_day"
    """It arrived on the day after, and belongs to that day's partition."""
    TIMESTAMP_OUTSIDE_DAY = "timestamp_outside_day"
    WRONG_SYMBOL = "wrong_symbol"
    ID_MISSING = "id_missing"
    ID_NOT_ASCII = "id_not_ascii"
    ID_TOO_LONG = "id_too_long"
    PRICE_MISSING = "price_missing"
    PRICE_NOT_FINITE = "price_not_finite"
    PRICE_NOT_POSITIVE = "price_not_positive"
    PRICE_TOO_LARGE = "price_too_large"
    PRICE_TOO_MANY_DECIMALS = "price_too_many_decimals"
    SIZE_MISSING = "size_missing"
    SIZE_NOT_FINITE = "size_not_finite"
    SIZE_NOT_POSITIVE = "size_not_positive"
    SIZE_TOO_LARGE = "size_too_large"
    SIZE_TOO_MANY_DECIMALS = "size_too_many_decimals"
    EMPTY_BOOK = "empty_book"
    RATE_MISSING = "rate_missing"
    RATE_NOT_FINITE = "rate_not_finite"
    RATE_TOO_LARGE = "rate_too_large"
    OFF_GRID = "off_grid"
    """The bar does not begin at a multiple of its step."""
    NO_SESSION = "no_session"
    """A daily bar of a date without a session."""
    PRICE_OFF_TICK = "price_off_tick"
    RANGE_NOT_ENCLOSING = "range_not_enclosing"
    """High or low of the bar do not enclose its open and close."""
    VOLUME_MISSING = "volume_missing"
    VOLUME_NOT_FINITE = "volume_not_finite"
    VOLUME_NEGATIVE = "volume_negative"
    VOLUME_TOO_LARGE = "volume_too_large"
    VOLUME_TOO_MANY_DECIMALS = "volume_too_many_decimals"
    TIME_REPEATED = "time_repeated"
    """Other bars of the file have the same time and other values; which is right is not known."""


_REASONS = tuple(Reject)
_CODES = {reason: code for code, reason in enumerate(_REASONS, start=1)}


def _number_reasons(name: str) -> dict[Problem, Reject]:
    """Return the reason for each problem of a number: ``price`` or ``size``."""
    endings = {
        Problem.MISSING: "missing",
        Problem.NOT_FINITE: "not_finite",
        Problem.NEGATIVE: "not_positive",
        Problem.ZERO: "not_positive",
        Problem.TOO_LARGE: "too_large",
        Problem.TOO_MANY_DECIMALS: "too_many_decimals",
    }
    return {problem: Reject(f"{name}_{ending}") for problem, ending in endings.items()}


PRICE_PROBLEMS = _number_reasons("price")
SIZE_PROBLEMS = _number_reasons("size")
VOLUME_PROBLEMS = {
    Problem.MISSING: Reject.VOLUME_MISSING,
    Problem.NOT_FINITE: Reject.VOLUME_NOT_FINITE,
    Problem.NEGATIVE: Reject.VOLUME_NEGATIVE,
    Problem.TOO_LARGE: Reject.VOLUME_TOO_LARGE,
    Problem.TOO_MANY_DECIMALS: Reject.VOLUME_TOO_MANY_DECIMALS,
}
"""A bar without volume is one: its price may have moved all the same."""


class RowErrors:
    """Collect, for one batch of n rows, the first reason against each row."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._codes: Codes | None = None

    def mark(self, flags: npt.NDArray[np.bool_] | None, reason: Reject) -> None:
        """Mark the flagged rows that no earlier reason has claimed; None flags nothing."""
        if flags is None or not flags.any():
            return
        if self._codes is None:
            self._codes = np.zeros(self._rows, np.uint8)
        self._codes[flags & (self._codes == 0)] = _CODES[reason]

    def mark_problems(self, reasons: dict[Problem, Reject], *numbers: Codes | None) -> None:
        """Mark rows by the problems of their numbers, one or several to a row."""
        for problem, reason in reasons.items():
            for problems in numbers:
                if problems is not None:
                    self.mark(problems == problem, reason)

    @property
    def codes(self) -> Codes | None:
        """Reason codes per row (0: accepted), or None when every row is accepted."""
        return self._codes


class RejectLog:
    """Count rejected rows and write them, with row number and reason, to a side file.

    Parameters
    ----------
    path : Path
        The side file; it is made when the first row is rejected.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._counts = np.zeros(len(_REASONS) + 1, np.int64)
        self._writer: pq.ParquetWriter | None = None

    def add(self, batch: pa.RecordBatch, codes: Codes, first_row: int) -> None:
        """Record the rows of a raw batch whose code is not 0.

        Parameters
        ----------
        batch : pa.RecordBatch
            Raw rows as read.
        codes : ndarray of uint8, shape (n,)
            From `RowErrors.codes`.
        first_row : int
            Number of the batch's first row in the raw file, from 0.
        """
        rows = np.flatnonzero(codes)
        if len(rows) == 0:
            return
        self._counts += np.bincount(codes[rows], minlength=len(self._counts))
        names = np.array(["", *_REASONS])
        raw_columns = {
            f"raw.{name}": _decoded(_takeable(column).take(rows))
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        table = pa.table(
            {
                "row": pa.array(rows + first_row),
                "reason": pa.array(names[codes[rows]].tolist(), pa.string()),
                **raw_columns,
            }
        )
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> bool:
        """Finish the side file; return whether there is one."""
        if self._writer is None:
            return False
        self._writer.close()
        return True

    @property
    def counts(self) -> dict[str, int]:
        """Rejected rows by reason, in the order of `Reject`, without zeros."""
        return {
            reason.value: int(self._counts[code])
            for reason, code in _CODES.items()
            if self._counts[code]
        }

    @property
    def total(self) -> int:
        """All rejected rows."""
        return int(self._counts.sum())


def _takeable(column: Column) -> Column:
    """Return a column whose rows Arrow can pick, which it cannot for views of strings."""
    return kernels.cast(column, pa.large_string()) if column.type == pa.string_view() else column


def _decoded(column: Column) -> Column:
    """Return a column without dictionaries, which would differ from batch to batch."""
    if pa.types.is_dictionary(column.type):
        column = kernels.cast(column, column.type.value_type)
    return column
