"""Where a result comes from: every input with its fingerprint, every version, the run's options."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.run import CompletedRun
from odum_assets.catalog import PartitionManifest
from odum_assets.results.coverage import missing_days, partial_days
from odum_assets.results.json_figures import texts
from odum_assets.results.requested import closing_record
from odum_assets.utc import iso_ns

METADATA_VERSION = 1
_OF_ORDERS = {"named", "sha256", "orders", "before", "after"}


def build_metadata(
    run: CompletedRun, run_id: str, created: str, digest: str, sweep: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the provenance record of a run, JSON-ready; nanosecond times are texts.

    Parameters
    ----------
    run : CompletedRun
        The finished run.
    run_id : str
        Its id.
    created : str
        Wall-clock time of its end, ISO 8601.
    digest : str
        Digest of tables and balances.
    sweep : dict[str, Any] or None
        Which variant of which sweep the run is; None for a run by itself.
    """
    request, outcome, figures = run.request, run.outcome, run.figures
    config = request.config
    algorithm = run.plan.exec_algorithm if isinstance(run.plan, RunPlan) else None
    metadata = {
        "metadata_version": METADATA_VERSION,
        "run_id": run_id,
        "created": created,
        "digest": digest,
        "mode": request.mode,
        "partition": request.partition,
        "days": [day.isoformat() for day in request.days],
        "missing_days": missing_days(run),
        "partial_days": partial_days(run),
        "window": {
            "start_ns": None if request.start_ns is None else str(request.start_ns),
            "end_ns": None if request.end_ns is None else str(request.end_ns),
            "first_trade_ns": str(figures.first_ns),
            "last_trade_ns": str(figures.last_ns),
            "first_trade": iso_ns(figures.first_ns),
            "last_trade": iso_ns(figures.last_ns),
        },
        "config_name": config.name,
        "config_path": str(config.path),
        "config_hash": config.content_hash,
        "config": config.config.document(),
        "config_notes": list(config.notes),
        "instrument_key": str(config.key),
        "instrument_id": config.key.nautilus_id,
        "engine": request.engine,
        "witness": None if run.witness is None else run.witness.record(),
        "snapshot_mode": request.snapshot_mode,
        "close_positions": request.close_positions,
        "closing": closing_record(request),
        "exec_algorithm": {} if algorithm is None else algorithm.model_dump(mode="json"),
        "refuse_missing_days": request.refuse_missing_days,
        "log_level": request.log_level,
        "strategy_sha256": outcome.strategy_sha256,
        "strategy_modules": outcome.strategy_modules,
        "sources": [_source(manifest) for manifest in run.inputs.manifests],
        "catalog": [partition_record(manifest) for manifest in run.inputs.manifests],
        "volume_curve": {
            "days": [partition_record(day) for day in run.curve_days],
            "uniform": not run.curve_days,
        }
        if algorithm is not None and algorithm.type == "VWAP"
        else None,
        "sweep": sweep,
        "reconciliation": texts(asdict(figures.reconciliation)),
        "rows_replayed": run.inputs.rows,
        "rows_repeated": run.inputs.repeated,
        "resources": asdict(figures.resources),
        "versions": {
            "odum_assets": version("odum-assets"),
            "nautilus_trader": version("nautilus_trader"),
            "pyarrow": version("pyarrow"),
            "python": platform.python_version(),
        },
    }
    if config.bars is not None:
        metadata["instrument_keys"] = [str(key) for key in config.keys]
        metadata["sessions"] = [day.isoformat() for day in request.sessions]
    if request.overrides:
        metadata["overrides"] = dict(request.overrides)
    if run.plan.strategy_inputs:
        metadata["strategy_inputs"] = run.plan.strategy_inputs
    orders = run.plan.orders if isinstance(run.plan, RunPlan) else None
    if orders is not None:
        metadata["orders_file"] = orders.model_dump(mode="json", include=_OF_ORDERS)
    return metadata


def _source(manifest: PartitionManifest) -> dict[str, Any]:
    return {
        **_instrument(manifest),
        "data_type": manifest.data_type.value,
        "day": manifest.day.isoformat(),
        "path": manifest.source.path,
        "size": manifest.source.size,
        "sha256": manifest.source.sha256,
    }


def partition_record(manifest: PartitionManifest) -> dict[str, Any]:
    """Return what a result says of a catalog partition that it read."""
    return {
        **_instrument(manifest),
        "data_type": manifest.data_type.value,
        "day": manifest.day.isoformat(),
        "rows": manifest.rows_written,
        "rejected": manifest.rows_rejected,
        "digest": manifest.digest,
    }


def _instrument(manifest: PartitionManifest) -> dict[str, str]:
    """Return whose bars a partition holds: a run on ticks has one instrument."""
    return {"instrument": manifest.key} if manifest.data_type.is_bars else {}
