"""Runs as the registry knows them, over HTTP, against the result files."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from postgresserver import server
from service import BTC, DAY, THROTTLED, Service, serving, settings_of

from odum_assets.backtest.request import RunRequest
from odum_assets.config import load_config
from odum_assets.errors import BacktestError
from odum_assets.registry.database import create_engine, registry_url
from odum_assets.registry.pending import register_progress, register_queued, register_running
from odum_assets.registry.register import register_run, upgrade_registry
from odum_assets.results.failures import store_failure
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultStore

RUNS = "/api/v1/runs"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def alive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, project: Path
) -> Iterator[Service]:
    """A service whose registry also has a failed run, a queued and a running one."""
    folder = tmp_path_factory.mktemp("alive")
    shutil.copytree(project / "configs", folder / "configs")
    shutil.copytree(project / "data/results", folder / "data/results")
    (folder / "data/results/registry.sqlite").unlink(missing_ok=True)
    with ExitStack() as stack:
        where = {}
        if request.param == "postgresql":
            where["DATABASE_URL"] = stack.enter_context(server())
        settings = settings_of(folder, where.get("DATABASE_URL"))
        engine = create_engine(registry_url(settings))
        upgrade_registry(engine, ResultStore(settings.results_path))
        engine.dispose()
        loaded = load_config(folder / "configs" / f"{BTC}.json")
        asked = RunRequest(loaded, (DAY,), str(DAY))
        failed = store_failure(asked, settings, BacktestError("the book is empty"), "dagster-1")
        register_run(settings, failed)
        register_queued(settings, asked, run_id_of(asked))
        running = run_id_of(asked)
        register_running(settings, asked, running, "dagster-2")
        register_progress(settings, running, 0.25, "replay: 25%")
        with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9", **where) as found:
            found.settings = settings
            yield found


def _stored(service: Service) -> list[dict[str, Any]]:
    files = (service.folder / "data/results/fast").glob("*.json")
    found = [json.loads(each.read_text()) for each in files]
    return sorted(found, key=lambda each: each["execution_time"], reverse=True)


def _ids(reply: Any) -> list[str]:
    return [each["run_id"] for each in reply.json["runs"]]


def test_figures_of_stored_runs_are_those_of_their_files(alive: Service) -> None:
    shown = {each["run_id"]: each for each in alive.get(f"{RUNS}?status=succeeded").json["runs"]}
    stored = _stored(alive)
    assert set(shown) == {each["run_id"] for each in stored}
    for each in stored:
        run, summary = shown[each["run_id"]], each["summary"]
        assert run["pnl"] == pytest.approx(summary["pnl"], abs=1e-9)
        assert run["orders"] == summary["orders"]
        assert run["total_return"] == pytest.approx(
            summary["returns"]["total_return_pct"] / 100, abs=1e-11
        )
        assert run["max_drawdown"] == pytest.approx(
            summary["drawdown"]["max_drawdown_pct"] / 100, abs=1e-11
        )
        assert run["drawdown_amount"] == pytest.approx(
            summary["drawdown"]["max_drawdown_amount"], abs=1e-9
        )
        assert run["drawdown_amount"] <= 0
        assert run["figures_version"] == 2
        assert (run["detail"], run["config_name"]) == (
            each["mode"],
            each["metadata"]["config_name"],
        )
        assert alive.get(run["links"]["self"]).json["digest"] == each["metadata"]["digest"]
        for name, link in run["links"].items():
            if link is not None and name != "stream":
                assert alive.get(link).status == 200


def test_runs_under_way_and_failed_ones_are_among_them(alive: Service) -> None:
    pending = alive.get(f"{RUNS}?status=queued&status=running&sort=status").json["runs"]
    assert {(each["status"], each["progress"]) for each in pending} == {
        ("queued", 0.0),
        ("running", 0.25),
    }
    running = alive.get(f"{RUNS}/dagster-2").json
    assert (running["phase"], running["pnl"], running["orders"]) == ("replay: 25%", None, None)
    assert running["links"]["result"] is None
    assert running["run_id"] in _ids(alive.get(RUNS))
    failed = alive.get(f"{RUNS}/dagster-1").json
    assert (failed["status"], failed["error"]) == ("failed", "the book is empty")
    assert alive.get(f"{RUNS}/{failed['run_id']}").json == failed
    for run in (running, failed):
        reply = alive.get(f"{RUNS}/{run['run_id']}/equity")
        assert (reply.status, reply.json["type"]) == (409, "urn:odum:problem:no-result")
    assert alive.get(f"{RUNS}/dagster-9").status == 404


def test_a_change_is_seen_by_the_next_question(alive: Service) -> None:
    run_id = alive.get(f"{RUNS}/dagster-2").json["run_id"]
    for share in (0.5, 0.75, 0.25):
        assert register_progress(alive.settings, run_id, share, "replay: 25%")
        assert alive.get(f"{RUNS}/{run_id}").json["progress"] == share
        (listed,) = alive.get(f"{RUNS}?status=running").json["runs"]
        assert listed["progress"] == share


def test_pages_follow_each_other_by_link_and_by_cursor(alive: Service) -> None:
    everything = alive.get(f"{RUNS}?limit=100").json
    total = len(_stored(alive)) + 3
    assert (everything["total"], len(everything["runs"])) == (total, total)
    assert everything["has_more"] is False
    for sort in ("-executed_at", "pnl", "-orders", "status", "run_id"):
        wanted = _ids(alive.get(f"{RUNS}?sort={sort}"))
        linked: list[str] = []
        path: str | None = f"{RUNS}?sort={sort}&limit=2"
        while path is not None:
            page = alive.get(path)
            assert (page.json["total"], page.json["links"]["self"]) == (total, path)
            linked += _ids(page)
            path = page.json["links"]["next"]
        by_cursor: list[str] = []
        cursor = ""
        while cursor is not None:
            page = alive.get(f"{RUNS}?sort={sort}&limit=2{cursor and '&cursor=' + cursor}")
            by_cursor += _ids(page)
            cursor = page.json["next_cursor"]
        assert linked == by_cursor == wanted
        # Whoever begins with a cursor finds the rest by links, too.
        first = alive.get(f"{RUNS}?sort={sort}&limit=2")
        followed = _ids(first)
        path = f"{RUNS}?sort={sort}&limit=2&cursor={first.json['next_cursor']}"
        while path is not None:
            page = alive.get(path)
            assert page.json["links"]["previous"] is None
            followed += _ids(page)
            path = page.json["links"]["next"]
            assert page.json["has_more"] is (path is not None)
        assert followed == wanted
    cursor = alive.get(f"{RUNS}?limit=2").json["next_cursor"]
    second = alive.get(f"/api/runs?limit=2&cursor={cursor}")
    assert "cursor=" in second.headers["Link"]
    plain = alive.get("/api/runs?limit=2")
    assert [each["run_id"] for each in plain.json] == _ids(alive.get(f"{RUNS}?limit=2"))
    assert plain.headers["X-Total-Count"] == str(total)
    assert 'rel="next"' in plain.headers["Link"]


@pytest.mark.parametrize(
    "query",
    [
        "sort=nothing",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "status=done",
        "executed_from=2024-01-01T00:00:00",
        "unknown=1",
    ],
)
def test_questions_that_cannot_be_answered(alive: Service, query: str) -> None:
    reply = alive.get(f"{RUNS}?{query}")
    assert (reply.status, reply.json["type"]) == (422, "urn:odum:problem:invalid-request")


def test_lists_are_narrowed(alive: Service) -> None:
    stored = _stored(alive)
    throttled = [e["run_id"] for e in stored if e["metadata"]["config_name"] == THROTTLED]
    assert _ids(alive.get(f"{RUNS}?config_name={THROTTLED}")) == throttled
    fast = [each["run_id"] for each in stored if each["mode"] == "fast"]
    assert _ids(alive.get(f"{RUNS}?detail=fast&status=succeeded")) == fast
    assert _ids(alive.get(f"{RUNS}?executed_to=2020-01-01T00:00:00Z")) == []
    dataset = alive.get("/api/v1/datasets").json["datasets"][0]
    assert set(_ids(alive.get(f"{RUNS}?dataset_id={dataset['id']}"))) == {
        each["run_id"] for each in stored
    }


def test_data_and_strategies_are_what_was_run(alive: Service) -> None:
    found = alive.get("/api/v1/datasets").json
    assert len(found["datasets"]) == 1, found["datasets"]
    (dataset,) = found["datasets"]
    catalog = _stored(alive)[0]["metadata"]["catalog"]
    assert (found["total"], dataset["symbols"]) == (1, ["BTC-USDT"])
    assert dataset["row_count"] == sum(each["rows"] for each in catalog)
    assert alive.get("/api/v1/datasets?instrument=X").json["total"] == 0
    strategies = alive.get("/api/v1/strategies").json
    assert {each["name"] for each in strategies["strategies"]} == {"TradeReplay"}
    assert strategies["total"] == len(strategies["strategies"])


def test_files_of_a_run_can_be_had(alive: Service) -> None:
    run_id = next(each["run_id"] for each in _stored(alive) if each["mode"] == "report")
    files = {
        each["filename"]: each for each in alive.get(f"{RUNS}/{run_id}/artifacts").json["artifacts"]
    }
    path = alive.folder / "data/results/report" / run_id / "fills.parquet"
    assert files["fills.parquet"]["size_bytes"] == path.stat().st_size
    reply = alive.get(files["fills.parquet"]["link"])
    assert (reply.status, reply.data) == (200, path.read_bytes())
    link, tag = files["fills.parquet"]["link"], reply.headers["ETag"]
    assert alive.get(link, If_None_Match=tag).status == 304
    assert alive.get(link, If_Match='"other"').status == 412
    part = alive.get(link, Range="bytes=0-3", If_Range=tag)
    assert (part.status, part.data) == (206, path.read_bytes()[:4])
    for name in ("..%2f..%2fregistry.sqlite", "nothing.json", "%2e%2e"):
        assert alive.get(f"{RUNS}/{run_id}/artifacts/{name}").status == 404


def test_what_a_reader_should_know_comes_in_order(alive: Service) -> None:
    document = next(each for each in _stored(alive) if each["mode"] == "report")
    path = f"{RUNS}/{document['run_id']}/events"
    events = alive.get(path).json["events"]
    assert [each["sequence"] for each in events] == list(range(len(events)))
    warnings = [each["payload"]["text"] for each in events if each["event_type"] == "warning"]
    assert warnings == document["summary"]["flags"]
    first = alive.get(f"{path}?limit=2").json
    rest = alive.get(f"{path}?after={first['next_after']}").json
    assert first["events"] + rest["events"] == events


def test_a_list_that_is_known_is_not_sent_again(alive: Service) -> None:
    for path in (RUNS, "/api/runs", "/api/backtest/results"):
        tag = alive.get(path).headers["ETag"]
        assert alive.get(path, If_None_Match=tag).status == 304


def test_results_that_come_and_go_are_seen_at_once(alive: Service) -> None:
    results = "/api/backtest/results"
    before = [each["run_id"] for each in alive.get(results).json]
    path = alive.folder / f"data/results/fast/{before[0]}.json"
    content = path.read_bytes()
    path.write_text("{")
    try:
        reply = alive.get(results)
        assert [each["run_id"] for each in reply.json] == before[1:]
        assert reply.headers["X-Damaged-Results"] == "1"
    finally:
        path.write_bytes(content)
    assert [each["run_id"] for each in alive.get(results).json] == before
