"""Lists over a large registry: every column sorted, filtered and paged, on both databases.

``ODUM_BENCH_RUNS`` sets the number of runs, ``ODUM_BENCH_EVENTS`` that of the events of each.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from measuring import Measurements
from postgresserver import server

from odum_assets.registry import schema
from odum_assets.registry.bulk import load
from odum_assets.registry.database import create_engine, reading, registry_url, writing
from odum_assets.registry.models import (
    DATASETS,
    EVENTS,
    FILTERED_COLUMNS,
    PENDING,
    RUNS,
    SORTED_COLUMNS,
    STRATEGIES,
)
from odum_assets.registry.queries import (
    Page,
    RunFilter,
    count_runs,
    latest_events,
    list_events,
    list_runs,
)
from odum_assets.registry.types import RunMode, RunStatus
from odum_assets.settings import Settings

COUNT = int(os.environ.get("ODUM_BENCH_RUNS", "100000"))
PER_RUN = int(os.environ.get("ODUM_BENCH_EVENTS", "100"))
LIMIT_MS = 50.0
"""For lists in order of execution, and of few runs in any order: an index leads to them."""

WHOLE_LIMIT_MS = 50.0 + 2.0 * COUNT / 1_000
"""For the other ones: they go over all runs."""

REPEATS = 5
START = datetime(2025, 1, 1, tzinfo=UTC)
CONFIGS = [f"config_{index}" for index in range(10)]
INSTRUMENTS = [f"VENUE:PERPETUAL:C{index}-USDT" for index in range(25)]
BATCH = 1_000


@pytest.fixture(scope="module", params=["SQLite", "PostgreSQL"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A registry on either database, filled."""
    folder = tmp_path_factory.mktemp("registry")
    if request.param == "SQLite":
        yield from _filled(Settings(results_path=folder, database_url=None))
        return
    with server() as url:
        yield from _filled(Settings(results_path=folder, database_url=url))


def _filled(settings: Settings) -> Iterator[sa.Engine]:
    made = create_engine(registry_url(settings))
    took = {"runs": 0.0, "events": 0.0}
    with writing(made) as connection:
        schema.upgrade(connection)
        load(connection, DATASETS, [_dataset(key) for key in range(1, 401)])
        load(connection, STRATEGIES, [_strategy(key) for key in range(1, 51)])
        draws = random.Random(1)  # noqa: S311
        for first in range(1, COUNT + 1, BATCH):
            keys = range(first, min(first + BATCH, COUNT + 1))
            runs = [_run(key, draws) for key in keys]
            events = [row for key in keys for row in _events(key)]
            for name, table, rows in (("runs", RUNS, runs), ("events", EVENTS, events)):
                started = time.perf_counter()
                load(connection, table, rows)
                took[name] += time.perf_counter() - started
    # The server writes its log with a delay; until then no row counts as seen by all.
    time.sleep(2)
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        vacuum = "ANALYZE" if made.dialect.name == "sqlite" else "VACUUM ANALYZE"
        connection.exec_driver_sql(vacuum)
    for name, rows in (("runs", COUNT), ("events", COUNT * PER_RUN)):
        print(f"\n{made.dialect.name}: {rows:,} {name} at {rows / took[name]:,.0f} rows/s")
    yield made
    made.dispose()


def _dataset(key: int) -> dict[str, Any]:
    return {
        "id": key,
        "name": f"dataset {key}",
        "description": None,
        "content_hash": f"{key:064x}",
        "instrument": INSTRUMENTS[key % len(INSTRUMENTS)],
        "symbols": ["BTC-USDT"],
        "timeframe": "tick",
        "start_date": START + timedelta(days=key),
        "end_date": START + timedelta(days=key + 1),
        "row_count": key,
        "rejected_count": 0,
        "partitions": [{"data_type": "trades", "digest": f"{key:064x}"}],
        "created_at": START,
    }


def _strategy(key: int) -> dict[str, Any]:
    return {
        "id": key,
        "name": f"Strategy{key % 5}",
        "version": f"{key}",
        "description": None,
        "params": {"window": key},
        "params_hash": f"{key:064x}",
        "created_at": START,
    }


def _run(key: int, draws: random.Random) -> dict[str, Any]:
    """A run of which one in twenty failed; JSON documents as large as real ones."""
    failed = key % 20 == 0
    figure = draws.gauss(0, 1_000)

    def known(value: Any) -> Any:
        return None if failed else value

    wins, losses, even = (draws.randrange(50) for _ in range(3))
    return {
        "id": key,
        "run_id": f"BNF_BTC_20240101_00000000_{key % 10:06x}_{key:06x}",
        "status": RunStatus.FAILED if failed else RunStatus.SUCCEEDED,
        "run_mode": RunMode.BACKTEST,
        "detail": ("fast", "report")[key % 2],
        # Half of the runs have one configuration.
        "config_name": CONFIGS[0] if key % 2 else CONFIGS[draws.randrange(10)],
        "config_hash": f"{key % 10:064x}",
        "partition": (START + timedelta(days=key % 400)).date().isoformat(),
        "instrument": INSTRUMENTS[draws.randrange(len(INSTRUMENTS))],
        "dataset_id": known(1 + key % 400),
        "strategy_id": known(1 + key % 50),
        "digest": known(f"{key:064x}"),
        "dagster_run_id": f"{key:036x}",
        "sweep_id": f"SWP_{key // 1000:06x}" if key % 1000 < 20 else None,
        "executed_at": START + timedelta(seconds=key * 60),
        "window_start": START + timedelta(days=key % 400),
        "window_end": START + timedelta(days=key % 400 + 1),
        "progress": Decimal(1),
        "phase": None,
        "updated_at": None,
        "error": "no trades" if failed else None,
        "error_type": "DataError" if failed else None,
        "currency": known("USDT"),
        "initial_capital": known(1_000_000.0),
        **{
            name: known(round(figure * factor, 6))
            for factor, name in enumerate(
                (
                    "final_balance",
                    "final_value",
                    "lowest_value",
                    "pnl",
                    "realized",
                    "unrealized",
                    "commissions",
                    "funding",
                    "expectancy",
                ),
                1,
            )
        },
        "total_return": known(figure / 1e6),
        "max_drawdown": known(-abs(figure) / 1e6),
        "drawdown_amount": known(-abs(figure)),
        "drawdown_duration_secs": known(float(draws.randrange(86_400))),
        "cagr": known(draws.gauss(0, 1)),
        "volatility": known(draws.random()),
        "calmar_ratio": known(draws.gauss(0, 2)),
        "figures_version": known(2),
        "win_rate": known(draws.random()),
        "profit_factor": known(draws.random() * 3),
        "sharpe_ratio": known(draws.gauss(0, 2)),
        "sortino_ratio": known(draws.gauss(0, 2)),
        "orders": known(draws.randrange(100_000)),
        "fills": known(draws.randrange(100_000)),
        "total_trades": known(wins + losses + even),
        "winning_trades": known(wins),
        "losing_trades": known(losses),
        "break_even_trades": known(even),
        "flag_count": known(draws.randrange(4)),
        "params": {"days": [], "snapshot_mode": "both", "exec_algorithm": {"type": "NORMAL"}},
        "provenance": {"catalog": [{"digest": f"{key:064x}", "note": "x" * 1_500}]},
    }


def _events(key: int) -> Iterator[dict[str, Any]]:
    moment = START + timedelta(seconds=key * 60)
    for sequence in range(PER_RUN):
        yield {
            "run_id": key,
            "sequence": sequence,
            "event_type": ("warning", "metric", "refusal", "succeeded")[sequence % 4],
            "timestamp": moment + timedelta(milliseconds=sequence),
            "payload": {"text": f"event {sequence} of {key}"},
        }


_FEW = ("dataset_id given", "partition given", "sweep_id given", "a day")


def _best_ms(call: Callable[[], Any]) -> float:
    """Return the median of a few calls, in ms."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return sorted(times)[REPEATS // 2] * 1_000


def _questions(connection: sa.Connection) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield what a screen may ask: a group, a name, the call."""
    sample = list_runs(connection, limit=1, offset=COUNT // 3).rows[0]
    wheres = [("all runs", RunFilter())]
    given = {**sample, "sweep_id": "SWP_000001"}
    wheres += [(f"{name} given", RunFilter(**{name: given[name]})) for name in FILTERED_COLUMNS]
    wheres += [
        ("half of the runs", RunFilter(config_name=CONFIGS[0])),
        ("failed", RunFilter(status=RunStatus.FAILED)),
        ("under way", RunFilter(status=PENDING)),
        ("nothing", RunFilter(config_name="no such")),
        (
            "half of the runs, succeeded, of one instrument",
            RunFilter(
                config_name=CONFIGS[0],
                status=RunStatus.SUCCEEDED,
                instrument=sample["instrument"],
            ),
        ),
        ("a day", RunFilter(executed_from=START, executed_to=START + timedelta(days=1))),
    ]
    for text, where in wheres:
        yield "count", text, lambda where=where: count_runs(connection, where)
        for column in SORTED_COLUMNS:
            for way in ("", "-"):
                sort = f"{way}{column}"

                def page(sort: str = sort, where: RunFilter = where, **more: Any) -> Page:
                    return list_runs(connection, where, sort, limit=50, **more)

                yield "first page", f"{text}, {sort}", page
                following = page().next_cursor
                if following is not None:
                    yield (
                        "next page",
                        f"{text}, {sort}",
                        lambda page=page, at=following: page(cursor=at),
                    )
                if where == RunFilter():
                    for place, offset in (
                        ("in the middle", COUNT // 2),
                        ("at the end", COUNT - 50),
                    ):
                        yield (
                            f"page {place} by offset",
                            f"{text}, {sort}",
                            lambda page=page, offset=offset: page(offset=offset),
                        )
    yield "events of a run", "", lambda: list_events(connection, sample["run_id"], after=3)
    yield "newest events of a type", "", lambda: latest_events(connection, "warning", 100)


@pytest.mark.timeout(3_000)
def test_every_list_takes_a_few_ms_or_one_look_at_all_runs(
    benchmark: Any, engine: sa.Engine, measurements: Measurements
) -> None:
    worst: dict[str, tuple[float, str]] = {}
    asked: dict[str, int] = {}
    slow = []
    with reading(engine) as connection:
        for group, text, call in _questions(connection):
            took = _best_ms(call)
            asked[group] = asked.get(group, 0) + 1
            worst[group] = max(worst.get(group, (0.0, "")), (took, text))
            is_led = "executed_at" in text or any(each in text for each in _FEW)
            if took >= (LIMIT_MS if is_led else WHOLE_LIMIT_MS):
                slow.append(f"{group} {text}: {took:.0f} ms")
                print(slow[-1])
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[engine.dialect.name]
    for group, (took, text) in worst.items():
        measurements.add(
            f"Registry of {COUNT:,} runs and {COUNT * PER_RUN:,} events on {name}: one query, the "
            f"median of {REPEATS} calls",
            question=group,
            asked=asked[group],
            slowest=f"{took:.1f} ms",
            which=text,
        )
    benchmark.pedantic(lambda: None, rounds=1)
    assert slow == []
