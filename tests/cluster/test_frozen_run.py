"""The process of a run wakes up after another run has taken its day, and must not store a result.

In `test_lost_workers` Celery kills the process the moment its worker wakes up. Here the worker
stays frozen, so that only what stores results can refuse it.
"""

import datetime as dt
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcluster import BUCKET, REPO, Cluster, cluster
from test_lost_workers import Runs, _say
from throughput import CONFIG, SLUG, descendants

from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.addresses import location_of
from odum_assets.storage.buckets import Bucket

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1_800)]

DAY = dt.date(2024, 1, 1)
WORKERS = ("worker-1", "worker-2")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    configs, raw = tmp_path / "configs", tmp_path / "raw"
    configs.mkdir()
    shutil.copy(REPO / "configs" / f"{CONFIG}.json", configs)
    # Long enough to be frozen in.
    spec = SampleSpec(
        keys=DEFAULT_KEYS, start=DAY, days=1, trades_per_day=50_000, books_per_day=50_000
    )
    write_sample(str(raw), spec)
    quick = {
        "run_launcher.config.silent_after_seconds": 15,
        "run_monitoring.poll_interval_seconds": 2,
    }
    with cluster(len(WORKERS), configs, raw, settings=quick, say=_say) as started:
        monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "cache"))
        monkeypatch.setenv(
            "STORAGE_EMULATOR_HOST", started.shared_environment()["STORAGE_EMULATOR_HOST"]
        )
        yield started


def _stored(store: ResultStore) -> dict[str, str]:
    """Return the results by the Dagster run that made them: their digests."""
    return {each.metadata()["dagster_run_id"]: each.digest for each in store.entries()}


def test_a_run_that_wakes_up_after_its_day_was_taken_stores_nothing(running: Cluster) -> None:
    runs = Runs(running)
    settings = Settings(results_path=f"gs://{BUCKET}/results")  # type: ignore[arg-type]
    store = ResultStore(settings.results_path)
    runs.backfill(CONFIG, SLUG, [str(DAY)])

    def taken() -> tuple[str, str] | None:
        """Return the worker of the first run, and the run."""
        for name in WORKERS:
            if (found := runs.of_worker(name)) is not None:
                return name, found
        return None

    worker, frozen = running.wait_for("run", taken, 300)
    parent = running.processes[worker].pid
    running.signal(worker, signal.SIGSTOP)
    processes = descendants(parent)
    assert processes
    assert _stored(store) == {}

    def replaced() -> str | None:
        others = [run for run in runs.all() if run["status"] == "SUCCESS"]
        return str(others[0]["runId"]) if others else None

    second = running.wait_for("run that replaces it", replaced, 600)
    assert second != frozen
    assert runs.status(frozen) == "FAILURE"
    before = _stored(store)
    assert [*before] == [second]
    names = Bucket(location_of(store.root)).listing()

    # The run's process and that of its replay go on; the worker, which would kill them, does not.
    for process in processes:
        os.kill(process, signal.SIGCONT)
    refusal = running.wait_for("refusal", lambda: _refusal(running, frozen), 300)
    print(refusal)
    assert "Dagster ended this run meanwhile (FAILURE)" in refusal
    assert "gave no sign of life" in refusal
    assert runs.status(frozen) == "FAILURE"
    assert _stored(store) == before
    current = store.current(CONFIG, str(DAY))
    assert current is not None
    assert current.metadata()["dagster_run_id"] == second
    # Nothing of it is in the bucket but why it failed and what it printed.
    added = {*Bucket(location_of(store.root)).listing()} - {*names}
    assert {name.partition("/")[0] for name in added} <= {"failed", "logs"}


def _refusal(running: Cluster, run_id: str) -> str | None:
    """Return what the log of a run says of a result that was not stored."""
    found = running.query(
        """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
        ... on MessageEvent { message } ... on ExecutionStepFailureEvent {
        error { message } failureMetadata { description } } } } } }""",
        id=run_id,
    )["logsForRun"]["events"]
    texts = [
        text
        for each in found
        for text in (
            each.get("message"),
            (each.get("failureMetadata") or {}).get("description"),
            (each.get("error") or {}).get("message"),
        )
        if text
    ]
    return next((text for text in texts if "was not stored" in text), None)
