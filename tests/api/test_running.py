"""Runs over HTTP, with a real Dagster behind the service: started, followed, canceled."""

import asyncio
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import urllib3
from live import DAYS, KEY, SLOW, Live, started_in
from service import BTC, REPOSITORY, Reply, clean_environment

from odum_assets.api.dagster_client import DagsterClient, Snapshot
from odum_assets.api.following import Following, StreamEvent

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

RAW = "data/raw_tick_data/by_date/day-{day}/data_type-trades/" + KEY + ".parquet"
SLUG = "binance_futures_perpetual_btc_usdt"
ANSWERS_WITHIN_S = 2.0
LEGACY = {
    "instrument": "BTCUSDT",
    "dataset": f"day-{DAYS[0]}",
    "config": f"{BTC}.json",
    "start": f"{DAYS[0]}T12:00:00Z",
    "end": f"{DAYS[0]}T12:30:00Z",
    "report": True,
    "export_ticks": True,
}


_FAILING = """
from odum_assets.backtest.strategies.base import OdumStrategy

class Failing(OdumStrategy):
    def on_start(self):
        raise ValueError("this strategy fails on purpose")
"""


def trades_between(live: Live, day: str, start: str, end: str) -> int:
    """Count raw trades that arrived from a time of day on and before another."""
    times = pq.read_table(live.folder / RAW.format(day=day))["local_timestamp"].to_numpy()
    bounds = [pa.scalar(f"{day}T{text}").cast(pa.timestamp("us")).value for text in (start, end)]
    return int(((times >= bounds[0]) & (times < bounds[1])).sum())


def test_the_calls_of_the_service_page_tell_one_story(live: Live) -> None:
    """Upload, check, run, follow, read, compare, cancel: as written, but for the port."""
    text = (REPOSITORY / "docs" / "service.md").read_text()
    (block,) = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    text = block.replace("http://127.0.0.1:8000", live.url).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    # What each command printed ends with a byte that none of them prints.
    script = "\n".join(f"{line}\nprintf '\\x1e'" for line in lines)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=live.folder, capture_output=True, check=True
    )
    said = [each for each in ran.stdout.decode().split("\x1e") if each]
    saved, checked, first, second, best, one, now, metrics, page, *charts, compared, canceled = said
    assert json.loads(saved)["status"] == "saved"
    check = json.loads(checked)
    assert (check["valid"], check["errors"], check["has_book"]) == (True, [], True)
    results = []
    for stream, day, start in ((first, DAYS[0], "00:00:00"), (second, DAYS[1], "12:00:00")):
        events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data:")]
        assert [each["type"] for each in events].count("complete") == 1
        ended = events[-1]["data"]
        assert (events[-1]["type"], ended["status"], ended["partition"]) == (
            "complete",
            "succeeded",
            day,
        )
        assert any(each["type"] == "progress" for each in events)
        assert ended["document"]["metadata"]["config_name"] == "my_copy"
        results.append(ended["document"])
        # One order per trade, and at most two that close the position: what the book does not take
        # is closed at the last price.
        trades = trades_between(live, day, start, "23:59:59")
        assert ended["document"]["summary"]["orders"] - trades in (0, 1, 2)
    ids = [each["run_id"] for each in results]
    assert set(ids) <= {each["run_id"] for each in json.loads(best)["runs"]}
    entry, figures = json.loads(one), results[0]["summary"]
    assert (entry["run_id"], entry["status"]) == (ids[0], "succeeded")
    assert entry["orders"] == figures["orders"] == json.loads(metrics)["metrics"]["orders"]
    assert json.loads(now)["result"] == f"/api/backtest/results/{ids[0]}"
    for part in (ids[0][-6:], ids[0][:-1].lower()):
        assert live.get(f"/api/v1/runs/{part}/status").json["run_id"] == ids[0]
    fills = pa.ipc.open_stream((live.folder / "fills.arrow").read_bytes()).read_all()
    shown = json.loads(page)
    assert fills.num_rows == shown["total"] == figures["fills"]
    assert len(shown["fills"]) == 2
    bars, account, orders, lineage = map(json.loads, charts)
    assert sum(bars["buys"]["n"]) + sum(bars["sells"]["n"]) == figures["fills"]
    assert min(account["drawdown"]["min"]) == pytest.approx(figures["drawdown"]["max_drawdown"])
    assert {row["side"] for row in orders["orders"]} == {"buy"}
    assert {node["now"] for node in lineage["nodes"] if node["kind"] == "raw"} == {"same"}
    comparison = json.loads(compared)
    assert comparison["run_ids"] == ids
    assert comparison["same_digest"] is False
    (curve,) = comparison["curves"]["runs"].values()
    assert 1 <= len(curve["i"]) <= 5
    assert min(curve["drawdown"]["min"]) <= 0
    third = json.loads(canceled)
    assert third["canceling"] or third["status"] == "canceled"
    assert live.wait_ended(third["run_id"])["status"] == "canceled"


def test_a_run_is_told_from_its_begin_to_its_result(live: Live) -> None:
    """To a client that goes away while it waits, one that streams, and one that asks again."""
    key = {"Idempotency_Key": "one and the same"}
    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        live.pool.request(
            "POST",
            f"{live.url}/api/backtest/run",
            json=LEGACY,
            headers={"Idempotency-Key": "one and the same"},
            timeout=2,
        )
    events = live.events("/api/backtest/run/stream", LEGACY, **key)
    place = events.reply.headers["Location"]
    told = list(events)
    assert told[0] == (
        "step",
        {"step": None, "status": "launched", "run_id": Path(place).name, "location": place},
    )
    steps = [data for kind, data in told if kind == "step"]
    assert [each["status"] for each in steps[:4]] == ["launched", "queued", "starting", "running"]
    made = [each["step"].split("/")[-1] for each in steps if each["status"] == "succeeded"]
    assert {"trades", "book_depths"} == set(made[:2])
    assert {"report", "ticks"} == set(made[3:])
    assert made[2] == "result"
    phases = [data["phase"] for kind, data in told if kind == "progress"]
    assert list(dict.fromkeys(phases)) == ["validate", "load", "replay", "finish"]
    kind, result = told[-1]
    assert kind == "complete"
    assert [kind for kind, _ in told].count("complete") == 1

    again = live.post("/api/backtest/run", LEGACY, **key)
    assert (again.status, again.json["run_id"]) == (200, result["run_id"])
    assert again.json["summary"] == result["summary"]
    trades = trades_between(live, DAYS[0], "12:00:00", "12:30:00")
    assert result["summary"]["orders"] - trades in (0, 1, 2)
    assert live.get(result["report_path"]).json["timeline"]
    assert live.get(result["ticks_path"]).json["total"] == trades
    assert live.status(result["run_id"])["dagster_run_id"] == result["dagster_run_id"]
    other = live.post("/api/backtest/run", {**LEGACY, "report": False}, **key)
    assert (other.status, other.json["type"]) == (422, "urn:odum:problem:key-used-before")

    place = f"/api/v1/runs/{result['run_id']}/stream"
    events = live.events(place)
    seen: list[tuple[str, dict[str, Any]]] = []
    for each in events:
        seen.append(each)
        if events.last_id:
            break
    events.close()
    whole = list(live.events(place))
    assert [*seen, *live.events(place, Last_Event_ID=events.last_id)] == whole
    assert whole[-1][1]["document"] == live.get(f"/api/backtest/results/{result['run_id']}").json
    assert live.get(place, Last_Event_ID="nonsense").status == 422
    assert_raw_files_are_reported(live, DAYS[0])


def assert_raw_files_are_reported(live: Live, day: str) -> None:
    """Dagster knows what a result was made of, and so what a changed file makes stale."""
    query = """query($key: AssetKeyInput!, $days: [String!]) { assetOrError(assetKey: $key) {
        ... on Asset { assetMaterializations(partitions: $days) { tags { key value } } } } }"""

    def materializations(*key: str) -> list[dict[str, str]]:
        variables = {"key": {"path": list(key)}, "days": [day]}
        body = {"query": query, "variables": variables}
        reply = live.pool.request("POST", f"{live.dagster_url}/graphql", json=body)
        found = json.loads(reply.data)["data"]["assetOrError"]["assetMaterializations"]
        return [{tag["key"]: tag["value"] for tag in each["tags"]} for each in found]

    (raw,) = materializations("raw", SLUG, "trades")
    version = raw["dagster/data_version"]
    assert str((live.folder / RAW.format(day=day)).stat().st_size) in version
    made = materializations("catalog", SLUG, "trades")[0]
    # Dagster hashes the versions of all partitions that were read; it is one here.
    upstream = made[f"dagster/input_data_version/raw/{SLUG}/trades"]
    assert upstream == hashlib.sha256(version.encode()).hexdigest()


def test_a_run_that_fails_says_why_to_who_waits(live: Live) -> None:
    """The earlier system's call: a window without a single trade is refused before it runs."""
    night = {**LEGACY, "start": f"{DAYS[0]}T02:00:00Z", "end": f"{DAYS[0]}T02:05:00Z"}
    night |= {"report": False, "fast": True, "export_ticks": False}
    for path in ("/api/backtest/run", "/api/backtest/run/stream"):
        reply = live.post(path, night)
        assert (reply.status, reply.json["type"]) == (409, "urn:odum:problem:missing-data")
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert "trades" in reply.json["detail"]


def test_a_strategy_that_fails_says_why_to_who_waits(live: Live) -> None:
    """The earlier system's call, and its stream: the run's own message, and no failed service."""
    (live.folder / "failing.py").write_text(_FAILING)
    config = json.loads((live.folder / f"configs/{BTC}.json").read_text())
    config["strategy"] = {"name": "Failing", "path": "failing:Failing"}
    (live.folder / "configs/failing.json").write_text(json.dumps(config))
    body = {**LEGACY, "config": "failing.json", "report": False, "fast": True}
    body["export_ticks"] = False
    reply = live.post("/api/backtest/run", body)
    assert (reply.status, reply.json["type"]) == (409, "urn:odum:problem:run-failed"), reply.data
    assert reply.headers["Content-Type"] == "application/problem+json"
    kind, data = list(live.events("/api/backtest/run/stream", body))[-1]
    assert kind == "error"
    for said in (reply.json["detail"], data["message"]):
        assert "this strategy fails on purpose" in said
    (live.folder / "configs/failing.json").unlink()


def test_runs_are_canceled_wherever_they_are(live: Live) -> None:
    """In the queue and in the replay, also after the graph was loaded anew meanwhile."""
    running = live.launch(config=SLOW, day=DAYS[0])
    queued = live.launch(config=SLOW, day=DAYS[1])
    live.wait_replaying(running)
    assert len(live.workers()) == 1
    assert live.registered(queued)["status"] == "queued"
    reply = live.ask("DELETE", f"/api/v1/runs/{queued}")
    assert (reply.status, reply.json["status"]) == (202, "canceled")
    assert live.registered(queued)["status"] == "canceled"

    config = json.loads((live.folder / f"configs/{SLOW}.json").read_text())
    config["risk"] = {"throttling_per_sec": 7}
    (live.folder / f"configs/{SLOW}_changed.json").write_text(json.dumps(config))
    changed = live.launch(config=f"{SLOW}_changed", day=DAYS[0])
    assert live.ask("DELETE", f"/api/v1/runs/{changed}").status == 202
    assert live.status(running)["status"] == "running"
    entry = live.registered(running)
    assert entry["status"] == "running"
    assert entry["phase"].startswith("replay")

    stream = live.events(f"/api/v1/runs/{running}/stream")
    reply = live.ask("DELETE", f"/api/v1/runs/{running}")
    assert reply.status == 202
    assert reply.json["canceling"] or reply.json["status"] == "canceled"
    kind, data = list(stream)[-1]
    assert (kind, data["status"]) == ("error", "canceled")
    for run_id in (running, queued, changed):
        assert live.wait_ended(run_id, 30)["status"] == "canceled"
        assert live.get(f"/api/backtest/results/{run_id}").status == 404
        again = live.ask("DELETE", f"/api/v1/runs/{run_id}")
        assert (again.status, again.json["type"]) == (409, "urn:odum:problem:already-ended")
    assert live.workers() == []
    assert live.unfinished() == []
    unknown = live.ask("DELETE", f"/api/v1/runs/{running[:-6]}000000")
    assert (unknown.status, unknown.json["type"]) == (404, "urn:odum:problem:unknown-run")


def start_command(live: Live, day: str) -> tuple["subprocess.Popen[str]", str]:
    """Start a backtest by a command, and return its process and run id once it replays."""
    command = [sys.executable, "-m", "odum_assets.cli.main", "backtest", SLOW, "--day", day]
    process = subprocess.Popen(
        [*command, "--fast"],
        cwd=live.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def replaying() -> str | None:
        runs = live.get("/api/v1/runs?status=running").json["runs"]
        found = [each["run_id"] for each in runs if (each["phase"] or "").startswith("replay")]
        return found[0] if found else None

    return process, live.wait("run of the command", replaying)


def test_a_run_of_a_command_is_stopped_like_by_ctrl_c(live: Live) -> None:
    process, run_id = start_command(live, DAYS[0])
    reply = live.ask("DELETE", f"/api/v1/runs/{run_id}")
    assert reply.status == 202
    assert reply.json["canceling"] or reply.json["status"] == "canceled"
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert [line for line in err.splitlines() if "stopped" in line] == [
        "stopped; no partial files were left"
    ]
    assert "Traceback" not in err
    assert live.wait_ended(run_id, 30)["status"] == "canceled"
    assert live.get(f"/api/backtest/results/{run_id}").status == 404
    record = json.loads((live.folder / f"data/results/failed/{run_id}.json").read_text())
    assert record["status"] == "canceled"
    assert (live.workers(), live.unfinished()) == ([], [])
    again = live.ask("DELETE", f"/api/v1/runs/{run_id}")
    assert (again.status, again.json["type"]) == (409, "urn:odum:problem:already-ended")


def test_a_run_whose_command_was_killed_can_be_canceled(live: Live) -> None:
    process, run_id = start_command(live, DAYS[0])
    process.kill()
    process.communicate()
    assert live.status(run_id)["status"] == "running"
    reply = live.ask("DELETE", f"/api/v1/runs/{run_id}")
    assert (reply.status, reply.json["status"]) == (202, "canceled")
    assert live.wait_ended(run_id, 30)["status"] == "canceled"


def test_a_repeated_request_starts_one_run(live: Live) -> None:
    new = {"config": SLOW, "day": DAYS[0]}

    def post() -> Reply:
        return live.post("/api/v1/runs", new, Idempotency_Key="twice")

    with ThreadPoolExecutor(2) as pool:
        replies = [each.result() for each in [pool.submit(post) for _ in range(2)]]
    assert [each.status for each in replies] == [202, 202]
    assert len({each.headers["Location"] for each in replies}) == 1
    live.ask("DELETE", replies[0].headers["Location"])
    live.wait_ended(replies[0].json["run_id"])


def test_a_range_leaves_out_days_without_data(live: Live) -> None:
    days = {"first_day": DAYS[0], "last_day": "2024-01-04"}
    reply = live.post("/api/v1/runs", {"config": BTC, "mode": "fast", **days})
    assert (reply.status, reply.json["kind"]) == (202, "backfill")
    assert sorted(reply.json["skipped"]) == ["2024-01-03", "2024-01-04"]
    place = reply.headers["Location"]
    assert place == f"/api/v1/backfills/{reply.json['id']}"
    assert live.get(place).json["days"] == 2
    assert live.ask("DELETE", place).status == 202
    assert live.get("/api/v1/backfills/none0000").status == 404
    nothing = {"config": BTC, "first_day": "2024-01-03", "last_day": "2024-01-04"}
    refused = live.post("/api/v1/runs", nothing)
    assert (refused.status, refused.json["type"]) == (409, "urn:odum:problem:missing-data")


@pytest.mark.torture
def test_a_range_runs_each_of_its_days(live: Live) -> None:
    days = {"first_day": DAYS[0], "last_day": DAYS[1]}
    place = live.post("/api/v1/runs", {"config": BTC, "mode": "fast", **days}).headers["Location"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = live.get(place).json
        return found if found["status"].startswith("completed") else None

    found = live.wait("end of the range", ended, 120)
    assert (found["status"], found["days"]) == ("completed_success", 2)
    assert found["by_status"] == {"succeeded": 2}
    again = live.ask("DELETE", place)
    assert (again.status, again.json["type"]) == (409, "urn:odum:problem:already-ended")


def test_a_range_names_its_runs_also_those_that_come_to_no_backtest(live: Live) -> None:
    damaged = live.folder / RAW.format(day=DAYS[1])
    kept = damaged.rename(damaged.with_suffix(".kept"))
    damaged.write_bytes(b"not parquet")
    try:
        days = {"first_day": DAYS[0], "last_day": DAYS[1]}
        reply = live.post("/api/v1/runs", {"config": BTC, "mode": "fast", **days})

        def registered() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = live.get(reply.headers["Location"]).json["runs"]
            ended = [each for each in found if each["run_id"] and each["status"] != "running"]
            return ended if len(ended) == 2 else None

        runs = live.wait("runs of the range", registered, 120)
    finally:
        kept.rename(damaged)
    assert [(each["day"], each["status"]) for each in runs] == [
        (DAYS[0], "succeeded"),
        (DAYS[1], "failed"),
    ]
    entry = live.wait_ended(runs[1]["run_id"])
    assert entry["dagster_run_id"] == runs[1]["dagster_run_id"]
    assert str(damaged) in entry["error"]


@pytest.mark.torture
def test_a_window_over_midnight_exports_its_ticks(live: Live) -> None:
    window = {"config": BTC, "start": f"{DAYS[0]}T12:45:00Z", "end": f"{DAYS[1]}T12:15:00Z"}
    run_id = live.launch(**window, export_ticks=True)
    entry = live.wait_ended(run_id)
    assert entry["status"] == "succeeded"
    ticks = live.get(f"/api/backtest/results/{run_id}/ticks").json
    names = {
        each["filename"] for each in live.get(f"/api/v1/runs/{run_id}/artifacts").json["artifacts"]
    }
    assert {"tearsheet.html", f"{run_id}.json"} <= names
    trades = trades_between(live, DAYS[0], "12:45:00", "23:59:59")
    trades += trades_between(live, DAYS[1], "00:00:00", "12:15:00")
    assert ticks["total"] == trades
    assert entry["orders"] - trades in (0, 1, 2)


def test_nobody_waits_for_dagster_who_does_not_need_it(live: Live) -> None:
    """A Dagster that takes requests and answers none: lists and figures are as fast as ever."""
    (webserver,) = [
        pid
        for pid, words in started_in(live.folder)
        if "-m odum_assets.cli.dagster_services " in words
    ]
    status = "/api/v1/runs/00000000-0000-4000-8000-000000000000/status"
    with ThreadPoolExecutor(12) as pool:
        os.kill(webserver, signal.SIGSTOP)
        try:
            waiting = [pool.submit(live.get, status) for _ in range(12)]
            time.sleep(0.5)
            for path in ("/api/health", "/api/v1/runs", "/api/backtest/results", "/api/configs"):
                begin = time.monotonic()
                assert live.get(path).status == 200
                assert time.monotonic() - begin < ANSWERS_WITHIN_S
            assert not any(each.done() for each in waiting)
        finally:
            os.kill(webserver, signal.SIGCONT)
        assert {each.result().status for each in waiting} == {404}


def test_a_dagster_that_answers_nothing_is_told_in_time(live: Live) -> None:
    """Requests with a key of their own do not queue for a minute each."""
    stopped = [
        pid
        for pid, words in started_in(live.folder)
        if any(part in words for part in ("cli.dagster_services ", "dagster._daemon", "grpc"))
    ]
    new = {"config": BTC, "day": DAYS[0], "mode": "fast"}
    with ThreadPoolExecutor(40) as pool:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            asked = [
                pool.submit(live.post, "/api/v1/runs", new, Idempotency_Key=f"stopped {number}")
                for number in range(40)
            ]
            # The client of the tests waits for 60 s, and raises then.
            replies = [each.result() for each in asked]
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert {each.status for each in replies} <= {503, 504}
    assert all("Retry-After" in each.headers for each in replies)
    nowhere = "/api/v1/runs/00000000-0000-4000-8000-000000000000/status"
    live.wait("Dagster", lambda: live.get(nowhere).status == 404)


def test_a_run_is_asked_for_once_however_many_follow_it(live: Live) -> None:
    run_id = live.launch(config=SLOW, day=DAYS[0])
    live.wait_replaying(run_id)
    dagster_run_id = live.status(run_id)["dagster_run_id"]
    looked: list[str | None] = []

    class Counting(DagsterClient):
        def poll(self, dagster_run_id: str, cursor: str | None = None) -> Snapshot:
            looked.append(cursor)
            return super().poll(dagster_run_id, cursor)

    async def read(following: Following, after: int, events: int) -> list[StreamEvent]:
        async with aclosing(following.follow(dagster_run_id, after)) as told:
            return [await anext(told) for _ in range(events)]

    async def follow() -> None:
        following = Following(Counting(live.dagster_url))
        begun = await read(following, 0, 5)
        assert [each.number for each in begun] == [1, 2, 3, 4, 5]
        every = await asyncio.gather(*(read(following, 0, 12) for _ in range(100)))
        assert every.count(every[0]) == 100
        assert await read(following, 5, 7) == every[0][5:]
        # A few questions where each follower by itself would have asked a hundred times.
        assert len(looked) < 40
        # The last one has left: nobody asks any more.
        asked = len(looked)
        await asyncio.sleep(3)
        assert len(looked) <= asked + 1
        # Where the run stands is read on from where it was read before.
        first, second = await following.log(dagster_run_id), await following.log(dagster_run_id)
        assert looked[-2:] == [looked[-2], first.cursor]
        assert second.progress is not None

    asyncio.run(follow())
    assert live.ask("DELETE", f"/api/v1/runs/{run_id}").status == 202
    live.wait_ended(run_id)
