"""The instance that ``make dev``, the command line and backfills share."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, FIRST_DAY, REPO

from odum_assets.orchestration import backfill as backfill_module
from odum_assets.orchestration.backfill import BackfillEvent, Work, backfill
from odum_assets.orchestration.launch import Graph, fail_lost_runs, materialize, open_instance
from odum_assets.settings import Settings

TRADES = ("catalog", BTC_SLUG, "trades")
BOOK = ("catalog", BTC_SLUG, "book_depths")
DAYS = ["2024-01-01", "2024-01-02"]


@pytest.fixture
def house(folder: Path) -> Path:
    """The project folder with the files that Dagster reads."""
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPO / name, folder)
    return folder


def test_the_instance_file_loads_and_means_what_it_says(house: Path) -> None:
    with dg.DagsterInstance.from_config(str(house)) as instance:
        assert instance.run_retries_enabled
        assert instance.run_retries_max_retries == 1
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        config = instance.get_concurrency_config()
        assert config.run_queue_config is not None
        assert config.run_queue_config.max_concurrent_runs == 2
        assert config.pool_config.default_pool_limit == 4
        assert (house / ".dagster" / "storage").is_dir()


def test_definitions_validate_with_the_workspace_file(house: Path) -> None:
    done = subprocess.run(
        ["dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=house,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_runs_stay_in_the_folder_without_any_variable(
    house: Path, sample: Path, graph: Graph
) -> None:
    with open_instance() as instance:
        made = materialize(instance, graph, [TRADES], DAYS[0])
    with dg.DagsterInstance.from_config(str(house)) as instance:
        run = instance.get_run_by_id(made.dagster_run_id)
        assert run is not None
        assert run.is_success
    assert sample == house


def test_a_folder_without_instance_file_keeps_its_state_too(folder: Path) -> None:
    with open_instance():
        pass
    assert (folder / ".dagster").is_dir()


def test_dagster_home_counts_where_it_is_set(
    house: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with open_instance() as instance:
        assert instance.root_directory == str(home)
    assert not (house / ".dagster").exists()


def test_a_run_whose_process_died_is_marked_as_failed(graph: Graph, house: Path) -> None:
    job = graph.definitions.resolve_job_def(f"{BTC}_day")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with dg.DagsterInstance.from_config(str(house)) as instance:
        runs = {
            pid: instance.create_run_for_job(
                job,
                status=dg.DagsterRunStatus.STARTED,
                tags={
                    "odum/host": socket.gethostname(),
                    "odum/process": str(pid),
                    "dagster/partition": DAYS[0],
                },
            )
            for pid in (dead.pid, os.getpid())
        }
        assert fail_lost_runs(instance) == [runs[dead.pid].run_id]
        earlier = instance.create_run_for_job(
            job,
            status=dg.DagsterRunStatus.STARTED,
            tags={
                "odum/host": socket.gethostname(),
                "odum/process": str(os.getpid()),
                "odum/process_started": "17@another start of the machine",
            },
        )
        assert fail_lost_runs(instance) == [earlier.run_id]
        alive = instance.get_run_by_id(runs[os.getpid()].run_id)
        assert alive is not None
        assert alive.status is dg.DagsterRunStatus.STARTED


def test_a_backfill_runs_each_day_in_a_process_of_its_own(
    house: Path, sample: Path, settings: Settings
) -> None:
    events: list[BackfillEvent] = []
    days = [*DAYS, "2024-01-03"]
    with open_instance() as instance:
        made = backfill(
            instance,
            settings,
            [Work((TRADES, BOOK), day) for day in days],
            slots=2,
            on_event=events.append,
        )
        processes = {
            run.tags["odum/process"] for run in instance.get_runs() if run.tags["dagster/partition"]
        }
    results = dict(zip(days, made, strict=True))
    assert {day: result.success for day, result in results.items()} == {
        "2024-01-01": True,
        "2024-01-02": True,
        "2024-01-03": False,
    }
    assert "there is no raw trades file" in dict(results["2024-01-03"].failures)["/".join(TRADES)]
    assert results[DAYS[0]].materializations["/".join(TRADES)]["dagster/row_count"] > 0
    assert len(processes) == 3
    assert str(os.getpid()) not in processes
    assert {event.partition for event in events if event.kind == "finished"} == set(results)
    assert any(event.step == "/".join(TRADES) for event in events)
    assert sample == house


def test_a_killed_process_is_reported_and_the_others_go_on(
    house: Path, sample: Path, settings: Settings
) -> None:
    # Reading from a pipe that nobody writes to never ends: the step is under way for certain.
    raw = sample / f"data/raw_tick_data/by_date/day-{DAYS[0]}/data_type-trades/{BTC_KEY}.parquet"
    raw.unlink()
    os.mkfifo(raw)

    with open_instance() as instance:

        def kill_first(event: BackfillEvent) -> None:
            if (event.step, event.partition) == ("/".join(TRADES), DAYS[0]):
                run = next(
                    run for run in instance.get_runs() if run.tags["dagster/partition"] == DAYS[0]
                )
                os.kill(int(run.tags["odum/process"]), signal.SIGKILL)

        works = [Work((TRADES, BOOK), day) for day in DAYS]
        first, second = backfill(instance, settings, works, on_event=kill_first)
        run = instance.get_run_by_id(first.dagster_run_id)

    assert second.success
    assert "was killed by signal 9" in first.failures[0][1]
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert house == sample


def test_no_slot_is_idle_while_work_waits(house: Path, sample: Path, settings: Settings) -> None:
    """Days of another selection of assets begin while the first selection is not through."""
    assert house == sample
    works = [Work((TRADES,), DAYS[0]), Work((BOOK,), DAYS[0]), Work((TRADES, BOOK), DAYS[1])]
    events: list[BackfillEvent] = []
    with open_instance() as instance:
        made = backfill(instance, settings, works, slots=2, on_event=events.append)
    assert all(each.success for each in made)
    assert [[*each.materializations] for each in made[:2]] == [["/".join(TRADES)], ["/".join(BOOK)]]
    kinds = [(each.index, each.kind) for each in events if each.kind != "step"]
    # The third waits for one slot only.
    assert kinds[:2] == [(0, "started"), (1, "started")]
    assert kinds[2][1] == "finished"
    assert kinds[3] == (2, "started")


def test_a_backfill_process_loads_no_engine_of_its_own() -> None:
    assert not any("nautilus" in name for name in backfill_module._PRELOAD)
    assert FIRST_DAY.isoformat() == DAYS[0]
