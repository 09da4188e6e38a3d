"""A real day through the whole graph: raw files, catalog, result, ticks, tearsheet."""

from decimal import Decimal
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG

from odum_assets.orchestration.launch import load_graph, materialize
from odum_assets.results.store import ResultStore
from odum_assets.settings import load_settings

pytestmark = pytest.mark.real_data

DAYS = ("2024-07-18", "2024-07-19")
STEPS = ("result", "ticks", "report")


@pytest.fixture
def place(folder: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", str(real_data))
    return folder


def _raw(real_data: Path, day: str, kind: str) -> pd.DataFrame:
    name = f"raw_tick_data/by_date/day-{day}/data_type-{kind}/{BTC_KEY}.parquet"
    return pd.read_parquet(real_data / name)


def _day_keys() -> list[tuple[str, str, str]]:
    catalog = [("catalog", BTC_SLUG, name) for name in ("trades", "book_depths")]
    return [*catalog, *(("backtest", BTC, step) for step in STEPS)]


def test_a_day_becomes_a_result_with_exports_and_lineage(
    place: Path, real_data: Path, instance: dg.DagsterInstance
) -> None:
    graph, day = load_graph(load_settings()), DAYS[0]
    trades = _raw(real_data, day, "trades")

    done = materialize(instance, graph, _day_keys(), day)

    assert done.success, done.failures
    made = {tuple(key.split("/")): values for key, values in done.materializations.items()}
    assert set(made) == set(_day_keys())
    assert made["catalog", BTC_SLUG, "trades"]["dagster/row_count"] == len(trades)
    assert "Rows per second" in made["catalog", BTC_SLUG, "trades"]["rows_over_time"]
    assert "spread_over_time" not in made["catalog", BTC_SLUG, "trades"]
    assert "Spread" in made["catalog", BTC_SLUG, "book_depths"]["spread_over_time"]
    books = len(_raw(real_data, day, "book_snapshot_5"))
    assert made["catalog", BTC_SLUG, "book_depths"]["dagster/row_count"] == books
    # The recorder's clock was behind the exchange's on every row of that day, and there are three
    # minutes of it.
    warned = {text.split(":")[0] for _, text in done.warnings}
    assert warned == {"check clock_skew", "check day_covered"}

    result = made["backtest", BTC, "result"]
    entry = ResultStore(place / "data/results").current(BTC, day)
    assert entry is not None
    assert (result["run_id"], result["digest"]) == (entry.run_id, entry.digest)
    # One order per trade row, the closing order, and the simulated one for what the book leaves.
    assert len(trades) <= result["orders"] <= len(trades) + 2
    explained = (
        Decimal(1_000_000)
        + Decimal(str(result["realized_pnl"]))
        - Decimal(str(result["commissions"]))
    )
    assert Decimal(str(result["final_balance"])) == explained
    assert result["equity"].startswith("![Equity in USDT](<data:image/svg+xml,")
    assert Path(result["summary_file"]).is_file()

    assert made["backtest", BTC, "ticks"]["dagster/row_count"] == len(trades)
    assert Path(made["backtest", BTC, "report"]["file"]).stat().st_size > 10_000

    record = instance.get_latest_data_version_record(
        dg.AssetKey(["backtest", BTC, "result"]), partition_key=day
    )
    assert record is not None
    assert record.asset_materialization is not None
    tags = record.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == entry.digest
    assert f"dagster/input_data_version/catalog/{BTC_SLUG}/trades" in tags


def test_fast_mode_has_a_summary_and_no_report(place: Path, instance: dg.DagsterInstance) -> None:
    graph, day = load_graph(load_settings()), DAYS[1]
    result, report = ("backtest", BTC, "result"), ("backtest", BTC, "report")
    fast = {"mode": "fast", "snapshot_mode": "trades"}

    part = materialize(
        instance, graph, _day_keys()[:3], day, config={result: {**fast, "end": "00:02"}}
    )
    without = materialize(instance, graph, [report], day)
    whole = materialize(instance, graph, [result], day, config={result: fast})
    alone = materialize(instance, graph, [report], day)

    assert part.success, part.failures
    # A part of a day is a result of its own and none of the day.
    assert not without.success
    assert "there is no result" in without.failures[0][1]
    assert whole.success, whole.failures
    for done in (part, whole):
        values = done.materializations["/".join(result)]
        assert values["mode"] == "fast"
        assert "report_folder" not in values
    assert not alone.success
    assert "fast mode" in alone.failures[0][1]
    assert place.is_dir()


def test_a_window_across_midnight_is_one_account(
    place: Path, real_data: Path, instance: dg.DagsterInstance
) -> None:
    graph = load_graph(load_settings())
    window = ("backtest", BTC, "window")
    assert materialize(instance, graph, _day_keys()[:2], DAYS[0]).success
    bounds = {"start": "2024-07-18T00:00:00Z", "end": "2024-07-20T00:00:00Z", "mode": "fast"}

    done = materialize(instance, graph, [window], None, config={window: bounds})

    assert done.success, done.failures
    values = done.materializations["/".join(window)]
    rows = sum(len(_raw(real_data, day, "trades")) for day in DAYS)
    assert values["days"] == 2
    # The closing order, and the simulated one for what the book does not take.
    assert rows <= values["orders"] <= rows + 2
    entry = ResultStore(place / "data/results").current(BTC, "window")
    assert entry is not None
    assert entry.run_id == values["run_id"]


def test_a_window_that_lacks_its_last_day_warns_or_is_refused(
    place: Path, real_data: Path, instance: dg.DagsterInstance
) -> None:
    assert real_data.is_dir()
    graph = load_graph(load_settings())
    window = ("backtest", BTC, "window")
    for day in DAYS:
        assert materialize(instance, graph, _day_keys()[:2], day).success
    bounds = {"start": "2024-07-18T00:00:00Z", "end": "2024-07-21T00:00:00Z", "mode": "fast"}

    done = materialize(instance, graph, [window], None, config={window: bounds})
    refused = materialize(
        instance, graph, [window], None, config={window: {**bounds, "missing_days": "refuse"}}
    )

    assert done.success, done.failures
    assert ("/".join(window), "check days_complete: 2 of 3 days of the window are in the catalog; "
            "missing: 2024-07-20") in done.warnings  # fmt: skip
    entry = ResultStore(place / "data/results").current(BTC, "window")
    assert entry is not None
    assert (entry.summary()["missing_days"], entry.document["end"]) == (
        ["2024-07-20"],
        "2024-07-21T00:00:00Z",
    )
    assert not refused.success
    assert "lacks trades of 2024-07-20, and missing_days is refuse" in refused.failures[0][1]


def test_a_window_without_any_raw_file_says_where_to_look(
    place: Path, instance: dg.DagsterInstance
) -> None:
    window = ("backtest", BTC, "window")
    bounds = {"start": "2023-01-01T00:00:00Z", "end": "2023-01-03T00:00:00Z"}
    done = materialize(
        instance, load_graph(load_settings()), [window], None, config={window: bounds}
    )
    said = done.failures[0][1]
    assert "2023-01-01 to 2023-01-02, and there are no raw files of these days to convert" in said
    assert "odum data list" in said
    assert place.is_dir()
