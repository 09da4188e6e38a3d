"""`odum serve` and `odum dev`: what they start, share and end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import DAYS, SLOW, Live, living, processes, started_in
from service import BTC, clean_environment, free_port

NOTICED_WITHIN_S = 60.0

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


def odum(live: Live, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "odum_assets.cli.main", *words],
        cwd=live.folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_named(live: Live) -> None:
    port = live.url.rpartition(":")[2]
    refused = odum(live, "serve", "--port", port)
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


def test_there_is_one_dagster_in_a_folder(live: Live) -> None:
    refused = odum(live, "dev", "--port", str(free_port()))
    assert refused.returncode == 1
    assert live.dagster_url in refused.stderr
    second = Live(live.folder, free_port())
    second.log = live.folder / "second.log"
    second.start()
    found = second.wait("second service", lambda: second.get("/api/health"))
    assert found.status == 200
    assert second.get("/api/v1/runs/00000000-0000-4000-8000-000000000000/status").status == 404
    assert live.dagster_url in second.log.read_text()
    assert second.stop(signal.SIGINT) == 0
    live.wait_for_dagster()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with living(tmp_path_factory.mktemp("own")) as found:
        found.wait_for_dagster()
        yield found


@pytest.mark.torture
def test_a_killed_service_leaves_nothing_behind(own: Live) -> None:
    run_id = own.launch(config=SLOW, day=DAYS[0])
    own.wait_replaying(run_id)
    assert len(started_in(own.folder)) > 5
    assert own.stop(signal.SIGKILL) == -signal.SIGKILL
    own.wait("end of everything", lambda: not started_in(own.folder), 60)
    # Started again, it knows that the run died.
    own.start()
    own.wait_for_dagster()
    assert own.wait_ended(run_id)["status"] == "failed"
    assert own.unfinished() == []


@pytest.mark.torture
@pytest.mark.parametrize("part", ["odum_assets.cli.dagster_services", "dagster._daemon"])
def test_a_part_that_dies_ends_all_of_it(own: Live, part: str) -> None:
    run_id = own.launch(config=SLOW, day=DAYS[0])
    own.wait_replaying(run_id)
    assert own.process is not None
    (pid,) = (pid for pid, words in started_in(own.folder) if f"-m {part} " in f"{words} ")
    os.kill(pid, signal.SIGKILL)
    process, own.process = own.process, None
    assert process.wait(90) == 1
    assert "Dagster ended with exit code" in own.log.read_text()
    assert started_in(own.folder) == []


@pytest.mark.torture
def test_dagster_is_restarted_in_the_middle(own: Live) -> None:
    """The service stays, with a stream open; the run that Dagster's end broke off is failed."""
    assert own.stop() == 0
    port = str(free_port())
    own.dagster_url = f"http://127.0.0.1:{port}/dagster"

    def dev() -> subprocess.Popen[bytes]:
        with own.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "odum_assets.cli.main", "dev", "--port", port],
                cwd=own.folder,
                env=clean_environment(),
                stdout=log,
                stderr=log,
            )

    first = dev()
    try:
        own.wait_for_dagster()
        own.start()
        own.wait("service", lambda: own.get("/api/health"))
        run_id = own.launch(config=SLOW, day=DAYS[0])
        own.wait_replaying(run_id)
        events = own.events(f"/api/v1/runs/{run_id}/stream")
        first.send_signal(signal.SIGINT)
        assert first.wait(90) == 0
        away = own.get(f"/api/v1/runs/{run_id}/status")
        assert (away.status, away.json["type"]) == (503, "urn:odum:problem:dagster-unreachable")
        assert own.get("/api/v1/runs").status == 200
        first = dev()
        own.wait_for_dagster()
        kind, data = list(events)[-1]
        assert (kind, data["status"]) == ("error", "failed")
        assert own.wait_ended(run_id)["status"] == "failed"
        done = own.wait_ended(own.launch(config=BTC, day=DAYS[0], mode="fast"))
        assert done["status"] == "succeeded"
        assert own.stop() == 0
    finally:
        first.terminate()
        assert first.wait(90) == 0


@pytest.mark.torture
def test_a_killed_worker_fails_its_run(own: Live) -> None:
    run_id = own.launch(config=SLOW, day=DAYS[0])
    own.wait_replaying(run_id)
    events = own.events(f"/api/v1/runs/{run_id}/stream")
    (child,) = own.workers()
    (worker,) = re.findall(r"PPid:\t(\d+)", Path(f"/proc/{child}/status").read_text())
    os.kill(int(worker), signal.SIGKILL)
    begin = time.monotonic()
    kind, data = list(events)[-1]
    assert (kind, data["status"]) == ("error", "failed")
    assert time.monotonic() - begin < NOTICED_WITHIN_S
    assert own.wait_ended(run_id)["status"] == "failed"
    assert child not in dict(processes())
    # Dagster starts it once more only where nobody was told.
    assert own.get("/api/v1/runs").json["total"] == 1
