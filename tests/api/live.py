"""`odum serve` with the Dagster behind it, and what can be seen of its runs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import urllib3
from service import BTC, Service, clean_environment, free_port, lay_out

from odum_assets.raw.sample import SampleSpec, write_sample

KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
DAYS = ("2024-01-01", "2024-01-02")
SLOW = "slow"
"""A configuration whose run takes a minute; most of it can be canceled."""

STARTS_WITHIN_S = 120.0
_STRATEGY = """
import time

from odum_assets.backtest.strategies.base import OdumStrategy


class Slow(OdumStrategy):
    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        time.sleep(0.05)
"""


class Live(Service):
    """A running `odum serve` or `odum dev`."""

    def __init__(self, folder: Path, port: int, command: str = "serve", **environment: str) -> None:
        super().__init__(f"http://127.0.0.1:{port}", folder, folder / "serve.log")
        self.dagster_url = f"{self.url}/dagster"
        self.process: subprocess.Popen[bytes] | None = None
        self._words = [command, "--port", str(port)]
        self._environment = environment

    def start(self, *options: str) -> None:
        """Start it, in a process group of its own."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "odum_assets.cli.main", *self._words, *options],
                cwd=self.folder,
                env=clean_environment(**self._environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(number)
        return process.wait(90)

    def wait[T](self, what: str, ready: Callable[[], T | None], within: float = 60) -> T:
        """Return the first true answer."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if found := ready():
                    return found
            time.sleep(0.2)
        log = self.log.read_text()[-5000:]
        raise AssertionError(f"no {what} within {within:g} s; the log ends with:\n{log}")

    def wait_for_dagster(self, **headers: str) -> None:
        """Wait until runs can be started."""
        self.wait("Dagster", lambda: self._has_graph(headers), STARTS_WITHIN_S)

    def launch(self, **new: Any) -> str:
        """Start a run and return its id."""
        reply = self.post("/api/v1/runs", new)
        assert reply.status == 202, reply.data
        assert reply.headers["Location"] == f"/api/v1/runs/{reply.json['run_id']}"
        return str(reply.json["run_id"])

    def status(self, run_id: str) -> dict[str, Any]:
        """Return where a run stands in Dagster."""
        reply = self.get(f"/api/v1/runs/{run_id}/status")
        assert reply.status == 200, reply.data
        found: dict[str, Any] = reply.json
        return found

    def registered(self, run_id: str) -> dict[str, Any]:
        """Return what the registry has of a run."""
        reply = self.get(f"/api/v1/runs/{run_id}")
        assert reply.status == 200, reply.data
        found: dict[str, Any] = reply.json
        return found

    def wait_ended(self, run_id: str, within: float = 90) -> dict[str, Any]:
        """Wait until registry and Dagster agree that a run has ended, and return its entry."""

        def ended() -> dict[str, Any] | None:
            entry, now = self.registered(run_id), self.status(run_id)
            is_same = entry["status"] == now["status"]
            return entry if is_same and entry["status"] not in ("queued", "running") else None

        return self.wait(f"end of {run_id}", ended, within)

    def wait_replaying(self, run_id: str) -> None:
        """Wait until the backtest of a run is under way."""

        def replaying() -> bool:
            progress = self.status(run_id)["progress"]
            return progress is not None and progress["phase"] == "replay"

        self.wait(f"replay of {run_id}", replaying)

    def events(self, path: str, *args: Any, **headers: str) -> "Events":
        """Open a stream of events."""
        method, body = ("POST", json.dumps(args[0])) if args else ("GET", None)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = self.pool.request(
            method,
            self.url + path,
            body=body,
            headers={"Content-Type": "application/json", **sent},
            preload_content=False,
        )
        return Events(reply)

    def workers(self) -> list[int]:
        """Return the processes of backtests of this folder, started or forked."""
        return [pid for pid, words in started_in(self.folder) if "backtest.worker" in words]

    def unfinished(self) -> list[str]:
        """Return what lies in the work folders."""
        data = self.folder / "data"
        places = (data / "results/.staging", data / "catalog/.views", data / "catalog/.staging")
        return [each.name for place in places for each in place.glob("work-*")]

    def _has_graph(self, headers: dict[str, str]) -> bool:
        query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
        reply = self.pool.request(
            "POST", f"{self.dagster_url}/graphql", json={"query": query}, headers=headers
        )
        if reply.status == 503:
            return False
        return bool(json.loads(reply.data)["data"]["repositoriesOrError"].get("nodes"))


class Events:
    """Server-sent events of an open reply."""

    def __init__(self, reply: urllib3.BaseHTTPResponse) -> None:
        self.reply = reply
        self.status = reply.status
        self.last_id = ""

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the kind and content of each event until the other side ends."""
        text = b""
        for chunk in self.reply.stream(1024):
            text += chunk
            while b"\n\n" in text:
                block, _, text = text.partition(b"\n\n")
                fields = [line.partition(b": ")[::2] for line in block.splitlines()]
                for name, value in fields:
                    if name == b"id":
                        self.last_id = value.decode()
                data = b"\n".join(value for name, value in fields if name == b"data")
                if data:
                    event = json.loads(data)
                    yield event["type"], event["data"]

    def close(self) -> None:
        """Go away."""
        self.reply.close()


@contextmanager
def living(folder: Path, command: str = "serve", **environment: str) -> Iterator[Live]:
    """Run a command in a folder with two sample days; it must end well, with all it started."""
    lay_out(folder)
    settings = (folder / "dagster.yaml").read_text()
    # One run at a time: who is second waits in the queue.
    assert "max_concurrent_runs: 2" in settings
    settings = settings.replace("runs: 2", "runs: 1")
    (folder / "dagster.yaml").write_text(settings)
    (folder / "slow.py").write_text(_STRATEGY)
    config = json.loads((folder / f"configs/{BTC}.json").read_text())
    config["strategy"] = {"name": "Slow", "path": "slow:Slow"}
    (folder / f"configs/{SLOW}.json").write_text(json.dumps(config))
    spec = SampleSpec(
        keys=(KEY,),
        start=date.fromisoformat(DAYS[0]),
        days=len(DAYS),
        trades_per_day=1_500,
        books_per_day=1_500,
        hours=(12, 13),
    )
    write_sample(folder / "data", spec)
    live = Live(folder, free_port(), command, **environment)
    live.start()
    try:
        yield live
        if live.process is not None:
            code = live.stop()
            assert code == 0, live.log.read_text()[-3000:]
        assert started_in(folder) == []
    finally:
        for pid, _ in started_in(folder):
            os.kill(pid, signal.SIGKILL)


def processes() -> Iterator[tuple[int, str]]:
    """Yield every process with its command line and its name."""
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes().decode().replace("\0", " ")
                yield int(place.name), f"{words} {(place / 'comm').read_text().strip()}"


def started_in(folder: Path) -> list[tuple[int, str]]:
    """Return the processes whose current folder is this one."""
    found = []
    for pid, words in processes():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cwd").readlink() == folder:
                found.append((pid, words))
    return found
