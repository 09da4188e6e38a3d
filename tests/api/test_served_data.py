"""Days of data, configurations and choices, over HTTP."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from service import BTC, THROTTLED, Service
from urllib3 import HTTPHeaderDict

from odum_assets.config import load_config

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


def test_what_is_asked_for_takes_precedence_over_the_time_window(
    service: Service, cleaned: Path
) -> None:
    content = _content(service.folder)
    window = {"start": "2024-01-01T12:10:00Z", "end": "2024-01-01T12:15:00Z"}
    (cleaned / f"{NEW}.json").write_text(json.dumps({**content, "time_window": window}))
    asked = {"start": "2024-01-01T12:20:00Z", "end": "2024-01-01T12:25:00Z"}
    for which in ({"config": NEW}, {"instrument_id": "BTCUSDT"}):
        found = service.post("/api/backtest/check-data", {**asked, **which}).json
        assert (found["valid"], found["errors"]) == (True, [])
        # The sample holds an hour of its day, which is said of each file; nothing else is.
        assert all("day_covered" in each for each in found["warnings"])
    # Without a configuration none is chosen silently.
    assert f"{BTC}, {NEW}, {THROTTLED}" in found["messages"][0]


def test_one_disagreeing_configuration_is_listed_as_left_out(
    service: Service, cleaned: Path
) -> None:
    content = _content(service.folder)
    content["instrument"]["price_precision"] = 2
    (cleaned / f"{NEW}.json").write_text(json.dumps(content))
    listed = {each["name"]: each for each in service.get("/api/configs").json["configs"]}
    assert [name for name, each in listed.items() if not each["valid"]] == [NEW]
    assert "instrument.price_precision: found 2" in listed[NEW]["problems"][0]
    asked = {"start": "2024-01-01T12:20:00Z", "end": "2024-01-01T12:25:00Z"}
    for name, valid in ((BTC, True), (NEW, False)):
        found = service.post("/api/backtest/check-data", {**asked, "config": name}).json
        assert found["valid"] is valid, found


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


def test_preconditions_are_those_of_rfc_9110(service: Service, cleaned: Path) -> None:
    body = {"name": NEW, "config": _content(service.folder)}
    path = f"/api/configs/{NEW}"

    def post(**headers: str) -> int:
        return service.post("/api/configs", body, **headers).status

    # "*" stands for any configuration that exists: there is none yet.
    assert post(If_Match="*") == 412
    assert post(If_Match='"0a1b2c"') == 412
    assert not (cleaned / f"{NEW}.json").exists()
    assert post(If_None_Match="*") == 201
    assert post(If_None_Match="*") == 412
    assert post() == 428
    assert post(If_Match="*") == 200
    tag = service.get(path).headers["ETag"]
    assert post(If_None_Match=tag) == 412
    assert post(If_None_Match='"other"') == 428
    assert post(If_Match=f'"other", {tag}') == 200
    assert post(If_Match=tag, If_None_Match=tag) == 412
    # If-Match compares strongly.
    assert post(If_Match=f"W/{tag}") == 412
    for wrong in (tag.strip('"'), "", ",", f"{tag} {tag}", '"half', f"*, {tag}", "w/" + tag):
        assert post(If_Match=wrong) == 400, wrong
        assert post(If_None_Match=wrong) == 400, wrong
    lines = [("Content-Type", "application/json"), ("If-Match", '"other"'), ("If-Match", tag)]
    twice = service.pool.request(
        "POST", f"{service.url}/api/configs", json=body, headers=HTTPHeaderDict(lines)
    )
    assert twice.status == 200

    assert service.get(path, If_None_Match=f'"other", W/{tag}').status == 304
    assert service.get(path, If_None_Match="*").status == 304
    assert service.get(path, If_None_Match=f"{tag}x").status == 200
    assert service.get(path, If_Match=tag).status == 200
    assert service.get(path, If_Match="*").status == 200
    assert service.get(path, If_Match='"other"').status == 412
    assert service.get("/api/v1/runs", If_Match='"other"').status == 412


def test_numbers_of_a_configuration_keep_their_digits(service: Service, cleaned: Path) -> None:
    long = "0.12345678901234567890123"
    content: Any = _content(cleaned.parent)
    content["venue"]["taker_fee"] = "FEE"
    body = json.dumps({"name": NEW, "config": content}).replace('"FEE"', long)
    made = service.post("/api/configs", body.encode())
    assert made.status == 201
    assert f'"taker_fee": {long}' in (cleaned / f"{NEW}.json").read_text()
    assert load_config(cleaned / f"{NEW}.json").config.venue.taker_fee == Decimal(long)
    assert made.json["hash"] == load_config(cleaned / f"{NEW}.json").content_hash


@pytest.mark.parametrize("number", ["0.5", "1e99999999999999999999", "NaN", "1e400"])
@pytest.mark.parametrize(
    "place", ['{"name": #, "config": {}}', '{"name": "a", "config": {"a": #}}']
)
def test_numbers_where_none_belong_are_refused(service: Service, place: str, number: str) -> None:
    reply = service.post("/api/configs", place.replace("#", number).encode())
    assert reply.status == 422
    assert reply.json["title"]


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
