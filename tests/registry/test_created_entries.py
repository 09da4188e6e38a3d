"""Datasets and strategies that exist before any run: they last, and runs find them."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from contents import contents
from tinydays import DAY, Market, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.created import create, uuid_of
from odum_assets.registry.database import reading, result_store
from odum_assets.registry.models import DATASETS, STRATEGIES
from odum_assets.registry.queries import get_entry, get_run
from odum_assets.registry.records import Row, dataset_row, strategy_row
from odum_assets.registry.register import rebuild, register_run
from odum_assets.results.run import run_backtest
from odum_assets.results.run_id import is_run_id
from odum_assets.settings import Settings

EARLY = datetime(2020, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
LATE = datetime(2020, 1, 3, tzinfo=UTC)
SECTION = {"name": "Momentum", "version": "1.0.0", "path": "momentum:Momentum", "params": {"a": 1}}
PARTITION = {
    "data_type": "trades", "day": "2024-03-05", "rows": 9, "rejected": 1, "digest": "0" * 64,
}  # fmt: skip


def _strategy(created: datetime = EARLY, **changes: object) -> Row:
    return strategy_row(SECTION | changes, {"type": "NORMAL"}, None, created)


def _get(registry: sa.Engine, table: sa.Table, name: object) -> Row | None:
    with reading(registry) as connection:
        return get_entry(connection, table, name)  # type: ignore[arg-type]


def test_a_strategy_is_created_once_and_its_description_can_change(
    registry: sa.Engine, settings: Settings
) -> None:
    store = result_store(settings)
    key, is_new = create(registry, store, STRATEGIES, _strategy(), {})
    other, _ = create(registry, store, STRATEGIES, _strategy(version="1.0.1"), {})
    assert is_new
    assert other != key
    described = {"description": "by the hour"}
    # Once more without a description keeps the one that is there.
    for given in (described, {}):
        assert create(registry, store, STRATEGIES, _strategy(LATE), given) == (key, False)
        found = _get(registry, STRATEGIES, key)
        assert found is not None
        assert (found["version"], found["description"]) == ("1.0.0", "by the hour")
        assert (found["created_at"], found["updated_at"]) == (EARLY, LATE)


def test_a_rebuild_keeps_what_was_created_and_its_uuid(
    registry: sa.Engine, settings: Settings
) -> None:
    store = result_store(settings)
    dataset = dataset_row("BINANCE-FUTURES:PERPETUAL:BTC-USDT", [PARTITION], EARLY)
    given = {"name": "a day", "description": "ä 'quoted' one"}
    before = {}
    for table, row in ((DATASETS, dataset), (STRATEGIES, _strategy())):
        key, _ = create(registry, store, table, row, given if table is DATASETS else {})
        before[table] = _get(registry, table, key)
    report = rebuild(registry, store)
    assert report.problems == []
    for table, former in before.items():
        assert former is not None
        found = _get(registry, table, uuid_of(table, former))
        assert found is not None
        assert {**found, "id": None} == {**former, "id": None}


def test_a_damaged_file_is_named_and_the_others_are_kept(
    registry: sa.Engine, settings: Settings
) -> None:
    store = result_store(settings)
    create(registry, store, STRATEGIES, _strategy(), {})
    create(registry, store, STRATEGIES, _strategy(version="2.0.0"), {})
    files = sorted((store.root / "registry/strategies").iterdir())
    assert len(files) == 2
    files[0].write_text("{")
    (problem,) = rebuild(registry, store).problems
    assert str(files[0]) in problem
    with reading(registry) as connection:
        assert connection.execute(sa.select(sa.func.count(STRATEGIES.c.id))).scalar_one() == 1


@pytest.mark.parametrize("created_first", [True, False])
def test_a_run_refers_to_the_rows_that_were_created(
    registry: sa.Engine, settings: Settings, market: Market, created_first: bool
) -> None:
    here = market.settings.model_copy(update={"results_path": settings.results_path})
    store = result_store(settings)
    config = variant(strategy={"version": "1.2.3"})
    request = RunRequest(config, (DAY,), DAY.isoformat(), snapshot_mode="trades")
    result = run_backtest(request, here)
    section = {**result.metadata["config"]["strategy"]}
    rows = {
        DATASETS: dataset_row(str(config.key), result.metadata["catalog"], EARLY),
        STRATEGIES: strategy_row(section, result.metadata["exec_algorithm"], None, EARLY),
    }

    def add() -> list[int]:
        return [create(registry, store, table, row, {})[0] for table, row in rows.items()]

    keys = add() if created_first else []
    register_run(settings, result.run_id)
    keys = keys or add()
    assert is_run_id(result.run_id)
    with reading(registry) as connection:
        run = get_run(connection, result.run_id)
    assert run is not None
    assert [run["dataset_id"], run["strategy_id"]] == keys
    before = contents(registry)
    assert rebuild(registry, store).problems == []
    assert contents(registry) == before
    assert run["strategy"]["version"] == "1.2.3"
