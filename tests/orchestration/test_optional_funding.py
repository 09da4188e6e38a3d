"""A configuration whose days may lack funding: used where the raw file is, said where it is not."""

import datetime as dt
import json
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, ETH, FIRST_DAY

from odum_assets.errors import UnavailableDataError
from odum_assets.orchestration.discovery import Cursor, discover
from odum_assets.orchestration.finished import finished_result
from odum_assets.orchestration.launch import Graph, LaunchResult, load_graph, materialize
from odum_assets.orchestration.planner import Plan, Planner
from odum_assets.orchestration.requests import NewRun
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
FUNDING = dg.AssetKey(["catalog", BTC_SLUG, "funding_rates"])
VERSION = "dagster/input_data_version/" + FUNDING.to_user_string()


def _file(folder: Path, day: dt.date = FIRST_DAY) -> Path:
    place = f"data/raw_tick_data/by_date/day-{day}/data_type-derivative_ticker"
    return folder / place / f"{BTC_KEY}.parquet"


def _plan(graph: Graph, **values: object) -> Plan:
    return Planner(graph.project).plan(NewRun.of(config=BTC, **values))


def _run(instance: dg.DagsterInstance, graph: Graph, plan: Plan) -> LaunchResult:
    partition = plan.partition
    result = materialize(instance, graph, plan.keys, partition, config={plan.target: plan.config})
    assert result.success, result.failures
    return result


def _entry(settings: Settings, result: LaunchResult) -> ResultEntry:
    (run_id,) = {str(v["run_id"]) for v in result.materializations.values() if "run_id" in v}
    return ResultStore(settings.results_path).entry(run_id)


def _funding(entry: ResultEntry) -> tuple[bool, str]:
    (aspect,) = [each for each in entry.summary()["simulated"] if each["aspect"] == "funding"]
    return aspect["simulated"], aspect["detail"]


def _flagged(entry: ResultEntry) -> list[str]:
    return [text for text in entry.summary()["flags"] if "Funding is not charged" in text]


def test_a_day_runs_without_its_funding_file_and_again_when_it_is_there(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    kept = sample / "kept.parquet"
    _file(sample).rename(kept)
    plan = _plan(graph, day=FIRST_DAY)
    job = graph.definitions.resolve_job_def(plan.job)
    assert FUNDING not in job.asset_layer.selected_asset_keys, "its step would be skipped or fail"

    without = _entry(settings, _run(instance, graph, plan))
    assert _funding(without) == (False, "there are no funding data")
    (text,) = _flagged(without)
    assert text.endswith(f"none for {DAY}.")
    assert instance.get_materialized_partitions(FUNDING) == set()
    assert finished_result(graph.project, plan.request) is not None

    kept.rename(_file(sample))
    assert finished_result(graph.project, plan.request) is None, "there are more data now"
    done = _run(instance, graph, _plan(graph, day=FIRST_DAY))
    assert _funding(_entry(settings, done)) == (True, "0 payments")
    assert _flagged(_entry(settings, done)) == []
    assert instance.get_materialized_partitions(FUNDING) == {DAY}
    key = dg.AssetKey(["backtest", BTC, "result"])
    event = instance.get_latest_materialization_event(key)
    made = instance.get_latest_materialization_event(FUNDING)
    assert event is not None
    assert made is not None
    assert event.asset_materialization is not None
    assert made.asset_materialization is not None
    assert (event.asset_materialization.tags or {})[VERSION] not in ("", "INITIAL")
    assert finished_result(graph.project, plan.request) is not None


def test_a_window_names_the_days_without_funding(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    second = FIRST_DAY + dt.timedelta(days=1)
    _file(sample, second).unlink()
    plan = _plan(graph, first_day=FIRST_DAY, last_day=second, window=True, mode="fast")
    entry = _entry(settings, _run(instance, graph, plan))
    assert _funding(entry)[0]
    assert _funding(entry)[1].endswith(f"; no data for {second}")
    assert [text.endswith(f"none for {second}.") for text in _flagged(entry)] == [True]


def test_the_sensor_and_the_planner_wait_for_what_is_not_optional(
    sample: Path, settings: Settings
) -> None:
    (sample / "configs" / f"{ETH}.json").unlink()
    path = sample / "configs" / f"{BTC}.json"
    document = json.loads(path.read_text())
    _file(sample).unlink()

    def requested() -> list[str]:
        project = load_graph(settings).project
        found = discover(project, Cursor(), now=100.0, today=FIRST_DAY, stable_secs=0)
        return [run.day.isoformat() for run in found.runs]

    assert requested() == [DAY]
    del document["quality"]
    path.write_text(json.dumps(document))
    assert requested() == []
    with pytest.raises(UnavailableDataError, match="no raw derivative_ticker file") as refused:
        _plan(load_graph(settings), day=FIRST_DAY)
    assert refused.value.is_partial
