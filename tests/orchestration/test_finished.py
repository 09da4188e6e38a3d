"""The sensor asks for no run that would only repeat a result, whoever made that."""

import json
import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
from graphtools import BTC, FIRST_DAY

from odum_assets.orchestration.finished import finished_result
from odum_assets.orchestration.launch import Graph, load_graph, materialize
from odum_assets.orchestration.planner import Planner
from odum_assets.orchestration.requests import NewRun
from odum_assets.orchestration.run_config import ResultConfig
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

SLUG = "binance_futures_perpetual_btc_usdt"
DAY = FIRST_DAY.isoformat()
KEYS = [
    ("catalog", SLUG, "trades"),
    ("catalog", SLUG, "book_depths"),
    ("backtest", BTC, "result"),
    ("backtest", BTC, "report"),
]


def _asked(graph: Graph, instance: dg.DagsterInstance) -> tuple[list[str], str]:
    """Return the run keys that a sensor asks for which has just been turned on."""
    repository = graph.definitions.get_repository_def()
    sensor = repository.get_sensor_def("raw_days")
    with dg.build_sensor_context(instance=instance, repository_def=repository) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    keys = [str(request.run_key).rpartition(":")[0] for request in result.run_requests or ()]
    reason = result.skip_reason
    return keys, "" if reason is None else str(getattr(reason, "skip_message", reason))


def test_days_with_a_result_are_not_run_again(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    for day in (DAY, "2024-01-02"):
        (sample / f"data/raw_tick_data/by_date/day-{day}/_SUCCESS").touch()
    assert materialize(instance, graph, KEYS, DAY).success
    keys, _ = _asked(graph, instance)
    assert keys == [f"{BTC}:2024-01-02"]
    assert materialize(instance, graph, KEYS, "2024-01-02").success
    keys, reason = _asked(graph, instance)
    assert keys == []
    assert "2 runs are not requested" in reason


def test_a_range_leaves_out_finished_days_where_that_is_asked(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert materialize(instance, graph, KEYS, DAY).success
    assert sample.is_dir()
    days = {"first_day": FIRST_DAY, "last_day": FIRST_DAY + timedelta(days=1)}
    planner = Planner(graph.project)
    assert planner.plan(NewRun(config=BTC, **days)).days == (DAY, "2024-01-02")
    plan = planner.plan(NewRun(config=BTC, skip_finished=True, **days))
    assert plan.days == ("2024-01-02",)
    assert "is up to date" in plan.skipped[DAY]


def test_what_decides_a_result_decides_whether_it_is_finished(
    sample: Path, graph: Graph, instance: dg.DagsterInstance, settings: Settings
) -> None:
    assert materialize(instance, graph, KEYS, DAY).success

    def is_finished(of: Graph = graph, **options: object) -> bool:
        config = ResultConfig.model_validate(options)
        request = config.day_request(of.project.config(BTC), FIRST_DAY)
        return finished_result(of.project, request) is not None

    assert is_finished()
    assert is_finished(mode="fast")
    assert is_finished(start="2024-01-01T00:00:00Z") is False
    assert is_finished(snapshot_mode="trades") is False
    assert is_finished(close_positions=False) is False
    assert is_finished(exec_algorithm="TWAP") is False

    path = sample / f"configs/{BTC}.json"
    content = json.loads(path.read_text())
    content["venue"]["taker_fee"] = 0.0006
    path.write_text(json.dumps(content))
    assert is_finished(load_graph(settings)) is False

    entry = ResultStore(settings.results_path).current(BTC, DAY)
    assert entry is not None
    assert entry.report_path is not None
    (entry.report_path / "tearsheet.html").unlink()
    assert is_finished() is False
    assert is_finished(mode="fast")
    raw = next(sample.glob(f"data/raw_tick_data/by_date/day-{DAY}/data_type-trades/*"))
    time.sleep(0.01)
    raw.touch()
    assert is_finished(mode="fast") is False
