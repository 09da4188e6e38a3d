"""The instance that ``make dev``, the command line and backfills share."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import AbstractContextManager, closing
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, FIRST_DAY, REPO

from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import ConfigError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration import run_server
from odum_assets.orchestration.backfill import BackfillEvent, Work, backfill
from odum_assets.orchestration.instance import instance_ref
from odum_assets.orchestration.launch import Graph, fail_lost_runs, materialize, open_instance
from odum_assets.orchestration.run_process import process_of
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings
from odum_assets.storage.locks import hold_lock

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


@pytest.mark.parametrize(
    ("storage", "advice"),
    [
        ("postgres_url: postgresql://host/dagster", "postgres_url"),
        ("postgres_url: {env: DAGSTER_PG_URL}", "write postgresql+psycopg2://"),
        ("postgres_db: {username: a, hostname: b, db_name: c}", "scheme: postgresql+psycopg2"),
        ("postgres_url: postgresql+psycopg2://host/dagster", None),
        ("postgres_db: {username: a, hostname: b, db_name: c, scheme: postgresql+psycopg2}", None),
    ],
)
def test_a_database_whose_driver_dagster_cannot_use_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, storage: str, advice: str | None
) -> None:
    monkeypatch.setenv("DAGSTER_PG_URL", "postgresql://host/dagster")
    (folder / "dagster.yaml").write_text(f"storage:\n  postgres:\n    {storage}\n")
    if advice is None:
        assert instance_ref().storage_data is not None
        return
    with pytest.raises(ConfigError, match=re.escape(advice)):
        instance_ref()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storag: {}", 'Received unexpected config entry "storag" at the root.'),
        ("storage: [", "expected the node content"),
        ("storage: {sqlite: {base_dir: {env: NOT_SET}}}", 'variable "NOT_SET" which is not set'),
    ],
)
def test_an_instance_file_that_cannot_be_used_is_a_short_error(
    folder: Path, text: str, said: str
) -> None:
    (folder / "dagster.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(said)) as raised, open_instance():
        pass
    assert "dagster.yaml" in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_database_that_does_not_answer_is_a_short_error(folder: Path) -> None:
    url = "postgresql+psycopg2://odum:pass-nobody-guesses@127.0.0.1:9/dagster"
    (folder / "dagster.yaml").write_text(f"storage:\n  postgres:\n    postgres_url: {url}\n")
    # Dagster tries again for ten seconds.
    with pytest.raises(ConfigError, match="Connection refused") as raised, open_instance():
        pass
    assert "pass-nobody-guesses" not in str(raised.value)


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


_HELD = """
import sys
from odum_assets.orchestration.launch import load_graph, materialize, open_instance
from odum_assets.orchestration.run_process import process_of
from odum_assets.settings import Settings

graph = load_graph(Settings(raw_root=sys.argv[1]))
with open_instance() as instance:
    materialize(instance, graph, [sys.argv[2].split("/")], sys.argv[3])
"""


def hold(sample: Path, day: str) -> AbstractContextManager[None]:
    """Hold the lock of a day's trades: their conversion waits in its step."""
    key, of = parse_instrument_key(BTC_KEY), date.fromisoformat(day)
    return hold_lock(
        PartitionPaths(sample / "data/catalog", key, DataType.TRADES, of).partition_lock
    )


def test_only_a_run_whose_own_process_died_is_marked_as_failed(
    graph: Graph, house: Path, sample: Path
) -> None:
    """Not a re-execution, which has the tags of the run before and a process of its own."""
    command = [sys.executable, "-c", _HELD, str(house / "data"), "/".join(TRADES), DAYS[0]]
    job = graph.definitions.resolve_job_def(f"{BTC}_day")
    with hold(sample, DAYS[0]), dg.DagsterInstance.from_config(str(house)) as instance:
        process = subprocess.Popen(command, cwd=house)

        def add(**tags: str) -> str:
            named = {name.replace("__", "/"): value for name, value in tags.items()}
            status = dg.DagsterRunStatus.STARTED
            return instance.create_run_for_job(job, status=status, tags=named).run_id

        deadline = time.monotonic() + 60
        started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
        while not (runs := instance.get_runs(started)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (own,) = runs
        copied = {name.replace("/", "__"): value for name, value in own.tags.items()}
        others = [
            add(**copied),
            add(
                odum__host=socket.gethostname(),
                odum__process=str(process.pid),
                odum__process_started="17@another start of the machine",
            ),
            add(odum__process="of an unknown program"),
        ]
        value = own.tags["odum/process"]
        elsewhere, restarted = add(), add()
        host = value.split(" ")[1]
        for run_id, change in ((elsewhere, (host, "elsewhere")), (restarted, ("@", "@not"))):
            tag = value.replace(own.run_id, run_id).replace(*change)
            instance.add_run_tags(run_id, {"odum/process": tag})
        assert fail_lost_runs(instance) == [restarted]
        process.kill()
        process.wait()
        assert fail_lost_runs(instance) == [own.run_id]
        for run_id in (*others, elsewhere):
            run = instance.get_run_by_id(run_id)
            assert run is not None
            assert run.status is dg.DagsterRunStatus.STARTED
        assert fail_lost_runs(instance) == []


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
            process.pid
            for run in instance.get_runs()
            if (process := process_of(run.run_id, run.tags)) is not None
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
    assert os.getpid() not in processes
    assert {event.partition for event in events if event.kind == "finished"} == set(results)
    assert any(event.step == "/".join(TRADES) for event in events)
    assert sample == house


def test_a_killed_process_is_reported_and_the_others_go_on(
    house: Path, sample: Path, settings: Settings
) -> None:
    with open_instance() as instance:

        def kill_first(event: BackfillEvent) -> None:
            if (event.step, event.partition) == ("/".join(TRADES), DAYS[0]):
                run = next(
                    run for run in instance.get_runs() if run.tags["dagster/partition"] == DAYS[0]
                )
                process = process_of(run.run_id, run.tags)
                assert process is not None
                os.kill(process.pid, signal.SIGKILL)

        works = [Work((TRADES, BOOK), day) for day in DAYS]
        with hold(sample, DAYS[0]):
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
    assert [kind for _, kind in kinds].count("finished") == len(works)


def test_a_backfill_leaves_the_files_that_dagster_itself_would(
    house: Path, sample: Path, settings: Settings, graph: Graph
) -> None:
    assert house == sample
    with open_instance() as instance:
        alone = materialize(instance, graph, [TRADES], DAYS[0])
        (one,) = backfill(instance, settings, [Work((TRADES,), DAYS[1])])
        events = [
            [record.event_log_entry.dagster_event_type for record in records]
            for records in (
                instance.get_records_for_run(each.dagster_run_id).records for each in (alone, one)
            )
        ]
        folder = Path(instance.event_log_storage._base_dir)  # type: ignore[attr-defined]
    assert events[0] == events[1]
    tables = []
    for each in (alone, one):
        with closing(sqlite3.connect(folder / f"{each.dagster_run_id}.db")) as file:
            query = "SELECT name, sql FROM sqlite_master ORDER BY name"
            version = file.execute("SELECT version_num FROM alembic_version").fetchall()
            mode = file.execute("PRAGMA journal_mode").fetchone()
            tables.append((file.execute(query).fetchall(), version, mode))
    assert tables[0] == tables[1]
    assert tables[0][2] == ("wal",)
    # Nothing waits in a write-ahead log, and no copy is left.
    assert {file.suffix for file in folder.glob(f"{one.dagster_run_id}*")} == {".db"}


def test_a_backfill_process_loads_no_engine_of_its_own() -> None:
    assert not any("nautilus" in name for name in run_server.PRELOADED)
    assert FIRST_DAY.isoformat() == DAYS[0]
