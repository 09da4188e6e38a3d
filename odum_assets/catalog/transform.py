"""What the transforms of all data types share: the interface, times and identity of a batch.

A transform turns a raw batch into a *normalized* batch (int64 times in ns, int64 ticks, texts)
without a loop over rows, and a normalized batch into catalog columns. Sorting, digests and quality
figures work on normalized batches.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from odum_assets.catalog.arrow import Column
from odum_assets.catalog.fixed_point import Codes
from odum_assets.catalog.labels import IdentityCheck
from odum_assets.catalog.nautilus_schema import catalog_schema
from odum_assets.catalog.rejects import Reject, RowErrors
from odum_assets.catalog.times import (
    MISSING,
    DayWindow,
    Int64s,
    arrivals_in_ns,
    in_span,
    raw_integers,
    to_ns,
)
from odum_assets.instruments import InstrumentSpec
from odum_assets.raw.schemas import RawSchema
from odum_assets.utc import DAY_NS

if TYPE_CHECKING:
    from odum_assets.catalog.bar_rules import BarRules


@dataclass(frozen=True, slots=True)
class TransformInput:
    """What a transform needs to know before the first row.

    Parameters
    ----------
    schema : RawSchema
        Roles of the raw columns.
    units : dict[str, str]
        Time unit by time column.
    window : DayWindow
        The times that belong to the partition.
    spec : InstrumentSpec
        Whose precisions and identity rows must match.
    bars : BarRules, optional
        How times of bars are read; only for bars.
    """

    schema: RawSchema
    units: dict[str, str]
    window: DayWindow
    spec: InstrumentSpec
    bars: "BarRules | None" = None


class Transform(ABC):
    """Turn raw batches of one data type into normalized batches, and these into catalog columns."""

    whole_file = False
    """Whether `apply` must see all rows of a file at once."""

    def __init__(self, inputs: TransformInput) -> None:
        self._inputs = inputs
        self._identity = IdentityCheck(inputs.spec.key)
        self.schema: pa.Schema = catalog_schema(inputs.schema.data_type, inputs.spec)
        self.normalized_schema: pa.Schema = self._normalized_schema()

    @abstractmethod
    def _normalized_schema(self) -> pa.Schema:
        """Return the schema of normalized batches; it begins with ``ts_init`` and ``ts_event``."""

    @abstractmethod
    def _columns(self, batch: pa.RecordBatch, errors: RowErrors) -> list[Column]:
        """Return the normalized columns after the times, and mark rows that cannot be held."""

    @abstractmethod
    def encode(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return a normalized batch as catalog columns, n rows to n rows."""

    def drop_unchanged(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of an ordered normalized batch that say something new; all by default."""
        return normalized

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Codes | None]:
        """Turn a raw batch into a normalized batch of its accepted rows.

        Returns
        -------
        tuple
            The normalized batch, and per raw row the reject code (None when all are accepted).
        """
        errors = RowErrors(batch.num_rows)
        times = self._times(batch, errors)
        self._check_identity(batch, errors)
        columns = [*map(pa.array, times), *self._columns(batch, errors)]
        normalized = pa.RecordBatch.from_arrays(columns, schema=self.normalized_schema)
        codes = errors.codes
        if codes is None:
            return normalized, None
        return normalized.filter(pa.array(codes == 0)), codes

    def _times(self, batch: pa.RecordBatch, errors: RowErrors) -> tuple[Int64s, Int64s]:
        """Return ``ts_init`` and ``ts_event`` in ns."""
        schema, units, window = self._inputs.schema, self._inputs.units, self._inputs.window
        event_raw = raw_integers(batch.column(schema.ts_event))
        events, events_outside = to_ns(event_raw, units[schema.ts_event], window)
        name = schema.ts_init or schema.ts_event
        raw = event_raw if schema.ts_init is None else raw_integers(batch.column(name))
        arrivals, elsewhere = arrivals_in_ns(raw, units[name], window)
        if events_outside is not None:
            errors.mark(event_raw == MISSING, Reject.TIMESTAMP_MISSING)
        if elsewhere is not None:
            errors.mark(raw == MISSING, Reject.TIMESTAMP_MISSING)
            start, end = window.day_start, window.day_end
            before = in_span(raw, units[name], start - DAY_NS, start)
            errors.mark(before, Reject.PREVIOUS_DAY)
            errors.mark(in_span(raw, units[name], end, end + DAY_NS), Reject.NEXT_DAY)
        errors.mark(events_outside, Reject.TIMESTAMP_OUTSIDE_DAY)
        errors.mark(elsewhere, Reject.TIMESTAMP_OUTSIDE_DAY)
        return arrivals, events

    def _check_identity(self, batch: pa.RecordBatch, errors: RowErrors) -> None:
        named = self._inputs.schema.named
        for role in ("exchange", "symbol", "instrument_key"):
            if role in named:
                mismatches = self._identity.mismatches(role, batch.column(named[role]))
                errors.mark(mismatches, Reject.WRONG_SYMBOL)
