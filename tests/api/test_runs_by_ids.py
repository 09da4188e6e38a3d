"""Datasets and strategies are created over HTTP, and runs start by their ids."""

import json
import re
import subprocess
from typing import Any

import pytest
from live import DAYS, KEY, Live
from service import BTC, REPOSITORY, Service

_SECTION = {"order_type": "MARKET", "time_in_force": "IOC"}


@pytest.fixture(scope="module")
def dataset(live: Live) -> dict[str, Any]:
    """The first sample day, converted by a run."""
    live.wait_ended(live.launch(config=BTC, day=DAYS[0], mode="fast", end="12:01"), 180)
    reply = live.post("/api/v1/datasets", _days())
    # The run has read this very dataset.
    assert reply.status == 200, reply.data
    same = {"symbols": ["BTCUSDT"], "timeframe": "tick", "content_hash": reply.json["content_hash"]}
    days = {"start_date": f"{DAYS[0]}T00:00:00Z", "end_date": f"{DAYS[1]}T00:00:00Z"}
    assert live.post("/api/v1/datasets", {**days, **same}).json == reply.json
    other = live.post("/api/v1/datasets", {**days, **same, "content_hash": "0" * 64})
    assert other.status == 409
    return dict(reply.json)


def _days(**changes: Any) -> dict[str, Any]:
    return {"instrument": KEY, "start_date": DAYS[0], "end_date": DAYS[1], **changes}


def _strategy(live: Live, **changes: Any) -> dict[str, Any]:
    body = {"name": "AtMarket", "version": "1.0.0", "params": _SECTION, **changes}
    reply = live.post("/api/v1/strategies", body)
    assert reply.status in (200, 201), reply.data
    assert live.get(reply.headers["Location"]).json == reply.json
    return dict(reply.json)


@pytest.mark.e2e
def test_a_run_is_started_by_ids_with_its_capital(live: Live, dataset: dict[str, Any]) -> None:
    strategy = _strategy(live, description="Market orders")
    asked = {
        "dataset_id": dataset["uuid"],
        "strategy_id": strategy["uuid"],
        "initial_capital": 12345.67,
        "end": "12:05",
    }
    run = live.wait_ended(live.launch(**asked), 180)
    assert run["status"] == "succeeded", run["error"]
    assert (run["dataset_id"], run["strategy_id"]) == (dataset["id"], strategy["id"])
    assert run["dataset"]["uuid"] == dataset["uuid"]
    assert run["initial_capital"] == 12345.67
    assert run["strategy"]["version"] == "1.0.0"
    config = json.loads((live.folder / f"configs/{run['config_name']}.json").read_text())
    assert config["strategy"] == {
        "name": "AtMarket", "version": "1.0.0", **strategy["params"],
    }  # fmt: skip
    # The same once more has a configuration already.
    again = live.launch(**asked | {"dataset_id": dataset["id"], "mode": "fast"})
    assert live.wait_ended(again, 180)["config_name"] == run["config_name"]
    _check_events(live, run)


def _check_events(live: Live, run: dict[str, Any]) -> None:
    path = f"/api/v1/runs/{run['run_id']}/events"
    for kind, count in (("signal", run["orders"]), ("trade", run["fills"])):
        found: list[dict[str, Any]] = []
        after: int | None = -1
        while after is not None:
            page = live.get(f"{path}?event_type={kind}&limit=7&after={after}").json
            found += page["events"]
            after = page["next_after"]
        assert len(found) == count > 7
        assert {event["event_type"] for event in found} == {kind}
        assert len({event["sequence"] for event in found}) == count
    types = {event["event_type"] for event in live.get(path).json["events"]}
    assert types >= {"market_start", "market_end", "metric", "succeeded"}


@pytest.mark.e2e
def test_the_calls_of_the_registrys_page_run(live: Live, dataset: dict[str, Any]) -> None:
    text = (REPOSITORY / "docs" / "registry.md").read_text()
    (block,) = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    script = block.replace("http://127.0.0.1:8000", live.url)
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=live.folder, capture_output=True, check=True
    )
    run = live.wait_ended(json.loads(ran.stdout)["run_id"], 180)
    assert (run["status"], run["initial_capital"]) == ("succeeded", 10_000)
    assert run["dataset_id"] == dataset["id"]


@pytest.mark.e2e
def test_the_strategy_and_data_of_a_configuration_need_no_other_one(
    live: Live, dataset: dict[str, Any]
) -> None:
    before = {path.name for path in (live.folder / "configs").iterdir()}
    run = next(
        row for row in live.get("/api/v1/runs?status=succeeded&limit=200").json["runs"]
        if row["config_name"] == BTC
    )  # fmt: skip
    run_id = live.launch(
        dataset_id=dataset["id"], strategy_id=run["strategy_id"], mode="fast", end="12:01"
    )
    assert live.wait_ended(run_id, 180)["config_name"] == BTC
    assert {path.name for path in (live.folder / "configs").iterdir()} == before


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"dataset_id": 999_999}, 404, "unknown-dataset"),
        ({"strategy_id": "6f8f57c5-54ff-5d51-9d42-2b3a54d0a9c1"}, 404, "unknown-strategy"),
        ({"initial_capital": 0}, 422, "invalid-request"),
        ({"day": "2024-01-01"}, 422, "invalid-request"),
        ({"strategy_id": None}, 422, "invalid-request"),
        ({"config": "nope"}, 404, "unknown-config"),
    ],
)
def test_what_cannot_be_started_is_refused(
    live: Live, dataset: dict[str, Any], changes: dict[str, Any], status: int, kind: str
) -> None:
    ids = {"dataset_id": dataset["id"], "strategy_id": _strategy(live)["id"]}
    reply = live.post("/api/v1/runs", {**ids, **changes})
    assert (reply.status, reply.json["type"]) == (status, f"urn:odum:problem:{kind}"), reply.data


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("datasets", _days(instrument="DOGEUSDT"), 404, "no configuration has the instrument"),
        ("datasets", _days(end_date=DAYS[0]), 422, "start_date must be before end_date"),
        ("datasets", _days(data_types=["book_snapshot_5"]), 422, "a run always reads trades"),
        (
            "datasets",
            _days(start_date="2023-01-01", end_date="2023-01-02"),
            409,
            "the catalog lacks trades 2023-01-01",
        ),
        ("strategies", {"name": "x", "version": "1", "params": {"fast": 3}}, 422, "params.fast"),
        (
            "strategies",
            {"name": "x", "version": "1", "params": {"path": "os:system"}},
            422,
            "params.path",
        ),
        ("strategies", {"name": "x", "version": "one two"}, 422, "body.version"),
        ("strategies", {"name": "x", "version": "1", "params": {"name": "y"}}, 422, "params.name"),
    ],
)
def test_what_cannot_be_created_is_refused(
    service: Service, path: str, body: dict[str, Any], status: int, text: str
) -> None:
    reply = service.post(f"/api/v1/{path}", body)
    assert reply.status == status, reply.data
    assert text in json.dumps(reply.json)
