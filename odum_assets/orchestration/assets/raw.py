"""Raw day files: external assets. Sensor and conversions report what lies on disk."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

import dagster as dg

from odum_assets.orchestration.names import OWNERS
from odum_assets.orchestration.project import Project, RawInput, Source, raw_folder_of

DATA_VERSION_TAG: Final = "dagster/data_version"


def raw_spec(project: Project, source: Source) -> dg.AssetSpec:
    """Return the external asset of one instrument's raw files of one type."""
    names = ", ".join(loaded.name for loaded in source.named_by)
    return dg.AssetSpec(
        source.raw_key,
        description=(
            f"Raw files: {source.data_type.value} of {source.key}, one per "
            f"{'year' if source.data_type.is_yearly else 'day'}, delivered from "
            "outside and never written to. A green day is one that the sensor raw_days (or the "
            "conversion) found on disk; its data version is the file's size and time of change.\n"
            f"\nRead by: {names}."
        ),
        group_name=source.key.slug,
        kinds={"parquet", "raw"},
        owners=OWNERS,
        tags=stage_tags("raw", source),
        partitions_def=project.partitions_of(source.data_type),
        metadata={
            "instrument": str(source.key),
            "files": f"{raw_folder_of(source, project.settings)}/"
            f"{''.join(source.template_parts[1:])}",
        },
    )


def unreported(
    instance: dg.DagsterInstance, files: Iterable[tuple[Source, date, RawInput]]
) -> Iterator[dg.AssetObservation | dg.AssetMaterialization]:
    """Yield the reports that Dagster does not have yet, file by file, with their data version.

    A materialization is what makes a day present. Dagster marks what was made of an external asset
    as out of date by observations only, so there is one, too. It comes first: a run remembers the
    latest materialization, and what is observed after that is new.
    """
    for source, day, raw in files:
        partition = day.isoformat()
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=source.raw_key, asset_partitions=[partition]), limit=1
        ).records
        latest = records[0].asset_materialization if records else None
        if latest is None or (latest.tags or {}).get(DATA_VERSION_TAG) != str(raw.stat):
            for event in (dg.AssetObservation, dg.AssetMaterialization):
                yield event(
                    source.raw_key,
                    partition=partition,
                    description=raw.path,
                    metadata={
                        "path": dg.MetadataValue.path(raw.path),
                        "size_bytes": raw.stat.size,
                    },
                    tags={DATA_VERSION_TAG: str(raw.stat)},
                )


def stage_tags(stage: str, source: Source) -> dict[str, str]:
    """Return tags by which the UI can select across instruments."""
    return {
        "stage": stage,
        "data_type": source.data_type.value,
        "venue": source.key.venue,
        "symbol": source.key.symbol,
    }
