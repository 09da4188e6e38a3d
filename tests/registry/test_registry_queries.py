"""Lists filter, sort and page as sorting in memory would, on both databases."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from databases import DATABASES, empty, url_of
from resultfiles import FIRST, stored
from tinydays import DAY, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.database import create_engine, reading, registry_url
from odum_assets.registry.models import SORTED_COLUMNS
from odum_assets.registry.queries import (
    Bound,
    QueryError,
    RunFilter,
    count_groups,
    count_runs,
    get_costs,
    get_run,
    get_runs,
    get_runs_over,
    get_variants,
    get_verified,
    latest_events,
    list_artifacts,
    list_datasets,
    list_events,
    list_runs,
    list_strategies,
    list_sweeps,
)
from odum_assets.registry.register import upgrade_registry
from odum_assets.registry.types import RunStatus
from odum_assets.results.failures import store_failure
from odum_assets.results.store import ResultStore

RUNS = 40


@pytest.fixture(scope="module", params=DATABASES)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sample: Path
) -> Iterator[sa.Engine]:
    """A registry of finished and failed runs on either database; tests only read it."""
    settings = empty(tmp_path_factory.mktemp("queries") / "results", url_of(request))
    draws = random.Random(7)  # noqa: S311
    figures = [draws.choice([None, 0.1, -0.1, 1.7e-7, 123456.78901234]) for _ in range(RUNS)]
    stored(
        sample,
        settings.results_path,
        RUNS,
        pnl=figures,
        ratios__sharpe=[draws.choice([None, draws.gauss(0, 3)]) for _ in range(RUNS)],
        returns__total_return_pct=[draws.gauss(0, 5) for _ in range(RUNS)],
        orders=[draws.randrange(5) for _ in range(RUNS)],
    )
    for text in ("no data", "other"):
        store_failure(RunRequest(variant(), (DAY,), "window"), settings, ValueError(text))
    engine = create_engine(registry_url(settings))
    upgrade_registry(engine, ResultStore(settings.results_path))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(filled: sa.Engine) -> Iterator[sa.Connection]:
    with reading(filled) as opened:
        yield opened


def _everything(
    connection: sa.Connection, sort: str, limit: int, where: RunFilter | None = None
) -> list[dict[str, Any]]:
    rows, cursor = [], None
    while True:
        page = list_runs(connection, where, sort, limit=limit, cursor=cursor)
        rows += page.rows
        if page.next_cursor is None:
            return rows
        assert len(page.rows) == limit
        cursor = page.next_cursor


@pytest.mark.parametrize("way", ["", "-"], ids=["up", "down"])
def test_pages_follow_each_other_in_order(connection: sa.Connection, way: str) -> None:
    for column in SORTED_COLUMNS:
        _check_pages(connection, column, way)


def test_filtered_pages_are_the_filtered_rows_of_all(connection: sa.Connection) -> None:
    where = RunFilter(status=RunStatus.SUCCEEDED, executed_from=FIRST + timedelta(seconds=5))
    for column in ("pnl", "-pnl", "run_id", "-executed_at", "-sharpe_ratio", "status"):
        expected = [
            row["run_id"]
            for row in _everything(connection, column, 50)
            if row["status"] is RunStatus.SUCCEEDED
            and row["executed_at"] >= FIRST + timedelta(seconds=5)
        ]
        assert len(expected) == RUNS - 5
        found = [row["run_id"] for row in _everything(connection, column, 7, where)]
        assert found == expected
        for offset in (3, 20, RUNS - 6, RUNS):
            page = list_runs(connection, where, column, limit=4, offset=offset)
            assert [row["run_id"] for row in page.rows] == expected[offset : offset + 4]


def test_words_bounds_and_warnings_narrow_a_list(connection: sa.Connection) -> None:
    everything = _everything(connection, "run_id", 50)

    def expected(fits: Callable[[dict[str, Any]], bool]) -> list[str]:
        return [row["run_id"] for row in everything if fits(row)]

    def found(where: RunFilter) -> list[str]:
        assert count_runs(connection, where) == len(_everything(connection, "run_id", 7, where))
        return [row["run_id"] for row in _everything(connection, "run_id", 7, where)]

    def within(row: dict[str, Any]) -> bool:
        return row["pnl"] is not None and -0.1 <= row["pnl"] <= 0.1

    bounds = (Bound("pnl", -0.1, 0.1), Bound("orders", None, 3))
    few = expected(lambda row: within(row) and row["orders"] <= 3)
    assert 0 < len(few) < RUNS
    assert found(RunFilter(bounds=bounds)) == few
    one, other = everything[3]["run_id"], everything[9]["run_id"]
    suffix = one.rpartition("_")[2].upper()
    assert one in found(RunFilter(words=((suffix, ()), ("btc", ()))))
    assert found(RunFilter(words=(("nowhere", (one, other)), ("btc", ())))) == [one, other]
    assert found(RunFilter(words=(("%", ()),))) == found(RunFilter(run_ids=[])) == []
    assert found(RunFilter(run_ids=[other], not_run_ids=[one])) == [other]
    assert len(found(RunFilter(not_run_ids=[one]))) == RUNS + 1
    for flagged in (True, False):
        assert found(RunFilter(flagged=flagged)) == expected(
            lambda row, flagged=flagged: (
                row["flag_count"] is not None and (row["flag_count"] > 0) is flagged
            )
        )
    groups = dict(count_groups(connection, RunFilter(bounds=bounds), ("status", "detail")))
    assert sum(groups.values()) == len(few)
    with pytest.raises(QueryError, match="q: found"):
        found(RunFilter(words=(("\x00", ()),)))


def test_costs_sweeps_and_uses_of_a_partition_are_told(connection: sa.Connection) -> None:
    where = RunFilter(status=RunStatus.SUCCEEDED)
    costs = get_costs(connection, where, 5)
    assert len(costs) == 5
    assert all(seconds > 0 and rows == 5 for seconds, rows in costs)
    assert list_sweeps(connection) == get_variants(connection, "SWP_none") == []
    run = get_run(connection, list_runs(connection, where, limit=1).rows[0]["run_id"])
    assert run is not None
    (part,) = (each for each in run["dataset"]["partitions"] if each["data_type"] == "trades")
    used = get_runs_over(connection, run["instrument"], "trades", DAY, RUNS)
    assert len(used) == RUNS
    assert {each["digest"] for each in used} == {part["digest"]}
    assert get_runs_over(connection, run["instrument"], "trades", DAY + timedelta(1), 5) == []
    assert get_verified(connection, [run["id"]]) == {}


def _check_pages(connection: sa.Connection, column: str, way: str) -> None:
    rows = _everything(connection, f"{way}{column}", 7)
    assert len({row["run_id"] for row in rows}) == len(rows) == RUNS + 2
    known = [row for row in rows if row[column] is not None]
    # An enum of PostgreSQL sorts by its own order; each value is together in either.
    if column == "status":
        places = [row["status"] for row in rows]
        assert places in (sorted(places), sorted(places, reverse=True))
    else:
        expected = sorted(known, key=lambda row: (row[column], row["id"]), reverse=way == "-")
        assert [row["run_id"] for row in known] == [row["run_id"] for row in expected]
    assert all(row[column] is None for row in rows[len(known) :])
    # By offset it is the same.
    for offset in (0, 5, max(len(known) - 1, 0), len(known), len(known) + 1, RUNS + 2):
        page = list_runs(connection, sort=f"{way}{column}", limit=4, offset=offset)
        assert [each["id"] for each in page.rows] == [
            each["id"] for each in rows[offset : offset + 4]
        ]


def test_filters_narrow(connection: sa.Connection) -> None:
    failed = RunFilter(status=RunStatus.FAILED)
    assert count_runs(connection) == RUNS + 2
    assert count_runs(connection, failed) == 2
    assert {row["error"] for row in list_runs(connection, failed).rows} == {"no data", "other"}
    early = RunFilter(
        executed_from=FIRST + timedelta(seconds=3), executed_to=FIRST + timedelta(seconds=6)
    )
    assert [row["executed_at"] for row in list_runs(connection, early, "executed_at").rows] == [
        FIRST + timedelta(seconds=each) for each in (3, 4, 5)
    ]
    assert count_runs(connection, RunFilter(partition="window")) == 2
    assert count_runs(connection, RunFilter(config_name="no such")) == 0
    (dataset,) = list_datasets(connection)
    (strategy,) = list_strategies(connection, "TradeReplay")
    both = RunFilter(dataset_id=dataset["id"], strategy_id=strategy["id"])
    assert count_runs(connection, both) == RUNS
    assert list_datasets(connection, "no such") == []


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, RUNS + 2),
        ({"exec_algorithm": {"type": "NORMAL"}, "snapshot_mode": "trades"}, RUNS),
        ({"exec_algorithm": {}}, RUNS + 2),
        ({"exec_algorithm": {"type": "TWAP"}}, 0),
        ({"snapshot_mode": "book"}, 0),
        ({"close_positions": True}, RUNS + 2),
        ({"close_positions": 1}, 0),
        ({"close_positions": "true"}, 0),
        ({"days": ["2024-03-05"]}, RUNS + 2),
        ({"days": ["2024-03-06"]}, 0),
        ({"days": []}, RUNS + 2),
        ({"days": "2024-03-05"}, 0),
        ({"no such": None}, 0),
        ({"it's": {"no": 1.5}}, 0),
    ],
    ids=str,
)
def test_runs_are_found_by_their_options(
    connection: sa.Connection, params: dict[str, Any], found: int
) -> None:
    assert count_runs(connection, RunFilter(params=params)) == found


def test_options_that_sqlite_cannot_look_for_are_refused(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        with pytest.raises(QueryError, match="params: "):
            count_runs(connection, RunFilter(params={'a"b': 1}))
        with pytest.raises(QueryError, match="params: "):
            count_runs(connection, RunFilter(params={"days": [{}]}))


def test_one_run_has_everything_around_it(connection: sa.Connection) -> None:
    newest, older = list_runs(connection, RunFilter(status=RunStatus.SUCCEEDED), limit=2).rows
    run = get_run(connection, newest["run_id"])
    assert run is not None
    assert run["provenance"]["catalog"] == run["dataset"]["partitions"]
    assert run["strategy"]["name"] == "TradeReplay"
    for unknown in ("no such", "a\x00", "\ud800"):
        assert get_run(connection, unknown) is None
        assert list_events(connection, unknown) == list_artifacts(connection, unknown) == []
    ids = [older["run_id"], "no such", newest["run_id"]]
    assert [row["run_id"] for row in get_runs(connection, ids)] == [ids[0], ids[2]]
    (artifact,) = list_artifacts(connection, newest["run_id"])
    assert artifact["filename"] == f"{newest['run_id']}.json"
    events = list_events(connection, newest["run_id"])
    assert list_events(connection, newest["run_id"], after=events[1]["sequence"]) == events[2:]
    last = list_events(connection, newest["run_id"], event_type="succeeded")
    assert last == events[-1:]
    found = latest_events(connection, "succeeded", limit=2)
    assert [row["run_id"] for row in found] == [newest["run_id"], older["run_id"]]


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"sort": "password"}, "sort"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_000_000}, "limit"),
        ({"offset": -1}, "offset"),
        ({"cursor": "zzz"}, "cursor"),
        ({"cursor": "bnVsbA=="}, "cursor"),
        ({"cursor": "ä"}, "cursor"),
        ({"cursor": _cursor("-executed_at", "2026-01-01T00:00:00+00:00", 2**70)}, "cursor"),
        ({"cursor": _cursor("-executed_at", "2026-01-01T00:00:00", 1)}, "cursor"),
        ({"cursor": _cursor("config_name", "a\x00", 1), "sort": "config_name"}, "cursor"),
        ({"cursor": _cursor("pnl", "NaN", 1), "sort": "pnl"}, "cursor"),
        ({"cursor": _cursor("pnl", "1e999999", 1), "sort": "pnl"}, "cursor"),
        ({"cursor": _cursor("orders", 2**70, 1), "sort": "orders"}, "cursor"),
        ({"offset": 2**63}, "offset"),
        ({"where": RunFilter(config_name="a\x00")}, "config_name"),
        ({"where": RunFilter(partition="\ud800")}, "partition"),
        ({"where": RunFilter(dataset_id=2**70)}, "dataset_id"),
        ({"where": RunFilter(executed_to=datetime(2026, 1, 1))}, "executed_to"),  # noqa: DTZ001
    ],
)
def test_questions_that_make_no_sense_are_refused(
    connection: sa.Connection, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(QueryError, match=f"{what}: "):
        list_runs(connection, **options)


def test_a_cursor_belongs_to_its_sort(connection: sa.Connection) -> None:
    cursor = list_runs(connection, sort="pnl", limit=1).next_cursor
    assert cursor is not None
    with pytest.raises(QueryError, match="cursor: "):
        list_runs(connection, sort="-pnl", cursor=cursor)
