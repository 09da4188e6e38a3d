"""``odum prune``: what it finds, what it never touches, and what a killed one leaves."""

from pathlib import Path

import dagster as dg
from commands import BTC, Odum

from odum_assets.orchestration.instance import instance_ref

_DAY = ["--from", "2024-01-01", "--to", "2024-01-01", "--fast", "--force", "--json"]


def _names(ran: object) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in ran.json["found"]:  # type: ignore[attr-defined]
        found.setdefault(each["kind"], set()).add(each["name"])
    return found


def test_prune_removes_what_is_superseded_and_nothing_that_is_in_use(
    project: Path, odum: Odum
) -> None:
    runs = [odum("backfill", BTC, *_DAY).json["days"][0]["run_id"] for _ in range(3)]
    tagged, superseded, current = runs
    assert odum("results", "tag", tagged, "paper").code == 0
    results = project / "data" / "results"
    left = results / ".staging" / "work-dead"
    left.mkdir()
    (left / "equity.parquet").write_bytes(bytes(1000))
    before = {path.stem for path in (results / "fast").glob("*.json")}

    assert odum("prune", "--json").json["found"] == [
        {"kind": "staging", "name": str(left), "size_bytes": 1000, "problem": None}
    ]
    dry = odum("prune", "--older-than", "0", "--json")
    found = _names(dry)
    assert superseded in found["results"]
    assert not {tagged, current} & found["results"]
    assert {path.stem for path in (results / "fast").glob("*.json")} == before
    assert left.is_dir()
    assert not _names(odum("prune", "--older-than", "0", "--keep-last", "100", "--json")).keys() & {
        "runs",
        "results",
    }
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        ids = {run.run_id for run in instance.get_runs()}
        assert found["runs"] < ids
        # As if a pruning process had been killed in the middle: the run is gone, its file is not.
        (half, *_) = sorted(found["runs"])
        file = Path(instance.event_log_storage.path_for_shard(half))  # type: ignore[attr-defined]
        instance.delete_run(half)
        assert file.is_file()
    assert half in _names(odum("prune", "--older-than", "0", "--what", "runs", "--json"))["runs"]

    done = odum("prune", "--older-than", "0", "--yes", "--json")
    assert done.code == 0
    assert done.json["size_bytes"] > 1000
    assert _names(done) == found
    assert odum("prune", "--older-than", "0", "--json").json["found"] == []
    assert not file.exists()
    assert not left.exists()
    kept = {path.stem for path in (results / "fast").glob("*.json")}
    assert kept == before - found["results"]
    assert {tagged, current} <= kept
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        assert {run.run_id for run in instance.get_runs()} == ids - found["runs"]
        key = dg.AssetKey(["backtest", BTC, "result"])
        assert "2024-01-01" in instance.get_materialized_partitions(key)
    assert odum("registry", "check").code == 0
    again = odum("backfill", BTC, *[each for each in _DAY if each != "--force"])
    assert again.json["days"][0]["state"] == "finished"
    assert odum("prune", "--what", "everything").code == 2
