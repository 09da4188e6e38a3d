"""The record of a run that was asked for: what is known before it is run."""

from typing import Any

from odum_assets.backtest.request import RunRequest
from odum_assets.results.run_id import requested_window
from odum_assets.utc import iso_ns


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
    start, end = requested_window(request)
    config = request.config
    bounds = {"start_ns": request.start_ns, "end_ns": request.end_ns}
    algorithm = None if config.bars else request.algorithm
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
            "window": {
                name: None if bound is None else str(bound) for name, bound in bounds.items()
            },
            "refuse_missing_days": request.refuse_missing_days,
            "config_name": config.name,
            "config_path": str(config.path),
            "config_hash": config.content_hash,
            "config": config.config.model_dump(mode="json", by_alias=True),
            "instrument_key": str(config.key),
            "engine": request.engine,
            "snapshot_mode": request.snapshot_mode,
            "close_positions": request.close_positions,
            "closing": closing_record(request),
            "exec_algorithm": None if algorithm is None else algorithm.model_dump(mode="json"),
            "overrides": dict(request.overrides),
            "log_level": request.log_level,
            "export_ticks": request.export_ticks,
            "dagster_run_id": dagster_run_id,
            "sweep": sweep,
        },
    }


def closing_record(request: RunRequest) -> dict[str, Any] | None:
    """Return how a request closes positions, None where it leaves them open."""
    chosen = request.effective_closing
    return None if chosen is None else chosen.model_dump(mode="json")
