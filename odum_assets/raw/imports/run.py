"""Import bars: read, check, split into raw files, publish all of them or none.

An import can be repeated: files that it would write again stay as they are, with their times of
change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from odum_assets.errors import DataError
from odum_assets.instruments.keys import parse_instrument_key
from odum_assets.raw.imports.partitions import (
    DAILY,
    Collected,
    ImportedFile,
    Layout,
    Staged,
    collapse,
)
from odum_assets.raw.imports.rows import Reason, Rejects, check_rows, read_numbers
from odum_assets.raw.imports.source import VALUES
from odum_assets.raw.imports.times import TimeReader, Times, check_timezone
from odum_assets.raw.layout import is_url, local_path
from odum_assets.storage.locks import hold_lock
from odum_assets.storage.scratch import scratch_folder
from odum_assets.utc import DAY_NS, NS_PER_SECOND

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from odum_assets.raw.imports.source import BarSource

    type Int64s = NDArray[np.int64]

STEPS: Final = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, DAILY: 86_400}
"""Seconds of the steps that raw bars may have."""

MAX_REJECT_RATIO: Final = 0.01
"""Rejected rows as a fraction of all, above which nothing is imported."""

_FOLDER = ".import"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """Say what imported bars are.

    Parameters
    ----------
    key : str
        The instrument key.
    label : {"start", "end"}
        Which end of a bar its time names.
    timezone : str or None
        The zone of times that name none; of daily bars with times, the zone of their dates.
    step : str or None
        One of `STEPS`; None: the commonest distance between the first rows.
    overwrite : bool
        Whether other values at a time are replaced.
    max_reject_ratio : float
        As `MAX_REJECT_RATIO`.
    """

    key: str
    label: Literal["start", "end"]
    timezone: str | None = None
    step: str | None = None
    overwrite: bool = False
    max_reject_ratio: float = MAX_REJECT_RATIO


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Say what an import did.

    Parameters
    ----------
    step : str
        The step of the bars.
    files : list of ImportedFile
        The raw files, in order of time.
    read, written, repeated : int
        Rows that were read, bars that were written or were there, exact repetitions.
    rejected : dict of str to int
        Rejected rows by reason.
    examples : list of str
        The first rejected rows.
    ignored : list of str
        Columns that were not used.
    first, last : str
        Times of the first and of the last bar.
    """

    step: str
    files: list[ImportedFile]
    read: int
    written: int
    repeated: int
    rejected: dict[str, int]
    examples: list[str]
    ignored: list[str]
    first: str
    last: str


def import_bars(source: BarSource, request: ImportRequest, raw_root: str) -> ImportResult:
    """Write bars into the raw layout.

    Parameters
    ----------
    source : BarSource
        Where they come from; rows may have any order.
    request : ImportRequest
        What they are.
    raw_root : str
        The raw root, a local folder.

    Raises
    ------
    ConfigError
        If the instrument key is none.
    DataError
        If there are no bars, times name no zone and none was given, too many rows are rejected, or
        raw files have other values. Nothing is written then.
    """
    key = str(parse_instrument_key(request.key))
    if request.timezone is not None:
        check_timezone(request.timezone)
    if is_url(raw_root):
        raise DataError(f"bars are imported into a local folder only, not into {raw_root}")
    folder = local_path(raw_root) / _FOLDER
    try:
        # One import at a time: files are merged with what is there.
        with scratch_folder(folder) as scratch, hold_lock(folder / ".merge"):
            return _Import(source, request, key, local_path(raw_root), scratch).run()
    except OSError as error:
        raise DataError(
            f"{raw_root}: bars cannot be written there ({error.strerror}). Check the folder and "
            "free space."
        ) from error


class _Import:
    """One import."""

    def __init__(
        self, source: BarSource, request: ImportRequest, key: str, raw_root: Path, scratch: Path
    ) -> None:
        self._source = source
        self._request = request
        self._key = key
        self._raw_root = raw_root
        self._scratch = scratch
        self._reader = TimeReader(source.name, request.timezone)
        self._rejects = Rejects()
        self._collected = Collected(scratch)
        self._layout: Layout | None = None
        self._offset = 0

    def run(self) -> ImportResult:
        read = 0
        for batch in self._source.batches():
            self._take(batch, read + 1)
            read += batch.num_rows
        if self._source.damaged:
            self._rejects.counts[Reason.DAMAGED] = self._source.damaged
            read += self._source.damaged
        layout = self._layout
        if layout is None:
            text = f" {self._rejects.text()}" if read else ""
            raise DataError(f"{self._source.name}: has no rows with a readable time.{text}")
        self._refuse_rejects(read)
        staged = Staged(layout, self._scratch, self._request.overwrite)
        repeated = written = 0
        bounds: list[int] = []
        for partition in self._collected:
            rows, again = self._collapsed(layout, partition)
            repeated += again
            if len(rows):
                staged.add(partition, rows)
                written += len(rows)
                bounds += [int(rows[0, 0]), int(rows[-1, 0])]
        self._refuse_rejects(read, has_bars=bool(bounds))
        return ImportResult(
            step=layout.step,
            files=staged.publish(),
            read=read,
            written=written,
            repeated=repeated,
            rejected={reason.value: count for reason, count in self._rejects.counts.most_common()},
            examples=self._rejects.examples,
            ignored=self._source.ignored,
            first=layout.moment(bounds[0]),
            last=layout.moment(bounds[-1]),
        )

    def _take(self, batch: pa.RecordBatch, first_row: int) -> None:
        """Check the rows of a batch and collect the good ones."""
        if batch.num_rows == 0:
            return
        times = self._reader.read(batch.column("time"))
        codes = times.reasons
        numbers = np.column_stack([read_numbers(batch.column(name)) for name in VALUES])
        if self._layout is None and not codes.all():
            self._layout = self._recognize(times)
        if self._layout is not None:
            moments, partitions = self._locate(self._layout, times)
            check_rows(numbers, codes)
            good = codes == 0
            # Zero has two doubles; as bits of a row they must be equal.
            values = np.ascontiguousarray(numbers[good] + 0.0).view(np.int64)
            self._collected.add(partitions[good], np.column_stack((moments[good], values)))
        self._rejects.add(codes, first_row, batch)

    def _recognize(self, times: Times) -> Layout:
        """Return the layout that follows from the first batch: its step, and where its grid is."""
        request, good = self._request, times.reasons == 0
        step = request.step or _commonest_step(np.unique(times.local[good]), self._source.name)
        if (step == DAILY) < times.are_dates:
            raise DataError(f"{self._source.name}: has dates without times, no bars of {step}.")
        grid = STEPS[step] * NS_PER_SECOND
        offsets, counts = np.unique(times.utc[good] % grid, return_counts=True)
        self._offset = int(offsets[np.argmax(counts)])
        return Layout(self._raw_root, self._key, step, request.label)

    def _locate(self, layout: Layout, times: Times) -> tuple[Int64s, Int64s]:
        """Return times as raw files have them, and the partition of each row."""
        is_end = layout.label == "end"
        if layout.is_daily:
            # A date is that of the session, whatever the label; a time is one of its ends.
            shift = int(is_end and not times.are_dates)
            dates = (times.local - shift) // DAY_NS
            if times.are_dates:
                times.reasons[(times.reasons == 0) & (times.local % DAY_NS != 0)] = (
                    Reason.OFF_STEP.code
                )
            years = dates.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
            return dates * DAY_NS, years
        grid = STEPS[layout.step] * NS_PER_SECOND
        off = (times.reasons == 0) & (times.utc % grid != self._offset)
        times.reasons[off] = Reason.OFF_STEP.code
        return times.utc, (times.utc - grid * is_end) // DAY_NS

    def _collapsed(self, layout: Layout, partition: int) -> tuple[Int64s, int]:
        """Return the rows of a partition, each time once, and how many were repetitions."""
        rows, repeated, contradictions = collapse(self._collected.rows(partition))
        if len(contradictions):
            self._rejects.counts[Reason.CONTRADICTION] += len(contradictions)
            moment = layout.moment(int(contradictions[0, 0]))
            self._rejects.examples.append(f"{moment}: {Reason.CONTRADICTION.value}")
        return rows, repeated

    def _refuse_rejects(self, read: int, *, has_bars: bool = True) -> None:
        rejected, limit = self._rejects.counts.total(), self._request.max_reject_ratio
        if has_bars and rejected <= limit * read:
            return
        raise DataError(
            f"{self._source.name}: {rejected:,} of {read:,} rows are no bars, allowed {limit:.1%}; "
            f"nothing was written. {self._rejects.text()}"
        )


def _commonest_step(moments: Int64s, source: str) -> str:
    """Return the step of bars at distinct ascending times: the commonest distance."""
    distances, counts = np.unique(np.diff(moments), return_counts=True)
    if len(distances) == 0:
        raise DataError(
            f"{source}: one time does not tell the step of its bars; say it with --step, such as "
            "--step 1m"
        )
    seconds = int(distances[np.argmax(counts)]) / NS_PER_SECOND
    for step, length in STEPS.items():
        if seconds == length:
            return step
    raise DataError(
        f"{source}: most bars are {seconds:,.10g} seconds apart; allowed steps are "
        f"{', '.join(STEPS)}. Where that is not their step, say it with --step."
    )
