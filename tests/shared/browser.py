"""A real browser, driven by the DevTools protocol; tests that need it are skipped without one."""

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3
from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


class Page:
    """A page of a browser, with every message that it sent of its own accord."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    @property
    def sockets(self) -> list[str]:
        """Return what came over WebSockets."""
        return [
            each["params"]["response"]["payloadData"]
            for each in self.events
            if each["method"] == "Network.webSocketFrameReceived"
        ]

    def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        self._wire.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._wire.recv(timeout=60))
            if "method" in message:
                self.events.append(message)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def run(self, script: str) -> Any:
        found = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def wait(self, script: str) -> Any:
        deadline = time.monotonic() + 60
        found = None
        while not found and time.monotonic() < deadline:
            time.sleep(0.3)
            found = self.run(script)
        assert found, f"{script}: {self.run('location.href + document.body?.innerText')}"
        return found


@contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """Open a page of a browser of its own."""
    words = [f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"]
    process = subprocess.Popen(
        [str(CHROMIUM), *FLAGS.split(), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pool = urllib3.PoolManager(retries=urllib3.Retry(connect=30, backoff_factor=0.1))
        url = f"http://127.0.0.1:{_port(profile, process)}/json/list"
        pages = json.loads(pool.request("GET", url).data)
        (page,) = [each for each in pages if each["type"] == "page"]
        with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as wire:
            yield Page(wire)
    finally:
        process.terminate()
        process.wait(30)


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """Return the port that the browser chose."""
    file, deadline = profile / "DevToolsActivePort", time.monotonic() + 60
    while not (file.is_file() and file.read_text()):
        assert process.poll() is None, "the browser ended"
        assert time.monotonic() < deadline, "the browser does not listen"
        time.sleep(0.1)
    return int(file.read_text().split()[0])
