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
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import urllib3
from pydantic import SecretStr

from odum_assets.backtest.request import Mode, RunRequest
from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.run import run_backtest
from odum_assets.results.ticks import export_ticks
from odum_assets.settings import Settings

REPOSITORY = Path(__file__).parents[2]
DAY = date(2024, 1, 1)
BTC = "binance_futures_btcusdt_l2_trades_config"
THROTTLED = "throttled"
"""A configuration of the same instrument that has most orders denied."""

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
        self.pid = 0
        self.settings = settings_of(folder)
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


def settings_of(folder: Path, database_url: str | None = None) -> Settings:
    data = folder / "data"
    return Settings(
        raw_root=str(data),
        catalog_path=data / "catalog",
        results_path=data / "results",
        configs_path=folder / "configs",
        database_url=None if database_url is None else SecretStr(database_url),
    )


def make_results(folder: Path, *wanted: tuple[str, Mode]) -> list[str]:
    """Make a sample day of two hours, and results of configurations; the first has its ticks."""
    settings = settings_of(folder)
    configs = {name: load_config(folder / "configs" / f"{name}.json") for name, _ in wanted}
    first = configs[wanted[0][0]]
    spec = SampleSpec(
        keys=(str(first.key),),
        start=DAY,
        days=1,
        trades_per_day=2_500,
        books_per_day=3_600,
        seed=1,
        hours=(12, 13),
    )
    write_sample(settings.raw_root, spec)
    for data_type in (DataType.TRADES, DataType.BOOK):
        source = raw_path(first, data_type, DAY, settings)
        spec_of = instrument_spec(first)
        convert_partition(source, first.key, spec_of, data_type, DAY, settings.catalog_path)
    made = []
    for name, mode in wanted:
        request = RunRequest(configs[name], (DAY,), DAY.isoformat(), mode=mode)
        made.append(run_backtest(request, settings).run_id)
    export_ticks(made[0], settings, settings.catalog_path)
    return made


@contextmanager
def serving(
    folder: Path,
    *options: str,
    program: tuple[str, str] = ("-m", "odum_assets.cli.main"),
    **environment: str,
) -> Iterator[Service]:
    """Run `odum serve` in a folder until the context ends; it must end well."""
    port, log = free_port(), folder / "service.log"
    command = [sys.executable, *program, "serve", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=folder,
            env=clean_environment(**environment),
            stdout=output,
            stderr=output,
        )
    service = Service(f"http://127.0.0.1:{port}", folder, log)
    service.pid = process.pid
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
