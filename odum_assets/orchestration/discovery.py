"""Which day folders are new or changed, which are complete, and which runs follow.

Pure but for listing folders: what Dagster already knows and what it is told stays with the sensor.
A day folder counts as complete when it holds the marker ``_SUCCESS``, or when nothing in it changed
between two looks far enough apart; times of change alone would trust a copy that keeps them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Self

from odum_assets.config import LoadedConfig, raw_path
from odum_assets.errors import ConfigError, DataError
from odum_assets.orchestration.project import (
    Project,
    RawFound,
    Source,
    day_has_marker,
    feed_of,
    feed_problem,
    list_feed_days,
    readable_raw,
)
from odum_assets.raw.layout import MARKER

MAX_FILES: Final = 200
"""Files reported per look; one costs about twenty milliseconds and a sensor has sixty seconds."""

MAX_RUNS: Final = 50
"""Runs requested per look, so that the run queue fills gradually."""

_SHOWN: Final = 5

type _Files = list[tuple[Source, RawFound]]


@dataclass(frozen=True, slots=True)
class Cursor:
    """What earlier looks saw.

    Parameters
    ----------
    done : dict[str, dict[str, str]]
        By feed and day, the fingerprint that was reported.
    pending : dict[str, dict[str, tuple[str, float]]]
        By feed and day, the fingerprint that was last seen, and since when (seconds since 1970).
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
                str(feed): {str(day): str(found) for day, found in days.items()}
                for feed, days in content["done"].items()
            }
            pending = {
                str(feed): {str(day): (str(seen), float(since)) for day, (seen, since) in each}
                for feed, each in (
                    (feed, days.items()) for feed, days in content["pending"].items()
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
class Look:
    """What a look found.

    Parameters
    ----------
    files : tuple[tuple[Source, date, RawFound], ...]
        Files of complete days that are new or changed, or lie in such a day.
    runs : tuple[DayRun, ...]
        Runs that follow.
    cursor : Cursor
        For the next look.
    notes : tuple[str, ...]
        What it waits for, for a person.
    """

    files: tuple[tuple[Source, date, RawFound], ...]
    runs: tuple[DayRun, ...]
    cursor: Cursor
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    feed: str
    day: date
    files: _Files
    fingerprint: str


def look(
    project: Project,
    before: Cursor,
    *,
    now: float,
    today: date,
    stable_secs: float,
    unusable: Mapping[str, str] | None = None,
) -> Look:
    """Look at all day folders that configurations point to.

    Parameters
    ----------
    project : Project
        The configurations.
    before : Cursor
        What the last look left.
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
        unusable = {each.name: str(each) for each in project.refused}
    feeds, notes = _feeds(project)
    notes += unusable.values()
    after = Cursor({feed: {} for feed in feeds}, {feed: {} for feed in feeds})
    ready: list[_Found] = []
    for feed, sources in feeds.items():
        try:
            days = list_feed_days(feed)
        except DataError as error:
            # What cannot be reached now is not gone.
            after.done[feed] = dict(before.done.get(feed, {}))
            after.pending[feed] = dict(before.pending.get(feed, {}))
            notes.append(str(error))
            continue
        notes += _range_notes(feed, days, today, project, sources)
        start = project.settings.partitions_start
        for day in [day for day in days if start <= day <= today]:
            found = _find(feed, day, sources, project, notes)
            if found is not None and _is_ready(found, before, after, now, stable_secs):
                ready.append(found)
    taken = _take(project, sorted(ready, key=lambda each: (each.day, each.feed)), after)
    days = sorted({each.day for each in taken})
    configs = [each for each in project.configs if each.name not in unusable]
    runs, run_notes = _runs(project, configs, days, after)
    runs += _missed_runs(project, configs, before, after, MAX_RUNS - len(runs))
    _remember(before, after, unusable, days)
    files = tuple((source, each.day, raw) for each in taken for source, raw in each.files)
    notes += run_notes + _waiting_notes(after, len(ready) - len(taken), stable_secs)
    return Look(files, tuple(runs), after, tuple(notes))


def _feeds(project: Project) -> tuple[dict[str, list[Source]], list[str]]:
    feeds: dict[str, list[Source]] = {}
    notes = []
    for source in project.sources:
        try:
            raw_path(source.loaded, source.data_type.value, date(2000, 1, 1), project.settings)
        except ConfigError as error:
            notes.append(str(error))
            continue
        feeds.setdefault(feed_of(source, project.settings), []).append(source)
    return feeds, notes


def _find(
    feed: str, day: date, sources: Sequence[Source], project: Project, notes: list[str]
) -> _Found | None:
    """Return the files of a day folder, None when there is none that a configuration names.

    One that cannot be read is named, and waited for by those who need it.
    """
    files: _Files = []
    for source in sources:
        raw = readable_raw(source, day, project.settings, notes)
        if raw is not None:
            files.append((source, raw))
    return _Found(feed, day, files, fingerprint_of(files)) if files else None


def _is_ready(found: _Found, before: Cursor, after: Cursor, now: float, stable_secs: float) -> bool:
    """Return whether a day is new or changed, and complete; note in the cursor where it stands."""
    feed, day = found.feed, found.day.isoformat()
    if before.done.get(feed, {}).get(day) == found.fingerprint:
        after.done[feed][day] = found.fingerprint
        return False
    seen, since = before.pending.get(feed, {}).get(day, ("", now))
    since = since if seen == found.fingerprint else now
    after.pending[feed][day] = (found.fingerprint, since)
    return now - since >= stable_secs or day_has_marker(feed, found.day)


def fingerprint_of(files: Sequence[tuple[Source, RawFound]]) -> str:
    """Return twelve hex digits that change when any of the files does."""
    lines = sorted(f"{source.raw_key.to_user_string()} {raw.stat}" for source, raw in files)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _take(project: Project, ready: Sequence[_Found], after: Cursor) -> list[_Found]:
    """Take as many ready days as one look may report, and mark them done."""
    taken: list[_Found] = []
    files = 0
    runs = 0
    for each in ready:
        files += len(each.files)
        runs += len(project.configs)
        if taken and (files > MAX_FILES or runs > max(MAX_RUNS, len(project.configs))):
            break
        taken.append(each)
        day = each.day.isoformat()
        after.done[each.feed][day] = each.fingerprint
        del after.pending[each.feed][day]
    return taken


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
        kept = max(most - len(runs), 0)
        runs += _runs(project, [loaded], [date.fromisoformat(day) for day in days[:kept]], after)[0]
        if days[kept:]:
            after.missed[loaded.name] = days[kept:]
    return runs


def _runs(
    project: Project, configs: Sequence[LoadedConfig], days: Sequence[date], after: Cursor
) -> tuple[list[DayRun], list[str]]:
    """Return a run per configuration and day whose files are all there and complete."""
    runs, notes = [], []
    for day in days:
        for loaded in configs:
            catalog, window = loaded.config.data_catalog, loaded.config.time_window
            if not catalog.auto_discover or not window.overlaps_day(day):
                continue
            files: _Files = []
            lacking = []
            for source in project.sources_of(loaded):
                feed = feed_of(source, project.settings)
                raw = readable_raw(source, day, project.settings)
                if raw is None or day.isoformat() not in after.done.get(feed, {}):
                    lacking.append(source.data_type.value)
                else:
                    files.append((source, raw))
            if not lacking:
                runs.append(DayRun(loaded, day, fingerprint_of(files)))
            elif files:
                notes.append(f"{loaded.name} {day} waits for {', '.join(lacking)}")
    return runs, notes


def _range_notes(
    feed: str, days: Sequence[date], today: date, project: Project, sources: Sequence[Source]
) -> list[str]:
    start = project.settings.partitions_start
    notes = []
    if not days:
        notes.append(f"no day folders (day-YYYY-MM-DD) in {feed}")
        if (missing := feed_problem(sources[0], project.settings)) is not None:
            notes.append(missing)
    if early := [day for day in days if day < start]:
        notes.append(
            f"{len(early)} days before {start} in {feed} are no partitions; set "
            f"ODUM_PARTITIONS_START to {early[0]} or earlier"
        )
    if late := [day for day in days if day > today]:
        notes.append(f"days in the future in {feed}: {_names(late)}")
    return notes


def _waiting_notes(after: Cursor, over: int, stable_secs: float) -> list[str]:
    notes = []
    if over > 0:
        notes.append(f"{over} more complete days follow at the next tick of the sensor")
    for feed, days in after.pending.items():
        if waiting := len(days) - over:
            notes.append(
                f"{max(waiting, 1)} day folders in {feed} wait to be unchanged for "
                f"{stable_secs:g} s, or for a file {MARKER}: {_names(sorted(days))}"
            )
    return notes


def _names(days: Sequence[Any]) -> str:
    shown = ", ".join(map(str, days[:_SHOWN]))
    return shown if len(days) <= _SHOWN else f"{shown} and {len(days) - _SHOWN} more"
