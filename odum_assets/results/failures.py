"""Runs that left no result: why, and what was asked for, kept as ``failed/<run_id>.json``.

They are kept beside the results so that an index over the results can be made anew with them.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from odum_assets.backtest.request import RunRequest
from odum_assets.results.run_id import new_run_id
from odum_assets.results.store import ResultError, ResultStore, json_text
from odum_assets.settings import Settings
from odum_assets.storage.files import write_synced
from odum_assets.utc import DAY_NS, day_start_ns, iso_ns


def run_id_of(request: RunRequest, dagster_run_id: str | None = None) -> str:
    """Return a run id for a request that was not run yet, a fresh one or that of a Dagster run.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    return new_run_id(request.config, _window(request)[0], dagster_run_id)


def request_record(
    request: RunRequest,
    run_id: str,
    dagster_run_id: str | None = None,
    sweep: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what was asked for, JSON-ready: the part of a record that is known before the run.

    Parameters
    ----------
    request : RunRequest
        What was asked for; its days may be missing.
    run_id : str
        The run's id.
    dagster_run_id : str, optional
        The Dagster run that carries it out.
    sweep : dict[str, Any], optional
        Sweep that it is a variant of, as in the provenance of a result.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    start, end = _window(request)
    config = request.config
    algorithm = request.exec_algorithm or config.config.strategy.exec_algorithm
    return {
        "run_id": run_id,
        "mode": request.mode,
        "instrument": str(config.key),
        "start": iso_ns(start),
        "end": None if end is None else iso_ns(end),
        "metadata": {
            "run_id": run_id,
            "mode": request.mode,
            "partition": request.partition,
            "days": [day.isoformat() for day in request.days],
            "config_name": config.name,
            "config_path": str(config.path),
            "config_hash": config.content_hash,
            "config": config.config.model_dump(mode="json", by_alias=True),
            "instrument_key": str(config.key),
            "snapshot_mode": request.snapshot_mode,
            "close_positions": request.close_positions,
            "exec_algorithm": algorithm.model_dump(mode="json"),
            "dagster_run_id": dagster_run_id,
            "sweep": sweep,
        },
    }


def store_failure(
    request: RunRequest,
    settings: Settings,
    error: BaseException,
    dagster_run_id: str | None = None,
    *,
    run_id: str | None = None,
    progress: tuple[float, str] | None = None,
    sweep: dict[str, Any] | None = None,
) -> str:
    """Store why a run failed, or that it was stopped, and return its run id.

    Parameters
    ----------
    request : RunRequest
        What was asked for; its days may be missing.
    settings : Settings
        Where results lie.
    error : BaseException
        Why there is no result. One that is no `Exception`, such as Ctrl-C, means canceled.
    dagster_run_id : str, optional
        The Dagster run that asked for it.
    run_id : str, optional
        The run's id; a new one by default.
    progress : tuple of float and str, optional
        How far it came: the share done (0 to 1), and a text for a person.
    sweep : dict[str, Any], optional
        As of `request_record`.

    Raises
    ------
    ResultError
        If the record cannot be written.
    """
    run_id = run_id_of(request) if run_id is None else run_id
    write_failure(
        settings,
        request_record(request, run_id, dagster_run_id, sweep),
        "failed" if isinstance(error, Exception) else "canceled",
        {"type": type(error).__name__, "message": str(error) or type(error).__name__},
        progress,
    )
    return run_id


def write_failure(
    settings: Settings,
    record: dict[str, Any],
    status: Literal["failed", "canceled"],
    error: dict[str, str],
    progress: tuple[float, str] | None,
) -> None:
    """Write the record of a run that ended without a result, in place of an earlier one.

    Parameters
    ----------
    settings : Settings
        Where results lie.
    record : dict[str, Any]
        From `request_record`.
    status : {"failed", "canceled"}
        How it ended.
    error : dict[str, str]
        Why: ``type`` and ``message``.
    progress : tuple of float and str or None
        How far it came; None where that is not known.

    Raises
    ------
    ResultError
        If the record cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {
        **record,
        "status": status,
        "execution_time": now,
        "error": error,
        "progress": None if progress is None else {"done": progress[0], "text": progress[1]},
    }
    store = ResultStore(settings.results_path)
    path = store.failed_path(record["run_id"])
    with store.explained(), store.scratch() as work:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_synced(work / "record", json_text(document)).rename(path)


def read_failure(store: ResultStore, run_id: str) -> dict[str, Any]:
    """Return the record of a run without a result.

    Raises
    ------
    ResultError
        If it cannot be read; it is named.
    """
    path = store.failed_path(run_id)
    try:
        found = store.file("failed", path.name).read_json()
        if found["run_id"] != run_id:
            raise ValueError(f"it is the record of {found['run_id']}")
        return {"error": found["error"], "metadata": found["metadata"], **found}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(
            f"{path}: not a record of a failed run that this version can read "
            f"({type(error).__name__}: {error}); move it away"
        ) from error


def _window(request: RunRequest) -> tuple[int, int | None]:
    """Return the window that was asked for (ns since 1970)."""
    start, end = request.start_ns, request.end_ns
    if request.days:
        start = day_start_ns(request.days[0]) if start is None else start
        end = day_start_ns(request.days[-1]) + DAY_NS if end is None else end
    if start is None:
        raise ResultError(f"{request.config.name}: a run without days and without a window")
    return start, end
