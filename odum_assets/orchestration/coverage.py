"""The state of very many partitions at once: calendars of instruments and days.

The rules are those of `partition_state`. Folders are listed once instead of asking for each file,
and what was read of a manifest is kept while its file is the same.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic_core import from_json

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.checks import CATALOG_CHECKS
from odum_assets.orchestration.partition_state import (
    Conversion,
    Partition,
    State,
    describe_partition,
    expected_conversion,
    raw_damage,
    recorded_conversion,
    state_of,
)
from odum_assets.orchestration.project import (
    Project,
    RawInput,
    Source,
    raw_folder_of,
    raw_names,
)
from odum_assets.orchestration.raw_folders import RawFolders
from odum_assets.raw.fingerprint import FileStat
from odum_assets.raw.layout import DataType, is_url, list_entries, local_path
from odum_assets.storage.locks import shared

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest

type Checked = Literal["passed", "warned", "refused"]
"""What the checks of a partition come to."""

_MOST_OPENED: Final = 1_000
"""Raw files that are opened for one calendar; another request goes on with the others."""

_UNUSABLE: Final = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, DataError)
"""What a manifest of unexpected content can lead to."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One partition of a calendar.

    Parameters
    ----------
    state : State
        What there is.
    rows, rejected : int or None
        Rows in the catalog, and rejected ones; None without a partition.
    checked : Checked or None
        What the checks come to, by the thresholds of all configurations that read it.
    problem : str or None
        What cannot be read.
    """

    state: State
    rows: int | None = None
    rejected: int | None = None
    checked: Checked | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a calendar needs of a manifest; None for all where it cannot be read."""

    recorded: tuple[FileStat, Conversion] | None
    rows: int | None = None
    rejected: int | None = None
    checked: Checked | None = None
    problem: str | None = None


_ABSENT: Final = _Known(None)

type _Identity = tuple[int, int, int]
type _Folder = dict[str, tuple[_Identity, _Known]]
"""Manifests of a folder by the names of their files."""


@dataclass(slots=True)
class CoverageReader:
    """Read calendars, and keep what was read of manifests."""

    _folders: dict[tuple[Path, tuple[str, ...]], _Folder] = field(default_factory=dict)
    _damage: dict[str, tuple[FileStat, str | None]] = field(default_factory=dict)
    """Raw files that were opened, as they were then, with what is wrong with them."""
    _left: int = 0
    """Files that may still be opened for the calendar that is being read."""

    def read(
        self,
        project: Project,
        sources: Sequence[Source],
        days: Sequence[date],
        proceed: Callable[[], None] = lambda: None,
    ) -> list[list[Cell]]:
        """Return a cell for each source and day.

        Parameters
        ----------
        project : Project
            Where everything lies.
        sources : sequence of Source
            Instruments and data types.
        days : sequence of date
            UTC days.
        proceed : callable, optional
            Called before each source, to raise when nobody waits any more.
        """
        raw = RawFolders()
        self._left = _MOST_OPENED
        cells = []
        for source in sources:
            proceed()
            periods = [source.partition_of(day) for day in days]
            of_period = self._cells(project, source, list(dict.fromkeys(periods)), raw)
            cells.append([of_period[period] for period in periods])
        return cells

    def _cells(
        self, project: Project, source: Source, days: Sequence[date], raw: RawFolders
    ) -> dict[date, Cell]:
        folder = raw_folder_of(source, project.settings)
        if source.upstream is not None or is_url(folder):
            return {day: self._cell_of_partition(project, source, day) for day in days}
        known = self._known(project, source)
        expected = expected_conversion(source)
        names, cells = raw_names(source, project.settings), {}
        for day in days:
            file, is_known = raw.find(names, source.data_type, day)
            entry = known.get(f"{day.isoformat()}.json", _ABSENT)
            if not is_known or entry is None:
                cells[day] = self._cell_of_partition(project, source, day)
                continue
            cells[day] = self._opened(_cell(file, entry, expected), file, source.data_type)
        return cells

    def _cell_of_partition(self, project: Project, source: Source, day: date) -> Cell:
        """Return a cell by looking at its partition alone."""
        part = describe_partition(project, source, day)
        return self._opened(_cell_of(part), part.raw, (source.upstream or source).data_type)

    def opened(self, parts: Sequence[Partition]) -> list[Partition]:
        """Return partitions that say so where their raw file is damaged, as calendars do."""
        left, opened = _MOST_OPENED, []
        for part in parts:
            kind = (part.source.upstream or part.source).data_type
            was_opened, damage = self._damage_of(part.state, part.raw, kind, left > 0)
            left -= was_opened
            if damage is not None:
                problems = (*part.problems, damage)
                part = replace(part, state=State.UNREADABLE, problems=problems)  # noqa: PLW2901
            opened.append(part)
        return opened

    def _opened(self, cell: Cell, raw: RawInput | None, kind: DataType) -> Cell:
        """Return a cell that says so where the raw file to convert is damaged."""
        was_opened, damage = self._damage_of(cell.state, raw, kind, self._left > 0)
        self._left -= was_opened
        return cell if damage is None else replace(cell, state=State.UNREADABLE, problem=damage)

    def _damage_of(
        self, state: State, raw: RawInput | None, kind: DataType, may_open: bool
    ) -> tuple[bool, str | None]:
        """Return whether a raw file was opened, and what is wrong with it if that is known.

        Opening is slow beside listing: only what is to be converted is opened, so many files in one
        calendar, and each again only when it has changed.
        """
        if state not in (State.NEW, State.STALE) or raw is None or is_url(raw.path):
            return False, None
        path = str(local_path(raw.path))
        before = self._damage.get(path)
        if before is not None and before[0] == raw.stat:
            return False, before[1]
        if not may_open:
            return False, None
        damage = raw_damage(path, kind)
        self._damage[path] = raw.stat, damage
        return True, damage

    def _known(self, project: Project, source: Source) -> dict[str, _Known | None]:
        """Return what the manifests of a source say, by the names of their files.

        None stands for a link, which is to be looked at by itself.
        """
        from odum_assets.catalog.links import require_inside
        from odum_assets.catalog.paths import manifest_folder, manifest_lock

        root, configs = project.catalog_root(source.loaded), source.named_by
        folder = manifest_folder(root, source.key, source.data_type)
        require_inside(root, folder)
        key = folder, tuple(config.content_hash for config in configs)
        before = self._folders.get(key, {})
        now: _Folder = {}
        links: dict[str, _Known | None] = {}
        with shared(manifest_lock(root, source.key.slug, source.data_type.value)):
            for entry in list_entries(folder):
                if not entry.name.endswith(".json"):
                    continue
                if entry.is_symlink():
                    links[entry.name] = None
                    continue
                stat = entry.stat()
                identity = stat.st_mtime_ns, stat.st_size, stat.st_ino
                earlier = before.get(entry.name)
                if earlier is None or earlier[0] != identity:
                    earlier = identity, _read(entry.path, stat.st_size, configs)
                now[entry.name] = earlier
        self._folders[key] = now
        return {name: known for name, (_, known) in now.items()} | links


def _read(path: str, size: int, configs: Sequence[LoadedConfig]) -> _Known:
    """Return what a manifest says."""
    from odum_assets.catalog.manifest import assembled

    try:
        # Several times as fast as the standard library, and there may be tens of thousands.
        manifest = assembled(from_json(_content(path, size), allow_inf_nan=False))
        return _Known(
            recorded_conversion(manifest),
            manifest.rows_written,
            manifest.rows_rejected,
            _checked(manifest, configs),
        )
    except FileNotFoundError:
        return _ABSENT
    except (*_UNUSABLE, OSError) as error:
        return _Known(None, problem=f"{path}: the manifest cannot be used ({error})")


def _content(path: str, size: int) -> bytes:
    """Return what is in a file of a size; files are replaced whole, never changed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _checked(manifest: "PartitionManifest", configs: Sequence[LoadedConfig]) -> Checked:
    """Return what the checks come to, as `checks.evaluate_partition`, without its texts."""
    outcome: Checked = "passed"
    for check in CATALOG_CHECKS[manifest.data_type]:
        for config in configs:
            if not check.evaluate_for(manifest, config).passed:
                if check.refuses(config):
                    return "refused"
                outcome = "warned"
    return outcome


def _cell(raw: RawInput | None, known: _Known, expected: Conversion) -> Cell:
    stat = None if raw is None else raw.stat
    state = state_of(stat, known.recorded, expected, is_damaged=known.problem is not None)
    return Cell(state, known.rows, known.rejected, known.checked, known.problem)


def _cell_of(part: Partition) -> Cell:
    problem = part.problems[0] if part.problems else None
    if part.manifest is None:
        return Cell(part.state, problem=problem)
    manifest = part.manifest
    try:
        checked = _checked(manifest, part.source.named_by)
    except _UNUSABLE as error:
        return Cell(part.state, manifest.rows_written, manifest.rows_rejected, None, str(error))
    return Cell(part.state, manifest.rows_written, manifest.rows_rejected, checked, problem)
