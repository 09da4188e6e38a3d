"""A service of its own process, and asking it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import urllib3

REPOSITORY = Path(__file__).parents[2]
BTC = "binance_futures_btcusdt_l2_trades_config"
THROTTLED = "throttled"
"""A configuration of the same instrument that has most orders denied."""

_ODUM = [sys.executable, "-m", "odum_assets.cli.main"]
_OWN = ("UNIFIED_CLOUD_", "DATA_CATALOG_PATH", "DATABASE_URL", "ODUM_", "DAGSTER_")


class Reply(NamedTuple):
    status: int
    headers: Any
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Service:
    """Ask a running service."""

    def __init__(self, url: str, folder: Path, log: Path) -> None:
        self.url = url
        self.folder = folder
        self.log = log
        self.pool = urllib3.PoolManager(retries=False, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        found = self.pool.request(method, self.url + path, body=content, headers=sent)
        return Reply(found.status, found.headers, found.data)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.ask("POST", path, body, **headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return {**kept, **more}


def lay_out(folder: Path) -> None:
    (folder / "configs").mkdir(parents=True)
    shutil.copy(REPOSITORY / "configs" / f"{BTC}.json", folder / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    content = json.loads((folder / "configs" / f"{BTC}.json").read_text())
    content["risk"] = {"throttling_per_sec": 1}
    (folder / "configs" / f"{THROTTLED}.json").write_text(json.dumps(content))


def odum(folder: Path, *arguments: str, **environment: str) -> None:
    """Run a command in a folder; it must succeed."""
    done = subprocess.run(
        [*_ODUM, *arguments],
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Service]:
    """Run `odum serve` in a folder until the context ends; it must end well."""
    port, log = free_port(), folder / "service.log"
    command = [*_ODUM, "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=clean_environment(**environment),
            stdout=output,
            stderr=output,
        )
    service = Service(f"http://127.0.0.1:{port}", folder, log)
    try:
        _wait(service, process)
        yield service
    finally:
        process.terminate()
        code = process.wait(90)
    assert code == 0, log.read_text()[-3000:]


def _wait(service: Service, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if service.get("/api/health").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise AssertionError(service.log.read_text()[-3000:])
