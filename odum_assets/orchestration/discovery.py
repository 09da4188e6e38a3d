"""Which day folders are new or changed, which are complete, and which runs follow.

Pure but for listing folders: what Dagster knows and what is reported to it stays with the sensor.
A day folder counts as complete when it holds the marker ``_SUCCESS``, or when nothing in it changed
between two ticks far enough apart; times of change alone would trust a copy that keeps them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final, Self

from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import LoadedConfig, raw_path
from odum_assets.errors import ConfigError, DataError
from odum_assets.orchestration.planner import catalog_days
from odum_assets.orchestration.project import (
    Project,
    RawInput,
    RawNames,
    Source,
    has_marker,
    list_folder_days,
    raw_folder_of,
    raw_folder_problem,
    raw_names,
    readable_raw,
)
from odum_assets.raw.layout import MARKER, period_name

MAX_FILES: Final = 200
"""Files reported per tick; one costs about twenty milliseconds and a sensor has sixty seconds."""

MAX_RUNS: Final = 50
"""Runs requested per tick, so that the run queue fills gradually."""

_MAX_NAMES: Final = 5

type _Files = list[tuple[Source, RawInput]]


@dataclass(frozen=True, slots=True)
class Cursor:
    """What earlier ticks saw.

    Parameters
    ----------
    done : dict[str, dict[str, str]]
        By folder and day, the fingerprint that was reported.
    pending : dict[str, dict[str, tuple[str, float]]]
        By folder and day, the fingerprint that was last seen, and since when (seconds since 1970).
    missed : dict[str, tuple[str, ...]]
        By configuration that could not be used, the days that were reported meanwhile, in order.
    """

    done: dict[str, dict[str, str]] = field(default_factory=dict)
    pending: dict[str, dict[str, tuple[str, float]]] = field(default_factory=dict)
    missed: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read a cursor; one that cannot be read is empty.

        Starting over is harmless: what was reported is not reported again, and a run is requested
        under the same key, which Dagster runs once.
        """
        try:
            content = json.loads(text or "")
            done = {
                str(folder): {str(day): str(fingerprint) for day, fingerprint in days.items()}
                for folder, days in content["done"].items()
            }
            pending = {
                str(folder): {
                    str(day): (str(fingerprint_), float(since))
                    for day, (fingerprint_, since) in items
                }
                for folder, items in (
                    (folder, days.items()) for folder, days in content["pending"].items()
                )
            }
            missed = {
                str(name): tuple(date.fromisoformat(day).isoformat() for day in days)
                for name, days in content.get("missed", {}).items()
            }
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return cls()
        return cls(done, pending, missed)

    def dump(self) -> str:
        """Return the cursor as text."""
        content = {"done": self.done, "pending": self.pending, "missed": self.missed}
        return json.dumps(content, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class DayRun:
    """A run to request: one configuration, one day, over files with this fingerprint."""

    config: LoadedConfig
    day: date
    fingerprint: str

    @property
    def run_key(self) -> str:
        """Return the key under which Dagster runs it once."""
        return f"{self.config.name}:{self.day.isoformat()}:{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a tick found.

    Parameters
    ----------
    files : tuple[tuple[Source, date, RawInput], ...]
        Files of complete days that are new or changed, or lie in such a day.
    runs : tuple[DayRun, ...]
        Runs that follow.
    cursor : Cursor
        For the next tick.
    notes : tuple[str, ...]
        What it waits for, for a person.
    """

    files: tuple[tuple[Source, date, RawInput], ...]
    runs: tuple[DayRun, ...]
    cursor: Cursor
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _ReadyDay:
    folder: str
    day: date
    files: _Files
    fingerprint: str


def discover(
    project: Project,
    before: Cursor,
    *,
    now: float,
    today: date,
    stable_secs: float,
    unusable: Mapping[str, str] | None = None,
) -> Discovery:
    """Check all day folders that configurations point to.

    Parameters
    ----------
    project : Project
        The configurations.
    before : Cursor
        What the last tick left.
    now : float
        Seconds since 1970.
    today : date
        The last day that is a partition (UTC).
    stable_secs : float
        Time without a change after which a day folder without marker is complete.
    unusable : mapping, optional
        Configurations that cannot be run now, in the project or not, with the reason. The days that
        they miss are requested when they can be. By default those that the project refuses.
    """
    if unusable is None:
        unusable = {day_.name: str(day_) for day_ in project.refused}
    by_folder, notes = _sources_by_folder(project)
    notes += unusable.values()
    after = Cursor({folder: {} for folder in by_folder}, {folder: {} for folder in by_folder})
    ready: list[_ReadyDay] = []
    for folder, sources in by_folder.items():
        try:
            days = list_folder_days(folder)
        except DataError as error:
            # What cannot be reached now is not gone.
            after.done[folder] = dict(before.done.get(folder, {}))
            after.pending[folder] = dict(before.pending.get(folder, {}))
            notes.append(str(error))
            continue
        notes += _range_notes(folder, days, today, project, sources)
        start = _first_partition(project, sources)
        named = [(source, raw_names(source, project.settings)) for source in sources]
        for day in [day for day in days if start <= day <= today]:
            ready_day = _find(folder, day, named, project, notes)
            if ready_day is not None and _is_ready(ready_day, before, after, now, stable_secs):
                ready.append(ready_day)
    reported = _take(project, sorted(ready, key=lambda day_: (day_.day, day_.folder)), after)
    days = sorted({day_.day for day_ in reported})
    configs = [config for config in project.configs if config.name not in unusable]
    runs, run_notes = _runs(project, configs, days, after)
    runs += _missed_runs(project, configs, before, after, MAX_RUNS - len(runs))
    _remember(before, after, unusable, days)
    files = tuple((source, day_.day, raw) for day_ in reported for source, raw in day_.files)
    notes += run_notes + _waiting_notes(after, len(ready) - len(reported), stable_secs)
    return Discovery(files, tuple(runs), after, tuple(notes))


def _sources_by_folder(project: Project) -> tuple[dict[str, list[Source]], list[str]]:
    by_folder: dict[str, list[Source]] = {}
    notes = []
    for source in [source for source in project.sources if source.upstream is None]:
        try:
            raw_path(source.loaded, source.data_type.value, date(2000, 1, 1), project.settings)
        except ConfigError as error:
            notes.append(str(error))
            continue
        by_folder.setdefault(raw_folder_of(source, project.settings), []).append(source)
    return by_folder, notes


def _find(
    folder: str,
    day: date,
    sources: Sequence[tuple[Source, RawNames]],
    project: Project,
    notes: list[str],
) -> _ReadyDay | None:
    """Return the files of a day folder, None when there is none that a configuration names.

    One that cannot be read is named, and waited for by those who need it.
    """
    files: _Files = []
    for source, names in sources:
        raw = readable_raw(source, day, project.settings, notes, names)
        if raw is not None:
            files.append((source, raw))
    return _ReadyDay(folder, day, files, fingerprint_of(files)) if files else None


def _is_ready(
    ready_day: _ReadyDay, before: Cursor, after: Cursor, now: float, stable_secs: float
) -> bool:
    """Return whether a day is new or changed, and complete; note in the cursor where it stands."""
    folder, day = ready_day.folder, ready_day.day.isoformat()
    if before.done.get(folder, {}).get(day) == ready_day.fingerprint:
        after.done[folder][day] = ready_day.fingerprint
        return False
    fingerprint, since = before.pending.get(folder, {}).get(day, ("", now))
    since = since if fingerprint == ready_day.fingerprint else now
    after.pending[folder][day] = (ready_day.fingerprint, since)
    period = period_name(ready_day.files[0][0].data_type, ready_day.day)
    return now - since >= stable_secs or has_marker(f"{folder}/{period}")


def fingerprint_of(files: Sequence[tuple[Source, RawInput]]) -> str:
    """Return twelve hex digits that change when any of the files does."""
    lines = sorted(f"{source.raw_key.to_user_string()} {raw.stat}" for source, raw in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _take(project: Project, ready: Sequence[_ReadyDay], after: Cursor) -> list[_ReadyDay]:
    """Take as many ready days as one tick may report, and mark them done."""
    reported: list[_ReadyDay] = []
    files = 0
    runs = 0
    for ready_day in ready:
        files += len(ready_day.files)
        runs += len(project.configs)
        if reported and (files > MAX_FILES or runs > max(MAX_RUNS, len(project.configs))):
            break
        reported.append(ready_day)
        day = ready_day.day.isoformat()
        after.done[ready_day.folder][day] = ready_day.fingerprint
        del after.pending[ready_day.folder][day]
    return reported


def _remember(before: Cursor, after: Cursor, names: Iterable[str], days: list[date]) -> None:
    """Keep the days that configurations missed."""
    for name in sorted(names):
        missed = {*before.missed.get(name, ()), *(day.isoformat() for day in days)}
        if missed:
            after.missed[name] = tuple(sorted(missed))


def _missed_runs(
    project: Project,
    configs: Sequence[LoadedConfig],
    before: Cursor,
    after: Cursor,
    most: int,
) -> list[DayRun]:
    """Return the runs of days that configurations missed while they could not be used."""
    runs: list[DayRun] = []
    for loaded in configs:
        days = before.missed.get(loaded.name, ())
        count = max(most - len(runs), 0)
        next_days = [date.fromisoformat(day) for day in days[:count]]
        runs += _runs(project, [loaded], next_days, after)[0]
        if days[count:]:
            after.missed[loaded.name] = days[count:]
    return runs


def _runs(
    project: Project, configs: Sequence[LoadedConfig], days: Sequence[date], after: Cursor
) -> tuple[list[DayRun], list[str]]:
    """Return a run per configuration and day whose files are all there and complete."""
    runs: dict[str, DayRun] = {}
    notes = []
    for day in days:
        for loaded in configs:
            for partition in _partitions_with(loaded, day):
                files, lacking = _files_for(project, loaded, partition, after)
                if files and not lacking:
                    run = DayRun(loaded, partition, fingerprint_of(files))
                    runs[run.run_key] = run
                elif files:
                    notes.append(f"{loaded.name} {partition} waits for {', '.join(lacking)}")
    return [*runs.values()], notes


def _partitions_with(loaded: LoadedConfig, day: date) -> list[date]:
    """Return the result's partitions that a day's (or year's) files belong to, as configured."""
    window = loaded.config.time_window
    if not loaded.config.data_catalog.auto_discover:
        return []
    if loaded.bars is None:
        return [day] if window.overlaps_day(day) else []
    calendar = BarCalendar.of(loaded.bars)
    around = [day] if calendar.is_daily else [day + timedelta(days=shift) for shift in (-1, 0, 1)]
    spans = ((partition, calendar.bounds([partition])) for partition in around)
    return [
        partition
        for partition, span in spans
        if span is not None
        and window.overlaps(*span)
        and day in calendar.catalog_days(calendar.dates(partition))
    ]


def _files_for(
    project: Project, loaded: LoadedConfig, partition: date, after: Cursor
) -> tuple[_Files, list[str]]:
    """Return the complete raw files of a result's partition, and what is not complete."""
    files: _Files = []
    lacking = []
    raw_sources = [item for item in project.sources_of(loaded) if item.upstream is None]
    for source in raw_sources:
        folder = raw_folder_of(source, project.settings)
        for day in catalog_days(loaded, [partition]):
            raw = readable_raw(source, day, project.settings)
            if raw is None and not source.is_required(loaded):
                continue
            if raw is None or day.isoformat() not in after.done.get(folder, {}):
                lacking.append(source.data_type.value)
            else:
                files.append((source, raw))
    return files, [*dict.fromkeys(lacking)]


def _first_partition(project: Project, sources: Sequence[Source]) -> date:
    """Return the first day that is a partition of some sources of one folder."""
    partitions = project.partitions_of(sources[0].data_type)
    return date.fromisoformat(partitions.get_first_partition_key() or "1971-01-01")


def _range_notes(
    folder: str, days: Sequence[date], today: date, project: Project, sources: Sequence[Source]
) -> list[str]:
    start = _first_partition(project, sources)
    notes = []
    if not days:
        notes.append(f"no day folders (day-YYYY-MM-DD) in {folder}")
        if (missing := raw_folder_problem(sources[0], project.settings)) is not None:
            notes.append(missing)
    if early := [day for day in days if day < start]:
        notes.append(
            f"{len(early)} days before {start} in {folder} are no partitions; set "
            f"ODUM_PARTITIONS_START to {early[0]} or earlier"
        )
    if late := [day for day in days if day > today]:
        notes.append(f"days in the future in {folder}: {_names(late)}")
    return notes


def _waiting_notes(after: Cursor, over: int, stable_secs: float) -> list[str]:
    notes = []
    if over > 0:
        notes.append(f"{over} more complete days follow at the next tick of the sensor")
    for folder, days in after.pending.items():
        if waiting := len(days) - over:
            notes.append(
                f"{max(waiting, 1)} day folders in {folder} wait to be unchanged for "
                f"{stable_secs:g} s, or for a file {MARKER}: {_names(sorted(days))}"
            )
    return notes


def _names(days: Sequence[Any]) -> str:
    names = ", ".join(map(str, days[:_MAX_NAMES]))
    return names if len(days) <= _MAX_NAMES else f"{names} and {len(days) - _MAX_NAMES} more"
