"""Runs that left no result: why, and what was asked for, kept as ``failed/<run_id>.json``.

They are kept beside the results so that an index over the results can be rebuilt with them.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from odum_assets.backtest.request import RunRequest
from odum_assets.results.requested import request_record
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultError, ResultStore, json_text
from odum_assets.settings import Settings
from odum_assets.storage.files import write_synced


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
        store.put(write_synced(work / "record", json_text(document)), path)


def read_failure(store: ResultStore, run_id: str) -> dict[str, Any]:
    """Return the record of a run without a result.

    Raises
    ------
    ResultError
        If it cannot be read; it is named.
    """
    path = store.failed_path(run_id)
    try:
        document = store.file("failed", path.name).read_json()
        if document["run_id"] != run_id:
            raise ValueError(f"it is the record of {document['run_id']}")
        return {"error": document["error"], "metadata": document["metadata"], **document}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(
            f"{path}: not a record of a failed run that this version can read "
            f"({type(error).__name__}: {error}); move it away"
        ) from error
