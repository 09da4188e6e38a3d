"""What a step reports beside its own asset: raw files, and assets that the op of a job makes.

What belongs here: events and their lineage, and the calls into Dagster's internals that they need.
What does not: what the reports are about (``assets``).
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Final

import dagster as dg

from odum_assets.errors import DataError
from odum_assets.orchestration.assets.raw import DATA_VERSION_TAG, unreported
from odum_assets.orchestration.metadata import Materialized, StepContext
from odum_assets.orchestration.project import RawInput, Source

_POLL_INTERVAL_S: Final = 0.5


def report_raw(context: StepContext, source: Source, day: date, raw: RawInput) -> None:
    """Report the raw file that a step reads, unless Dagster knows it in this version."""
    for event in unreported(context.instance, [(source, day, raw)]):
        context.instance.report_runless_asset_event(event)
    # Dagster has read the versions of the inputs when the step began. No public call makes it read
    # one of them again, and the materialization would record the version before this one.
    context.get_step_execution_context().wipe_input_asset_version_info(source.raw_key)


def report_materialization(
    context: dg.OpExecutionContext,
    spec: dg.AssetSpec,
    materialized: Materialized,
    partition: str | None,
    days: Sequence[str],
) -> None:
    """Report an asset that an op has made as Dagster reports one that a step of its own makes.

    Parameters
    ----------
    context : dg.OpExecutionContext
        The op.
    spec : dg.AssetSpec
        The asset: its key, code version and inputs.
    materialized : Materialized
        Metadata, data version and verdicts.
    partition : str or None
        The asset's partition.
    days : sequence of str
        Partitions of the inputs that it was made of.
    """
    # Not exported by Dagster. Without it the state of a check by day would not count this verdict.
    from dagster._core.definitions.asset_checks.asset_check_evaluation import (
        AssetCheckEvaluationTargetMaterializationData,
    )

    tags = _lineage(context.instance, spec, days)
    if materialized.data_version is not None:
        tags |= {
            DATA_VERSION_TAG: materialized.data_version.value,
            "dagster/data_version_is_user_provided": "true",
        }
    context.log_event(
        dg.AssetMaterialization(
            spec.key, partition=partition, metadata=materialized.metadata, tags=tags
        )
    )
    where = dg.AssetRecordsFilter(
        asset_key=spec.key, asset_partitions=None if partition is None else [partition]
    )
    # As in `report_raw`: what the op makes later may be made of this.
    context.get_step_execution_context().wipe_input_asset_version_info(spec.key)
    latest = context.instance.fetch_materializations(where, limit=1).records[0]
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=latest.storage_id, run_id=latest.run_id, timestamp=latest.timestamp
    )
    for verdict in materialized.check_results or ():
        evaluation = dg.AssetCheckEvaluation(
            asset_key=spec.key,
            check_name=verdict.check_name or "",
            passed=verdict.passed,
            metadata=verdict.metadata,
            target_materialization_data=target,
            severity=verdict.severity,
            description=verdict.description,
            blocking=_is_blocking(verdict),
            partition=partition,
        )
        # Taken, though the signature does not name it.
        context.log_event(evaluation)  # type: ignore[arg-type]


def require_passed(materialized: Materialized) -> None:
    """Refuse what a blocking check has found bad, once it is reported.

    Raises
    ------
    DataError
        If a check did; the message says what it found.
    """
    bad = [
        f"check {check_result.check_name}: {check_result.description}"
        for check_result in materialized.check_results or ()
        if _is_blocking(check_result) and not check_result.passed
    ]
    if bad:
        raise DataError("\n".join(bad))


def _is_blocking(verdict: dg.AssetCheckResult) -> bool:
    return verdict.severity is dg.AssetCheckSeverity.ERROR


@contextmanager
def pool_slot(context: dg.OpExecutionContext, pool: str) -> Iterator[None]:
    """Hold a slot of a pool for a part of a step that has another pool.

    Dagster gives a step one pool, and has no public call for a second one.
    """
    from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

    name = f"{context.get_step_execution_context().step.key}.{pool}"
    with InstanceConcurrencyContext(context.instance, context.run) as slots:
        while not slots.claim(pool, name):
            time.sleep(_POLL_INTERVAL_S)
        try:
            yield
        finally:
            slots.free_step(name)


def _lineage(
    instance: dg.DagsterInstance, spec: dg.AssetSpec, days: Sequence[str]
) -> dict[str, str]:
    """Return the tags by which Dagster remembers what an asset was made of."""
    tags = {} if spec.code_version is None else {"dagster/code_version": spec.code_version}
    for key in (dep.asset_key for dep in spec.deps):
        latest = instance.get_latest_data_version_record(key)
        name = key.to_user_string()
        # What Dagster writes of an input that nobody has reported.
        version, pointer = "INITIAL", "NULL"
        if latest is not None:
            versions = instance.event_log_storage.get_latest_tags_by_partition(
                key,
                dg.DagsterEventType.ASSET_MATERIALIZATION,
                [DATA_VERSION_TAG],
                asset_partitions=list(days),
            )
            text = "".join(versions[day].get(DATA_VERSION_TAG, "") for day in sorted(versions))
            version, pointer = hashlib.sha256(text.encode()).hexdigest(), str(latest.storage_id)
        tags[f"dagster/input_data_version/{name}"] = version
        tags[f"dagster/input_event_pointer/{name}"] = pointer
    return tags
