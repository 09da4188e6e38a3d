"""What a request comes to: a day, a window, a range or a sweep, and what is refused before."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from configfiles import shipped, write_config
from graphtools import BTC, BTC_SLUG, FIRST_DAY

from odum_assets.errors import ConfigError, InvalidRequestError, UnavailableDataError
from odum_assets.orchestration.launch import Graph, materialize
from odum_assets.orchestration.planner import Plan, Planner
from odum_assets.orchestration.project import load_project
from odum_assets.orchestration.requests import LegacyRun, NewRun, RunOptions, WindowOptions
from odum_assets.orchestration.run_config import ResultConfig, SweepConfig, WindowConfig
from odum_assets.results.store import ResultStore
from odum_assets.settings import load_settings
from odum_assets.utc import iso_ns

DAY = FIRST_DAY.isoformat()
NEXT = "2024-01-02"
TRADES = ("catalog", BTC_SLUG, "trades")
BOOKS = ("catalog", BTC_SLUG, "book_depths")
RESULT = ("backtest", BTC, "result")
MIDNIGHT = {"start": f"{DAY}T10:30:00Z", "end": f"{NEXT}T10:30:00Z"}
HOUR = {"start": f"{DAY}T10:00:00Z", "end": f"{DAY}T10:20:00Z"}


@pytest.fixture
def planner(graph: Graph, sample: Path) -> Planner:
    assert sample.is_dir()
    return Planner(graph.project, {"odum/source": "test"})


@pytest.fixture
def carry_out(graph: Graph, instance: dg.DagsterInstance) -> Callable[[Plan], None]:
    def run(plan: Plan) -> None:
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

    return run


def new(**values: Any) -> NewRun:
    return NewRun.of(config=BTC, **values)


def raw_files(folder: Path, kind: str, day: str = DAY) -> list[Path]:
    return list((folder / f"data/raw_tick_data/by_date/day-{day}/data_type-{kind}").iterdir())


@pytest.mark.parametrize("model", [ResultConfig, WindowConfig, SweepConfig, NewRun])
def test_an_option_is_declared_once_for_every_interface(model: type[RunOptions]) -> None:
    base = WindowOptions if issubclass(model, WindowOptions) else RunOptions
    assert base.model_fields.keys() <= model.model_fields.keys()
    for name, field in base.model_fields.items():
        assert model.model_fields[name].description == field.description
        assert model.model_fields[name].default == field.default


@pytest.mark.parametrize(
    ("values", "kind", "partition"),
    [
        ({"day": DAY}, "result", DAY),
        (HOUR, "result", DAY),
        ({**HOUR, "window": True}, "window", None),
        (MIDNIGHT, "window", None),
        ({"first_day": DAY, "last_day": NEXT, "window": True}, "window", None),
        ({"first_day": DAY, "last_day": NEXT}, "result", None),
    ],
)
def test_days_and_times_decide_what_is_run(
    planner: Planner, values: dict[str, Any], kind: str, partition: str | None
) -> None:
    plan = planner.plan(new(**values))
    assert (plan.kind, plan.partition) == (kind, partition)
    assert plan.target == ("backtest", BTC, kind)
    assert plan.days == ((DAY, NEXT) if new(**values).is_range else ())
    assert (plan.run_id is None) is new(**values).is_range


def test_a_day_is_one_run_with_its_conversions(planner: Planner) -> None:
    options = {"exec_algorithm": "TWAP", "exec_algorithm_params": {"horizon_secs": 5}}
    plan = planner.plan(new(day=DAY, start="10:05", export_ticks=True, **options))
    exports = [("backtest", BTC, step) for step in ("report", "ticks")]
    assert plan.keys == (TRADES, BOOKS, RESULT, *exports)
    assert plan.job == f"{BTC}_day"
    assert plan.run_config["ops"].keys() == {f"backtest__{BTC}__result"}
    assert ResultConfig(**plan.config).model_dump() == {
        **RunOptions().model_dump(),
        **options,
        "start": "10:05",
    }
    assert plan.tags == {"odum/source": "test", "odum/config": BTC, "odum/run_id": plan.run_id}
    fast = planner.plan(new(day=DAY, mode="fast", snapshot_mode="trades"))
    assert fast.keys == (TRADES, RESULT)


def test_what_dagster_has_recorded_is_left_out_until_its_raw_file_changes(
    planner: Planner,
    graph: Graph,
    sample: Path,
    instance: dg.DagsterInstance,
    carry_out: Callable[[Plan], None],
) -> None:
    first = planner.plan(new(day=DAY, mode="fast"))
    carry_out(first)
    assert first.run_id is not None
    stored = ResultStore(graph.project.settings.results_path).entry(first.run_id)
    assert stored.partition == DAY
    # Not known as recorded, it takes part again: the result has its lineage in any case.
    assert planner.plan(new(day=DAY, mode="fast")).keys == first.keys
    recorded = Planner(
        graph.project, {}, lambda each: instance.get_materialized_partitions(each.catalog_key)
    )
    assert recorded.plan(new(day=DAY, mode="fast")).keys == (RESULT,)
    raw_files(sample, "trades")[0].touch()
    assert recorded.plan(new(day=DAY, mode="fast")).keys == (TRADES, RESULT)


def test_a_converted_day_runs_without_its_raw_file_but_not_in_a_range(
    planner: Planner, sample: Path, carry_out: Callable[[Plan], None]
) -> None:
    carry_out(planner.plan(new(day=DAY, mode="fast")))
    shutil.rmtree(sample / f"data/raw_tick_data/by_date/day-{DAY}")
    kept = planner.plan(new(day=DAY, mode="fast"))
    assert kept.keys == (RESULT,)
    carry_out(kept)
    days = new(first_day=DAY, last_day=NEXT, mode="fast")
    # Dagster's backfill makes the same assets on each of its days.
    skipped = planner.plan(days).skipped
    assert skipped == {DAY: "trades: raw file gone; book_snapshot_5: raw file gone"}
    plans, refused = planner.plan_days(days)
    assert {day: plan.keys for day, plan in plans.items()} == {
        DAY: (RESULT,),
        NEXT: (TRADES, BOOKS, RESULT),
    }
    assert refused == {}


def test_days_of_a_range_without_data_are_named(planner: Planner, sample: Path) -> None:
    raw_files(sample, "book_snapshot_5", NEXT)[0].unlink()
    days = new(first_day="2023-12-31", last_day=NEXT)
    plan = planner.plan(days)
    assert plan.days == (DAY,)
    assert plan.skipped == {
        "2023-12-31": "trades: no raw file; book_snapshot_5: no raw file",
        NEXT: "book_snapshot_5: no raw file",
    }
    plans, refused = planner.plan_days(days)
    assert [*plans] == [DAY]
    assert {day: error.is_partial for day, error in refused.items()} == {
        "2023-12-31": False,
        NEXT: True,
    }
    # Trades alone are there on both days.
    assert planner.plan(days.model_copy(update={"snapshot_mode": "trades"})).days == (DAY, NEXT)


def test_a_window_is_one_run_that_converts_what_it_reads(
    planner: Planner, carry_out: Callable[[Plan], None]
) -> None:
    converted = planner.plan(new(**MIDNIGHT, mode="fast", missing_days="refuse"))
    assert converted.job == f"{BTC}_window"
    assert converted.keys == (("backtest", BTC, "window"),)
    assert converted.selection == ()
    carry_out(converted)
    assert (converted.request.start_ns, converted.request.end_ns) == WindowConfig(
        **converted.config
    ).bounds(converted.loaded)


def test_days_set_the_bounds_of_a_window(planner: Planner) -> None:
    days = {"first_day": DAY, "last_day": NEXT, "window": True}
    assert planner.plan(new(**days)).config["end"] == "2024-01-03T00:00:00Z"
    cut = planner.plan(new(**days, start="10:30", end="10:15"))
    assert (cut.config["start"], cut.config["end"]) == (f"{DAY}T10:30:00Z", f"{NEXT}T10:15:00Z")


def test_a_sweep_is_planned_as_a_day(planner: Planner) -> None:
    variants = [{"execution.latency.insert_ms": 0}, {"execution.latency.insert_ms": 5}]
    plan = planner.plan_sweep(new(day=DAY, mode="fast"), variants, 3)
    assert (plan.job, plan.keys) == (f"{BTC}_sweep", (("backtest", BTC, "sweep"),))
    config = SweepConfig(**plan.config)
    assert (config.variants, config.slots, config.mode) == (variants, 3, "fast")
    assert "odum/run_id" not in plan.tags
    with pytest.raises(InvalidRequestError, match="a sweep runs over a day"):
        planner.plan_sweep(new(**MIDNIGHT), variants, 3)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "invalid-window"),
        ({"start": HOUR["end"], "end": HOUR["start"]}, "invalid-window"),
        ({"window": True, "start": HOUR["start"]}, "invalid-window"),
        ({"first_day": NEXT, "last_day": DAY}, "invalid-window"),
        ({"first_day": "2001-01-01", "last_day": DAY}, "invalid-window"),
        ({"start": "noon", "end": HOUR["end"]}, "invalid-time"),
        ({"start": "9999-01-01T00:00:00Z", "end": HOUR["end"]}, "invalid-time"),
        ({"day": "1999-02-01"}, "invalid-day"),
        ({"day": "2999-02-01"}, "invalid-day"),
        ({"day": DAY, "start": "noon"}, "invalid-options"),
        ({"day": DAY, "start": "11:00", "end": "10:00"}, "invalid-options"),
        ({"day": DAY, "start": f"{NEXT}T01:00:00Z"}, "invalid-options"),
        ({"day": DAY, "exec_algorithm_params": {"x": 1}}, "invalid-options"),
        ({**HOUR, "exec_algorithm": "TWAP", "exec_algorithm_params": {"x": 1}}, "invalid-options"),
        ({**MIDNIGHT, "exec_algorithm_params": {"x": 1}}, "invalid-options"),
    ],
)
def test_what_no_data_could_make_possible_is_an_invalid_request(
    planner: Planner, values: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        planner.plan(new(**values))
    assert refused.value.code == code


@pytest.mark.parametrize(
    "values",
    [
        {"day": DAY, "first_day": DAY, "last_day": NEXT},
        {"day": DAY, "window": True},
        {"first_day": DAY},
        {"day": DAY, "mode": "fast", "export_ticks": True},
        {"day": DAY, "snapshot_mode": "ticks"},
        {"day": DAY, "speed": 9},
        {"day": "18 July"},
    ],
)
def test_fields_that_do_not_fit_together_make_no_request(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        new(**values)
    assert refused.value.code == "invalid-request"


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ({"day": "2024-02-01"}, "missing-data", "day-2024-02-01/data_type-trades/BINANCE-FUTURES"),
        ({"first_day": "2024-02-01", "last_day": "2024-02-02"}, "missing-data", "no day to run"),
        (
            {"start": "2024-02-01T00:00:00Z", "end": "2024-02-03T00:00:00Z"},
            "missing-data",
            "no day of the window has data",
        ),
        (
            {
                "start": "2023-12-31T00:00:00Z",
                "end": f"{NEXT}T00:00:00Z",
                "missing_days": "refuse",
            },
            "missing-data",
            "trades for 2023-12-31, and missing_days is refuse",
        ),
    ],
)
def test_missing_data_are_named(
    planner: Planner, values: dict[str, Any], code: str, text: str
) -> None:
    with pytest.raises(UnavailableDataError) as refused:
        planner.plan(new(**values))
    assert refused.value.code == code
    assert text in str(refused.value)


@pytest.mark.parametrize("values", [{"day": DAY}, MIDNIGHT])
def test_a_raw_file_that_cannot_be_read_is_refused_unless_it_was_converted(
    planner: Planner, sample: Path, carry_out: Callable[[Plan], None], values: dict[str, Any]
) -> None:
    (trades,) = raw_files(sample, "trades")
    content = trades.read_bytes()
    trades.unlink()
    trades.symlink_to(trades.name)
    with pytest.raises(UnavailableDataError) as refused:
        planner.plan(new(**values))
    assert refused.value.code == "unreadable-data"
    assert trades.name in str(refused.value)
    trades.unlink()
    trades.write_bytes(content)
    carry_out(planner.plan(new(day=DAY, mode="fast")))
    trades.unlink()
    trades.symlink_to(trades.name)
    assert TRADES not in planner.plan(new(**values)).keys


def test_a_configuration_that_does_not_exist_is_named(planner: Planner) -> None:
    with pytest.raises(ConfigError, match="there is no configuration 'nobody'"):
        planner.plan(NewRun(config="nobody", day=FIRST_DAY))
    assert planner.plan(NewRun(config=f"{BTC}.json", day=FIRST_DAY)).loaded.name == BTC


LEGACY = {"instrument": "BTC-USDT.BINANCE-FUTURES", "config": BTC, **HOUR}


@pytest.mark.parametrize("option", [str, "--{}".format])
@pytest.mark.parametrize(
    ("values", "name", "text"),
    [
        ({"instrument": "ETHUSDT"}, "instrument", "'ETHUSDT' does not match"),
        ({"fast": True, "report": True}, "fast", "exclude each other"),
        ({"fast": True, "export_ticks": True}, "export_ticks", "fast mode keeps no ticks"),
        ({"data_source": "gcs"}, "data_source", "no bucket is named"),
        ({"exec_algorithm_params": {"horizon_secs": 5}}, "exec_algorithm_params", "give "),
        ({"dataset": "day-2024-01-02"}, "dataset", "allowed day-2024-01-01"),
    ],
)
def test_rules_of_the_earlier_system(
    graph: Graph, values: dict[str, Any], name: str, text: str, option: Callable[[str], str]
) -> None:
    loaded = graph.project.config(BTC)
    with pytest.raises(InvalidRequestError, match=text) as refused:
        LegacyRun(**{**LEGACY, **values}).new_run(loaded, graph.project.settings, option)
    assert str(refused.value).startswith(f"{option(name)}: ")


def test_a_run_of_the_earlier_system_is_a_request_like_others(graph: Graph) -> None:
    given = {"exec_algorithm": "TWAP", "exec_algorithm_params": {"horizon_secs": 5}}
    old = LegacyRun(
        **LEGACY,
        **given,
        dataset=f"day-{DAY}",
        export_ticks=True,
        no_close_positions=True,
        missing_days="refuse",
    )
    assert old.new_run(graph.project.config(BTC), graph.project.settings) == new(
        **HOUR, **given, export_ticks=True, close_positions=False, missing_days="refuse"
    )


def test_a_plan_is_given_up_when_nobody_waits(graph: Graph, sample: Path) -> None:
    assert sample.is_dir()
    looks: list[date] = []

    def proceed() -> None:
        looks.append(FIRST_DAY)
        if len(looks) == 2:
            raise TimeoutError

    days = new(first_day=DAY, last_day="2024-01-20")
    with pytest.raises(TimeoutError):
        Planner(graph.project, proceed=proceed).plan(days)
    assert len(looks) == 2


@pytest.fixture
def configs(sample: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Planner]:
    """Return a planner for the shipped configuration with other sections."""
    monkeypatch.chdir(sample)

    def planner(**sections: Any) -> Planner:
        folder = sample / "changed"
        folder.mkdir(exist_ok=True)
        write_config(folder, BTC, shipped(), **sections)
        settings = load_settings().model_copy(update={"configs_path": folder})
        return Planner(load_project(settings))

    return planner


@pytest.mark.parametrize(
    "asked",
    [
        {"start": f"{DAY}T10:00:00Z", "end": f"{DAY}T10:20:00Z"},
        {"day": DAY, "start": "10:00", "end": "10:20"},
        {"window": True, "start": f"{DAY}T10:00:00Z", "end": f"{NEXT}T10:20:00Z"},
    ],
    ids=["wider", "a day", "a window"],
)
@pytest.mark.parametrize("hour", [10, 15], ids=["wider", "disjoint"])
def test_what_is_asked_for_takes_precedence_over_time_window(
    configs: Callable[..., Planner], asked: dict[str, Any], hour: int
) -> None:
    window = {"start": f"{DAY}T{hour}:05:00Z", "end": f"{DAY}T{hour}:06:00Z"}
    request = configs(time_window=window).plan(new(**asked)).request
    assert request.start_ns is not None
    assert iso_ns(request.start_ns) == f"{DAY}T10:00:00Z"
    assert request.window() == (request.start_ns, request.end_ns)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"day": NEXT}, f"{NEXT} lies outside time_window ({DAY}T10:05:00Z to"),
        ({"start": f"{DAY}T10:07:00Z"}, f"is not before time_window.end {DAY}T10:06:00Z"),
        ({"day": DAY, "end": "10:05"}, f"time_window.start {DAY}T10:05:00Z is not before end"),
        ({"start": f"{DAY}T14:00:00Z", "end": f"{DAY}T13:00:00Z"}, "start 2024-01-01T14:00:00Z is"),
        ({"day": DAY, "start": "14:00", "end": "13:00"}, "start 2024-01-01T14:00:00Z is not"),
    ],
)
def test_a_window_without_time_is_refused_before_anything_runs(
    configs: Callable[..., Planner], asked: dict[str, Any], text: str
) -> None:
    window = {"start": f"{DAY}T10:05:00Z", "end": f"{DAY}T10:06:00Z"}
    with pytest.raises(InvalidRequestError) as caught:
        configs(time_window=window).plan(new(**asked))
    assert text in str(caught.value)


def test_a_window_beside_the_trades_is_refused_once_the_day_is_converted(
    planner: Planner, carry_out: Callable[[Plan], None]
) -> None:
    asked = new(day=DAY, start="20:00", end="20:10", mode="fast", snapshot_mode="trades")
    assert planner.plan(asked).conversions  # nobody knows yet what is in the files
    plan = planner.plan(new(day=DAY, mode="fast", snapshot_mode="trades"))
    carry_out(replace(plan, steps=()))
    with pytest.raises(UnavailableDataError, match="no trades lie in the window") as caught:
        planner.plan(asked)
    assert f"reach from {DAY}T10:" in str(caught.value)


STRATEGY = """
from pydantic import BaseModel, ConfigDict
from odum_assets.backtest.strategies.base import OdumStrategy

print("imported")

class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")
    window: int = 3

class Own(OdumStrategy):
    Params = Params
"""


@pytest.mark.parametrize(
    ("path", "params", "text"),
    [
        ("no_such_module:Own", {}, "module no_such_module cannot be imported"),
        ("own_strategy:Owned", {}, "own_strategy has no class Owned"),
        ("own_strategy.py:Own", {}, "name the module, not its file: own_strategy:Own"),
        ("own_strategy:Own", {"windows": 4}, "strategy.params.windows: Extra inputs"),
        ("ends_process:Own", {}, "importing it ended the process (exit code 7"),
        ("fails:Own", {}, "cannot be imported from"),
        ("own_strategy:Own", {"window": 4}, None),
    ],
)
def test_an_own_strategy_is_tried_before_anything_runs(
    configs: Callable[..., Planner], path: str, params: dict[str, Any], text: str | None
) -> None:
    Path("own_strategy.py").write_text(STRATEGY)
    Path("ends_process.py").write_text("import os\nos._exit(7)\n")
    Path("fails.py").write_text("1 / 0\n")
    planner = configs()
    strategy = {"name": "Own", "path": path, "params": params}
    write_config(planner.project.settings.configs_path, BTC, shipped() | {"strategy": strategy})
    planner = Planner(load_project(planner.project.settings))
    if text is None:
        assert planner.plan(new(day=DAY)).loaded.config.strategy.path == path
        return
    with pytest.raises(InvalidRequestError) as caught:
        planner.plan(new(day=DAY))
    assert caught.value.code == "invalid-strategy"
    assert text in str(caught.value)
    # Of a Dagster that runs elsewhere nothing is known.
    assert replace(planner, checks_strategies=False).plan(new(day=DAY)).kind == "result"


def test_the_parameters_of_a_sweep_are_tried_before_it_runs(
    configs: Callable[..., Planner],
) -> None:
    Path("own_strategy.py").write_text(STRATEGY)
    planner = configs()
    strategy = {"name": "Own", "path": "own_strategy:Own"}
    write_config(planner.project.settings.configs_path, BTC, shipped() | {"strategy": strategy})
    planner = Planner(load_project(planner.project.settings))
    vary = [{"strategy.params.window": 4}, {"strategy.params.window": "many"}]
    with pytest.raises(InvalidRequestError, match=r"strategy\.params\.window: Input should be"):
        planner.plan_sweep(new(day=DAY), vary, 1)
    assert planner.plan_sweep(new(day=DAY), vary[:1], 1).kind == "sweep"
