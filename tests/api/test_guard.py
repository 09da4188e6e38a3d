"""One guard for all that listens: the Dagster UI behind `odum serve` and `odum dev`."""

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from live import Live, living, started_in
from service import BTC, Reply, free_port, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from odum_assets.api.problems import ProblemError
from odum_assets.api.session import Sessions
from odum_assets.cli.main import main

TOKEN = "a-token-nobody-guesses-9012"  # noqa: S105 - of a test
BEARER = {"Authorization": f"Bearer {TOKEN}"}
EVIL = "http://evil.example"
RELOAD = (
    'mutation M { reloadRepositoryLocation(repositoryLocationName: "odum_assets") { __typename } }'
)
RUNS = "query Q { runsOrError { ... on Runs { count } } }"

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


class Door(NamedTuple):
    """An address that a browser may open, and what a request there needs."""

    url: str
    headers: dict[str, str]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """Send a request as it is written here: no client in between that mends the path."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = HTTPConnection(self.host, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body or None, {**self.headers, **sent})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())

    def graphql(self, query: str, **headers: str) -> Reply:
        body = json.dumps({"query": query}).encode()
        sent = {"Content_Type": "application/json", **headers}
        return self.ask("POST", "/dagster/graphql", body, **sent)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`odum dev` with a token."""
    folder = tmp_path_factory.mktemp("dev")
    with living(folder, "dev", ODUM_API_TOKEN=TOKEN) as found:
        found.wait_for_dagster(**BEARER)
        yield found


@pytest.fixture(params=["serve", "dev"])
def door(request: pytest.FixtureRequest) -> Door:
    """`odum serve` without a token, and `odum dev` with one."""
    if request.param == "serve":
        return Door(request.getfixturevalue("live").url, {})
    return Door(request.getfixturevalue("dev").url, BEARER)


def cookie_of(door: Door) -> str:
    """Return the cookie that a browser gets for the token."""
    form = f"token={TOKEN}&next=%2Fdagster%2Fruns".encode()
    reply = door.ask("POST", "/login", form, Origin=door.url, Authorization="")
    assert (reply.status, reply.headers["Location"]) == (303, "/dagster/runs")
    given = reply.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(given.split("; "))
    return str(given.split(";")[0])


def test_nothing_is_executed_by_get(door: Door) -> None:
    from urllib.parse import quote, urlencode

    two = quote(f"{RUNS} {RELOAD}")
    persisted = urlencode({"extensions": '{"persistedQuery":{"version":1,"sha256Hash":"0"}}'})
    for query in (
        f"query={quote(RELOAD)}",
        f"query={two}&operationName=M",
        f"query={two}&operationName=Q",
        f"query={quote(RUNS)}",
        persisted,
    ):
        for path in ("graphql", "%67raphql", "graphql/", "./graphql"):
            for accept in ("*/*", "application/json", "text/html"):
                reply = door.ask("GET", f"/dagster/{path}?{query}", Accept=accept)
                assert b'"data"' not in reply.data, (path, query, accept)
                assert b"WorkspaceLocationEntry" not in reply.data
    assert door.ask("GET", f"/dagster/graphql?query={two}").status == 405
    assert door.ask("HEAD", f"/dagster/graphql?query={two}").status == 405
    found = door.graphql(RELOAD)
    assert found.json["data"]["reloadRepositoryLocation"]["__typename"] == "WorkspaceLocationEntry"


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", ""]
)
@pytest.mark.parametrize("path", ["graphql", "report_asset_materialization/backtest/x/result"])
def test_what_a_page_may_post_without_asking_is_refused(door: Door, path: str, kind: str) -> None:
    from urllib.parse import quote

    body = json.dumps({"query": RELOAD}).encode()
    sent = {"Content_Type": kind} if kind else {}
    reply = door.ask("POST", f"/dagster/{path}?query={quote(RELOAD)}", body, **sent)
    assert reply.status == 415
    assert b"WorkspaceLocationEntry" not in reply.data


@pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1:1", "http://localhost"])
def test_pages_of_others_reach_neither_graphql_nor_subscriptions(live: Live, origin: str) -> None:
    door = Door(live.url, {})
    for query in (RELOAD, RUNS):
        reply = door.graphql(query, Origin=origin)
        assert (reply.status, reply.json["type"]) == (403, "urn:odum:problem:foreign-origin")
    assert refused_with(door, origin) == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "192.0.2.1", ""]
)
def test_names_made_up_for_this_machine_are_refused(live: Live, host: str) -> None:
    door = Door(live.url, {})
    for sent in ({"Host": host}, {"Host": host, "Origin": f"http://{host}"}):
        assert door.graphql(RELOAD, **sent).status == 421
        assert door.ask("GET", "/dagster/", **sent).status == 421
    forwarded = {"X_Forwarded_Host": "127.0.0.1", "Forwarded": "host=127.0.0.1"}
    assert door.graphql(RELOAD, Host=host, **forwarded).status == 421


def test_without_the_token_there_is_the_login_only(dev: Live) -> None:
    door = Door(dev.url, {})
    paths = ["/dagster", "/dagster/", "/dagster/graphql", "/graphql", "/", "/dagster/server_info"]
    paths += ["/dagster/../login/x", "/login/", "/login/../dagster/", "/%64agster/", "//dagster/"]
    paths += ["/api/health/../../dagster/", "/dagster/logs/x/compute_logs/x/err"]
    for path in paths:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Cookie": "odum_session=x.y.z"}):
            assert door.ask("GET", path, **headers).status == 401, path
            assert door.ask("POST", path, b"{}", **headers).status == 401, path
    asked = door.ask("GET", "/dagster/runs?x=1", Accept="text/html")
    assert asked.status == 303
    assert asked.headers["Location"] == "/login?next=%2Fdagster%2Fruns%3Fx%3D1"
    assert refused_with(door, dev.url) == 401
    wrong = door.ask("POST", "/login", b"token=wrong", Origin=dev.url)
    assert wrong.status == 401
    assert "Set-Cookie" not in wrong.headers
    assert TOKEN not in dev.log.read_text()


def test_the_cookie_counts_for_our_own_pages_only(dev: Live) -> None:
    door = Door(dev.url, {})
    cookie = cookie_of(door)
    own = Door(dev.url, {"Cookie": cookie})
    assert b"dagster" in own.ask("GET", "/dagster/runs").data.lower()
    assert own.graphql(RUNS, Origin=dev.url).status == 200
    with subscribe(own, dev.url) as events:
        assert json.loads(events.recv(timeout=30))["type"] == "connection_ack"
    for origin in (EVIL, "null", f"http://127.0.0.1:{free_port()}", None):
        sent = {} if origin is None else {"Origin": origin}
        assert own.graphql(RELOAD, **sent).status == 403
        assert refused_with(own, origin) == 403
    # Nobody is logged in or out by a foreign page, either.
    assert door.ask("POST", "/login", f"token={TOKEN}".encode(), Origin=EVIL).status == 403
    assert own.ask("POST", "/logout", Origin=EVIL).status == 403
    for changed in (cookie[:-1] + "x", cookie.replace("=1", "=2"), cookie + "é", cookie + "."):
        tried = Door(dev.url, {"Cookie": changed.encode().decode("latin-1")})
        assert tried.ask("GET", "/dagster/").status == 401
    with subscribe(own, dev.url) as events:
        assert json.loads(events.recv(timeout=30))["type"] == "connection_ack"
        assert own.ask("POST", "/logout", Origin=dev.url).status == 303
        with pytest.raises(ConnectionClosed) as closed:
            list(events)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert own.ask("GET", "/dagster/").status == 401


def test_the_token_is_taken_as_a_password_too(dev: Live) -> None:
    """For ODUM_DAGSTER_URL=http://any:TOKEN@host; a browser repeats it by itself, as a cookie."""
    from urllib3.util import make_headers

    basic = make_headers(basic_auth=f"odum:{TOKEN}")["authorization"]
    door = Door(dev.url, {"Authorization": basic})
    assert door.graphql(RUNS).status == 200
    assert door.graphql(RELOAD, Origin=EVIL).status == 403
    wrong = make_headers(basic_auth=f"{TOKEN}:wrong")["authorization"]
    assert Door(dev.url, {"Authorization": wrong}).graphql(RUNS).status == 401


def test_a_form_that_is_none_logs_nobody_in(dev: Live) -> None:
    door = Door(dev.url, {})
    for body in (b"", b"a=1&" * 100_000, b"token=%ff\xff&next=%2F%00", b"token", b"\x00" * 100):
        reply = door.ask("POST", "/login", body, Origin=dev.url)
        assert (reply.status, "Set-Cookie" in reply.headers) == (401, False)
    assert door.ask("GET", f"/login?token={TOKEN}").headers["Set-Cookie"] is None


@pytest.mark.parametrize("name", ["Host", "Origin", "Authorization", "Content-Type"])
def test_what_decides_is_there_once(door: Door, name: str) -> None:
    own = {"Host": door.host, "Origin": door.url, "Content-Type": "application/json"}
    own = {**own, **door.headers}
    connection = HTTPConnection(door.host, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest("POST", "/dagster/graphql", skip_host=True)
        body = json.dumps({"query": RELOAD}).encode()
        pairs = [*own.items(), ("Content-Length", str(len(body)))]
        for header, value in (*pairs, (name, own.get(name, "Bearer x")), (name, "other")):
            connection.putheader(header, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        assert (reply.status, b"WorkspaceLocationEntry" in reply.read()) == (400, False)


@pytest.mark.parametrize("next_", ["//evil.example", "/\\evil.example", "http://evil.example", ""])
def test_the_login_leads_to_this_host_only(dev: Live, next_: str) -> None:
    from urllib.parse import urlencode

    form = urlencode({"token": TOKEN, "next": next_}).encode()
    reply = Door(dev.url, {}).ask("POST", "/login", form, Origin=dev.url)
    assert (reply.status, reply.headers["Location"]) == (303, "/login")


def test_an_address_does_not_lead_out_of_dagster(door: Door) -> None:
    for path in ("/dagster/../api/v1/runs", "/dagster/..%2f..%2fx", "/dagster/logs/%2e%2e/x/err"):
        assert door.ask("GET", path).status == 400
    for path in ("/dagster/static/..%252f..%252fetc/passwd", "/dagster/%252e%252e/api/v1/runs"):
        assert b"root:" not in door.ask("GET", path).data


def test_replies_are_not_for_frames_and_scripts_of_others(door: Door) -> None:
    reply = door.ask("GET", "/dagster/", Accept="text/html")
    assert reply.status == 200
    assert reply.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    scripts = re.findall(r'src="(/dagster/[^"]+\.js)"', reply.data.decode())
    assert scripts
    assert door.ask("GET", scripts[0]).headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_a_run_is_followed_over_a_websocket(live: Live) -> None:
    run_id = live.launch(config=BTC, day="2024-01-01", mode="fast")
    query = f"""subscription {{ pipelineRunLogs(runId: "{dagster_id(live, run_id)}") {{ __typename
    ... on PipelineRunLogsSubscriptionSuccess {{ messages {{ __typename }} }} }} }}"""
    kinds: list[str] = []
    with subscribe(Door(live.url, {}), live.url, query) as events:
        while "RunSuccessEvent" not in kinds:
            message = json.loads(events.recv(timeout=90))
            if message["type"] == "data":
                found = message["payload"]["data"]["pipelineRunLogs"]
                kinds += [each["__typename"] for each in found.get("messages", ())]
    assert {"RunStartEvent", "MaterializationEvent"} <= set(kinds)


def test_a_subscription_changes_nothing(door: Door) -> None:
    with subscribe(door, None, RELOAD) as events:
        message = json.loads(events.recv(timeout=30))
        while message["type"] == "connection_ack":
            message = json.loads(events.recv(timeout=30))
    assert message["type"] == "error", message


def test_a_large_message_ends_the_websocket(door: Door) -> None:
    large = {"type": "start", "id": "1", "payload": {"query": "x" * 2_000_000}}
    with subscribe(door, None) as events:
        events.send(json.dumps(large))
        with contextlib.suppress(ConnectionClosed):
            while True:
                assert json.loads(events.recv(timeout=30))["type"] == "connection_ack"
    assert events.close_code == 1009


def test_one_port_is_all_that_listens(live: Live, dev: Live) -> None:
    for found in (live, dev):
        pids = [pid for pid, _ in started_in(found.folder)]
        assert len(pids) >= 5
        ports, sockets = listening(pids)
        assert ports == {f"127.0.0.1:{found.url.rpartition(':')[2]}"}
        note = json.loads((found.folder / ".dagster/dev.lock").read_text())
        assert note["socket"] in sockets
        for path in sockets:
            folder = Path(path).parent
            assert folder.stat().st_mode & 0o077 == 0, path
            assert folder.stat().st_uid == os.geteuid()


def test_the_programs_of_old_find_the_ui_of_dev(dev: Live) -> None:
    door = Door(dev.url, BEARER)
    moved = door.ask("GET", "/runs/x?y=%2F")
    assert (moved.status, moved.headers["Location"]) == (307, "/dagster/runs/x?y=%2F")
    body = json.dumps({"query": RUNS}).encode()
    found = door.ask("POST", "/graphql", body, Content_Type="application/json")
    assert found.json["data"]["runsOrError"]["count"] >= 0
    other = f"http://odum:{TOKEN}@{door.host}"
    with serving(dev.folder, ODUM_DAGSTER_URL=other) as service:
        asked = service.get("/api/v1/runs/00000000-0000-4000-8000-000000000000/status")
        # Whether the password of the address is sent is not the guard's subject.
        assert asked.status in (404, 502, 503)


def test_docs_open_with_the_cookie(tmp_path: Path, project: Path) -> None:
    (tmp_path / "configs").symlink_to(project / "configs")
    with serving(tmp_path, ODUM_API_TOKEN=TOKEN, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service:
        door = Door(service.url, {})
        assert door.ask("GET", "/docs", Accept="text/html").headers["Location"] == (
            "/login?next=%2Fdocs"
        )
        own = Door(service.url, {"Cookie": cookie_of(door)})
        assert own.ask("GET", "/docs").status == 200
        assert own.ask("GET", "/openapi.json").json["info"]["title"] == "Odum Assets"
        check = {"config": BTC, "start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:30:00Z"}
        for origin, status in ((service.url, 200), (EVIL, 403)):
            body = json.dumps(check).encode()
            sent = {"Content_Type": "application/json", "Origin": origin}
            assert own.ask("POST", "/api/backtest/check-data", body, **sent).status == status


def test_wrong_tokens_are_counted_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, now = Sessions(TOKEN.encode()), 1000.0
    monkeypatch.setattr("odum_assets.api.session.time.monotonic", lambda: now)
    guesser, other = {"client": ("192.0.2.1", 1)}, {"client": ("192.0.2.2", 2)}
    for _ in range(200):
        assert sessions.is_token(TOKEN.encode(), guesser)
        assert not sessions.is_token(b"wrong", guesser)
    for given in (b"wrong", TOKEN.encode()):
        with pytest.raises(ProblemError, match="try again in 61 s") as refused:
            sessions.is_token(given, guesser)
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "61"})
    assert sessions.is_token(TOKEN.encode(), other)
    now += 60
    assert sessions.is_token(TOKEN.encode(), guesser)


def test_a_cookie_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(TOKEN.encode())
    cookie = sessions.open()
    assert sessions.is_open(cookie)
    assert not Sessions(TOKEN.encode()).is_open(cookie)
    expiry = int(cookie.partition(".")[0])
    monkeypatch.setattr("odum_assets.api.session.time.time", lambda: expiry - 1)
    assert sessions.is_open(cookie)
    monkeypatch.setattr("odum_assets.api.session.time.time", lambda: expiry)
    assert not sessions.is_open(cookie)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_dev_on_other_addresses_needs_a_token(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ODUM_API_TOKEN", raising=False)
    assert main(["dev", "--host", host]) == 2
    assert "ODUM_API_TOKEN" in capsys.readouterr().err


def dagster_id(live: Live, run_id: str) -> str:
    def found() -> str | None:
        return live.registered(run_id).get("dagster_run_id")

    return live.wait("Dagster's id", found)


def refused_with(door: Door, origin: str | None) -> int:
    """Return the status that a WebSocket is refused with."""
    with pytest.raises(InvalidStatus) as refused, subscribe(door, origin):
        pass
    return int(refused.value.response.status_code)


@contextlib.contextmanager
def subscribe(door: Door, origin: str | None, query: str | None = None) -> Iterator[Any]:
    """Open the WebSocket of the UI, and a subscription."""
    with connect(
        f"ws://{door.host}/dagster/graphql",
        origin=None if origin is None else Origin(origin),
        subprotocols=[Subprotocol("graphql-ws")],
        additional_headers=door.headers,
        proxy=None,
    ) as opened:
        assert opened.subprotocol == "graphql-ws"
        opened.send(json.dumps({"type": "connection_init"}))
        if query is not None:
            opened.send(json.dumps({"type": "start", "id": "1", "payload": {"query": query}}))
        yield opened


def listening(pids: list[int]) -> tuple[set[str], set[str]]:
    """Return addresses of TCP and names of Unix sockets that processes listen on."""
    owned = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                owned.add(str(descriptor.readlink()))
    ports, names = set(), set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in owned:
            address, _, port = fields[1].partition(":")
            ip = socket.inet_ntoa(bytes.fromhex(address)[::-1])
            ports.add(f"{ip}:{int(port, 16)}")
    for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in owned:
            ports.add(f"[{fields[1]}]")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        # SO_ACCEPTCON: it listens.
        is_listening = int(fields[3], 16) & 0x10000
        if is_listening and f"socket:[{fields[6]}]" in owned:
            names.add(fields[7])
    return ports, names
