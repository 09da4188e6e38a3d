"""The store of finished runs on disk.

Layout under the results path: ``fast/<run_id>.json`` for every run, written last, so that a run
without it does not exist; ``report/<run_id>/`` for runs in report mode; ``tickdata/<run_id>.json``
and ``.parquet`` for exported ticks; ``failed/<run_id>.json`` says why a run left no result;
``logs/<run_id>.log`` is what its strategy printed; ``annotations/<run_id>.json`` has tags and a
note; ``deleted/<run_id>.json`` is the summary of a run whose other files are being removed
(``deletion``); ``partitions/<config>/<partition>.json`` names a partition's latest run, a part of a
day is none. The
variants of a sweep name it in their metadata; none of them is its partition's latest run. What is
not finished lies in work folders in ``.staging``; those of dead processes go with the next.
"""

import difflib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from odum_assets.config.exact_json import write_json
from odum_assets.config.problems import printable
from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.document import check_document
from odum_assets.results.earlier import in_current_form
from odum_assets.results.run_id import is_run_id
from odum_assets.results.stored_file import ResultError, StoredFile
from odum_assets.settings import is_inside
from odum_assets.storage.addresses import address_of, location_of
from odum_assets.storage.buckets import ObjectChangedError
from odum_assets.storage.copies import (
    generation,
    pull,
    pull_folder,
    push,
    withdraw,
    withdraw_if_possible,
)
from odum_assets.storage.files import FREE_SPACE, sync, write_synced
from odum_assets.storage.locks import hold_lock
from odum_assets.storage.objects import ABSENT
from odum_assets.storage.scratch import scratch_folder

__all__ = ["ResultEntry", "ResultError", "ResultStore", "json_text"]

_PUBLISHING = "publishing"
"""File in a work folder that names the run whose files are taking their places."""


@dataclass(frozen=True, slots=True)
class ResultEntry:
    """One finished run in the store.

    Parameters
    ----------
    run_id, mode, config_name, partition, digest : str
        What the run is.
    created_at : str
        Wall-clock time of its end, ISO 8601 (UTC).
    fast_path : Path
        The summary file.
    report_path : Path or None
        The report folder, for runs in report mode.
    document : dict[str, Any]
        Content of the summary file, figures of earlier versions in today's form.
    stored : StoredFile
        The summary file, as it may be opened.
    """

    run_id: str
    mode: str
    config_name: str
    partition: str
    digest: str
    created_at: str
    fast_path: Path
    report_path: Path | None
    document: dict[str, Any]
    stored: StoredFile

    def summary(self) -> dict[str, Any]:
        """Return the summary figures."""
        summary: dict[str, Any] = self.document["summary"]
        return summary

    def metadata(self) -> dict[str, Any]:
        """Return the provenance record."""
        metadata: dict[str, Any] = self.document["metadata"]
        return metadata

    def report_file(self, name: str) -> StoredFile:
        """Return a file of the report folder, whether it exists or not."""
        return self.stored.at("report", self.run_id, name)

    def annotations(self) -> Annotations:
        """Return the tags and the note that people gave the run."""
        return read_annotations(self.stored.at("annotations", f"{self.run_id}.json"))

    @property
    def sweep(self) -> dict[str, Any] | None:
        """Return the sweep's ``id``, the ``variant`` and what is ``varied``; None if it is none."""
        sweep: dict[str, Any] | None = self.metadata().get("sweep")
        return sweep


def _nothing() -> None:
    """Ask nobody."""


class ResultStore:
    """Read and write finished runs.

    Parameters
    ----------
    root : Path
        The results path.
    databases : tuple[Path, ...]
        Databases that this process has open and that do not lie in the results path; see
        `StoredFile`.
    """

    def __init__(self, root: Path, databases: tuple[Path, ...] = ()) -> None:
        self.root = root
        self.databases = databases

    def entries(self, problems: list[str] | None = None) -> list[ResultEntry]:
        """Return all runs, newest first.

        Parameters
        ----------
        problems : list of str, optional
            Takes what is wrong with files that cannot be read; without it the first one is raised.

        Raises
        ------
        ResultError
            If a summary file, and there is no list for it, cannot be read; it is named.
        """
        entries = []
        for path in self.listed("fast"):
            try:
                entries.append(self._read(path.stem, is_current=True))
            except ResultError as error:
                if problems is None:
                    raise
                problems.append(str(error))
        return sorted(entries, key=lambda entry: (entry.created_at, entry.run_id), reverse=True)

    def listed(self, folder: str) -> list[Path]:
        """Return the JSON files of a folder, in order; of a bucket their copies, up to date."""
        pull_folder(self.root / folder, ".json")
        return sorted((self.root / folder).glob("*.json"))

    def file(self, *parts: str, is_current: bool = False) -> StoredFile:
        """Return a file below the results path, as it may be opened."""
        return StoredFile(self.root, parts, self.databases, is_current)

    def entry(self, run_id: str) -> ResultEntry:
        """Return one run.

        Raises
        ------
        ResultError
            If there is no such run; similar ids are named.
        """
        path = self.fast_path(run_id)
        if not path.exists() and not path.is_symlink():
            known = [path.stem for path in self.listed("fast")]
            near = difflib.get_close_matches(run_id, known, n=3, cutoff=0.5)
            hint = f"; did you mean {' or '.join(near)}?" if near else "; see odum results list"
            raise ResultError(f"no result {run_id} in {location_of(self.root)}{hint}")
        return self._read(run_id, is_current=True)

    def current(self, config_name: str, partition: str) -> ResultEntry | None:
        """Return the latest run of a configuration's partition, None when there is none.

        Raises
        ------
        ResultError
            If the file that names it, or its own, cannot be read.
        """
        pointer = self._inside("partitions", config_name, f"{partition}.json")
        file = self.file("partitions", config_name, f"{partition}.json")
        try:
            run_id = file.read_json()["run_id"]
            path = self.fast_path(run_id)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ResultError(
                f"{pointer}: does not name a run ({_reason(error)}); run the backtest again"
            ) from error
        return self._read(run_id, is_current=True) if path.exists() else None

    def fast_path(self, run_id: str) -> Path:
        """Return where a run's summary lies; in a bucket, its copy, up to date.

        Raises
        ------
        ResultError
            If the text is no run id: it never becomes part of a path.
        """
        return self._up_to_date("fast", f"{_checked(run_id)}.json")

    def report_path(self, run_id: str) -> Path:
        """Return where a run's report folder lies; in a bucket, its copy, up to date."""
        path = self.report_folder(run_id)
        pull_folder(path)
        return path

    def report_folder(self, run_id: str) -> Path:
        """Return where a run's report folder lies; in a bucket, its copy, as it is."""
        return self._inside("report", _checked(run_id))

    def ticks_path(self, run_id: str) -> Path:
        """Return where a run's exported ticks lie."""
        return self._up_to_date("tickdata", f"{_checked(run_id)}.json")

    def failed_path(self, run_id: str) -> Path:
        """Return where the record of a run without a result lies."""
        return self._up_to_date("failed", f"{_checked(run_id)}.json")

    def log_path(self, run_id: str) -> Path:
        """Return where it lies what a run's strategy printed."""
        return self._up_to_date("logs", f"{_checked(run_id)}.log")

    def annotations_path(self, run_id: str) -> Path:
        """Return where the tags and the note of a run lie."""
        return self._up_to_date("annotations", f"{_checked(run_id)}.json")

    def is_known(self, run_id: str) -> bool:
        """Return whether there is a result of this id, or the record of a run without one."""
        return self.fast_path(run_id).is_file() or self.failed_path(run_id).is_file()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make a work folder on the file system of the results, removed at the end.

        Those of dead processes are removed first, with the report that such a one had put in its
        place without the summary that makes it a result.
        """
        with scratch_folder(self.root / ".staging", self._forget_unfinished) as folder:
            yield folder

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Make a work folder as `scratch`, and say what to do when the system refuses something."""
        with self.explained(), self.scratch() as folder:
            yield folder

    def publish(
        self,
        document: dict[str, Any],
        report: Path | None,
        *,
        is_current: bool = True,
        require_owner: Callable[[], None] = _nothing,
    ) -> ResultEntry:
        """Store a finished run: whole, or not at all.

        Parameters
        ----------
        document : dict[str, Any]
            The summary file's content.
        report : Path or None
            A finished report folder on the same file system; it is moved.
        is_current : bool, default True
            Whether it becomes its partition's latest run.
        require_owner : callable, optional
            Raises when the run was given up meanwhile: its process was frozen, or cut off, and
            another one does its work. It is asked before the first file, and again between the
            summary and the partition's latest run.

        Returns
        -------
        ResultEntry
            The stored run.

        Raises
        ------
        ResultError
            If it cannot be written, or there is a run of this id already; nothing of it is left.
        """
        run_id, metadata = document["run_id"], document["metadata"]
        summary, target = self.fast_path(run_id), self.report_path(run_id)
        pointer = self.pointer_path(metadata["config_name"], metadata["partition"])
        expected = generation(pointer) if is_current else None
        require_owner()
        with self.explained(), self.scratch() as work:
            text = write_synced(work / "summary", json_text(document))
            name = write_synced(work / "pointer", json_text({"run_id": run_id}))
            for file in [] if report is None else [*report.iterdir(), report]:
                sync(file)
            for place in (summary, target, pointer):
                _make_folder(place.parent)
            point = partial(self._point, name, pointer, expected, require_owner)
            with hold_lock(self.publish_lock):
                self._clear_leftover(summary, target)
                if summary.exists() or target.exists():
                    raise ResultError(
                        f"{run_id}: {location_of(self.root)} has a result of this id already, it "
                        "stays as it is"
                    )
                moves = [] if report is None else [(report, target)]
                moves.append((text, summary))
                self._move_all(work, run_id, moves, point if is_current else require_owner)
        return self._read(run_id)

    def _clear_leftover(self, summary: Path, report: Path) -> None:
        """Remove the report in a bucket that a machine which died has left without a summary."""
        if address_of(self.root) is not None and report.exists() and not summary.exists():
            self.discard(report)

    def _move_all(
        self,
        work: Path,
        run_id: str,
        moves: list[tuple[Path, Path]],
        commit: Callable[[], None],
    ) -> None:
        """Put finished files and folders in their places; take them back on an error."""
        (work / _PUBLISHING).write_text(run_id, encoding="utf-8")
        done: list[tuple[Path, Path]] = []
        sent: list[Path] = []
        try:
            for source, target in moves:
                # In a bucket: a report whose summary does not follow is no result.
                push(source, target, ABSENT)
                sent.append(target)
                source.rename(target)
                done.append((source, target))
                # Before the next: when the power fails, a summary has its report.
                sync(target.parent)
            commit()
        except BaseException as error:
            for source, target in reversed(done):
                target.rename(source)
            # What another process of the same run has written there is not ours to remove.
            if not (isinstance(error, ObjectChangedError) and len(sent) < len(moves)):
                withdraw_if_possible(target for _, target in reversed(moves[: len(sent) + 1]))
            raise

    def _point(
        self,
        source: Path,
        pointer: Path,
        expected: str | None,
        require_owner: Callable[[], None],
    ) -> None:
        """Make a run its partition's latest one, unless it was given up meanwhile."""
        require_owner()
        try:
            push(source, pointer, expected)
        except ObjectChangedError:
            # Another run of the partition was stored meanwhile; this one is later, if it still is.
            require_owner()
            push(source, pointer)
        source.rename(pointer)
        sync(pointer.parent)

    def _forget_unfinished(self, work: Path) -> None:
        """Remove the report of a process that died before its summary was in place."""
        with suppress(OSError, ResultError), hold_lock(self.publish_lock):
            run_id = (work / _PUBLISHING).read_text(encoding="utf-8")
            if not self.fast_path(run_id).exists():
                report = self._inside("report", run_id)
                withdraw_if_possible([report])
                shutil.rmtree(report, ignore_errors=True)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what the system refuses inside into a `ResultError` that says what to do."""
        try:
            yield
        except OSError as error:
            raise ResultError(
                f"{error.filename or self.root}: cannot be read or written "
                f"({error.strerror or error}); {FREE_SPACE}"
            ) from error

    def put(self, source: Path, target: Path, expected: str | None = None) -> None:
        """Give a finished file its name, in a bucket first.

        Parameters
        ----------
        source : Path
            In a work folder.
        target : Path
            In the results.
        expected : str, optional
            As of `odum_assets.storage.copies.push`.
        """
        push(source, target, expected)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)

    def discard(self, path: Path) -> None:
        """Remove a file or a folder, in a bucket too; one that is not there is none to remove."""
        withdraw(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    @property
    def publish_lock(self) -> Path:
        """Return the lock that is held while files take or leave their places."""
        return self.root / ".staging" / ".publish"

    def pointer_path(self, config_name: str, partition: str) -> Path:
        """Return where the name of a partition's latest run lies."""
        return self._up_to_date("partitions", config_name, f"{partition}.json")

    def _up_to_date(self, *parts: str) -> Path:
        """Return a path of the store, after bringing the copy of an object up to date."""
        path = self._inside(*parts)
        pull(path)
        return path

    def _inside(self, *parts: str) -> Path:
        """Return a path of the store, unless a link leads out of it; the root may be one."""
        path = self.root.joinpath(*parts)
        if not is_inside(path, self.root):
            raise ResultError(
                f"{path}: a link leads to {path.resolve()}, outside the results {self.root}. "
                "Remove the link, or set ODUM_RESULTS_PATH to the folder that really holds them."
            )
        return path

    def _read(self, run_id: str, *, is_current: bool = False) -> ResultEntry:
        file = self.file("fast", f"{run_id}.json", is_current=is_current)
        if not is_run_id(run_id):
            raise ResultError(f"{printable(str(file.path))}: not named by a run id; move it away")
        try:
            path = self._inside("fast", f"{run_id}.json")
            document = file.read_json()
            check_document(document, run_id)
            document["summary"] = in_current_form(document["summary"])
            metadata = document["metadata"]
            return ResultEntry(
                run_id=run_id,
                mode=document["mode"],
                config_name=metadata["config_name"],
                partition=metadata["partition"],
                digest=metadata["digest"],
                created_at=metadata["created"],
                fast_path=path,
                report_path=(
                    self._inside("report", run_id) if document["mode"] == "report" else None
                ),
                document=document,
                stored=file.at(*file.parts),
            )
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ResultError(
                f"{printable(str(file.path))}: not a result that this version can read "
                f"({_reason(error)}); move it away or run the backtest again"
            ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return printable(f"{type(error).__name__}: {error}")


def json_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return indented JSON with a final newline, Decimals as numbers; NaN is refused."""
    return write_json(value, indent=2) + "\n"


def _make_folder(folder: Path) -> None:
    """Make a folder and those around it, and wait until they are on the disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for parent in reversed(missing):
        parent.mkdir(exist_ok=True)
        sync(parent.parent)


def _checked(run_id: str) -> str:
    if not is_run_id(run_id):
        raise ResultError(
            f"{run_id!r} is not a run id; one looks like BNF_BTC_20230523_19230000_018dd7_c54988"
        )
    return run_id
