"""What a registry says, without the keys that its databases give out by themselves."""

from typing import Any

import sqlalchemy as sa

from odum_assets.registry.database import reading
from odum_assets.registry.models import ARTIFACTS, DATASETS, EVENTS, RUNS, STRATEGIES

type Contents = dict[str, list[dict[str, Any]]]


def contents(engine: sa.Engine) -> Contents:
    """Return every row of every table, keys replaced by what they stand for."""
    with reading(engine) as connection:

        def rows(table: sa.Table) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

        datasets, strategies, runs = rows(DATASETS), rows(STRATEGIES), rows(RUNS)
        artifacts, events = rows(ARTIFACTS), rows(EVENTS)
    hashes = {row["id"]: row["content_hash"] for row in datasets}
    names = {row["id"]: (row["name"], row["version"], row["params_hash"]) for row in strategies}
    run_ids = {row["id"]: row["run_id"] for row in runs}
    for row in runs:
        row["dataset_id"] = hashes.get(row["dataset_id"])
        row["strategy_id"] = names.get(row["strategy_id"])
    for row in (*artifacts, *events):
        row["run_id"] = run_ids[row["run_id"]]
    for row in (*datasets, *strategies, *runs, *artifacts):
        del row["id"]
    return {
        "datasets": sorted(datasets, key=lambda row: row["content_hash"]),
        "strategies": sorted(strategies, key=lambda row: row["params_hash"]),
        "runs": sorted(runs, key=lambda row: row["run_id"]),
        "artifacts": sorted(artifacts, key=lambda row: (row["run_id"], row["storage_path"])),
        "events": sorted(events, key=lambda row: (row["run_id"], row["sequence"])),
    }
