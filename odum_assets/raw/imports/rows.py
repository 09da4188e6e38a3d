"""Rows of imported bars: which are accepted, and why the others are not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from odum_assets.raw.imports.source import VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Floats = NDArray[np.float64]
    type Codes = NDArray[np.uint8]

_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_EXAMPLES: Final = 3


class Reason(StrEnum):
    """Name why a row is not imported, in the order in which reasons are looked for."""

    TIME_MISSING = "time missing or not readable"
    TIME_NOT_ONCE = "local time that does not exist once, where the clock is turned"
    OFF_STEP = "time off the grid of the step"
    PRICE_MISSING = "price missing or not a number"
    PRICE_NOT_POSITIVE = "price not above zero"
    NOT_ENCLOSED = "high or low does not enclose open and close"
    VOLUME_MISSING = "volume missing or not a number"
    VOLUME_NEGATIVE = "volume below zero"
    CONTRADICTION = "time occurs with different values"
    DAMAGED = "too few or too many fields"

    @property
    def code(self) -> int:
        """Return the number that stands for it, from 1."""
        return list(Reason).index(self) + 1


@dataclass
class Rejects:
    """Count rejected rows by reason, and keep the first ones for messages."""

    counts: Counter[Reason] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, codes: Codes, first_row: int, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch whose code is not 0; `first_row` counts from 1."""
        rows = np.flatnonzero(codes)
        self.counts.update(list(Reason)[code - 1] for code in codes[rows].tolist())
        for row in rows[: _EXAMPLES - len(self.examples)].tolist():
            values = ", ".join(str(column[row].as_py()) for column in batch.columns)
            self.examples.append(
                f"row {first_row + row}: {list(Reason)[codes[row] - 1]} ({values})"
            )

    def text(self) -> str:
        """Return reasons with their counts, and the first rows."""
        reasons = [f"{count:,} {reason.value}" for reason, count in self.counts.most_common()]
        return "; ".join([", ".join(reasons), *self.examples])


def read_numbers(column: Any) -> Floats:  # noqa: ANN401 - an Arrow array
    """Return a column as doubles; what is missing or no number is NaN."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = pc.cast(column, kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
    elif kind in (pa.float16(), pa.float32()):
        # The shortest text of a float32 is the number that was meant; its double is not.
        column = pc.cast(pc.cast(column, pa.float32()), pa.string())
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        return np.full(len(column), np.nan)
    numbers: Floats = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers


def check_rows(values: Floats, codes: Codes) -> None:
    """Give each row that holds no bar the code of its first reason.

    Parameters
    ----------
    values : float array, shape (n, 5)
        Open, high, low, close, volume.
    codes : uint8 array, shape (n,)
        Codes of earlier reasons, which stay.
    """
    prices, volume = values[:, :4], values[:, len(VALUES) - 1]
    finite = np.isfinite(prices).all(axis=1)
    with np.errstate(invalid="ignore"):
        body = prices[:, [0, 3]]
        encloses = (prices[:, 1] >= body.max(axis=1)) & (prices[:, 2] <= body.min(axis=1))
        checks = (
            (~finite, Reason.PRICE_MISSING),
            ((prices <= 0).any(axis=1), Reason.PRICE_NOT_POSITIVE),
            (~encloses, Reason.NOT_ENCLOSED),
            (~np.isfinite(volume), Reason.VOLUME_MISSING),
            (volume < 0, Reason.VOLUME_NEGATIVE),
        )
    for wrong, reason in checks:
        codes[wrong & (codes == 0)] = reason.code
