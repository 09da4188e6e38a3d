"""What the transforms of all data types share: the interface, times and identity of a batch.

A transform turns a raw batch into a *plain* batch (int64 times in ns, int64 ticks, texts) without a
loop over rows, and a plain batch into catalog columns. Sorting, digests and quality figures work on
plain batches.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import pyarrow as pa

from odum_assets.catalog.arrow import Column
from odum_assets.catalog.fixed_point import Codes
from odum_assets.catalog.labels import IdentityCheck
from odum_assets.catalog.nautilus_schema import catalog_schema
from odum_assets.catalog.rejects import Findings, Reject
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
    """

    schema: RawSchema
    units: dict[str, str]
    window: DayWindow
    spec: InstrumentSpec


class Transform(ABC):
    """Turn raw batches of one data type into plain batches, and these into catalog columns."""

    def __init__(self, given: TransformInput) -> None:
        self._given = given
        self._identity = IdentityCheck(given.spec.key)
        self.schema: pa.Schema = catalog_schema(given.schema.data_type, given.spec)
        self.plain_schema: pa.Schema = self._plain_schema()

    @abstractmethod
    def _plain_schema(self) -> pa.Schema:
        """Return the schema of plain batches; it begins with ``ts_init`` and ``ts_event``."""

    @abstractmethod
    def _columns(self, batch: pa.RecordBatch, findings: Findings) -> list[Column]:
        """Return the plain columns after the times, and mark rows that cannot be held."""

    @abstractmethod
    def encode(self, plain: pa.RecordBatch) -> pa.RecordBatch:
        """Return a plain batch as catalog columns, n rows to n rows."""

    def thin(self, plain: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows of an ordered plain batch that say something new; all by default."""
        return plain

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Codes | None]:
        """Turn a raw batch into a plain batch of its accepted rows.

        Returns
        -------
        tuple
            The plain batch, and per raw row the reject code (None when all are accepted).
        """
        findings = Findings(batch.num_rows)
        times = self._times(batch, findings)
        self._check_identity(batch, findings)
        columns = [*map(pa.array, times), *self._columns(batch, findings)]
        plain = pa.RecordBatch.from_arrays(columns, schema=self.plain_schema)
        codes = findings.codes
        if codes is None:
            return plain, None
        return plain.filter(pa.array(codes == 0)), codes

    def _times(self, batch: pa.RecordBatch, findings: Findings) -> tuple[Int64s, Int64s]:
        """Return ``ts_init`` and ``ts_event`` in ns."""
        schema, units, window = self._given.schema, self._given.units, self._given.window
        event_raw = raw_integers(batch.column(schema.ts_event))
        events, events_outside = to_ns(event_raw, units[schema.ts_event], window)
        name = schema.ts_init or schema.ts_event
        raw = event_raw if schema.ts_init is None else raw_integers(batch.column(name))
        arrivals, elsewhere = arrivals_in_ns(raw, units[name], window)
        if events_outside is not None:
            findings.mark(event_raw == MISSING, Reject.TIMESTAMP_MISSING)
        if elsewhere is not None:
            findings.mark(raw == MISSING, Reject.TIMESTAMP_MISSING)
            start, end = window.day_start, window.day_end
            before = in_span(raw, units[name], start - DAY_NS, start)
            findings.mark(before, Reject.PREVIOUS_DAY)
            findings.mark(in_span(raw, units[name], end, end + DAY_NS), Reject.NEXT_DAY)
        findings.mark(events_outside, Reject.TIMESTAMP_OUTSIDE_DAY)
        findings.mark(elsewhere, Reject.TIMESTAMP_OUTSIDE_DAY)
        return arrivals, events

    def _check_identity(self, batch: pa.RecordBatch, findings: Findings) -> None:
        named = self._given.schema.named
        for role in ("exchange", "symbol", "instrument_key"):
            if role in named:
                strangers = self._identity.strangers(role, batch.column(named[role]))
                findings.mark(strangers, Reject.WRONG_SYMBOL)
