"""Dagster's SQLite files as they are with fewer repetitions: the same content, few of them open."""

import queue
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from odum_assets.orchestration.dagster_sqlite import repeat_less
from odum_assets.orchestration.launch import open_instance


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def idle() -> None:
    nothing()


_WRITER = """
import sys
from odum_assets.orchestration.launch import open_instance

with open_instance() as instance:
    run = instance.get_run_by_id(sys.argv[1])
    for number in range(3):
        instance.report_engine_event(f"event {number}", run)
        print("stored", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An instance of its own, whose runs are in SQLite."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return tmp_path


def _schema(file: Path) -> Sequence[tuple[str, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchall()
        revision = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        tables = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
        return [*mode, *revision, *sorted(tables, key=str)]


def _events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEventType | None]:
    return [entry.dagster_event_type for entry in instance.all_logs(run_id)]


def _open_files(folder: Path) -> list[str]:
    links = list(Path("/proc/self/fd").iterdir())
    targets = [str(link.readlink()) for link in links if link.is_symlink()]
    return [target for target in targets if target.startswith(f"{folder}/")]


def test_the_file_of_a_run_is_the_one_that_dagster_makes(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        usual = idle.execute_in_process(instance=instance)
        events = _events(instance, usual.run_id)
    with open_instance() as instance:
        copied = idle.execute_in_process(instance=instance)
        assert _events(instance, copied.run_id) == events
    runs = home / "history" / "runs"
    assert _schema(runs / f"{copied.run_id}.db") == _schema(runs / f"{usual.run_id}.db")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        seen = instance.get_run_by_id(copied.run_id)
        assert seen is not None
        assert seen.status is dg.DagsterRunStatus.SUCCESS
        assert _events(instance, copied.run_id) == events
    assert not list(home.rglob("*.new"))


_RECORD = """
import sys
from odum_assets.orchestration.launch import open_instance
with open_instance() as instance:
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with instance.event_log_storage.run_connection("shared") as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS seen (number INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO seen VALUES ({sys.argv[1]})")
"""


def test_processes_that_make_one_file_at_once_lose_nothing(home: Path) -> None:
    with open_instance():
        pass
    numbers = range(4)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _RECORD, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in numbers
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    with closing(sqlite3.connect(home / "history" / "runs" / "shared.db")) as connection:
        seen = connection.execute("SELECT number FROM seen").fetchall()
    assert sorted(seen) == [(number,) for number in numbers]
    assert not list(home.rglob("*.new"))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux' list of open files")
def test_few_files_stay_open_however_many_runs_there_are_and_none_at_the_end(home: Path) -> None:
    with open_instance() as instance:
        counts = []
        for _ in range(15):
            idle.execute_in_process(instance=instance)
            counts.append(len(_open_files(home)))
        # Each with its write-ahead log and index.
        assert counts[-1] == counts[-2] == counts[-3]
    assert not _open_files(home)
    assert not list(home.rglob("*.db-wal"))


@pytest.mark.usefixtures("home")
def test_dagster_is_as_before_when_the_outermost_context_ends() -> None:
    engine, initialize = vars(sqlite_event_log)["create_engine"], SqliteEventLogStorage._initdb
    with repeat_less():
        with open_instance() as instance:
            idle.execute_in_process(instance=instance)
        assert vars(sqlite_event_log)["create_engine"] is not engine
        assert SqliteEventLogStorage._initdb is not initialize
    assert vars(sqlite_event_log)["create_engine"] is engine
    assert SqliteEventLogStorage._initdb is initialize


def test_who_watches_a_run_sees_its_events_while_the_connection_stays_open(home: Path) -> None:
    """As the UI does: Dagster looks again whenever the file of the run changes."""
    command = [sys.executable, "-c", _WRITER]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = instance.create_run_for_job(idle)
        instance.report_engine_event("the first", run)
        seen: queue.Queue[str] = queue.Queue()
        storage = instance.event_log_storage
        storage.watch(run.run_id, None, lambda entry, _cursor: seen.put(entry.message))
        with subprocess.Popen(
            [*command, run.run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for number in range(3):
                assert writer.stdout.readline() == b"stored\n"
                while seen.get(timeout=30) != f"event {number}":
                    pass
                writer.communicate() if number == 2 else _go_on(writer)
            assert writer.returncode == 0


def _go_on(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
