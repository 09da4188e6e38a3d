"""Bars in the graph: partitions of sessions and years, what a request reads, what is requested."""

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from odum_assets.errors import ConfigError, InvalidRequestError, UnavailableDataError
from odum_assets.orchestration.discovery import Cursor, DayRun, discover
from odum_assets.orchestration.launch import Graph, load_graph, materialize
from odum_assets.orchestration.partition_state import State, describe_partition
from odum_assets.orchestration.planner import Planner
from odum_assets.orchestration.requests import NewRun
from odum_assets.raw.layout import DataType, raw_file_path
from odum_assets.results.run_id import run_id_of
from odum_assets.settings import Settings

MINUTE = 60_000_000_000
SPY, QQQ = "ARCA:EQUITY:SPY", "NASDAQ:EQUITY:QQQ"
MONDAY, TUESDAY = dt.date(2024, 1, 8), dt.date(2024, 1, 9)


def write_config(folder: Path, name: str, *keys: str, **sections: Any) -> None:
    """Write a configuration for bars into the folder of configurations."""
    document = {
        "kind": "bars",
        "instruments": [{"id": key, "tick_size": 0.01} for key in keys],
        "bars": {"step": "1m", "label": "start", "warmup_sessions": 1},
        "session": {"preset": "us_equity"},
        "venue": {"name": "ARCA", "base_currency": "USD", "starting_balance": 10000},
        "strategy": {"name": "MA_CROSS", "params": {"fast": 2, "slow": 3}},
        **sections,
    }
    (folder / "configs" / f"{name}.json").write_text(json.dumps(document))


def write_bars(folder: Path, day: dt.date, key: str = SPY, hours: range = range(24)) -> None:
    """Write a bar a minute for hours of a UTC day, going up and down."""
    start = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 10**9
    times = [start + hour * 60 * MINUTE + minute * MINUTE for hour in hours for minute in range(60)]
    prices = [
        100 + (index % 20 if index % 40 < 20 else 20 - index % 20) for index in range(len(times))
    ]
    table = pa.table(
        {
            "timestamp": pa.array(times, pa.timestamp("ns", "UTC")),
            **dict.fromkeys(("open", "high", "low", "close"), pa.array(prices, pa.float64())),
            "volume": pa.array([10] * len(times)),
        }
    )
    path = Path(raw_file_path(str(folder / "data"), day, DataType.BARS_1M, key))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_year(folder: Path, year: int, key: str = SPY) -> None:
    """Write a daily bar for every weekday of January."""
    days = [dt.date(year, 1, number) for number in range(1, 32)]
    days = [day for day in days if day.weekday() < 5]
    prices = pa.array([100.0 + index % 7 for index in range(len(days))])
    columns = dict.fromkeys(("Open", "High", "Low", "Close"), prices)
    table = pa.table({"Date": pa.array(days), **columns, "Volume": pa.array([1] * len(days))})
    path = Path(raw_file_path(str(folder / "data"), days[0].replace(day=1), DataType.BARS_1D, key))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.fixture
def folder(folder: Path) -> Path:
    """A project folder without the configurations for ticks."""
    for file in (folder / "configs").iterdir():
        file.unlink()
    return folder


def graph_of(settings: Settings) -> Graph:
    graph = load_graph(settings)
    assert graph.project.refused == ()
    return graph


def carry_out(instance: dg.DagsterInstance, graph: Graph, new: NewRun) -> dict[str, Any]:
    """Plan and run a request; return the metadata of its result."""
    plan = Planner(graph.project).plan(new)
    done = materialize(
        instance,
        graph,
        plan.keys,
        plan.partition,
        config={plan.target: plan.config},
        job=plan.job,
        tags=plan.tags,
    )
    assert done.success, done.failures
    found: dict[str, Any] = done.materializations
    return found


# --- the graph ----------------------------------------------------------------------------------


def test_a_branch_of_the_graph_per_instrument(folder: Path, settings: Settings) -> None:
    write_config(folder, "two", SPY, QQQ)
    write_config(folder, "daily", SPY, bars={"step": "1d", "label": "start"})
    graph = graph_of(settings)
    assets = graph.definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in assets.get_all_asset_keys()}
    assert {
        "raw/arca_equity_spy/bars_1m",
        "catalog/nasdaq_equity_qqq/bars_1m",
        "catalog/arca_equity_spy/bars_1d",
        "backtest/two/result",
        "backtest/daily/window",
    } <= keys
    # There are no ticks of bars to export.
    assert "backtest/two/ticks" not in keys
    yearly = assets.get(dg.AssetKey(["backtest", "daily", "result"])).partitions_def
    assert yearly is not None
    assert yearly.has_partition_key("2011-01-01")
    assert not yearly.has_partition_key("2011-01-02")
    parents = assets.get(dg.AssetKey(["backtest", "two", "result"])).parent_keys
    assert len(parents) == 2


def test_aggregated_bars_are_downstream_of_the_trades(folder: Path, settings: Settings) -> None:
    key = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
    write_config(
        folder,
        "traded",
        instruments=[{"id": key, "tick_size": 0.1, "lot_size": 0.001}],
        bars={"step": "5m", "source": "trades"},
        session={},
        venue={"name": "BINANCE-FUTURES", "base_currency": "USDT", "starting_balance": 1},
    )
    graph = graph_of(settings)
    assets = graph.definitions.resolve_asset_graph()
    slug = "binance_futures_perpetual_btc_usdt"
    bars = assets.get(dg.AssetKey(["catalog", slug, "bars_5m"]))
    assert bars.parent_keys == {dg.AssetKey(["catalog", slug, "trades"])}
    assert not assets.has(dg.AssetKey(["raw", slug, "bars_5m"]))


# --- requests -----------------------------------------------------------------------------------


def test_sessions_are_what_can_be_asked_for(folder: Path, settings: Settings) -> None:
    write_config(folder, "spy", SPY, session={"preset": "us_equity", "holidays": ["2024-01-09"]})
    for number in (8, 9, 10):
        write_bars(folder, dt.date(2024, 1, number))
    planner = Planner(graph_of(settings).project)
    with pytest.raises(InvalidRequestError, match="no session on 2024-01-09"):
        planner.plan(NewRun.of(config="spy", day=TUESDAY))
    plans, refused = planner.plan_days(
        NewRun.of(config="spy", first_day=dt.date(2024, 1, 6), last_day=dt.date(2024, 1, 11))
    )
    assert [*plans] == ["2024-01-08", "2024-01-10"]
    assert [*refused] == ["2024-01-11"]
    window = planner.plan(
        NewRun.of(config="spy", window=True, first_day=MONDAY, last_day=dt.date(2024, 1, 10))
    )
    assert window.config["start"] == "2024-01-08T14:30:00Z"
    assert window.config["end"] == "2024-01-10T21:00:00Z"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"snapshot_mode": "book"}, "snapshot_mode: found book, allowed auto"),
        ({"exec_algorithm": "TWAP"}, "exec_algorithm: found TWAP, allowed CONFIG"),
    ],
)
def test_options_of_ticks_are_refused(
    folder: Path, settings: Settings, options: dict[str, Any], text: str
) -> None:
    write_config(folder, "spy", SPY)
    write_bars(folder, MONDAY)
    with pytest.raises(ConfigError, match=text):
        Planner(graph_of(settings).project).plan(NewRun.of(config="spy", day=MONDAY, **options))


def test_every_day_and_instrument_of_a_session_is_needed(folder: Path, settings: Settings) -> None:
    write_config(folder, "night", SPY, QQQ, session={"preset": "cme_eth"})
    sunday = dt.date(2024, 1, 7)
    for day, key in ((sunday, SPY), (MONDAY, SPY), (MONDAY, QQQ)):
        write_bars(folder, day, key)
    planner = Planner(graph_of(settings).project)
    new = NewRun.of(config="night", day=MONDAY)
    with pytest.raises(UnavailableDataError, match="day-2024-01-07/data_type-bars_1m/NASDAQ"):
        planner.plan(new)
    write_bars(folder, sunday, QQQ)
    assert planner.plan(new).partition == "2024-01-08"


def test_a_session_converts_what_it_touches_and_its_warm_up(
    folder: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    write_config(folder, "night", SPY, session={"preset": "cme_eth"})
    for number in (4, 5, 7, 8):
        write_bars(folder, dt.date(2024, 1, number))
    graph = graph_of(settings)
    carry_out(instance, graph, NewRun.of(config="night", day=MONDAY, mode="fast"))
    (source,) = graph.project.sources
    states = {
        number: describe_partition(graph.project, source, dt.date(2024, 1, number)).state
        for number in (4, 5, 7, 8)
    }
    # Monday's session opens on Sunday; the one before is Friday's, which opens on Thursday.
    assert set(states.values()) == {State.CURRENT}
    recorded = instance.get_materialized_partitions(source.catalog_key)
    assert recorded == {f"2024-01-0{number}" for number in (4, 5, 7, 8)}


def test_a_year_of_daily_bars_is_one_partition(
    folder: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    write_config(folder, "daily", SPY, bars={"step": "1d", "label": "start"})
    write_year(folder, 2001)
    graph = graph_of(settings)
    plan = Planner(graph.project).plan(NewRun.of(config="daily", day=dt.date(2001, 6, 5)))
    assert plan.partition == "2001-01-01"
    new = NewRun.of(config="daily", day=dt.date(2001, 1, 17), mode="fast")
    found = carry_out(instance, graph, new)
    assert "backtest/daily/result" in found


def test_runs_are_named_by_the_open_of_their_session(folder: Path, settings: Settings) -> None:
    write_config(folder, "spy", SPY)
    write_bars(folder, MONDAY)
    plan = Planner(graph_of(settings).project).plan(NewRun.of(config="spy", day=MONDAY))
    # 09:30 in New York; a run without a plan gets its id from the request in the same way.
    assert (plan.run_id or "").startswith("ARC_SPY_20240108_14300000_")
    assert run_id_of(plan.request).startswith("ARC_SPY_20240108_14300000_")


def test_a_vectorized_sweep_is_an_asset_of_the_crossover_alone(
    folder: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    write_config(folder, "spy", SPY, bars={"step": "1m", "label": "start", "warmup_sessions": 1})
    write_config(folder, "orb", SPY, strategy={"name": "ORB", "params": {}})
    for number in (5, 8, 9):
        write_bars(folder, dt.date(2024, 1, number))
    graph = graph_of(settings)
    assets = graph.definitions.resolve_asset_graph()
    keys = {key.to_user_string() for key in assets.get_all_asset_keys()}
    assert {key for key in keys if key.endswith("/vsweep")} == {"backtest/spy/vsweep"}
    key = ("backtest", "spy", "vsweep")
    config = {
        "fast": "2:4", "slow": "5,300", "verify": 1,
        "first_day": "2024-01-08", "last_day": "2024-01-09",
    }  # fmt: skip
    done = materialize(instance, graph, [key], None, config={key: config})
    assert done.success, done.failures
    found = done.materializations["backtest/spy/vsweep"]
    # It converts the sessions and the one before; 390 bars of each are inside of hours.
    assert (found["bars"], found["sessions"], found["variants_run"]) == (780, 2, 6)
    assert len(found["verified"]["variants"]) == 2
    (source,) = graph.project.sources
    assert len(instance.get_materialized_partitions(source.catalog_key)) == 3
    record = instance.get_latest_materialization_event(dg.AssetKey(key))
    assert record is not None
    assert record.asset_materialization is not None
    tags = record.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == found["digest"]
    again = materialize(instance, graph, [key], None, config={key: config | {"verify": 0}})
    assert again.materializations["backtest/spy/vsweep"]["digest"] == found["digest"]
    refused = materialize(instance, graph, [key], None, config={key: config | {"fast": "x"}})
    assert "fast: found x" in refused.failures[0][1]
    half = {name: value for name, value in config.items() if name != "last_day"}
    refused = materialize(instance, graph, [key], None, config={key: half})
    assert "give both, as dates" in refused.failures[0][1]


def test_signals_are_an_asset_that_the_result_reads(
    folder: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    model = LogisticRegression().fit([[-0.1], [0.0], [0.1]], [0, 0, 1])
    (folder / "m.skops").write_bytes(skops.io.dumps(model))
    params = {"model": {"path": "m.skops"}, "features": ["Returns"], "threshold": 0.3}
    write_config(folder, "ml", SPY, strategy={"name": "ML_SIGNALS", "params": params})
    for day in (MONDAY, TUESDAY):
        write_bars(folder, day)
    graph = graph_of(settings)
    found = carry_out(instance, graph, NewRun.of(config="ml", day=TUESDAY, mode="fast"))
    signals = found["signals/ml"]
    predictions = list((settings.results_path / "predictions").iterdir())
    assert len(predictions) == 1, "the result has the predictions of the signals"
    table = pq.read_table(signals["file"])
    assert table.num_rows == 390
    assert signals["entries"] == table["signal"].to_pylist().count(1) > 0
    sha256 = hashlib.sha256((folder / "m.skops").read_bytes()).hexdigest()
    assert signals["models"] == {"model m.skops": sha256}
    latest = instance.get_latest_materialization_event(dg.AssetKey(["raw", "models", "m_skops"]))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert (latest.asset_materialization.tags or {})["dagster/data_version"] == sha256
    job = graph.definitions.resolve_job_def("ml_day")
    assert "signals__ml" in {node.name for node in job.nodes}
    # Other parameters have predictions of their own, and need no asset.
    other = NewRun.of(config="ml", day=TUESDAY, overrides={"strategy.params.threshold": 0.5})
    assert ("signals", "ml") not in Planner(graph.project).plan(other).keys
    (folder / "m.skops").unlink()
    keys = [("signals", "ml")]
    missing = materialize(instance, graph, keys, TUESDAY.isoformat())
    assert "m.skops: the model cannot be read" in missing.failures[0][1]
    assert pq.read_table(signals["file"]).equals(table)


# --- the sensor ---------------------------------------------------------------------------------


def runs_of(graph: Graph, now: float = 100.0) -> list[DayRun]:
    """Return the runs that follow once nothing changes any more."""
    today = dt.date(2024, 1, 20)
    first = discover(graph.project, Cursor(), now=0, today=today, stable_secs=30)
    later = discover(graph.project, first.cursor, now=now, today=today, stable_secs=30)
    return [*later.runs]


def test_a_session_runs_when_all_its_days_are_there(folder: Path, settings: Settings) -> None:
    write_config(folder, "night", SPY, session={"preset": "cme_eth"})
    for number in (7, 8, 9):
        write_bars(folder, dt.date(2024, 1, number))
    graph = graph_of(settings)
    # Wednesday's opens on Tuesday, and its own day is not there.
    assert [run.day for run in runs_of(graph)] == [MONDAY, TUESDAY]


def test_years_before_the_first_day_are_partitions(folder: Path, settings: Settings) -> None:
    write_config(folder, "daily", SPY, bars={"step": "1d", "label": "start"})
    write_year(folder, 2001)
    assert [run.day for run in runs_of(graph_of(settings))] == [dt.date(2001, 1, 1)]
