"""What the tables are, refuse and keep, on both databases."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import StatementError

from odum_assets.registry import schema
from odum_assets.registry.database import RegistryError, create_engine, reading, writing
from odum_assets.registry.models import ARTIFACTS, DATASETS, EVENTS, METADATA, RUNS, STRATEGIES
from odum_assets.registry.types import ArtifactKind, RunMode, RunStatus

D = Decimal
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HASH = "0" * 64


def _dataset(**changes: Any) -> dict[str, Any]:
    row = {
        "name": "a day",
        "content_hash": HASH,
        "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
        "symbols": ["BTC-USDT"],
        "timeframe": "tick",
        "start_date": NOON,
        "end_date": NOON + timedelta(days=1),
        "row_count": 3_000_000_000,
        "rejected_count": 0,
        "partitions": [],
        "created_at": NOON,
    }
    return row | changes


def _run(**changes: Any) -> dict[str, Any]:
    row = {
        "run_id": "run",
        "status": RunStatus.QUEUED,
        "run_mode": RunMode.BACKTEST,
        "detail": "fast",
        "config_name": "config",
        "config_hash": HASH,
        "partition": "2026-01-01",
        "instrument": "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
        "executed_at": NOON,
        "progress": Decimal(0),
        "params": {},
        "provenance": {},
    }
    return row | changes


def _insert(engine: sa.Engine, table: sa.Table, **row: Any) -> None:
    with writing(engine) as connection:
        connection.execute(sa.insert(table).values(row))


def _tables(engine: sa.Engine) -> set[str]:
    with reading(engine) as connection:
        return set(sa.inspect(connection).get_table_names())


def test_new_tables_are_those_of_the_models(bare: sa.Engine) -> None:
    with writing(bare) as connection:
        schema.upgrade(connection)
    with reading(bare) as connection:
        assert schema.current_version(connection) == schema.VERSION
        assert schema.differences(connection) == []
    assert _tables(bare) == {*METADATA.tables, schema.VERSION_TABLE}


def test_tables_of_somebody_else_stay_as_they_are(bare: sa.Engine) -> None:
    """Such as those of Dagster, whose table of runs has the same name."""
    with writing(bare) as connection:
        if bare.dialect.name == "postgresql":
            connection.execute(sa.text("CREATE SCHEMA odum"))
        connection.execute(sa.text("CREATE TABLE runs (id INTEGER, run_id TEXT)"))
    with pytest.raises(RegistryError, match=r"runs.* already exists"), writing(bare) as connection:
        schema.upgrade(connection)
    assert _tables(bare) == {"runs"}


def test_a_changed_table_is_found(registry: sa.Engine) -> None:
    with writing(registry) as connection:
        connection.execute(sa.text("DROP INDEX ix_runs_of_partition"))
        connection.execute(sa.text("ALTER TABLE runs DROP COLUMN phase"))
    with reading(registry) as connection:
        found = " ".join(schema.differences(connection))
    assert "ix_runs_of_partition" in found
    assert "phase" in found


def test_an_upgrade_that_fails_leaves_nothing(bare: sa.Engine) -> None:
    with pytest.raises(RuntimeError), writing(bare) as connection:  # noqa: PT012
        schema.upgrade(connection)
        raise RuntimeError
    assert _tables(bare) == set()


def test_enums_are_stored_by_value(registry: sa.Engine) -> None:
    _insert(registry, RUNS, **_run(status=RunStatus.RUNNING))
    with reading(registry) as connection:
        row = connection.execute(sa.text("SELECT status, run_mode FROM runs")).one()
        kept = connection.execute(sa.select(RUNS.c.status)).scalar_one()
    assert tuple(row) == ("running", "backtest")
    assert kept is RunStatus.RUNNING


def test_a_queued_run_has_no_figures_yet(registry: sa.Engine) -> None:
    _insert(registry, RUNS, **_run())
    with reading(registry) as connection:
        row = connection.execute(sa.select(RUNS)).mappings().one()
    assert {row[name] for name in ("pnl", "total_return", "orders", "dataset_id")} == {None}


def test_figures_that_earlier_systems_refused_are_kept(registry: sa.Engine) -> None:
    figures = {
        "initial_capital": Decimal("1000.0001"),
        "final_value": Decimal("-12.34567891"),
        "max_drawdown": Decimal("-1.5"),
        "total_trades": 3,
        "winning_trades": 1,
        "losing_trades": 1,
        "break_even_trades": 1,
        "orders": 5_000_000_000,
    }
    _insert(registry, RUNS, **_run(**figures))
    with reading(registry) as connection:
        row = connection.execute(sa.select(RUNS)).mappings().one()
    assert {name: row[name] for name in figures} == figures
    assert all(
        isinstance(row[name], Decimal) for name, value in figures.items() if type(value) is Decimal
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"total_trades": 3, "winning_trades": 1, "losing_trades": 1, "break_even_trades": 0},
        {"initial_capital": Decimal(0)},
        {"max_drawdown": Decimal("0.1")},
        {"win_rate": Decimal(50)},
        {"orders": -1},
        {"progress": Decimal("1.1")},
        {"status": RunStatus.FAILED},
        {"status": RunStatus.SUCCEEDED},
        {"window_start": NOON, "window_end": NOON - timedelta(seconds=1)},
        {"dataset_id": 77},
    ],
    ids="-".join,
)
def test_runs_that_cannot_be_are_refused(registry: sa.Engine, changes: dict[str, Any]) -> None:
    with pytest.raises(RegistryError):
        _insert(registry, RUNS, **_run(**changes))


@pytest.mark.parametrize("symbols", [[], [""], ["BTC-USDT", ""]], ids=["none", "blank", "a blank"])
def test_datasets_without_symbols_are_refused(registry: sa.Engine, symbols: list[str]) -> None:
    with pytest.raises(RegistryError, match="ck_datasets_nonempty_symbols"):
        _insert(registry, DATASETS, **_dataset(symbols=symbols))


def test_a_dataset_is_what_its_content_is(registry: sa.Engine) -> None:
    _insert(registry, DATASETS, **_dataset())
    with pytest.raises(RegistryError, match=r"uq_datasets_hash|datasets\.content_hash"):
        _insert(registry, DATASETS, **_dataset(name="another name"))
    with pytest.raises(RegistryError, match="ck_datasets_valid_daterange"):
        _insert(registry, DATASETS, **_dataset(content_hash="1" * 64, end_date=NOON))


def test_a_strategy_is_name_version_and_parameters(registry: sa.Engine) -> None:
    row = {"name": "s", "version": "2.0.0-beta.1", "params": {"a": 1}, "params_hash": HASH}
    _insert(registry, STRATEGIES, **row, created_at=NOON)
    _insert(
        registry, STRATEGIES, **row | {"params": {"a": 2}, "params_hash": "1" * 64}, created_at=NOON
    )
    with pytest.raises(RegistryError):
        _insert(registry, STRATEGIES, **row, created_at=NOON)


def test_times_keep_their_moment_and_need_a_zone(registry: sa.Engine) -> None:
    from zoneinfo import ZoneInfo

    there = datetime(2026, 7, 1, 9, 30, 0, 123456, tzinfo=ZoneInfo("America/New_York"))
    _insert(registry, RUNS, **_run(executed_at=there))
    with reading(registry) as connection:
        found = connection.execute(sa.select(RUNS.c.executed_at)).scalar_one()
    assert found == there
    assert found.tzinfo is UTC
    with pytest.raises(StatementError, match="without a zone"):
        _insert(registry, RUNS, **_run(run_id="b", executed_at=there.replace(tzinfo=None)))


@pytest.fixture
def with_run(registry: sa.Engine) -> Callable[[], int]:
    _insert(registry, DATASETS, id=1, **_dataset())
    _insert(registry, RUNS, id=1, **_run(dataset_id=1))
    artifact = {
        "run_id": 1,
        "kind": ArtifactKind.PARQUET,
        "filename": "orders.parquet",
        "storage_path": "report/run/orders.parquet",
        "mime_type": "application/vnd.apache.parquet",
        "size_bytes": 3 * 2**31,
        "created_at": NOON,
    }
    _insert(registry, ARTIFACTS, **artifact)
    event = {"run_id": 1, "event_type": "warning", "timestamp": NOON, "payload": {"text": "x"}}
    for sequence in (1, 0):
        _insert(registry, EVENTS, **event, sequence=sequence)

    def left() -> int:
        with reading(registry) as connection:
            return sum(
                connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for table in (RUNS, ARTIFACTS, EVENTS)
            )

    return left


def test_files_may_be_large_and_go_with_their_run(
    registry: sa.Engine, with_run: Callable[[], int]
) -> None:
    with reading(registry) as connection:
        assert connection.execute(sa.select(ARTIFACTS.c.size_bytes)).scalar_one() == 3 * 2**31
    assert with_run() == 4
    with writing(registry) as connection:
        connection.execute(sa.delete(RUNS))
    assert with_run() == 0


def test_a_dataset_with_runs_stays(registry: sa.Engine, with_run: Callable[[], int]) -> None:
    with pytest.raises(RegistryError), writing(registry) as connection:
        connection.execute(sa.delete(DATASETS))
    assert with_run() == 4


def test_events_of_one_moment_keep_their_order(
    registry: sa.Engine, with_run: Callable[[], int]
) -> None:
    event = {"run_id": 1, "event_type": "warning", "timestamp": NOON, "payload": {}}
    with pytest.raises(RegistryError):
        _insert(registry, EVENTS, **event, sequence=1)
    with reading(registry) as connection:
        ordered = sa.select(EVENTS.c.sequence).order_by(EVENTS.c.run_id, EVENTS.c.sequence)
        assert list(connection.execute(ordered).scalars()) == [0, 1]
    assert with_run() == 4


def test_a_new_file_may_be_opened_by_many_at_the_same_time(tmp_path: Path) -> None:
    """SQLite does not wait by itself when a new file's journal mode is set."""

    def write(path: Path) -> None:
        engine = create_engine(sa.URL.create("sqlite", database=str(path)))
        with writing(engine) as connection:
            connection.execute(sa.select(1))
        engine.dispose()

    with ThreadPoolExecutor(8) as pool:
        for number in range(40):
            list(pool.map(write, [tmp_path / f"{number}.sqlite"] * 8))
