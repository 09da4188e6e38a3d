"""Where a result comes from: every input with its fingerprint, every version, the run's options."""

import platform
from importlib.metadata import version
from typing import Any

from odum_assets.catalog import PartitionManifest
from odum_assets.results.coverage import missing_days, partial_days
from odum_assets.results.execution import Executed
from odum_assets.utc import iso_ns

METADATA_VERSION = 1


def build_metadata(run: Executed, run_id: str, created: str) -> dict[str, Any]:
    """Return the provenance record of a run, JSON-ready; nanosecond times are texts.

    Parameters
    ----------
    run : Executed
        The finished run.
    run_id : str
        Its id.
    created : str
        Wall-clock time of its end, ISO 8601.
    """
    request, outcome = run.request, run.outcome
    config = request.config
    return {
        "metadata_version": METADATA_VERSION,
        "run_id": run_id,
        "created": created,
        "digest": run.digest,
        "mode": request.mode,
        "partition": request.partition,
        "days": [day.isoformat() for day in request.days],
        "missing_days": missing_days(run),
        "partial_days": partial_days(run),
        "window": {
            "start_ns": None if request.start_ns is None else str(request.start_ns),
            "end_ns": None if request.end_ns is None else str(request.end_ns),
            "first_trade_ns": str(outcome["first_ns"]),
            "last_trade_ns": str(outcome["last_ns"]),
            "first_trade": iso_ns(outcome["first_ns"]),
            "last_trade": iso_ns(outcome["last_ns"]),
        },
        "config_name": config.name,
        "config_path": str(config.path),
        "config_hash": config.content_hash,
        "config": config.config.document(),
        "instrument_key": str(config.key),
        "instrument_id": config.key.nautilus_id,
        "snapshot_mode": request.snapshot_mode,
        "close_positions": request.close_positions,
        "exec_algorithm": run.exec_algorithm.model_dump(mode="json"),
        "strategy_sha256": outcome["strategy_sha256"],
        "strategy_modules": outcome["strategy_modules"],
        "sources": [_source(each) for each in run.manifests],
        "catalog": [_partition(each) for each in run.manifests],
        "volume_curve": {
            "days": [_partition(each) for each in run.curve_days],
            "uniform": not run.curve_days,
        }
        if run.exec_algorithm.type == "VWAP"
        else None,
        "sweep": run.sweep,
        "reconciliation": outcome["reconciliation"],
        "rows_replayed": run.rows_replayed,
        "rows_repeated": run.repeated,
        "resources": outcome["resources"],
        "versions": {
            "odum_assets": version("odum-assets"),
            "nautilus_trader": version("nautilus_trader"),
            "pyarrow": version("pyarrow"),
            "python": platform.python_version(),
        },
    }


def _source(manifest: PartitionManifest) -> dict[str, Any]:
    return {
        "data_type": manifest.data_type.value,
        "day": manifest.day.isoformat(),
        "path": manifest.source.path,
        "size": manifest.source.size,
        "sha256": manifest.source.sha256,
    }


def _partition(manifest: PartitionManifest) -> dict[str, Any]:
    return {
        "data_type": manifest.data_type.value,
        "day": manifest.day.isoformat(),
        "rows": manifest.rows_written,
        "rejected": manifest.rows_rejected,
        "digest": manifest.digest,
    }
