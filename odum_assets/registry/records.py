"""What the registry says of a run, by its file or by what was asked for.

What belongs here: the translation of documents into rows; it reads files and knows no database.
The files show percentages, the registry fractions; signs are the same.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from odum_assets.backtest.figures_version import FIGURES_VERSION
from odum_assets.config.hashing import canonical_json
from odum_assets.config.problems import printable
from odum_assets.errors import ConfigError
from odum_assets.instruments import parse_instrument_key
from odum_assets.registry.models import FIGURES
from odum_assets.registry.types import (
    RATIO_DECIMALS,
    RATIO_DIGITS,
    ArtifactKind,
    RunMode,
    RunStatus,
)
from odum_assets.results.earlier import version_of
from odum_assets.results.failures import read_failure
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.results.stored_file import StoredFile
from odum_assets.results.verified import read_verifications
from odum_assets.storage.copies import names_in

type Row = dict[str, Any]

VERIFIED = "verified"
"""Type of the event that tells how a verification ended."""

UNVERSIONED = "unversioned"
"""Version of a strategy whose class has no file."""

PHASE_LIMIT = 255
"""Characters of the text that says how far a run is."""

_UNUSABLE = (
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    ConfigError,
)
"""What a file of unexpected content can lead to; `record_of` names the file instead."""

_TICKS = "tick"
_LARGEST_RATIO = 10 ** (RATIO_DIGITS - RATIO_DECIMALS)
_PERCENTAGES = ("_pct", "win_rate")
_EXTRAPOLATED = ("cagr", "calmar_ratio")
_KINDS = {
    ".json": (ArtifactKind.JSON, "application/json"),
    ".parquet": (ArtifactKind.PARQUET, "application/vnd.apache.parquet"),
    ".html": (ArtifactKind.REPORT, "text/html"),
    ".csv": (ArtifactKind.CSV, "text/csv"),
    ".png": (ArtifactKind.PLOT, "image/png"),
}
_OTHER = (ArtifactKind.REPORT, "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Record:
    """The rows of one run; keys of other tables are not in them yet.

    Parameters
    ----------
    run : dict
        Row of ``runs``.
    dataset, strategy : dict or None
        Rows that it refers to; None where a run failed before they were known.
    artifacts, events : list of dict
        Rows that belong to it.
    path : Path
        The file that says all this.
    problems : list of str
        Files of the run that are left out, each with the reason.
    """

    run: Row
    dataset: Row | None
    strategy: Row | None
    artifacts: list[Row]
    events: list[Row]
    path: Path
    problems: list[str]


def record_of(store: ResultStore, run_id: str) -> Record:
    """Return the rows of a stored run, or of one that failed.

    Raises
    ------
    ResultError
        If there is no such run or its file cannot be read.
    """
    failed = store.failed_path(run_id)
    if failed.is_file() and not store.fast_path(run_id).is_file():
        return _failed(store, run_id)
    return _succeeded(store, store.entry(run_id))


def pending_row(request: Row, status: RunStatus, moment: datetime) -> Row:
    """Return the row of ``runs`` of an active run.

    Parameters
    ----------
    request : dict
        From `odum_assets.results.requested.request_record`.
    status : RunStatus
        Queued or running.
    moment : datetime
        Since when.
    """
    return {
        **_common(request, moment),
        "status": status,
        "dataset_id": None,
        "strategy_id": None,
        "digest": None,
        "progress": Decimal(0),
        "phase": None,
        "updated_at": moment,
        "error": None,
        "error_type": None,
        **summary_figures(None),
        "provenance": _asked(request),
    }


def run_ids(store: ResultStore, problems: list[str] | None = None) -> Iterator[str]:
    """Yield the name of every file that is named as one of a run.

    Parameters
    ----------
    store : ResultStore
        The results.
    problems : list of str, optional
        Takes the files that have no such name.
    """
    for folder in ("fast", "failed"):
        for path in store.listed(folder):
            if is_run_id(path.stem):
                yield path.stem
            elif problems is not None:
                problems.append(f"{printable(str(path))}: not named by a run id; move it away")


def _succeeded(store: ResultStore, entry: ResultEntry) -> Record:
    document, metadata, summary = entry.document, entry.metadata(), _summary(store, entry)
    try:
        created = _moment(entry.created_at)
        run = {
            **_common(document, created),
            "status": RunStatus.SUCCEEDED,
            "digest": entry.digest,
            "progress": Decimal(1),
            "phase": None,
            "updated_at": None,
            "error": None,
            "error_type": None,
            **summary_figures(summary),
            "provenance": {
                name: metadata[name]
                for name in (
                    "sources",
                    "catalog",
                    "volume_curve",
                    "strategy_sha256",
                    "window",
                    "reconciliation",
                    "rows_replayed",
                    "resources",
                    "versions",
                )
            }
            # Results of earlier versions do not know these.
            | {
                name: metadata.get(name)
                for name in ("missing_days", "partial_days", "rows_repeated", "sweep")
            },
        }
        artifacts, problems = _artifacts(store, entry.run_id)
        events = _events(summary, metadata, created)
        events += _verifications(store, entry.run_id, len(events), problems)
        return Record(
            run=run,
            dataset=dataset_row(metadata["instrument_key"], metadata["catalog"], created),
            strategy=strategy_row(
                metadata["config"]["strategy"],
                metadata["exec_algorithm"],
                metadata["strategy_sha256"],
                created,
            ),
            artifacts=artifacts,
            events=events,
            path=entry.fast_path,
            problems=problems,
        )
    except _UNUSABLE as error:
        raise ResultError(
            f"{entry.fast_path}: lacks what the registry needs ({type(error).__name__}: {error}); "
            "run the backtest again"
        ) from error


def _summary(store: ResultStore, entry: ResultEntry) -> Row:
    """Return the summary of a result, by today's rules where its report has what they need."""
    summary = entry.summary()
    if version_of(summary) < FIGURES_VERSION and entry.report_path is not None:
        table = store.file("report", entry.run_id, "equity.parquet")
        from odum_assets.results.recomputed import recomputed

        # What cannot be computed keeps the figures that it has, with their version.
        unknown = (OSError, ValueError, KeyError, TypeError, ArithmeticError, ResultError)
        with suppress(*unknown), table.opened() as equity:
            return recomputed(summary, entry.metadata()["days"], equity)
    return summary


def _failed(store: ResultStore, run_id: str) -> Record:
    path, document = store.failed_path(run_id), read_failure(store, run_id)
    try:
        created = _moment(document["execution_time"])
        error, status = document["error"], RunStatus(document["status"])
        run = {
            **_common(document, created),
            "status": status,
            "digest": None,
            **_progress_of(document),
            "updated_at": None,
            "error": error["message"],
            "error_type": error["type"],
            **summary_figures(None),
            "provenance": _asked(document),
        }
        kinds = ("error", status.value) if status is RunStatus.FAILED else (status.value,)
        events = [_event(index, kind, created, {**error}) for index, kind in enumerate(kinds)]
        artifacts, problems = _artifacts(store, run_id)
        return Record(run, None, None, artifacts, events, path, problems)
    except _UNUSABLE as problem:
        raise ResultError(
            f"{path}: lacks what the registry needs ({type(problem).__name__}: {problem}); "
            "move it away"
        ) from problem


def _progress_of(document: Row) -> Row:
    """Return how far a failed run came."""
    progress = document.get("progress")
    if progress is None:
        return {"progress": None, "phase": None}
    return {
        "progress": Decimal(repr(float(progress["done"]))),
        "phase": progress["text"][:PHASE_LIMIT],
    }


def _asked(document: Row) -> Row:
    """Return the provenance of a run without a result: what was asked for."""
    names = ("run_id", "mode", "instrument", "start", "end", "metadata")
    return {"request": {name: document[name] for name in names}}


def _common(document: Row, created: datetime) -> Row:
    metadata = document["metadata"]
    start = _moment(document["start"])
    end = None if document["end"] is None else _moment(document["end"])
    return {
        "run_id": document["run_id"],
        "run_mode": RunMode.BACKTEST,
        "detail": document["mode"],
        "config_name": metadata["config_name"],
        "config_hash": metadata["config_hash"],
        "partition": metadata["partition"],
        "instrument": metadata["instrument_key"],
        # Results of earlier versions do not name these.
        "dagster_run_id": metadata.get("dagster_run_id"),
        "sweep_id": (metadata.get("sweep") or {}).get("id"),
        "executed_at": created,
        "window_start": start,
        "window_end": end if end is None or end >= start else None,
        "params": {
            "days": metadata["days"],
            "snapshot_mode": metadata["snapshot_mode"],
            "close_positions": metadata["close_positions"],
            "closing": (metadata.get("closing") or {}).get("method"),
            "exec_algorithm": metadata["exec_algorithm"],
        },
    }


def summary_figures(summary: Row | None) -> Row:
    """Return the figures of a run; all unknown for one without a summary."""
    if summary is None:
        return dict.fromkeys(column.name for column in FIGURES)
    return {
        **{column.name: _figure(summary, column.name, column.info["figure"]) for column in FIGURES},
        "figures_version": version_of(summary),
        "flag_count": len(summary["flags"]),
    }


def _figure(summary: Row, name: str, path: str) -> Any:  # noqa: ANN401 - whatever a file says
    """Return a figure of a summary, percentages as fractions; None where it has none."""
    *sections, last = path.split(".")
    for section in sections:
        summary = summary.get(section, {})
    value = summary.get(last)
    if path.endswith(_PERCENTAGES):
        value = _fraction(value)
    # Growth that is extrapolated may be too large for its column.
    if name in _EXTRAPOLATED and value is not None and abs(value) >= _LARGEST_RATIO:
        return None
    return value


def dataset_row(instrument_key: str, partitions: list[Row], created: datetime) -> Row:
    """Return the row of a dataset.

    Parameters
    ----------
    instrument_key : str
        The instrument.
    partitions : list of dict
        Catalog partitions, from `odum_assets.results.provenance.partition_record`.
    created : datetime
        When it was first used, or created.
    """
    key = parse_instrument_key(instrument_key)
    parts = sorted(partitions, key=lambda part: (part["data_type"], part["day"]))
    identity = {
        "instrument": str(key),
        "partitions": [[part["data_type"], part["day"], part["digest"]] for part in parts],
    }
    timeframe = _timeframe(parts)
    days = sorted({part["day"] for part in parts})
    first, last = _midnight(days[0]), _midnight(days[-1])
    span = days[0] if len(days) == 1 else f"{days[0]}..{days[-1]}"
    return {
        "name": f"{key} {span}"[:255],
        "description": None,
        "content_hash": hashlib.sha256(canonical_json(identity).encode()).hexdigest(),
        "instrument": str(key),
        "symbols": [key.symbol],
        "timeframe": timeframe,
        "start_date": first,
        "end_date": last.replace(year=last.year + 1)
        if timeframe == "1d"
        else last + timedelta(days=1),
        "row_count": sum(part["rows"] for part in parts),
        "rejected_count": sum(part["rejected"] for part in parts),
        "partitions": parts,
        "created_at": created,
    }


def _timeframe(parts: list[Row]) -> str:
    """Return the step of bars, or that the data are ticks."""
    steps = {part["data_type"].removeprefix("bars_") for part in parts}
    is_of_bars = all(part["data_type"].startswith("bars_") for part in parts)
    return steps.pop() if is_of_bars and len(steps) == 1 else _TICKS


def strategy_row(section: Row, algorithm: Row, source_sha256: str | None, created: datetime) -> Row:
    """Return the row of a strategy.

    Parameters
    ----------
    section : dict
        Section ``strategy`` of a configuration.
    algorithm : dict
        Execution algorithm: a run may have another one than the configuration's.
    source_sha256 : str or None
        Hash of its module, the version of a strategy that names none.
    created : datetime
        When it was first used, or created.
    """
    section = dict(section)
    name, version = section.pop("name"), section.pop("version", None)
    params = {**section, "exec_algorithm": algorithm}
    return {
        "name": name,
        "version": version or source_sha256 or UNVERSIONED,
        "description": section.get("path"),
        "params": params,
        "params_hash": hashlib.sha256(canonical_json(params).encode()).hexdigest(),
        "created_at": created,
        "updated_at": created,
    }


def _artifacts(store: ResultStore, run_id: str) -> tuple[list[Row], list[str]]:
    """Return the files of a run, and why some of them are left out."""
    own = f"{run_id}.json"
    files = [("fast", own), ("failed", own), ("tickdata", own), ("tickdata", f"{run_id}.parquet")]
    rows: list[Row] = []
    problems: list[str] = []
    try:
        names = names_in(store.report_folder(run_id))
        files += [("report", run_id, name) for name in names]  # type: ignore[misc]
    except (ResultError, OSError) as error:
        problems.append(str(error))
    for parts in files:
        # Hidden files are ones that are still being written.
        if parts[-1].startswith("."):
            continue
        file = store.file(*parts)
        try:
            row = _artifact(file)
        except FileNotFoundError:
            continue
        except (ResultError, OSError, UnicodeError) as error:
            problems.append(printable(f"{error}"))
        else:
            rows.append(row)
    return rows, problems


def _artifact(file: StoredFile) -> Row:
    """Return the row of a file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ResultError
        If it is no file that may be opened, or its name cannot be written down.
    """
    name = file.parts[-1]
    if printable(name) != name:
        raise ResultError(f"{file.path}: a name that is not plain text; rename the file")
    size, mtime_ns = file.size_and_time()
    kind, mime = _KINDS.get(file.path.suffix, _OTHER)
    return {
        "kind": kind,
        "filename": name,
        "storage_path": "/".join(file.parts),
        "mime_type": mime,
        "size_bytes": size,
        "created_at": datetime.fromtimestamp(mtime_ns // 1000 / 1e6, UTC),
    }


def _events(summary: Row, metadata: Row, created: datetime) -> list[Row]:
    """Return what a reader of a run should know, in order: market, refusals, flags, the end."""
    window = metadata["window"]
    events = [
        ("market_start", _moment(window["first_trade"]), {"ts": window["first_trade"]}),
        ("market_end", _moment(window["last_trade"]), {"ts": window["last_trade"]}),
        ("metric", created, {"rows_replayed": metadata["rows_replayed"], **metadata["resources"]}),
        *(
            ("refusal", created, {"reason": reason, "orders": count})
            for reason, count in sorted(summary["refusals"].items())
        ),
        *(("warning", created, {"text": flag}) for flag in summary["flags"]),
        (RunStatus.SUCCEEDED.value, created, {"digest": metadata["digest"]}),
    ]
    return [_event(index, *event) for index, event in enumerate(events)]


def _verifications(store: ResultStore, run_id: str, first: int, problems: list[str]) -> list[Row]:
    """Return an event for each verification; a damaged file is a problem, not the run's end."""
    file = store.file("verifications", f"{run_id}.json")
    try:
        verifications = read_verifications(file)
    except ResultError as error:
        problems.append(printable(str(error)))
        return []
    return [
        _event(first + item.number, VERIFIED, _moment(item.verified_at), asdict(item))
        for item in verifications
    ]


def _event(sequence: int, kind: str, moment: datetime, payload: Row) -> Row:
    return {"sequence": sequence, "event_type": kind, "timestamp": moment, "payload": payload}


def _fraction(percent: float | None) -> Decimal | None:
    return None if percent is None else Decimal(repr(percent)).scaleb(-2)


def _moment(text: str) -> datetime:
    """Return an ISO 8601 time in UTC to the microsecond."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)
