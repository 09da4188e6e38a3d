"""Registries of earlier versions are upgraded in place, and lose nothing.

The files are dumps of registries that those versions filled and wrote themselves (SQLite's own
dump, ``pg_dump --inserts``): three results of figures version 1, a failed run, one that is queued
and one that is running.
"""

import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from contents import contents
from databases import DATABASES
from earlier import CASH, LOSING, WINDOW, lay_out_version_1

from odum_assets.registry import schema
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import (
    RegistryError,
    create_engine,
    reading,
    registry_url,
    result_store,
    writing,
)
from odum_assets.registry.pending import pending_runs, register_progress
from odum_assets.registry.register import open_registry, opened, upgrade_registry
from odum_assets.registry.repair import find_damage, rebuild_registry
from odum_assets.registry.types import RunStatus
from odum_assets.settings import Settings

D = Decimal
DUMPS = Path(__file__).parent / "earlier_registries"
TABLES = ("datasets", "strategies", "runs", "artifacts", "events")
QUEUED, RUNNING = (f"BNF_BTC_20240305_00000000_99a518_00000{each}" for each in (1, 2))
ADDED = ("figures_version", "cagr", "volatility", "calmar_ratio", "drawdown_duration_secs")


@pytest.fixture(params=["0001", "0002", "0003"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def old(bare: sa.Engine, settings: Settings, version: str) -> Settings:
    """A registry of an earlier version; none of its files is there any more."""
    text = (DUMPS / f"{version}.{bare.dialect.name}.sql").read_text()
    if bare.dialect.name == "sqlite":
        with closing(sqlite3.connect(settings.results_path / "registry.sqlite")) as connection:
            connection.executescript(text)
    else:
        # What the program pg_dump says to its own reader.
        lines = [each for each in text.splitlines() if not each.startswith("\\")]
        engine = sa.create_engine(registry_url(settings))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.connection.driver_connection.execute("\n".join(lines))  # type: ignore[union-attr]
        engine.dispose()
    return settings


def _raw(engine: sa.Engine) -> dict[str, list[dict[str, Any]]]:
    """Return all rows, as the database has them."""
    found = {}
    with reading(engine) as connection:
        for table in TABLES:
            order = "run_id, sequence" if table == "events" else "id"
            rows = sa.text(f"SELECT * FROM {table} ORDER BY {order}")  # noqa: S608
            found[table] = [dict(row) for row in connection.execute(rows).mappings()]
    return found


def test_an_upgrade_keeps_every_row(bare: sa.Engine, old: Settings, version: str) -> None:
    before = _raw(bare)
    assert (len(before["runs"]), len(before["datasets"])) == (6, 3)
    assert len(before["events"]) > 10
    assert upgrade_registry(bare, result_store(old)) is None
    with reading(bare) as connection:
        assert schema.current_version(connection) == schema.VERSION
        assert schema.differences(connection) == []
    assert find_damage(old) is None
    after = _raw(bare)
    for strategy in after["strategies"]:
        assert strategy.pop("updated_at") == strategy["created_at"]
    for name in ("datasets", "strategies", "artifacts", "events"):
        assert after[name] == before[name]
    for row, former in zip(after["runs"], before["runs"], strict=True):
        changed = {name: row[name] for name in former if row[name] != former[name]}
        added = {name: row[name] for name in row.keys() - former.keys()}
        if version == "0001":
            # The sign of drawdowns in money; the profit of the dump is net already.
            assert changed.keys() <= {"drawdown_amount"}
            is_known = former["status"] == "succeeded"
            assert added == dict.fromkeys(ADDED) | {"figures_version": 1 if is_known else None}
        else:
            assert (changed, added) == ({}, {})
    amounts = {row["run_id"]: row["drawdown_amount"] for row in after["runs"]}
    assert (amounts[CASH], amounts[QUEUED]) == (-150, None)


def test_an_upgraded_registry_goes_on(bare: sa.Engine, old: Settings) -> None:
    if bare.dialect.name == "postgresql":
        # On a server somebody says so.
        with pytest.raises(RegistryError, match="run: odum registry upgrade"):
            open_registry(old)
        upgrade_registry(bare, result_store(old))
    pending = {each.run_id: each for each in pending_runs(old)}
    assert {name: each.status for name, each in pending.items()} == {
        QUEUED: RunStatus.QUEUED,
        RUNNING: RunStatus.RUNNING,
    }
    assert pending[RUNNING].dagster_run_id == "dagster-running"
    assert pending[RUNNING].owner == ("here",)
    assert register_progress(old, RUNNING, 0.5, "further")
    (problem,) = check_registry(old).problems
    assert "4 runs are registered but have no file" in problem
    lay_out_version_1(old.results_path)
    done = rebuild_registry(old)
    assert (done.runs, done.pending, done.problems) == (3, 2, [])
    versions = {row["run_id"]: row["figures_version"] for row in contents(bare)["runs"]}
    assert versions == {WINDOW: 2, LOSING: 2, CASH: 1, QUEUED: None, RUNNING: None}


def test_the_profit_of_the_first_version_becomes_net(
    bare: sa.Engine, old: Settings, version: str
) -> None:
    if version != "0001":
        pytest.skip("there it is")
    with writing(bare) as connection:
        figures = "pnl = -1801.8, realized = 0, commissions = 1.8, funding = 0"
        connection.execute(sa.text(f"UPDATE runs SET {figures} WHERE run_id = '{CASH}'"))  # noqa: S608
    upgrade_registry(bare, result_store(old))
    assert {row["run_id"]: row["pnl"] for row in contents(bare)["runs"]}[CASH] == D("-1.8")


def test_an_upgrade_that_fails_leaves_the_old_registry(
    bare: sa.Engine, old: Settings, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _raw(bare)
    monkeypatch.setitem(schema._VALUES, version, ("UPDATE no_such_table SET x = 1",))
    with pytest.raises(RegistryError, match="no_such_table"):
        upgrade_registry(bare, result_store(old))
    monkeypatch.undo()
    assert _raw(bare) == before
    assert upgrade_registry(bare, result_store(old)) is None
    assert find_damage(old) is None


def test_many_open_an_old_registry_at_once(bare: sa.Engine, old: Settings) -> None:
    """One upgrades it, and the others wait for that."""
    before = _raw(bare)
    begin, failed = threading.Barrier(8), []

    def open_it() -> None:
        begin.wait(60)
        try:
            if bare.dialect.name == "postgresql":
                engine = create_engine(registry_url(old))
                upgrade_registry(engine, result_store(old))
                engine.dispose()
            with opened(old) as engine, reading(engine) as connection:
                assert schema.current_version(connection) == schema.VERSION
        except Exception as error:  # noqa: BLE001 - the test says which
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    assert failed == []
    assert find_damage(old) is None
    assert [len(rows) for rows in _raw(bare).values()] == [len(rows) for rows in before.values()]


def test_dumps_are_there_for_every_earlier_version() -> None:
    wanted = {f"{each}.{database}.sql" for each in schema._VALUES for database in DATABASES}
    assert {path.name for path in DUMPS.iterdir()} == wanted
