"""``odum prune``: what it finds, what it never touches, and what a killed one leaves."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
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


_RAISES = """
from odum_assets.backtest.strategies.base import OdumStrategy

class Raising(OdumStrategy):
    def on_start(self):
        raise ValueError("broken")
"""


def _failed_run(project: Path, odum: Odum) -> str:
    """Return a run without a result, of a strategy that raises."""
    (project / "raising.py").write_text(_RAISES)
    config = json.loads((project / "configs" / f"{BTC}.json").read_text())
    config["strategy"] = {"name": "Raising", "path": "raising:Raising", "params": {}}
    (project / "configs" / "raising.json").write_text(json.dumps(config))
    assert odum("backtest", "raising", "--day", "2024-01-01", "--fast").code == 1
    (record,) = (project / "data" / "results" / "failed").glob("*.json")
    return record.stem


def test_a_prune_that_is_killed_leaves_nothing_half(
    project: Path, odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = _failed_run(project, odum)
    current = odum("backfill", BTC, *_DAY).json["days"][0]["run_id"]
    monkeypatch.setenv("ODUM_CACHE_PATH", str(project / "cache"))
    copy = project / "cache" / "objects" / "ab" / f"ab{0:062}"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(bytes(1000))
    results = project / "data" / "results"
    found = _names(odum("prune", "--older-than", "0", "--json"))
    assert found["failed"] == {failed}
    assert len(found["results"]) == 1
    assert found["cache"] == {str(copy)}
    assert not _names(odum("prune", "--json")).keys() & {"failed", "results", "cache"}

    # Another process writes the registry: the prune stops in the middle of its first run.
    blocking = sqlite3.connect(results / "registry.sqlite", isolation_level=None)
    blocking.execute("BEGIN IMMEDIATE")
    command = [sys.executable, "-m", "odum_assets.cli.main", "prune", "--older-than", "0", "--yes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while not list(results.glob("deleted/*.json")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        blocking.close()
    assert process.returncode == -signal.SIGKILL
    assert [path.stem for path in results.glob("deleted/*.json")] == [failed]
    assert copy.is_file()

    # Half of a run is nowhere: neither in lists nor in the registry, and the next prune ends it.
    assert odum("results", "show", failed, "--json").code != 0
    done = odum("prune", "--older-than", "0", "--yes", "--json")
    assert (done.code, done.err) == (0, "")
    assert _names(done)["results"] == found["results"]
    assert odum("prune", "--older-than", "0", "--json").json["found"] == []
    assert not copy.exists()
    left = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    for run_id in {failed, *found["results"]}:
        assert not [name for name in left if run_id in name]
    assert odum("registry", "check").code == 0
    assert current in {path.stem for path in (results / "fast").glob("*.json")}
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        assert not {run.run_id for run in instance.get_runs()} & found.get("runs", set())


def _index_file() -> Path:
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        return Path(instance.event_log_storage.path_for_shard("index"))  # type: ignore[attr-defined]


def _checks(file: Path) -> set[tuple[str, ...]]:
    """Return the checks that were evaluated: run, asset, check and partition."""
    with closing(sqlite3.connect(file)) as connection:
        return set(
            connection.execute(
                "SELECT run_id, asset_key, check_name, coalesce(partition, '') "
                "FROM asset_check_executions"
            )
        )


def test_the_database_is_smaller_afterwards_and_a_busy_one_is_one_line(
    project: Path,  # noqa: ARG001 - the project the commands run in
    odum: Odum,
) -> None:
    for _ in range(3):
        assert odum("backfill", BTC, *_DAY).code == 0
    file = _index_file()
    before_pruning = _checks(file)
    options = ["--older-than", "0", "--what", "runs", "--yes"]
    with closing(sqlite3.connect(file, isolation_level=None)) as blocking:
        blocking.execute("BEGIN IMMEDIATE")
        busy = odum("prune", *options)
    assert busy.code == 1
    assert busy.err.count("Dagster's database: database is locked; what was removed") == 1
    assert "bug" not in busy.err

    done = odum("prune", *options, "--json")
    assert done.code == 0
    removed = {each["name"] for each in done.json["found"]}
    assert removed
    # Dagster itself would leave the checks of deleted runs for good.
    assert removed <= {check[0] for check in before_pruning}
    assert _checks(file) == {check for check in before_pruning if check[0] not in removed}
    unused, before = done.json["unused_bytes"], file.stat().st_size
    assert unused > 0
    assert done.json["compacted_bytes"] == 0
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        ran = instance.create_run_for_job(dg.job(name="unended")(lambda: None))
        refused = odum("prune", *options, "--compact")
        assert refused.code == 1
        assert "not compacted, because runs have not ended (1)" in refused.err
        instance.delete_run(ran.run_id)
    compacted = odum("prune", *options, "--compact", "--json")
    assert compacted.code == 0
    assert compacted.json["unused_bytes"] == 0
    assert compacted.json["compacted_bytes"] >= unused
    assert file.stat().st_size <= before - unused
    again = odum("backfill", BTC, *[each for each in _DAY if each != "--force"])
    assert again.json["days"][0]["state"] == "finished"
