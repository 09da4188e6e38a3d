"""Configurations that come over HTTP: what they may name, and that nothing else is reached."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import BTC, Service, lay_out, serving

ETH_ID = "BINANCE-FUTURES:PERPETUAL:ETH-USDT"
TIMES = {"start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:05:00Z"}
KIND = "urn:odum:problem:beyond-reach"


class Listener:
    """A port of this machine that counts who comes."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(0.2)
                try:
                    self.heard.append(connection.recv(200))
                except OSError:
                    self.heard.append(b"connected")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose operator has allowed something."""
    folder = tmp_path_factory.mktemp("house")
    lay_out(folder)
    for name in ("shelf", "strategies", "catalogs"):
        (folder / name).mkdir()
    (folder / "strategies/calm.py").write_text("open('imported', 'w')\n")
    (folder / "loose.py").write_text("open('imported', 'w')\n")
    with serving(
        folder,
        ODUM_DAGSTER_URL="http://127.0.0.1:9",
        ODUM_REMOTE_RAW_ROOTS=f"s3://bucket/market, {folder}/shelf",
        ODUM_REMOTE_CATALOGS="catalogs",
        ODUM_REMOTE_STRATEGIES="strategies",
    ) as found:
        yield found
    assert not (folder / "imported").exists()


def content(service: Service, **sections: Any) -> dict[str, Any]:
    """Return a configuration of an instrument that no other one has."""
    text = (service.folder / f"configs/{BTC}.json").read_text().replace("BTC-USDT", "ETH-USDT")
    document: dict[str, Any] = json.loads(text)
    document["instrument"] |= {"price_precision": 2, "size_precision": 3}
    for name, values in sections.items():
        document[name] = values if name == "strategy" else {**document.get(name, {}), **values}
    return document


def own(path: str) -> dict[str, Any]:
    return {"name": "Own", "path": path, "params": {}}


def test_no_address_is_opened_for_a_configuration_from_outside(
    service: Service, listener: Listener
) -> None:
    at = f"127.0.0.1:{listener.port}"
    for number, root in enumerate(
        [
            f"http://{at}/",
            f"webhdfs://{at}/",
            f"ftp://{at}/x",
            f"zip://x::http://{at}/x.zip",
            f"simplecache::http://{at}/x",
            f"blockcache::ftp://{at}/x",
            f"{service.folder}/data/x::ftp://{at}/x",
            f"smb://{at}/x",
        ]
    ):
        name = f"away_{number}"
        environment = {"UNIFIED_CLOUD_LOCAL_PATH": root}
        body = {"name": name, "config": content(service, environment=environment)}
        reply = service.post("/api/configs", body)
        assert (reply.status, reply.json["type"]) == (422, KIND), root
        (error,) = reply.json["errors"]
        assert error["place"] == "body.config.environment.UNIFIED_CLOUD_LOCAL_PATH"
        assert str(service.folder / "data") in error["detail"]
        assert service.get(f"/api/configs/{name}").status == 404
        asked = {"config": name, **TIMES}
        assert not service.post("/api/backtest/check-data", asked).json["valid"]
        assert service.post("/api/v1/runs", {"config": name, "day": "2024-01-01"}).status == 404
    assert listener.heard == []


def test_the_same_file_of_the_operator_is_used(tmp_path: Path, listener: Listener) -> None:
    lay_out(tmp_path)
    with serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service:
        root = {"UNIFIED_CLOUD_LOCAL_PATH": f"ftp://127.0.0.1:{listener.port}/x"}
        mine = content(service, environment=root, strategy=own("anything:Goes"))
        (tmp_path / "configs/mine.json").write_text(json.dumps(mine))
        (listed,) = [
            each for each in service.get("/api/configs").json["configs"] if each["name"] == "mine"
        ]
        assert listed["valid"]
        service.post("/api/backtest/check-data", {"config": "mine", **TIMES})
    assert listener.heard


def test_nothing_is_written_or_imported_elsewhere(house: Service, tmp_path: Path) -> None:
    for number, (key, sections) in enumerate(
        [
            ("environment.DATA_CATALOG_PATH", {"environment": {"DATA_CATALOG_PATH": "away"}}),
            ("data_catalog.parquet_root", {"data_catalog": {"parquet_root": str(tmp_path)}}),
            ("data_catalog.parquet_root", {"data_catalog": {"parquet_root": "/dev/null"}}),
            ("strategy.path", {"strategy": own("loose:Loose")}),
            ("strategy.path", {"strategy": own("subprocess:Popen")}),
            ("strategy.path", {"strategy": own("odum_assets.cli.main:main")}),
        ]
    ):
        body = {"name": f"away_{number}", "config": content(house, **sections)}
        reply = house.post("/api/configs", body)
        assert (reply.status, reply.json["type"]) == (422, KIND), sections
        assert [each["place"] for each in reply.json["errors"]] == [f"body.config.{key}"]
        assert key in reply.json["detail"]
    assert list(tmp_path.iterdir()) == []


def test_what_the_operator_allows_is_taken(house: Service) -> None:
    folder = house.folder
    for number, sections in enumerate(
        [
            {"environment": {"UNIFIED_CLOUD_LOCAL_PATH": "s3://bucket/market/spot"}},
            {"environment": {"UNIFIED_CLOUD_LOCAL_PATH": f"{folder}/shelf/a"}},
            {"data_catalog": {"parquet_root": f"{folder}/catalogs/a"}},
            {"strategy": own("strategies.calm:Calm")},
        ]
    ):
        body = {"name": f"allowed_{number}", "config": content(house, **sections)}
        reply = house.post("/api/configs", body)
        assert reply.status == 201, reply.data
        (folder / f"configs/allowed_{number}.json").unlink()
    inner = {"UNIFIED_CLOUD_LOCAL_PATH": "s3://bucket/secret"}
    refused = house.post(
        "/api/configs", {"name": "refused", "config": content(house, environment=inner)}
    )
    assert "s3://bucket/market" in refused.json["detail"]


def test_a_file_of_the_operator_keeps_its_reach_and_gets_no_other(house: Service) -> None:
    """Over a file of the operator, and beside it under another name."""
    root = {"UNIFIED_CLOUD_LOCAL_PATH": "/srv/tape"}
    mine = content(house, environment=root, strategy={**own("loose:Loose"), "params": {"n": 1}})
    file = house.folder / "configs/mine.json"
    file.write_text(json.dumps(mine))
    try:
        tag = house.get("/api/configs/mine").headers["ETag"]
        changed = {**mine, "risk": {"throttling_per_sec": 3}}
        kept = house.post("/api/configs", {"name": "mine", "config": changed}, If_Match=tag)
        assert kept.status == 200, kept.data
        tag = kept.headers["ETag"]
        for other, key in (
            ({"environment": {"UNIFIED_CLOUD_LOCAL_PATH": "/srv"}}, "environment"),
            ({"strategy": {**mine["strategy"], "path": "loose:Other"}}, "strategy.path"),
            ({"strategy": {**mine["strategy"], "params": {"n": 2}}}, "strategy.path"),
            ({"environment": {**root, "DATA_CATALOG_PATH": "/srv/tape"}}, "environment"),
        ):
            body = {"name": "mine", "config": {**mine, **other}}
            reply = house.post("/api/configs", body, If_Match=tag)
            assert (reply.status, reply.json["type"]) == (422, KIND)
            assert reply.json["errors"][0]["place"].startswith(f"body.config.{key}")
        assert json.loads(file.read_text()) == changed
        copied = house.post("/api/configs", {"name": "mine_too", "config": changed})
        assert copied.status == 201
    finally:
        file.unlink()
        (house.folder / "configs/mine_too.json").unlink(missing_ok=True)


def test_what_was_stored_stays_within_reach_after_another_start(tmp_path: Path) -> None:
    """Neither variables nor the current folder of the next start make more of a stored file."""
    lay_out(tmp_path)
    nowhere = {"ODUM_DAGSTER_URL": "http://127.0.0.1:9"}
    covered = {"UNIFIED_CLOUD_LOCAL_PATH": str(tmp_path / "data"), "DATA_CATALOG_PATH": "data/c"}
    with serving(tmp_path, **nowhere, **covered) as service:
        for environment in (
            {"UNIFIED_CLOUD_LOCAL_PATH": "/etc"},
            {"UNIFIED_CLOUD_LOCAL_PATH": "data/x"},
            {"DATA_CATALOG_PATH": "data/c/x"},
        ):
            body = {"name": "later", "config": content(service, environment=environment)}
            assert service.post("/api/configs", body).status == 422
        inside = {"UNIFIED_CLOUD_LOCAL_PATH": str(tmp_path / "data/x")}
        body = {"name": "later", "config": content(service, environment=inside)}
        assert service.post("/api/configs", body).status == 201
    with serving(tmp_path, **nowhere) as service:
        again = {"config": "later", **TIMES}
        assert not service.post("/api/backtest/check-data", again).json["valid"]
        stored = service.get("/api/configs/later").json
        assert stored["environment"] == inside


def test_a_configuration_that_would_stop_others_is_not_stored(service: Service) -> None:
    document = json.loads((service.folder / f"configs/{BTC}.json").read_text())
    body = {"name": "aaa_gcs", "config": {**document, "data_source": "gcs"}}
    reply = service.post("/api/configs", body)
    assert (reply.status, reply.json["type"]) == (422, KIND)
    asked = {"config": BTC, "start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:30:00Z"}
    assert service.post("/api/backtest/check-data", asked).json["valid"]


def test_a_catalog_that_no_folder_can_be_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path)
    file = tmp_path / "configs/odd.json"
    with serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service:
        for root in ("/dev/null", "/dev/null/x", f"{tmp_path}/data/catalog/{'x' * 300}"):
            odd = content(service, data_catalog={"parquet_root": root})
            assert service.post("/api/configs", {"name": "odd", "config": odd}).status == 422
            file.write_text(json.dumps(odd))
            reply = service.post("/api/backtest/check-data", {"config": "odd", **TIMES})
            said = " ".join(reply.json.get("errors", [])) + reply.json.get("detail", "")
            assert reply.status == 200, reply.data
            assert "parquet_root" in said
            run = service.post("/api/v1/runs", {"config": "odd", "day": "2024-01-01"})
            assert run.status == 409, run.data
            file.unlink()


def test_many_mistakes_are_not_all_told(service: Service) -> None:
    many = {f"unknown_{number}": 1 for number in range(45_000)}
    for path, body in (
        ("/api/configs", {"name": "many", "config": many}),
        ("/api/v1/runs", {"config": BTC, **many}),
    ):
        reply = service.post(path, body)
        assert reply.status == 422, reply.status
        assert len(reply.data) < 40_000
        assert "more" in reply.json["detail"]
