"""Runs that left no result: why, and what was asked for, kept as ``failed/<run_id>.json``.

They are kept beside the results so that an index over the results can be made anew with them.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from odum_assets.backtest.request import DAY_NS, RunRequest, day_start_ns, iso_ns
from odum_assets.results.run_id import new_run_id
from odum_assets.results.store import ResultError, ResultStore, json_text, write_atomic
from odum_assets.settings import Settings


def store_failure(
    request: RunRequest,
    settings: Settings,
    error: BaseException,
    dagster_run_id: str | None = None,
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

    Raises
    ------
    ResultError
        If the record cannot be written.
    """
    created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    start, end = _window(request)
    run_id = new_run_id(request.config, start)
    config = request.config
    algorithm = request.exec_algorithm or config.config.strategy.exec_algorithm
    document = {
        "run_id": run_id,
        "status": "failed" if isinstance(error, Exception) else "canceled",
        "mode": request.mode,
        "instrument": str(config.key),
        "start": iso_ns(start),
        "end": None if end is None else iso_ns(end),
        "execution_time": created,
        "error": {
            "type": type(error).__name__,
            "message": str(error) or type(error).__name__,
        },
        "metadata": {
            "run_id": run_id,
            "created": created,
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
        },
    }
    path = ResultStore(settings.results_path).failed_path(run_id)
    try:
        write_atomic(path, json_text(document))
    except OSError as problem:
        raise ResultError(f"{path}: cannot be written ({problem.strerror})") from problem
    return run_id


def read_failure(path: Path) -> dict[str, Any]:
    """Return a record.

    Raises
    ------
    ResultError
        If it cannot be read; it is named.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["run_id"] != path.stem:
            raise ValueError(f"it is the record of {found['run_id']}")
        return {"error": found["error"], "metadata": found["metadata"], **found}
    except (OSError, ValueError, KeyError, TypeError) as error:
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
