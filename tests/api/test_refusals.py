"""Who may ask, how much, and how refusals look."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import BTC, Service, serving

from odum_assets.api.guards import Guard
from odum_assets.api.launching import LaunchLimit
from odum_assets.api.options import ServiceOptions, load_options
from odum_assets.api.problems import ProblemError
from odum_assets.cli.main import main
from odum_assets.errors import ConfigError

TOKEN = "a-token-nobody-guesses-1234"  # noqa: S105 - of a test
ORIGIN = "https://results.example"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("locked")
    (folder / "configs").symlink_to(project / "configs")
    with serving(
        folder,
        ODUM_API_TOKEN=TOKEN,
        ODUM_API_CORS=ORIGIN,
        ODUM_API_MAX_BODY="2000",
        ODUM_DAGSTER_URL="http://127.0.0.1:9",
    ) as found:
        yield found


def test_without_the_token_only_health_answers(locked: Service) -> None:
    assert locked.get("/api/health").json["status"] == "ok"
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
        for path in ("/api/datasets", "/openapi.json", "/docs", "/api/nowhere"):
            reply = locked.get(path, **given)
            assert reply.status == 401
            assert reply.headers["WWW-Authenticate"] == "Bearer"
            assert reply.json["type"] == "urn:odum:problem:unauthorized"
    assert locked.get("/api/datasets", Authorization=f"Bearer {TOKEN}").status == 200
    assert TOKEN not in locked.log.read_text()


def test_listed_origins_only(locked: Service) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "if-match"}
    reply = locked.ask("OPTIONS", "/api/configs", **asked, Origin=ORIGIN)
    assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    other = locked.ask("OPTIONS", "/api/configs", **asked, Origin="https://other.example")
    assert "Access-Control-Allow-Origin" not in other.headers
    refused = locked.get("/api/datasets", Origin=ORIGIN)
    assert (refused.status, refused.headers["Access-Control-Allow-Origin"]) == (401, ORIGIN)


def test_a_large_body_is_refused(locked: Service) -> None:
    body = json.dumps({"name": "x", "config": {"text": "x" * 5_000}}).encode()
    bearer = f"Bearer {TOKEN}"
    assert locked.post("/api/configs", body, Authorization=bearer).status == 413
    chunks = locked.pool.request(
        "POST",
        f"{locked.url}/api/configs",
        body=iter([body[:1500], body[1500:]]),
        headers={"Authorization": bearer, "Content-Type": "application/json"},
    )
    assert chunks.status == 413
    assert json.loads(chunks.data)["type"] == "urn:odum:problem:body-too-large"


def test_other_names_of_this_machine_are_refused(service: Service) -> None:
    assert service.get("/api/datasets", Host="attacker.example").status == 421
    assert service.get("/api/datasets", Host="localhost:1234").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/configs/..%2f..%2fetc%2fpasswd",
        "/api/configs/%2e%2e",
        "/api/configs/A",
        "/api/backtest/results/..%2f..%2fx",
        "/api/backtest/results/x%00y/ticks",
        "/api/v1/runs?config_name=%00",
        "/api/backtest/results/BNF_BTC_20240101_00000000_000000_000000/fills",
        "/api/v1/runs/..%2fx/equity",
        "/api/v1/compare?ids=../a,../b",
        "/api/instruments/types/nowhere",
        "/api/algorithms/none",
    ],
)
def test_names_lead_nowhere_else(service: Service, path: str) -> None:
    reply = service.get(path)
    assert reply.status in (400, 404, 422)
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json
    assert set(problem) == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
        "errors",
    }
    assert problem["status"] == reply.status
    assert problem["request_id"] == reply.headers["X-Request-Id"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_pages_of_others_start_nothing(service: Service, origin: str) -> None:
    # As a browser sends it without asking before: a plain text, from any page.
    body = json.dumps({"config": BTC, "day": "2024-01-01"}).encode()
    for kind in ("text/plain", "application/json"):
        reply = service.post("/api/v1/runs", body, Origin=origin, Content_Type=kind)
        assert (reply.status, reply.json["type"]) == (403, "urn:odum:problem:foreign-origin")
    check = {"config": BTC, "start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:30:00Z"}
    assert service.post("/api/backtest/check-data", check, Origin=service.url).json["valid"]
    assert service.get("/api/datasets", Origin=origin).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/configs", "GET, POST"),
        ("POST", "/api/v1/runs/x", "DELETE, GET"),
        ("DELETE", "/api/health", "GET"),
    ],
)
def test_other_methods_are_told_which_there_are(
    service: Service, method: str, path: str, allowed: str
) -> None:
    reply = service.ask(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, allowed)
    assert reply.json["type"] == "urn:odum:problem:method-not-allowed"


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 5_000, b"null", b"", b"1e999", b"{}"])
def test_a_body_that_is_no_request_is_the_askers_mistake(service: Service, body: bytes) -> None:
    reply = service.post("/api/backtest/check-data", body)
    assert reply.status in (400, 422)
    assert reply.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("configs", '{"name": "hostile", "config": {"a": NaN}}'),
        ("configs", '{"name": "hostile", "config": {"a": 1e400}}'),
        ("configs", '{"name": "hostile", "config": {"a": "\\ud800"}}'),
        ("configs", f'{{"name": "hostile", "config": {{"a": {"9" * 5_000}}}}}'),
        ("configs", '{"name": "hostile", "config": ' + '{"a":' * 900 + "1" + "}" * 901),
    ],
)
def test_what_is_no_json_is_not_stored(service: Service, path: str, body: str) -> None:
    assert service.post(f"/api/{path}", body.encode()).status in (400, 422)
    assert service.get(f"/api/{path}/hostile").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs?executed_from=0001-01-01T00:00:00%2B14:00",
        "/api/v1/runs?executed_to=9999-12-31T23:59:59-12:00",
        "/api/v1/runs/{}/timeline?start=0001-01-01T00:00:00%2B14:00",
        "/api/backtest/results/{}/fills?end=9999-12-31T23:59:59-12:00",
    ],
)
def test_times_that_no_clock_shows(service: Service, project: Path, path: str) -> None:
    reports = project / "data/results/report"
    run_id = next(each.name for each in reports.iterdir())
    assert service.get(path.format(run_id)).status == 422


def test_links_that_lead_out_of_the_results_are_not_followed(
    service: Service, project: Path, tmp_path: Path
) -> None:
    run_id = "BNF_BTC_20240101_00000000_000000_0a0b0c"
    stolen = next((project / "data/results/fast").glob("*.json")).read_text()
    (tmp_path / "secret.json").write_text(stolen)
    for folder in ("fast", "tickdata"):
        link = project / f"data/results/{folder}/{run_id}.json"
        link.symlink_to(tmp_path / "secret.json")
    try:
        for path in (
            f"/api/backtest/results/{run_id}",
            f"/api/v1/runs/{run_id}/metrics",
            f"/api/backtest/results/{run_id}/ticks",
        ):
            reply = service.get(path)
            assert (reply.status, reply.json["type"]) == (409, "urn:odum:problem:cannot-be-done")
    finally:
        for folder in ("fast", "tickdata"):
            (project / f"data/results/{folder}/{run_id}.json").unlink()


def test_a_database_that_is_away_is_named_without_its_password(
    tmp_path: Path, project: Path
) -> None:
    (tmp_path / "configs").symlink_to(project / "configs")
    url = "postgresql://reader:pass-nobody-guesses@127.0.0.1:9/odum?connect_timeout=2"
    with serving(tmp_path, DATABASE_URL=url, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service:
        for path in ("/api/v1/runs", "/api/backtest/results", "/api/v1/runs/x"):
            reply = service.get(path)
            assert (reply.status, reply.json["type"]) == (
                503,
                "urn:odum:problem:registry-unavailable",
            )
            assert reply.headers["Retry-After"] == "5"
            assert "127.0.0.1" in reply.json["detail"]
            assert "pass-nobody-guesses" not in reply.data.decode()
        assert service.get("/api/configs").status == 200
        assert "pass-nobody-guesses" not in service.log.read_text()


def test_a_bug_is_told_as_one_and_logged_under_its_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_scope: object, _receive: object, _send: object) -> None:
        raise ZeroDivisionError("the inside of the service")

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"x-request-id", b"my-2")],
    }
    asyncio.run(Guard(broken, ServiceOptions(token=None))(scope, receive, send))
    problem = json.loads(sent[1]["body"])
    assert (sent[0]["status"], problem["request_id"]) == (500, "my-2")
    assert "inside" not in problem["detail"]
    assert "my-2" in caplog.text
    assert "ZeroDivisionError: the inside of the service" in caplog.text


def test_a_request_keeps_its_id(service: Service) -> None:
    assert service.get("/api/health", X_Request_Id="my-1").headers["X-Request-Id"] == "my-1"
    made = service.get("/api/health", X_Request_Id="no spaces").headers["X-Request-Id"]
    assert made != "no spaces"


def test_without_dagster_it_says_what_to_start(service: Service) -> None:
    new = {"config": BTC, "day": "2024-01-01"}
    for reply in (
        service.post("/api/v1/runs", new),
        service.post(
            "/api/backtest/run",
            {
                "instrument": "BTCUSDT",
                "config": f"{BTC}.json",
                "start": "2024-01-01T12:00:00Z",
                "end": "2024-01-01T12:05:00Z",
            },
        ),
    ):
        assert (reply.status, reply.json["type"]) == (503, "urn:odum:problem:dagster-unreachable")
        assert "odum dev" in reply.json["detail"]
        assert reply.headers["Retry-After"] == "5"
        assert "hidden" not in reply.json["detail"]
    assert "hidden" not in service.log.read_text()


@pytest.mark.parametrize(
    ("new", "status", "kind"),
    [
        ({"config": "nope", "day": "2024-01-01"}, 404, "unknown-config"),
        ({"config": BTC, "day": "2024-02-01"}, 409, "missing-data"),
        ({"config": BTC, "day": "1999-02-01"}, 422, "invalid-day"),
        ({"config": BTC}, 422, "invalid-window"),
        ({"config": BTC, "day": "2024-01-01", "self": 1}, 422, "invalid-request"),
        ({"config": BTC, "day": "2024-01-01", "window": True}, 422, "invalid-request"),
        ({"config": BTC, "start": "2024-01-01", "end": "2024-01-02"}, 422, "invalid-time"),
        ({"config": BTC, "day": "2024-01-01", "exec_algorithm": "X"}, 422, "invalid-request"),
        (
            {"config": BTC, "day": "2024-01-01", "exec_algorithm_params": {"x": 1}},
            422,
            "invalid-options",
        ),
        (
            {"config": BTC, "day": "2024-01-01", "mode": "fast", "export_ticks": True},
            422,
            "invalid-request",
        ),
        (
            {
                "config": BTC,
                "start": "2023-12-31T00:00:00Z",
                "end": "2024-01-02T00:00:00Z",
                "missing_days": "refuse",
            },
            409,
            "missing-data",
        ),
        (
            {"config": BTC, "start": "2024-01-02T00:00:00Z", "end": "2024-01-04T00:00:00Z"},
            409,
            "missing-data",
        ),
        (
            {
                "config": BTC,
                "start": "2023-12-31T00:00:00Z",
                "end": "2024-01-02T00:00:00Z",
                "missing_days": "perhaps",
            },
            422,
            "invalid-request",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_dagster_is_asked(
    service: Service, new: dict[str, object], status: int, kind: str
) -> None:
    reply = service.post("/api/v1/runs", new)
    assert (reply.status, reply.json["type"]) == (status, f"urn:odum:problem:{kind}")


def test_launches_are_limited_per_minute() -> None:
    limit = LaunchLimit(2)
    limit.take()
    limit.take()
    with pytest.raises(ProblemError) as refused:
        limit.take()
    assert refused.value.status == 429
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 61


def test_options_that_cannot_be_used_are_named_without_their_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ODUM_API_TOKEN", "short-secret")
    with pytest.raises(ConfigError) as refused:
        load_options()
    assert "ODUM_API_TOKEN" in str(refused.value)
    assert "short-secret" not in str(refused.value)


def test_other_addresses_need_a_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ODUM_API_TOKEN", raising=False)
    assert main(["serve", "--host", "0.0.0.0", "--no-dagster"]) == 2  # noqa: S104 - it is refused
    assert "ODUM_API_TOKEN" in capsys.readouterr().err
