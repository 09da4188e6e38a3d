"""Days of data, configurations and choices, over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import BTC, THROTTLED, Service

NEW = "made_by_a_test"


@pytest.fixture
def cleaned(project: Path) -> Iterator[Path]:
    yield project / "configs"
    (project / "configs" / f"{NEW}.json").unlink(missing_ok=True)


def _content(project: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((project / "configs" / f"{BTC}.json").read_text())
    return found


def test_a_day_of_data(service: Service, project: Path) -> None:
    files = list((project / "data/raw_tick_data/by_date/day-2024-01-01").rglob("*.parquet"))
    found = service.get("/api/datasets").json
    assert found["total"] == 1
    assert found["datasets"] == [
        {
            "name": "day-2024-01-01",
            "day": "2024-01-01",
            "files": len(files),
            "size": sum(each.stat().st_size for each in files),
            "instruments": ["BINANCE-FUTURES:PERPETUAL:BTC-USDT"],
            "data_types": sorted(each.parent.name.removeprefix("data_type-") for each in files),
            "problems": [],
        }
    ]


@pytest.mark.parametrize(
    ("question", "valid"),
    [
        ({"instrument_id": "BTCUSDT", "snapshot_mode": "both"}, True),
        ({"config": BTC, "snapshot_mode": "trades"}, True),
        ({"instrument_id": "ETHUSDT"}, False),
        ({"config": "nope"}, False),
        ({"config": BTC, "data_source": "gcs"}, False),
        ({"config": BTC, "end": "2024-01-03T00:00:00Z"}, False),
        ({"config": BTC, "end": "2023-01-03T00:00:00Z"}, False),
        ({}, False),
    ],
)
def test_check_data_says_what_is_missing(
    service: Service, question: dict[str, str], valid: bool
) -> None:
    times = {"start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:30:00Z"}
    reply = service.post("/api/backtest/check-data", {**times, **question})
    found = reply.json
    assert (reply.status, found["valid"]) == (200, valid)
    assert bool(found["errors"]) is not valid
    if valid:
        assert found["has_trades"]
        assert (found["date"], found["dataset"]) == ("2024-01-01", "day-2024-01-01")


def test_a_configuration_is_read_as_it_is(service: Service, project: Path) -> None:
    names = [each["name"] for each in service.get("/api/configs").json["configs"]]
    assert names == [BTC, THROTTLED]
    for name in (BTC, f"{BTC}.json"):
        reply = service.get(f"/api/configs/{name}")
        assert reply.data == (project / "configs" / f"{BTC}.json").read_bytes()
    assert service.get(f"/api/configs/{BTC}", If_None_Match=reply.headers["ETag"]).status == 304


def test_a_configuration_is_replaced_by_who_has_seen_it(service: Service, cleaned: Path) -> None:
    content = _content(cleaned.parent)
    made = service.post("/api/configs", {"name": NEW, "config": content})
    assert (made.status, made.json["status"]) == (201, "saved")
    assert json.loads((cleaned / f"{NEW}.json").read_text()) == content
    changed = {"name": NEW, "config": {**content, "risk": {"throttling_per_sec": 9}}}
    assert service.post("/api/configs", changed).status == 428
    assert service.post("/api/configs", changed, If_Match='"other"').status == 412
    assert json.loads((cleaned / f"{NEW}.json").read_text()) == content
    tag = service.get(f"/api/configs/{NEW}").headers["ETag"]
    assert tag == made.headers["ETag"]
    saved = service.post("/api/configs", changed, If_Match=tag)
    assert (saved.status, saved.json["etag"] != tag) == (200, True)
    assert json.loads((cleaned / f"{NEW}.json").read_text()) == changed["config"]
    assert service.post("/api/configs", changed, If_Match=tag).status == 412
    assert [each.name for each in cleaned.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (NEW, {"risk": {"throttling": 1}}, "risk.throttling: unknown key"),
        (NEW, {"venue": None}, "venue"),
        ("../escape", {}, "small letters"),
        ("Big", {}, "small letters"),
        # It shares the instrument of the others, so it must agree with them about it.
        (NEW, {"data_catalog": {"trades_path": "x/day-*/other.parquet"}}, "trades_path"),
    ],
)
def test_what_is_not_valid_is_not_written(
    service: Service, cleaned: Path, name: str, change: dict[str, object], said: str
) -> None:
    before = sorted(
        each.name for each in cleaned.parent.rglob("*.json") if "data" not in each.parts
    )
    content = {**_content(cleaned.parent), **change}
    reply = service.post("/api/configs", {"name": name, "config": content})
    assert reply.status == 422
    assert said in reply.json["detail"]
    assert "odum-configs-" not in reply.json["detail"]
    after = sorted(each.name for each in cleaned.parent.rglob("*.json") if "data" not in each.parts)
    assert after == before


def test_choices(service: Service) -> None:
    venues = {
        each["code"]: each["types"] for each in service.get("/api/instruments/venues").json["cefi"]
    }
    assert venues["BINANCE-FUTURES"] == ["PERPETUAL", "FUTURE"]
    found = service.get("/api/instruments/list/binance-futures/perpetual").json["instruments"]
    assert [each["configs"] for each in found] == [[BTC, THROTTLED]]
    algorithms = {each["id"]: each for each in service.get("/api/algorithms").json}
    assert set(algorithms) == {"NORMAL", "TWAP", "VWAP", "ICEBERG"}
    horizon = algorithms["TWAP"]["parameters"][0]
    assert (horizon["name"], horizon["default"], horizon["maximum"]) == ("horizon_secs", 10, 86_400)
    assert service.get("/api/algorithms/twap").json == algorithms["TWAP"]


def test_the_mount_is_that_of_the_raw_folder(service: Service, project: Path) -> None:
    found = service.get("/api/mount/status").json
    assert found["path"] == str(project / "data")
    assert (found["path_exists"], found["path_readable"]) == (True, True)
    assert found["file_count"] == len(list((project / "data").iterdir()))
