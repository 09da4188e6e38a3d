"""A damaged registry is called that, and rebuilt from the result files whatever is there."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from contents import contents
from databases import empty
from resultfiles import stored
from tinydays import DAY, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import (
    DamagedRegistryError,
    RegistryError,
    create_engine,
    registry_url,
    result_store,
    writing,
)
from odum_assets.registry.pending import pending_runs, register_queued
from odum_assets.registry.register import open_registry, opened, register_run, upgrade_registry
from odum_assets.registry.repair import find_damage, rebuild_registry
from odum_assets.results.run_id import run_id_of
from odum_assets.settings import Settings

type _Damage = Callable[[Path], object]


def _scribble(path: Path) -> None:
    """Overwrite the pages after the first ones."""
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(os.urandom(200_000))


def _sql(*statements: str) -> _Damage:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return damage


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 8192 * 4096)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").touch()


def _wal_folder(path: Path) -> None:
    path.with_name(f"{path.name}-wal").mkdir()


def _lost_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name ="
            " 'ix_runs_of_partition') WHERE name = 'ix_runs_of_sweep_id'"
        )
        connection.commit()


DAMAGES: dict[str, _Damage] = {
    "text": lambda path: path.write_text("not a database, but some text\n" * 300),
    "zeros": lambda path: path.write_bytes(bytes(65_536)),
    "scribbled": _scribble,
    "truncated": _truncate,
    "head only": lambda path: os.truncate(path, 100),
    "folder": _folder,
    "wal is a folder": _wal_folder,
    "wrong index": _lost_index,
    "no runs": _sql("DROP TABLE events", "DROP TABLE artifacts", "DROP TABLE runs"),
    "no column": _sql("DROP INDEX ix_runs_listed", "ALTER TABLE runs DROP COLUMN pnl"),
    "version of tomorrow": _sql("UPDATE registry_version SET version_num = 'tomorrow'"),
    "orphans": _sql("PRAGMA foreign_keys = OFF", "DELETE FROM runs"),
}


@pytest.fixture
def results(tmp_path: Path, sample: Path) -> Settings:
    """Three results, registered in SQLite."""
    settings = empty(tmp_path / "results", None)
    stored(sample, settings.results_path, 3)
    open_registry(settings).dispose()
    assert check_registry(settings).problems == []
    return settings


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_set_aside_and_rebuilt(results: Settings, damage: str) -> None:
    path = results.results_path / "registry.sqlite"
    with opened(results) as engine:
        before = contents(engine)
    DAMAGES[damage](path)
    damaged = path.read_bytes() if path.is_file() else None

    (problem,) = check_registry(results).problems
    assert "run: odum registry rebuild, which renames the file" in problem
    assert find_damage(results) is not None

    done = rebuild_registry(results)
    assert (done.runs, done.problems) == (3, [])
    assert done.set_aside is not None
    assert done.set_aside.name.startswith("registry.sqlite.damaged-")
    if damaged is None:
        assert done.set_aside.is_dir()
    elif damage != "wrong index":
        # Opening it may have changed what is not damaged, such as a checkpoint.
        assert done.set_aside.stat().st_size >= len(damaged) // 2
    assert check_registry(results).problems == []
    with opened(results) as engine:
        assert contents(engine) == before
    assert rebuild_registry(results).set_aside is None
    # A second time beside the first one.
    path.write_text("x" * 4096)
    assert rebuild_registry(results).set_aside not in (None, done.set_aside)


def test_a_registry_that_is_whole_stays_where_it_is(results: Settings) -> None:
    path = results.results_path / "registry.sqlite"
    inode = path.stat().st_ino
    done = rebuild_registry(results)
    assert (done.runs, done.set_aside) == (3, None)
    assert path.stat().st_ino == inode


def test_a_database_that_is_empty_or_not_there_is_made(results: Settings) -> None:
    path = results.results_path / "registry.sqlite"
    path.unlink()
    assert (rebuild_registry(results).runs, find_damage(results)) == (3, None)
    path.write_bytes(b"")
    assert (rebuild_registry(results).runs, find_damage(results)) == (3, None)


def test_runs_under_way_are_taken_over_where_they_can_be_read(results: Settings) -> None:
    request = RunRequest(config=variant(), days=(DAY,), partition=DAY.isoformat())
    run_id = run_id_of(request)
    register_queued(results, request, run_id, "dagster-run")
    _sql("PRAGMA foreign_keys = OFF", "DELETE FROM datasets")(
        results.results_path / "registry.sqlite"
    )
    done = rebuild_registry(results)
    assert done.set_aside is not None
    assert (done.runs, done.pending, done.notes) == (3, 1, [])
    assert [(each.run_id, each.dagster_run_id) for each in pending_runs(results)] == [
        (run_id, "dagster-run")
    ]
    _scribble(results.results_path / "registry.sqlite")
    done = rebuild_registry(results)
    assert done.notes or done.pending == 1


def test_whoever_uses_a_damaged_registry_is_told_what_to_do(results: Settings) -> None:
    (results.results_path / "registry.sqlite").write_text("no database" * 1000)
    run_id = min((results.results_path / "fast").glob("*.json")).stem
    for attempt in (
        lambda: open_registry(results),
        lambda: register_run(results, run_id),
        lambda: pending_runs(results),
    ):
        with pytest.raises(
            DamagedRegistryError, match="Run: odum registry rebuild, which renames it"
        ):
            attempt()


def test_a_database_that_somebody_holds_is_not_damaged(results: Settings) -> None:
    path = results.results_path / "registry.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert find_damage(results) is None
        done: list[object] = []
        thread = threading.Thread(target=lambda: done.append(rebuild_registry(results)))
        thread.start()
        thread.join(1)
        assert thread.is_alive()
        other.execute("COMMIT")
        thread.join(60)
    assert done[0].set_aside is None  # type: ignore[attr-defined]


def test_a_server_s_tables_that_were_changed(
    settings: Settings, registry: sa.Engine, sample: Path
) -> None:
    """On a server nothing is set aside; what to do is said."""
    if registry.dialect.name == "sqlite":
        pytest.skip("see above")
    stored(sample, settings.results_path, 2)
    assert rebuild_registry(settings).runs == 2
    with writing(registry) as connection:
        connection.execute(sa.text("DROP TABLE events"))
    (problem,) = check_registry(settings).problems
    assert "drop the schema odum of the database and run: odum registry upgrade" in problem
    with pytest.raises(RegistryError, match=r"its tables are not those of the version.*drop the"):
        rebuild_registry(settings)
    engine = create_engine(registry_url(settings))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA odum CASCADE"))
    engine.dispose()
    open_settings = create_engine(registry_url(settings))
    filled = upgrade_registry(open_settings, result_store(settings))
    open_settings.dispose()
    assert filled is not None
    assert filled.runs == 2
    assert check_registry(settings).problems == []
