"""Runs through the graph: gating, checks, data versions, lineage. On generated data."""

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, ETH, FIRST_DAY, report_raw_files

from odum_assets.catalog import read_manifest
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.launch import (
    Config,
    Graph,
    LaunchResult,
    load_graph,
    materialize,
)
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings, load_settings

DAY = FIRST_DAY.isoformat()
TRADES = ("catalog", BTC_SLUG, "trades")
BOOK = ("catalog", BTC_SLUG, "book_depths")
RESULT = ("backtest", BTC, "result")
CATALOG_ROOT = Path("data/catalog")


def _key(parts: tuple[str, ...]) -> str:
    return "/".join(parts)


def _raw(folder: Path, kind: str = "trades") -> Path:
    return folder / f"data/raw_tick_data/by_date/day-{DAY}/data_type-{kind}/{BTC_KEY}.parquet"


def _message(result: LaunchResult, key: tuple[str, ...]) -> str:
    assert not result.success
    return dict(result.failures)[_key(key)]


def test_a_day_is_converted_with_rows_quality_and_lineage(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    result = materialize(instance, graph, [TRADES, BOOK], DAY)

    assert result.success, result.failures
    rows = pq.read_metadata(_raw(sample)).num_rows
    made = result.materializations[_key(TRADES)]
    assert made["dagster/row_count"] == rows
    assert made["rows_rejected"] == 0
    assert Path(made["catalog_file"]).is_file()
    manifest = read_manifest(
        CATALOG_ROOT, parse_instrument_key(BTC_KEY), DataType.TRADES, FIRST_DAY
    )
    assert manifest is not None
    run = instance.get_run_by_id(result.dagster_run_id)
    assert run is not None
    assert run.tags["dagster/partition"] == DAY
    record = instance.get_latest_data_version_record(dg.AssetKey(TRADES), partition_key=DAY)
    assert record is not None
    assert record.asset_materialization is not None
    tags = record.asset_materialization.tags or {}
    assert tags["dagster/data_version"] == manifest.digest
    stat = _raw(sample).stat()
    # Dagster records a hash over the versions of the input's partitions; here there is one.
    version = hashlib.sha256(f"{stat.st_size}-{stat.st_mtime_ns}".encode()).hexdigest()
    assert tags[f"dagster/input_data_version/raw/{BTC_SLUG}/trades"] == version


def test_every_check_has_a_verdict_of_its_day(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    result = materialize(instance, graph, [TRADES], DAY)
    records = instance.event_log_storage.get_logs_for_run(
        result.dagster_run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    found = {}
    for record in records:
        assert record.dagster_event is not None
        evaluation = record.dagster_event.asset_check_evaluation_data
        found[evaluation.check_name] = (evaluation.passed, evaluation.partition)
    names = {"rejects", "gaps", "day_covered", "clock_skew", "duplicate_ids", "unknown_sides"}
    assert set(found) == names
    assert {partition for _, partition in found.values()} == {DAY}


def test_a_missing_raw_file_fails_at_once_and_names_it(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    message = _message(materialize(instance, graph, [TRADES], "2024-02-01"), TRADES)
    path = "raw_tick_data/by_date/day-2024-02-01/data_type-trades"
    assert f"{path}/{BTC_KEY}.parquet: there is no raw trades file" in message
    assert "UNIFIED_CLOUD_LOCAL_PATH" in message


def test_a_backtest_without_catalog_partitions_names_them(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    message = _message(materialize(instance, graph, [RESULT], DAY), RESULT)
    assert "catalog partitions are missing" in message
    assert str(_raw(sample)) in message
    assert f"odum convert {BTC} --day {DAY}" in message
    assert f"The job {BTC}_day converts, runs and exports a day in one run" in message


def test_a_day_outside_the_window_fails_before_anything_is_read(
    folder: Path, instance: dg.DagsterInstance
) -> None:
    _edit(folder, time_window={"start": "2024-01-02T00:00:00Z", "end": None})
    message = _message(materialize(instance, load_graph(load_settings()), [RESULT], DAY), RESULT)
    assert f"{DAY} lies outside time_window" in message


def test_run_config_that_does_not_fit_is_a_failure_with_its_reason(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    config: Config = {RESULT: {"start": "noon"}}
    message = _message(materialize(instance, graph, [RESULT], DAY, config=config), RESULT)
    assert message.startswith("start: found 'noon'")


def test_exports_without_a_result_say_what_to_make_first(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    for step in ("ticks", "report"):
        key = ("backtest", BTC, step)
        message = _message(materialize(instance, graph, [key], DAY), key)
        assert f"Materialize backtest/{BTC}/result for this partition first" in message


def test_a_damaged_raw_file_is_a_failure_that_names_it(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    _raw(sample).write_bytes(b"not parquet")
    result = materialize(instance, graph, [TRADES], DAY)
    assert str(_raw(sample)) in _message(result, TRADES)


def test_errors_for_people_become_failures_that_refuse_retries() -> None:
    with pytest.raises(dg.Failure) as caught, failing({"partition": DAY}):
        raise DataError("what, where, why, what to do")
    assert caught.value.description == "what, where, why, what to do"
    assert caught.value.allow_retries is False
    assert caught.value.metadata["error"] == dg.MetadataValue.text("DataError")


@pytest.mark.parametrize("order", [(BTC, "lenient"), ("lenient", BTC)])
def test_a_run_is_judged_by_its_own_configuration_each_time(
    sample: Path, settings: Settings, instance: dg.DagsterInstance, order: tuple[str, str]
) -> None:
    """Two configurations share a partition with many rejects; one of them allows that."""
    content = json.loads((sample / f"configs/{BTC}.json").read_text())
    content["quality"]["max_reject_ratio"] = 0.5
    (sample / "configs/lenient.json").write_text(json.dumps(content))
    graph = load_graph(settings)
    table = pq.read_table(_raw(sample))
    prices = table["price"].to_pylist()
    prices[: len(prices) // 10] = [None] * (len(prices) // 10)
    column = table.schema.get_field_index("price")
    pq.write_table(table.set_column(column, "price", pa.array(prices)), _raw(sample))

    for name in order:
        key = ("backtest", name, "result")
        first = materialize(
            instance, graph, [TRADES, BOOK, key], DAY, config={key: {"mode": "fast"}}
        )
        again = materialize(
            instance, graph, [TRADES, BOOK, key], DAY, config={key: {"mode": "fast"}}
        )
        alone = materialize(instance, graph, [key], DAY, config={key: {"mode": "fast"}})
        assert {run.success for run in (first, again, alone)} == {name == "lenient"}
        for run in (first, again):
            (warning,) = (text for _, text in run.warnings if "check rejects" in text)
            assert warning.split("; ")[-2:] == [f"exceeded for {BTC}", "runs are refused"]
        if name == BTC:
            (message,) = {_message(run, key) for run in (first, again, alone)}
            assert "the catalog is not good enough" in message
            assert "allowed share 0.01 (quality.max_reject_ratio)" in message


def test_an_unchanged_raw_file_is_not_converted_again(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    first = materialize(instance, graph, [TRADES], DAY).materializations[_key(TRADES)]
    file = Path(first["catalog_file"])
    before = file.stat().st_mtime_ns
    second = materialize(instance, graph, [TRADES], DAY).materializations[_key(TRADES)]
    assert (second["digest"], file.stat().st_mtime_ns) == (first["digest"], before)

    forced = materialize(instance, graph, [TRADES], DAY, config={TRADES: {"force": True}})
    assert forced.materializations[_key(TRADES)]["digest"] == first["digest"]
    assert file.stat().st_mtime_ns != before
    assert sample.is_dir()


def test_bugs_are_not_dressed_up_as_failures(
    sample: Path, graph: Graph, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("odum_assets.catalog.convert.convert_partition", broken)
    assert sample.is_dir()
    assert "ZeroDivisionError: a bug" in _message(
        materialize(instance, graph, [TRADES], DAY), TRADES
    )


def test_raw_files_are_reported_once(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    days = [FIRST_DAY, FIRST_DAY + dt.timedelta(days=1), FIRST_DAY + dt.timedelta(days=2)]
    assert len(report_raw_files(instance, graph, days)) == 6
    assert report_raw_files(instance, graph, days) == []
    _raw(sample).touch()
    assert report_raw_files(instance, graph, days) == [dg.AssetKey(["raw", BTC_SLUG, "trades"])]


def test_unknown_assets_and_partitions_are_refused(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(ConfigError, match="no such asset: backtest/nobody/result"):
        materialize(instance, graph, [("backtest", "nobody", "result")], DAY)
    with pytest.raises(
        ConfigError, match=r"'2016-12-31' is not a partition; allowed: days from 2017"
    ):
        materialize(instance, graph, [TRADES], "2016-12-31")


def test_runs_belong_to_the_day_job_that_has_all_assets(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    result = materialize(instance, graph, [TRADES], DAY)
    run = instance.get_run_by_id(result.dagster_run_id)
    assert run is not None
    assert run.job_name == f"{BTC}_day"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "odum_assets"

    both = [TRADES, ("catalog", "binance_futures_perpetual_eth_usdt", "trades")]
    run = instance.get_run_by_id(materialize(instance, graph, both, DAY).dagster_run_id)
    assert run is not None
    assert run.job_name == "__ASSET_JOB"


# Dagster's own tester of conditions uses a parameter that it calls a beta.
@pytest.mark.filterwarnings("ignore:Parameter `include_sources` of function `AssetSelection.all`")
def test_on_new_data_asks_once_for_what_is_missing_or_changed(
    sample: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    (sample / "configs" / f"{ETH}.json").unlink()
    graph = load_graph(settings)

    def evaluate(cursor: Any = None) -> tuple[Any, dict[str, Any]]:
        result = dg.evaluate_automation_conditions(
            defs=graph.definitions, instance=instance, cursor=cursor
        )
        asked: dict[str, Any] = {
            key.to_user_string(): result.get_requested_partitions(key)
            for key in graph.definitions.resolve_asset_graph().materializable_asset_keys
        }
        return result.cursor, {key: days for key, days in asked.items() if days}

    cursor, asked = evaluate()
    assert asked == {}
    report_raw_files(instance, graph, [FIRST_DAY])
    cursor, asked = evaluate(cursor)
    assert set(asked) >= {_key(TRADES), _key(BOOK)}
    assert {day for days in asked.values() for day in days} == {DAY}
    assert materialize(instance, graph, [TRADES, BOOK], DAY).success
    cursor, _ = evaluate(cursor)
    cursor, asked = evaluate(cursor)
    assert not {_key(TRADES), _key(BOOK)} & set(asked)
    _raw(sample).touch()
    report_raw_files(instance, graph, [FIRST_DAY])
    _, asked = evaluate(cursor)
    assert _key(TRADES) in asked
    assert _key(BOOK) not in asked


def _edit(folder: Path, **sections: object) -> None:
    path = folder / "configs" / f"{BTC}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **sections}))
