"""Signals of trained models: what a model predicts on the bars of a session or year."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.orchestration.assets.backtest import convert_sessions, refuse_unusable
from odum_assets.orchestration.assets.configured import signals_declaration
from odum_assets.orchestration.assets.raw import DATA_VERSION_TAG
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, to_metadata
from odum_assets.orchestration.names import OWNERS, model_key, model_labels
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.requests import RunOptions

if TYPE_CHECKING:
    from odum_assets.backtest.bar_signals import SignalsFile


def model_specs(project: Project) -> Iterator[dg.AssetSpec]:
    """Yield the external asset of each model that a configuration names."""
    for label in sorted({label for loaded in project.configs for label in model_labels(loaded)}):
        yield dg.AssetSpec(
            model_key(label),
            description=f"Raw files: {label}, trained and delivered outside. Its data version is "
            "the hash of its content when it predicted last.",
            group_name="models",
            kinds={"raw"},
            owners=OWNERS,
            tags={"stage": "raw"},
        )


def signals_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that has a configuration's model predict."""

    @signals_declaration(
        project,
        loaded,
        description=(
            f"Signals: what the model of `{loaded.name}` predicts at each close, and what it "
            "means, as `signals/<config>/<partition>.parquet` of the results path. The model runs "
            "once in a process of its own; the result reads the same predictions. The data "
            "version is a hash of the rows."
        ),
    )
    def signals(context: dg.AssetExecutionContext) -> Materialized:
        from odum_assets.backtest.bar_signals import write_signals

        partition = context.partition_key
        with failing({"partition": partition, "config": loaded.name}):
            request = RunOptions().day_request(loaded, date.fromisoformat(partition))
            convert_sessions(context.op_execution_context, project, request)
            refuse_unusable(project, request)
            written = write_signals(request, project.settings)
            _report_models(context, written.models)
        return Materialized(
            metadata=_metadata(written), data_version=dg.DataVersion(written.digest)
        )

    return signals


def _report_models(context: dg.AssetExecutionContext, models: Mapping[str, str]) -> None:
    """Report the models that predicted, unless Dagster knows them in this version."""
    for label, sha256 in models.items():
        key, tags = model_key(label), {DATA_VERSION_TAG: sha256}
        latest = context.instance.get_latest_data_version_record(key)
        event = None if latest is None else latest.asset_materialization
        if event is None or (event.tags or {}).get(DATA_VERSION_TAG) != sha256:
            metadata = to_metadata({"sha256": sha256})
            for kind in (dg.AssetObservation, dg.AssetMaterialization):
                context.instance.report_runless_asset_event(
                    kind(key, description=label, metadata=metadata, tags=tags)
                )
        context.get_step_execution_context().wipe_input_asset_version_info(key)


def _metadata(written: "SignalsFile") -> dict[str, dg.MetadataValue[Any]]:
    signs = written.table["signal"].to_pylist()
    return to_metadata(
        {
            "dagster/row_count": len(signs),
            "entries": signs.count(1),
            "exits": signs.count(-1),
            "bars_without_prediction": written.table["prediction"].null_count,
            "models": written.models,
            "file": written.path,
            "digest": written.digest,
        }
    )
