"""What Dagster shows as out of date, by its own rules: after a run, and when a file changes."""

from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from graphtools import BTC, BTC_KEY, BTC_SLUG, FIRST_DAY, report_raw_files

from odum_assets.orchestration.launch import Graph, materialize

DAY = FIRST_DAY.isoformat()
RAW = dg.AssetKey(["raw", BTC_SLUG, "trades"])
TRADES = dg.AssetKey(["catalog", BTC_SLUG, "trades"])
BOOK = dg.AssetKey(["catalog", BTC_SLUG, "book_depths"])
RESULT = dg.AssetKey(["backtest", BTC, "result"])
KEYS = [key.path for key in (TRADES, BOOK, RESULT)]


def _stale(instance: dg.DagsterInstance, graph: Graph) -> dict[dg.AssetKey, list[str]]:
    """Return the assets of the day that are out of date, and since when what has changed."""
    assets = graph.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, assets, LoadingContextForTest(instance))
    keys = (RAW, TRADES, BOOK, RESULT)
    return {
        key: [each.key.asset_key.to_user_string() for each in causes]
        for key in keys
        if resolver.get_status(key, DAY) is not StaleStatus.FRESH
        for causes in [resolver.get_stale_root_causes(key, DAY)]
    }


def _touch(folder: Path) -> None:
    (folder / f"data/raw_tick_data/by_date/day-{DAY}/data_type-trades/{BTC_KEY}.parquet").touch()


def test_a_day_is_out_of_date_from_the_change_of_its_file_to_the_next_run(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    # The step itself reports the file: nobody has before it.
    assert materialize(instance, graph, KEYS, DAY).success
    assert _stale(instance, graph) == {}
    assert report_raw_files(instance, graph, [FIRST_DAY]) == []
    _touch(sample)
    assert _stale(instance, graph) == {}, "nobody has seen it yet"
    assert report_raw_files(instance, graph, [FIRST_DAY]) == [RAW]
    assert _stale(instance, graph) == {TRADES: [RAW.to_user_string()]}
    assert materialize(instance, graph, KEYS, DAY).success
    assert _stale(instance, graph) == {}


def test_a_file_that_changes_after_its_report_is_known_in_the_version_that_was_read(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    report_raw_files(instance, graph, [FIRST_DAY])
    _touch(sample)
    assert materialize(instance, graph, KEYS, DAY).success
    assert _stale(instance, graph) == {}
    assert report_raw_files(instance, graph, [FIRST_DAY]) == []


def test_other_days_change_nothing(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    assert materialize(instance, graph, KEYS, DAY).success
    other = FIRST_DAY.replace(day=2)
    assert len(report_raw_files(instance, graph, [other])) == 3
    assert materialize(instance, graph, [TRADES.path], other.isoformat()).success
    assert _stale(instance, graph) == {}
