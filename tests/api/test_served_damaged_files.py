"""Damaged files and links in a running service: refused on every route, and nothing else is."""

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from service import BTC, DAY, Service, make_results, serving
from service import lay_out as lay_out_project

from odum_assets.registry.checking import check_registry
from odum_assets.registry.repair import rebuild_registry

TABLES = {
    "fills.parquet": ("results/{run}/fills", "v1/{run}/fills"),
    "orders.parquet": ("results/{run}/rejected-orders", "v1/{run}/orders", "results/{run}/report"),
    "equity.parquet": ("v1/{run}/equity", "compare"),
    "positions.parquet": ("v1/{run}/trades", "trades"),
    "timeline.json": ("v1/{run}/timeline", "results/{run}/report"),
}


def _route(short: str, run: str, other: str) -> str:
    if short == "compare":
        return f"/api/v1/compare?ids={run},{other}"
    if short == "trades":
        return f"/api/trades?run_id={run}"
    place = "/api/backtest/" if short.startswith("results") else "/api/"
    return place + short.replace("v1/", "v1/runs/").format(run=run)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("damaged")
    lay_out_project(place)
    return place


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[str]:
    """Two results with reports; the first has its ticks."""
    return make_results(folder, (BTC, "report"), (BTC, "report"))


@pytest.fixture(scope="module")
def here(folder: Path, runs: list[str]) -> Iterator[Service]:
    assert runs
    with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9") as found:
        yield found


@pytest.fixture
def results(folder: Path, here: Service) -> Iterator[Path]:
    """The results, as they were before when the test is done."""
    place, kept = folder / "data" / "results", folder / "kept"
    assert here.get("/api/v1/runs").status == 200
    shutil.copytree(place, kept, symlinks=True, ignore=shutil.ignore_patterns("registry*"))
    yield place
    for name in ("fast", "report", "tickdata"):
        shutil.rmtree(place / name)
        shutil.move(kept / name, place / name)
    shutil.rmtree(kept)
    assert check_registry(here.settings).problems == []


def _integrity(results: Path) -> str:
    with closing(sqlite3.connect(results / "registry.sqlite")) as connection:
        found: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return found


@pytest.mark.parametrize("kind", ["out", "inside", "registry", "hard"])
@pytest.mark.parametrize("name", TABLES)
def test_no_table_route_follows_a_link(
    here: Service, results: Path, runs: list[str], folder: Path, name: str, kind: str
) -> None:
    run, other = runs
    place = results / "report" / run / name
    targets = {
        "out": folder / "outside",
        "inside": results / "report" / other / name,
        "registry": results / "registry.sqlite",
        "hard": results / "registry.sqlite",
    }
    shutil.copy(place, folder / "outside")
    place.unlink()
    (place.hardlink_to if kind == "hard" else place.symlink_to)(targets[kind])
    for short in TABLES[name]:
        for accept in ("application/json", "application/x-ndjson"):
            if accept != "application/json" and short in ("trades", "compare"):
                continue
            if accept != "application/json" and short.endswith("/report"):
                continue
            reply = here.get(_route(short, run, other), Accept=accept)
            assert reply.status == 409, (short, accept, reply.data[:300])
            assert str(place) in reply.json["detail"]
    assert here.get(_route("v1/{run}/fills", other, run)).status == 200
    assert here.get(f"/api/backtest/results/{run}").status == 200


@pytest.mark.parametrize("kind", ["out", "registry", "hard"])
def test_summaries_and_ticks_that_are_links(
    here: Service, results: Path, runs: list[str], folder: Path, kind: str
) -> None:
    run = runs[0]
    target = results / "registry.sqlite"
    if kind == "out":
        target = folder / "secret.json"
        target.write_text('{"secret": 1}')
    for below, routes in (
        ("tickdata", [f"/api/backtest/results/{run}/ticks"]),
        ("fast", [f"/api/backtest/results/{run}", f"/api/v1/runs/{run}/metrics"]),
    ):
        place = results / below / f"{run}.json"
        place.unlink()
        (place.hardlink_to if kind == "hard" else place.symlink_to)(target)
        for route in routes:
            reply = here.get(route)
            assert reply.status == 409, (route, reply.data[:300])
            assert b'secret":' not in reply.data
    listed = here.get("/api/backtest/results")
    assert listed.status == 200
    assert [each["run_id"] for each in listed.json] == [runs[1]]
    assert listed.headers["X-Damaged-Results"] == "1"
    assert _integrity(results) == "ok"


def test_an_artifact_that_is_the_registry_is_never_sent(
    here: Service, results: Path, runs: list[str]
) -> None:
    """Registered before it was replaced, and asked for while others write."""
    run = runs[0]
    report = results / "report" / run
    (report / "in.sqlite").write_text("x")
    (report / "hard.sqlite").write_text("x")
    assert rebuild_registry(here.settings).problems == []
    artifacts = f"/api/v1/runs/{run}/artifacts"
    assert here.get(f"{artifacts}/in.sqlite").data == b"x"
    for name in ("in.sqlite", "hard.sqlite"):
        (report / name).unlink()
    (report / "in.sqlite").symlink_to(results / "registry.sqlite")
    (report / "hard.sqlite").hardlink_to(results / "registry.sqlite")
    for name in ("in.sqlite", "hard.sqlite"):
        reply = here.get(f"{artifacts}/{name}")
        assert reply.status == 409, name
    done = rebuild_registry(here.settings)
    assert len(done.problems) == 2
    names = {each["filename"] for each in here.get(artifacts).json["artifacts"]}
    assert not names & {"in.sqlite", "hard.sqlite"}
    assert "summary.json" in names
    assert _integrity(results) == "ok"
    shutil.rmtree(report)
    shutil.copytree(results.parents[1] / "kept" / "report" / run, report)
    assert rebuild_registry(here.settings).problems == []


def test_artifacts_are_sent_as_before(here: Service, results: Path, runs: list[str]) -> None:
    place = results / "report" / runs[1] / "fills.parquet"
    route = f"/api/v1/runs/{runs[1]}/artifacts/fills.parquet"
    whole = here.get(route)
    content = place.read_bytes()
    assert whole.data == content
    part = here.get(route, Range="bytes=4-103")
    assert (part.status, part.data) == (206, content[4:104])
    assert part.headers["Content-Range"] == f"bytes 4-103/{len(content)}"
    assert "etag" in whole.headers
    descriptors = Path(f"/proc/{here.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(50):
        assert here.get(route).status == 200
    assert len(list(descriptors.iterdir())) <= before + 5


DOCUMENTS: dict[str, Any] = {
    "empty": b"",
    "half": b'{"run_id": ',
    "deep": b"[" * 100_000,
    "list": b"[]",
    "latin": b"\xff",
}


@pytest.mark.parametrize("damage", DOCUMENTS)
def test_one_damaged_summary_is_one(
    here: Service, results: Path, runs: list[str], damage: str
) -> None:
    (results / "fast" / f"{runs[0]}.json").write_bytes(DOCUMENTS[damage])
    for route in (f"/api/backtest/results/{runs[0]}", f"/api/v1/runs/{runs[0]}/metrics"):
        reply = here.get(route)
        assert (reply.status, reply.json["type"]) == (409, "urn:odum:problem:cannot-be-done")
        assert runs[0] in reply.json["detail"]
    assert here.get("/api/backtest/results").headers["X-Damaged-Results"] == "1"
    assert here.get(f"/api/backtest/results/{runs[1]}").status == 200
    assert here.get("/api/runs").status == 200


def test_one_broken_configuration_is_one(here: Service, folder: Path) -> None:
    half = folder / "configs" / "half.json"
    half.write_text('{"instrument": ')
    question = {"start": f"{DAY}T12:00:00Z", "end": f"{DAY}T12:05:00Z"}
    try:
        good = here.post("/api/backtest/check-data", {"config": BTC, **question}).json
        assert good["valid"], good
        bad = here.post("/api/backtest/check-data", {"config": "half", **question}).json
        assert not bad["valid"]
        assert "half.json: not JSON" in bad["errors"][0]
        listed = {each["name"]: each["valid"] for each in here.get("/api/configs").json["configs"]}
        assert (listed["half"], listed[BTC]) == (False, True)
        assert here.get("/api/instruments/venues").status == 200
    finally:
        half.unlink()


def test_a_bad_address_is_a_message(here: Service, folder: Path) -> None:
    content = json.loads((folder / "configs" / f"{BTC}.json").read_text())
    content["environment"] = {"UNIFIED_CLOUD_LOCAL_PATH": "abfs://bucket/raw"}
    content["instrument"]["id"] = "ETH-USDT.BINANCE-FUTURES"
    for name in ("trades", "book_snapshot_5", "derivative_ticker"):
        path = content["data_catalog"][f"{name}_path"]
        content["data_catalog"][f"{name}_path"] = path.replace("BTC-USDT", "ETH-USDT")
    other = folder / "configs" / "elsewhere.json"
    other.write_text(json.dumps(content))
    question = {"start": f"{DAY}T12:00:00Z", "end": f"{DAY}T12:05:00Z"}
    try:
        bad = here.post("/api/backtest/check-data", {"config": "elsewhere", **question})
        assert bad.status == 200
        assert "the driver for abfs:// is not installed" in bad.json["errors"][0]
        good = here.post("/api/backtest/check-data", {"config": BTC, **question}).json
        assert good["valid"], good
        assert here.get("/api/datasets").status == 200
    finally:
        other.unlink()


def test_the_registry_is_damaged_and_rebuilt_under_a_running_service(
    here: Service, results: Path, runs: list[str]
) -> None:
    database = results / "registry.sqlite"
    for name in ("-wal", "-shm"):
        database.with_name(database.name + name).unlink(missing_ok=True)
    database.unlink()
    database.write_text("not a database at all\n" * 1000)
    reply = here.get("/api/v1/runs")
    assert reply.status == 503
    assert "odum registry rebuild" in reply.json["detail"]
    assert here.get(f"/api/backtest/results/{runs[0]}").status == 200
    done = rebuild_registry(here.settings)
    assert (done.runs, done.problems) == (2, [])
    assert done.set_aside is not None
    # A failure is remembered for two seconds.
    deadline = time.monotonic() + 20
    while (reply := here.get("/api/v1/runs")).status != 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert reply.json["total"] == 2
    done.set_aside.unlink()
