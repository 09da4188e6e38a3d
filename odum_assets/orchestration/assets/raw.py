"""Raw day files: external assets. Nobody materializes them; a sensor reports what lies on disk."""

import dagster as dg

from odum_assets.orchestration.names import OWNERS
from odum_assets.orchestration.project import Project, RawFound, Source, feed_of


def raw_spec(project: Project, source: Source) -> dg.AssetSpec:
    """Return the external asset of one instrument's raw files of one type."""
    names = ", ".join(loaded.name for loaded in source.named_by)
    return dg.AssetSpec(
        source.raw_key,
        description=(
            f"Raw {source.data_type.value} files of {source.key}, one per day, delivered from "
            "outside and never written to. A green day is one that the sensor raw_days (or the "
            "command line) found on disk; its data version is the file's size and time of change.\n"
            f"\nRead by: {names}."
        ),
        group_name="raw",
        kinds={"parquet"},
        owners=OWNERS,
        tags=stage_tags("raw", source),
        partitions_def=project.partitions,
        metadata={
            "instrument": str(source.key),
            "files": f"{feed_of(source, project.settings)}/"
            f"{source.template[source.template.index('day-*') :]}",
        },
    )


def raw_materialization(source: Source, day: str, found: RawFound) -> dg.AssetMaterialization:
    """Return the report that a raw file is there, with its fingerprint as data version."""
    return dg.AssetMaterialization(
        source.raw_key,
        partition=day,
        description=found.path,
        metadata={
            "path": dg.MetadataValue.path(found.path),
            "size_bytes": found.stat.size,
        },
        tags={"dagster/data_version": str(found.stat)},
    )


def stage_tags(stage: str, source: Source) -> dict[str, str]:
    """Return tags by which the UI can select across instruments."""
    return {
        "stage": stage,
        "data_type": source.data_type.value,
        "venue": source.key.venue,
        "symbol": source.key.symbol,
    }
