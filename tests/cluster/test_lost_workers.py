"""A backfill on three workers that are killed and frozen, while Redis and PostgreSQL restart."""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from localcluster import BUCKET, REPO, Cluster, cluster

from odum_assets.catalog.manifest import PartitionManifest, list_manifests
from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample
from odum_assets.registry.checking import check_registry
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.addresses import location_of
from odum_assets.storage.buckets import Bucket

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(7_200)]

DAYS = [
    dt.date(2024, 1, 1) + dt.timedelta(days=day) for day in range(int(os.environ.get("DAYS", "60")))
]
CONFIGS = {
    f"binance_futures_{name}usdt_l2_trades_config": f"binance_futures_perpetual_{name}_usdt"
    for name in ("btc", "eth")
}
RUNS = len(CONFIGS) * len(DAYS)
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_ENDS_WITHIN_S = 6_000.0


class Runs:
    """The runs of a cluster, as Dagster and Celery see them."""

    def __init__(self, running: Cluster) -> None:
        from celery import Celery

        self.cluster = running
        self.celery = Celery(broker=running.broker, backend=running.broker, set_as_current=False)

    def all(self) -> list[dict[str, Any]]:
        """Return all runs, with their tags as a mapping."""
        found = self.cluster.query(
            "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
        )["runsOrError"]["results"]
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def status(self, run_id: str) -> str:
        return next(run["status"] for run in self.all() if run["runId"] == run_id)

    def succeeded(self) -> int:
        return sum(run["status"] == "SUCCESS" for run in self.all())

    def of_worker(self, name: str) -> str | None:
        """Return the run that a worker carries out."""
        for run in self.all():
            task = run["tags"].get("dagster-celery/task_id")
            if run["status"] == "STARTED" and task is not None:
                about = self.celery.AsyncResult(task)
                if about.state == "STARTED" and about.info["hostname"].endswith(f"@{name}"):
                    return str(run["runId"])
        return None

    def backfill(self, config: str, slug: str, days: Sequence[str]) -> str:
        """Launch a backfill of days of a configuration."""
        kinds = ("trades", "book_depths", "funding_rates")
        keys = [*(["catalog", slug, kind] for kind in kinds), ["backtest", config, "result"]]
        launched = self.cluster.query(
            """mutation($params: LaunchBackfillParams!) {
            launchPartitionBackfill(backfillParams: $params) { __typename
            ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": key} for key in keys],
                "partitionNames": [*days],
                "runConfigData": {},
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def end_of(self, backfill_id: str) -> str | None:
        """Return how a backfill ended, None while it goes on."""
        found = self.cluster.query(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
            ... on PartitionBackfill { status } } }""",
            id=backfill_id,
        )["partitionBackfillOrError"]["status"]
        return None if found in ("REQUESTED", "COMPLETING", "FAILING") else str(found)


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configs")
    for config in CONFIGS:
        shutil.copy(REPO / "configs" / f"{config}.json", folder)
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    spec = SampleSpec(
        keys=DEFAULT_KEYS,
        start=DAYS[0],
        days=len(DAYS),
        trades_per_day=2_000,
        books_per_day=2_000,
        hours=(10, 12),
    )
    write_sample(str(root), spec)
    return root


@pytest.fixture(scope="module")
def alone(configs: Path, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of one machine that ran all days into folders of its own."""
    home = tmp_path_factory.mktemp("alone")
    settings = Settings(
        raw_root=str(raw),
        catalog_path=home / "catalog",
        results_path=home / "results",
        configs_path=configs,
    )
    own = ("UNIFIED_CLOUD_", "DATA_CATALOG_PATH", "ODUM_", "DAGSTER_", "DATABASE_URL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(own)} | {
        "UNIFIED_CLOUD_LOCAL_PATH": str(raw),
        "DATA_CATALOG_PATH": str(settings.catalog_path),
        "ODUM_RESULTS_PATH": str(settings.results_path),
        "ODUM_CONFIGS_PATH": str(configs),
    }
    command = [sys.executable, "-m", "odum_assets.cli.main", "backfill", *CONFIGS]
    command += ["--from", str(DAYS[0]), "--to", str(DAYS[-1])]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return settings


@pytest.fixture
def running(
    configs: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    quick = {"run_launcher.config.silent_after_seconds": 20}
    with cluster(3, configs, raw, settings=quick, say=_say) as started:
        monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "cache"))
        for name in ("STORAGE_EMULATOR_HOST", "DATABASE_URL"):
            monkeypatch.setenv(name, started.shared_environment()[name])
        yield started
        if keep := os.environ.get("CLUSTER_LOGS"):
            shutil.copytree(started.folder / "log", keep, dirs_exist_ok=True)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _trouble(runs: Runs) -> tuple[str, str]:
    """Kill, restart and freeze; return the runs that the killed and the frozen worker had."""
    machines = runs.cluster

    def progress() -> None:
        """Wait until one more run succeeds."""
        before = machines.wait_for("answer", lambda: 1 + runs.succeeded())
        machines.wait_for("good run", lambda: runs.succeeded() >= before, _ENDS_WITHIN_S)

    progress()
    killed = machines.wait_for("run of worker-1", lambda: runs.of_worker("worker-1"), 600)
    machines.kill("worker-1")
    machines.wait_for("its failure", lambda: runs.status(killed) == "FAILURE", 600)
    machines.start_worker("worker-1")

    progress()
    machines.kill("redis")
    machines.start_redis()

    progress()
    machines.signal("postgres", signal.SIGINT)
    machines.processes.pop("postgres").wait()
    machines.start_postgres()

    progress()
    frozen = machines.wait_for("run of worker-2", lambda: runs.of_worker("worker-2"), 600)
    machines.signal("worker-2", signal.SIGSTOP)
    machines.wait_for("its failure", lambda: runs.status(frozen) == "FAILURE", 600)
    machines.signal("worker-2", signal.SIGCONT)
    return killed, frozen


def _files(manifests: list[PartitionManifest]) -> dict[tuple[str, str, str], tuple[str, str]]:
    return {
        (str(each.key), each.data_type, str(each.day)): (each.digest, each.file.sha256)
        for each in manifests
    }


def test_a_backfill_survives_whatever_happens_to_its_machines(
    running: Cluster, alone: Settings
) -> None:
    runs = Runs(running)
    backfills = [runs.backfill(*each, [*map(str, DAYS)]) for each in CONFIGS.items()]
    killed, frozen = _trouble(runs)
    running.wait_for("end of backfills", lambda: all(map(runs.end_of, backfills)), _ENDS_WITHIN_S)
    assert [runs.end_of(each) for each in backfills] == ["COMPLETED_SUCCESS"] * len(backfills)
    running.wait_for(
        "end of all runs", lambda: all(run["status"] in ENDED for run in runs.all()), 600
    )
    by_id = {run["runId"]: run for run in runs.all()}
    print(Counter(run["status"] for run in by_id.values()))
    assert by_id[killed]["status"] == by_id[frozen]["status"] == "FAILURE"

    settings = Settings(
        raw_root=f"gs://{BUCKET}",
        catalog_path=f"gs://{BUCKET}/catalog",  # type: ignore[arg-type]
        results_path=f"gs://{BUCKET}/results",  # type: ignore[arg-type]
        configs_path=alone.configs_path,
    )
    there, here = ResultStore(settings.results_path), ResultStore(alone.results_path)
    names = Bucket(location_of(settings.results_path)).listing("partitions")
    assert len(names) == RUNS
    for config in CONFIGS:
        for day in map(str, DAYS):
            found, expected = there.current(config, day), here.current(config, day)
            assert found is not None, (config, day)
            assert expected is not None
            assert found.digest == expected.digest
            assert by_id[found.metadata()["dagster_run_id"]]["status"] == "SUCCESS"
    # The worker that was frozen has stored nothing after it woke up.
    assert frozen not in {each.metadata()["dagster_run_id"] for each in there.entries()}

    # One file for each partition, the one that a single machine writes.
    manifests = list_manifests(settings.catalog_path)
    assert _files(manifests) == _files(list_manifests(alone.catalog_path))
    assert len(manifests) == 3 * RUNS
    objects = Bucket(location_of(settings.catalog_path)).listing()
    here_too = {
        file.relative_to(alone.catalog_path) for file in alone.catalog_path.rglob("*.parquet")
    }
    assert {Path(name) for name in objects if name.endswith(".parquet")} == here_too

    checked = running.wait_for(
        "registry without pending runs",
        lambda: (found := check_registry(settings)).pending == 0 and found,
    )
    assert checked.problems == []
    # What steps printed is in the bucket.
    assert any(Bucket(f"gs://{BUCKET}/compute_logs").listing())
