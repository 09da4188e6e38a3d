"""What a client may cost: real sockets, a real `odum serve`, its memory as Linux has it."""

import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from service import BTC, Service, clean_environment, free_port, serving

from odum_assets.results.documents import SMALL_PAGES

_REPORT_MB = 5
_SHORT_S = 2.0
_WITH_TIMES = """
import sys
from odum_assets.api import server
from odum_assets.cli.main import main

{times} = {seconds}
sys.exit(main(sys.argv[1:]))
"""
_SHORTENED = _WITH_TIMES.format(
    times="server._HEAD_S = server._BODY_S = server._UNREAD_S", seconds=_SHORT_S
)
_PATIENT = _WITH_TIMES.format(times="server._UNREAD_S", seconds=3_600)
"""A service that lets who reads nothing stay: on a busy machine a test may take long over it."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Iterator[Service]:
    """A service that nobody else asks, with a report of five megabytes."""
    folder = tmp_path_factory.mktemp("bounds")
    with (
        _prepared(folder, project),
        serving(folder, program=("-c", _PATIENT), ODUM_DAGSTER_URL="http://127.0.0.1:9") as one,
    ):
        yield one


@contextlib.contextmanager
def _prepared(folder: Path, project: Path) -> Iterator[None]:
    (folder / "configs").symlink_to(project / "configs")
    (folder / "data").mkdir()
    source = project / "data/results"
    for path in source.rglob("*"):
        target = folder / "data/results" / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.name == "timeline.parquet":
            _lengthen(path, target)
        else:
            target.hardlink_to(path)
    yield


def _lengthen(source: Path, target: Path) -> None:
    """Write the timeline again and again, as the service reads it."""
    table = pq.read_table(source)
    size = len(source.with_suffix(".json").read_bytes())
    times = -(-_REPORT_MB * 1_000_000 // size)
    pq.write_table(pa.concat_tables([table] * times), target, **SMALL_PAGES)


def _report(service: Service) -> str:
    run_id = next((service.folder / "data/results/report").iterdir()).name
    return f"/api/backtest/results/{run_id}/report?timeline_limit=50000"


def _resident_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _sockets(pid: int) -> int:
    """Count a process's sockets only: a file that it reads in between is no connection."""
    count = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(path.readlink()).startswith("socket:")
    return count


def _connect(service: Service, receiving: int | None = None) -> socket.socket:
    link = socket.socket()
    if receiving is not None:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiving)
    link.connect(("127.0.0.1", int(service.url.rpartition(":")[2])))
    link.settimeout(30)
    return link


def _request(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def _sent(link: socket.socket, block: bytes, most_mb: int) -> float:
    """Send a block again and again until the other side refuses; return how many MB it took."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most_mb * 1_000_000:
            link.sendall(block)
            sent += len(block)
    return sent / 1e6


def _is_open(link: socket.socket) -> bool:
    """Return whether the other side has not ended a connection, whatever it sent before."""
    link.setblocking(False)
    try:
        while True:
            if not link.recv(1 << 16):
                return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def _wait(is_so: Callable[[], bool], within: float = 120) -> None:
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("begin", "block"),
    [
        (b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", b"a" * 65_536),
        (b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"a: b\r\n" * 10_000),
        (b"GET /", b"a" * 65_536),
        (b"", b"\r\n" * 32_768),
        (
            _request("/api/configs", "Transfer-Encoding: chunked", method="POST") + b"5;x=",
            b"a" * 65_536,
        ),
        (
            _request("/api/configs", "Transfer-Encoding: chunked", method="POST")
            + b"2\r\n{}\r\n0\r\nX: ",
            b"a" * 65_536,
        ),
    ],
    ids=["header", "headers", "address", "empty lines", "chunk extension", "trailer"],
)
def test_what_is_no_body_is_bounded(alone: Service, begin: bytes, block: bytes) -> None:
    before = _resident_mb(alone.pid)
    with _connect(alone) as link:
        link.sendall(begin)
        # What the buffers of two sockets hold is taken, more is not.
        assert _sent(link, block, 64) < 32
    assert _resident_mb(alone.pid) - before < 20
    assert alone.get("/api/health").status == 200


def test_a_body_without_end_is_refused_and_then_not_taken(alone: Service) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with _connect(alone) as link:
        link.sendall(_request("/api/configs", "Transfer-Encoding: chunked", method="POST"))
        _sent(link, chunk, 4)
        assert link.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
        sent = 0.0

        def is_refused() -> bool:
            nonlocal sent
            _sent(link, chunk, 1)
            sent += 1
            return not _is_open(link)

        _wait(is_refused)


def test_a_trailer_is_no_header(alone: Service) -> None:
    body = b"2\r\n{}\r\n0\r\nX-Request-Id: of-a-trailer\r\n\r\n"
    with _connect(alone) as link:
        link.sendall(_request("/api/configs", "Transfer-Encoding: chunked", method="POST") + body)
        assert b"of-a-trailer" not in link.recv(1 << 16)


def test_reports_that_nobody_reads_hold_a_piece_each(alone: Service) -> None:
    path, clients = _report(alone), 100
    whole = alone.get(path).data
    assert len(whole) > _REPORT_MB * 1_000_000
    files, before, left = _files(alone.pid), _resident_mb(alone.pid), []
    for last in (False, False, True):
        with contextlib.ExitStack() as open_links:
            links = _unread(open_links, alone, path, clients)
            # Others are answered meanwhile, and as much as they ask for.
            for _ in range(5):
                assert alone.get(path).data == whole
            # A socket for each client; the files of their reports are closed.
            _wait(lambda: _files(alone.pid) <= files + clients + 20)
            # Half a megabyte for each, and for the threads that make the pieces.
            _wait(lambda: _resident_mb(alone.pid) - before < clients / 2 + 100)
            late, *others = links
            for link in others:
                link.close()
            _wait(lambda: _files(alone.pid) <= files + 5)
            left.append(_resident_mb(alone.pid))
            # What the first ones left is used for the next ones; it is given back seconds later.
            _wait(lambda: _resident_mb(alone.pid) - left[0] < clients / 4)
            if last:
                # Who reads late gets the same.
                late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                content = bytearray()
                while not content.endswith(b"\r\n0\r\n\r\n"):
                    content += (part := late.recv(1 << 16))
                    assert part
                assert _unchunked(bytes(content).partition(b"\r\n\r\n")[2]) == whole


def _unread(
    open_links: contextlib.ExitStack, service: Service, path: str, clients: int
) -> list[socket.socket]:
    """Ask for something many times, and see that the replies have begun."""
    links = [open_links.enter_context(_connect(service, 4_096)) for _ in range(clients)]
    for link in links:
        link.sendall(_request(path))
    for link in links:
        assert select.select([link], [], [], 60)[0]
    return links


def _unchunked(body: bytes) -> bytes:
    found, start = [], 0
    while start < len(body):
        begin = body.index(b"\r\n", start) + 2
        end = begin + int(body[start : begin - 2], 16)
        found.append(body[begin:end])
        start = end + 2
    return b"".join(found)


def test_a_thousand_idle_connections_keep_nobody_out(alone: Service) -> None:
    with contextlib.ExitStack() as open_links:
        for _ in range(1_000):
            open_links.enter_context(_connect(alone)).sendall(_request("/api/health"))
        assert alone.get("/api/health").status == 200
        assert _files(alone.pid) < 600


def test_pipelined_requests_wait_for_a_client_that_reads(alone: Service) -> None:
    before = _resident_mb(alone.pid)
    with contextlib.ExitStack() as open_links:
        links = [open_links.enter_context(_connect(alone, 4_096)) for _ in range(10)]
        for link in links:
            link.sendall(_request(_report(alone)))
            link.settimeout(1)
            _sent(link, _request("/api/health") * 1_000, 8)
        assert _resident_mb(alone.pid) - before < 40
    with _connect(alone) as link:
        link.sendall(_request("/api/health") * 20)
        content = b""
        while content.count(b'"status":"ok"') < 20:
            content += link.recv(1 << 16)


def test_http_2_does_not_take_the_place_of_http(alone: Service) -> None:
    with _connect(alone) as link:
        upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
        link.sendall(_request("/api/health", *upgrade, "HTTP2-Settings: AAMAAABkAAQ"))
        assert link.recv(1 << 16).startswith(b"HTTP/1.1 200 ")


def test_there_are_no_websockets_of_the_service(alone: Service) -> None:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    for headers, status in ((upgrade, b"400"), ((*upgrade, key), b"403")):
        with _connect(alone) as link:
            link.sendall(_request("/api/health", *headers))
            assert link.recv(1 << 16).startswith(b"HTTP/1.1 " + status)


def test_nonsense_leaves_no_line_in_the_log(alone: Service) -> None:
    size = alone.log.stat().st_size
    for block in (
        b"\x16\x03\x01\x02\x00\x01",
        b"nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        for _ in range(20):
            with _connect(alone) as link:
                link.sendall(block)
    assert alone.get("/api/health").status == 200
    assert alone.log.stat().st_size == size


def test_clients_that_take_too_long_are_disconnected(
    tmp_path: Path, project: Path, alone: Service
) -> None:
    """With times that are shorter than the usual ones, in the server that is the usual one."""
    (tmp_path / "configs").symlink_to(project / "configs")
    (tmp_path / "data").symlink_to(alone.folder / "data")
    service = Service(f"http://127.0.0.1:{free_port()}", tmp_path, tmp_path / "log")
    port = service.url.rpartition(":")[2]
    with service.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SHORTENED, "serve", "--no-dagster", "--port", port],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        _wait(lambda: _answers(service))
        # The connection that asked is none of those that are counted.
        asking = _sockets(process.pid)
        service.pool.clear()
        _wait(lambda: _sockets(process.pid) < asking)
        before = _sockets(process.pid)
        post = _request("/api/configs", "Content-Length: 1000", method="POST")
        report = _request(_report(alone))
        with contextlib.ExitStack() as open_links:
            silent, slow_head, slow_body, unread, half_closed = (
                [open_links.enter_context(_connect(service, 4_096)) for _ in range(5)]
                for _ in range(5)
            )
            for links, begin in ((slow_body, post), (unread, report), (half_closed, report)):
                for link in links:
                    link.sendall(begin)
            for link in half_closed:
                link.shutdown(socket.SHUT_WR)

            # The silent ones may be over before the last of the others is accepted.
            _wait(lambda: _sockets(process.pid) > before + 15)

            def dribbled() -> bool:
                for link in (*slow_head, *slow_body):
                    with contextlib.suppress(OSError):
                        link.send(b"a")
                return _sockets(process.pid) <= before

            _wait(dribbled)
            every = (*silent, *slow_head, *slow_body, *unread, *half_closed)
            # What the kernel still holds of a report comes before the end of its connection.
            _wait(lambda: not any(map(_is_open, every)))
    finally:
        process.terminate()
        assert process.wait(60) == 0, service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def _answers(service: Service) -> bool:
    with contextlib.suppress(Exception):
        return service.get("/api/health").status == 200
    return False


def test_a_host_that_never_answers_takes_no_threads_of_others(
    tmp_path: Path, project: Path
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "data").symlink_to(project / "data")
    content = (project / f"configs/{BTC}.json").read_text()
    (tmp_path / f"configs/{BTC}.json").write_text(content)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as host:
        far = json.loads(content.replace("BTC", "ETH"))
        root = f"ftp://127.0.0.1:{host.getsockname()[1]}/raw"
        far["environment"] = {"UNIFIED_CLOUD_LOCAL_PATH": root}
        (tmp_path / "configs/far.json").write_text(json.dumps(far))
        question = {"start": "2024-01-01T12:00:00Z", "end": "2024-01-01T12:30:00Z"}
        with (
            serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service,
            contextlib.ExitStack() as open_links,
        ):
            body = json.dumps({"config": "far", **question}).encode()
            links = [open_links.enter_context(_connect(service)) for _ in range(60)]
            for link in links:
                link.sendall(
                    _request(
                        "/api/backtest/check-data",
                        "Content-Type: application/json",
                        f"Content-Length: {len(body)}",
                        method="POST",
                    )
                    + body
                )
            host.settimeout(60)
            open_links.enter_context(host.accept()[0])
            # Four wait for the host; up to 40 have read the configuration. No request has its own.
            assert len(list(Path(f"/proc/{service.pid}/task").iterdir())) < len(links)
            for _ in range(3):
                reply = service.post("/api/backtest/check-data", {"config": BTC, **question})
                assert (reply.status, reply.json["valid"]) == (200, True)
                assert service.get("/api/backtest/results").status == 200
            assert not select.select(links, [], [], 0)[0]


def test_a_range_of_more_days_than_a_request_may_start(alone: Service) -> None:
    new = {"config": BTC, "first_day": "2024-01-01", "last_day": "2025-01-01"}
    reply = alone.post("/api/v1/runs", new)
    assert (reply.status, reply.json["type"]) == (422, "urn:odum:problem:invalid-window")
    assert "ODUM_API_MAX_DAYS" in reply.json["detail"]


def test_the_launch_limit_comes_before_the_work(tmp_path: Path, project: Path) -> None:
    (tmp_path / "configs").symlink_to(project / "configs")
    with serving(
        tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9", ODUM_API_LAUNCHES_PER_MINUTE="2"
    ) as service:
        wrong = {"config": "nowhere", "day": "2024-01-01"}
        missing = {"config": BTC, "first_day": "2024-01-01", "last_day": "2024-12-31"}
        # Refused at sight: that costs nothing, and does not count.
        assert {service.post("/api/v1/runs", wrong).status for _ in range(5)} == {404}
        assert [service.post("/api/v1/runs", missing).status for _ in range(3)] == [409, 409, 429]


def test_a_stuck_service_can_be_stopped(tmp_path: Path, project: Path) -> None:
    """A call to a host that never answers does not keep the service from ending."""
    (tmp_path / "configs").symlink_to(project / "configs")
    with socket.create_server(("127.0.0.1", 0)) as host:
        root = f"ftp://127.0.0.1:{host.getsockname()[1]}/raw"
        environment = {"UNIFIED_CLOUD_LOCAL_PATH": root, "ODUM_DAGSTER_URL": "http://127.0.0.1:9"}
        # Leaving the context fails when it does not end.
        with serving(tmp_path, **environment) as service:
            threading.Thread(target=_ignored, args=(service,), daemon=True).start()
            host.settimeout(60)
            asked, _ = host.accept()
        asked.close()


def _ignored(service: Service) -> None:
    with contextlib.suppress(Exception):
        service.get("/api/datasets")
