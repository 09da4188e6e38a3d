"""The sensor notices new and changed day folders, and asks for the runs that follow."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, FIRST_DAY

from odum_assets.errors import ConfigError
from odum_assets.orchestration import discovery
from odum_assets.orchestration.discovery import Cursor, Discovery, discover
from odum_assets.orchestration.launch import Graph, load_graph
from odum_assets.orchestration.project import find_raw
from odum_assets.orchestration.sensors import stable_secs
from odum_assets.settings import load_settings

TODAY = dt.date(2024, 1, 10)
Tick = Callable[..., dg.SensorResult]


def _raw(folder: Path, day: str, kind: str = "trades", key: str = BTC_KEY) -> Path:
    path = folder / "data/raw_tick_data/by_date" / f"day-{day}" / f"data_type-{kind}"
    path.mkdir(parents=True, exist_ok=True)
    file = path / f"{key}.parquet"
    file.write_bytes(b"x")
    return file


def _day(folder: Path, day: str, *, marked: bool = False) -> None:
    _raw(folder, day)
    _raw(folder, day, "book_snapshot_5")
    if marked:
        (folder / "data/raw_tick_data/by_date" / f"day-{day}" / "_SUCCESS").touch()


def _discover(
    graph: Graph, before: Discovery | None = None, now: float = 0.0, stable: float = 30.0
) -> Discovery:
    cursor = Cursor() if before is None else Cursor.parse(before.cursor.dump())
    return discover(graph.project, cursor, now=now, today=TODAY, stable_secs=stable)


@pytest.fixture
def tick(graph: Graph, instance: dg.DagsterInstance) -> Tick:
    """Evaluate the sensor once, and report its events as the daemon does."""
    repository = graph.definitions.get_repository_def()
    sensor = repository.get_sensor_def("raw_days")

    def evaluate(cursor: str | None = None) -> dg.SensorResult:
        with dg.build_sensor_context(
            instance=instance, cursor=cursor, repository_def=repository
        ) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            assert isinstance(event, dg.AssetObservation | dg.AssetMaterialization)
            instance.report_runless_asset_event(event)
        return result

    return evaluate


def test_a_new_day_waits_until_nothing_changes(folder: Path, graph: Graph) -> None:
    _day(folder, "2024-01-01")
    first = _discover(graph, now=0)
    early = _discover(graph, first, now=29)
    late = _discover(graph, early, now=30)

    assert (first.files, first.runs, early.files) == ((), (), ())
    assert "wait to be unchanged for 30 s, or for a file _SUCCESS: 2024-01-01" in first.notes[0]
    assert len(late.files) == 2
    assert [run.config.name for run in late.runs] == [BTC]
    assert _discover(graph, late, now=60).files == ()


def test_a_file_that_arrives_meanwhile_starts_the_wait_anew(folder: Path, graph: Graph) -> None:
    _raw(folder, "2024-01-01")
    first = _discover(graph, now=0)
    _raw(folder, "2024-01-01", "book_snapshot_5")
    second = _discover(graph, first, now=40)
    assert second.files == ()
    assert len(_discover(graph, second, now=70).files) == 2


def test_a_marked_day_is_taken_at_once(folder: Path, graph: Graph) -> None:
    _day(folder, "2024-01-01", marked=True)
    assert len(_discover(graph).runs) == 1


def test_a_changed_file_is_reported_again_with_a_new_run_key(folder: Path, graph: Graph) -> None:
    _day(folder, "2024-01-01", marked=True)
    first = _discover(graph)
    _raw(folder, "2024-01-01").write_bytes(b"xx")
    second = _discover(graph, first)
    assert len(second.runs) == 1
    assert second.runs[0].run_key != first.runs[0].run_key
    assert second.runs[0].run_key.startswith(f"{BTC}:2024-01-01:")


def test_no_run_before_all_files_that_the_config_names_are_there(
    folder: Path, graph: Graph
) -> None:
    _raw(folder, "2024-01-01")
    found = _discover(graph, stable=0)
    assert len(found.files) == 1
    assert found.runs == ()
    assert f"{BTC} 2024-01-01 waits for book_snapshot_5" in found.notes

    _raw(folder, "2024-01-01", "book_snapshot_5")
    assert len(_discover(graph, found, stable=0).runs) == 1


def test_days_outside_the_window_and_configs_without_discovery_get_no_run(folder: Path) -> None:
    path = folder / "configs" / f"{BTC}.json"
    content = json.loads(path.read_text())
    content["time_window"]["start"] = "2024-01-02T12:00:00Z"
    path.write_text(json.dumps(content))
    content["data_catalog"]["auto_discover"] = False
    (folder / "configs" / "on_request.json").write_text(json.dumps(content))
    for day in ("2024-01-01", "2024-01-02"):
        _day(folder, day)

    found = _discover(load_graph(load_settings()), stable=0)

    assert len(found.files) == 4
    assert [(run.config.name, str(run.day)) for run in found.runs] == [(BTC, "2024-01-02")]


def test_days_that_are_no_partitions_are_named(
    folder: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2016-12-31", "2024-01-11"):
        _day(folder, day)
    found = _discover(graph, stable=0)
    assert found.files == ()
    assert any("ODUM_PARTITIONS_START to 2016-12-31" in note for note in found.notes)
    assert any("in the future" in note and "2024-01-11" in note for note in found.notes)

    monkeypatch.setenv("ODUM_PARTITIONS_START", "2016-12-01")
    assert len(_discover(load_graph(load_settings()), stable=0).runs) == 1


def test_one_look_takes_a_limited_number_of_days(
    folder: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MAX_FILES", 4)
    for index in range(1, 6):
        _day(folder, f"2024-01-0{index}")
    first = _discover(graph, stable=0)
    second = _discover(graph, first, stable=0)
    third = _discover(graph, second, stable=0)

    assert [str(run.day) for run in first.runs] == ["2024-01-01", "2024-01-02"]
    assert "3 more complete days follow at the next tick of the sensor" in first.notes
    assert [str(run.day) for run in second.runs] == ["2024-01-03", "2024-01-04"]
    assert [str(run.day) for run in third.runs] == ["2024-01-05"]


def test_a_day_that_goes_away_is_forgotten(folder: Path, graph: Graph) -> None:
    file = _raw(folder, "2024-01-01")
    first = _discover(graph, stable=0)
    file.unlink()
    second = _discover(graph, first, stable=0)
    assert second.cursor.done == {feed: {} for feed in first.cursor.done}


def test_a_config_that_reads_from_gcs_says_so_and_stops_nobody(folder: Path) -> None:
    path = folder / "configs" / f"{BTC}.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "data_source": "gcs"}))
    found = _discover(load_graph(load_settings()), stable=0)
    assert any("no bucket is named" in note for note in found.notes)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "[]",
        "{}",
        '{"done": 1, "pending": {}}',
        '{"done": {}, "pending": {"f": {"d": 1}}}',
    ],
)
def test_a_malformed_cursor_is_an_empty_one(text: str | None) -> None:
    assert Cursor.parse(text) == Cursor()


def test_a_cursor_survives_being_stored() -> None:
    cursor = Cursor({"feed": {"2024-01-01": "ab"}}, {"feed": {"2024-01-02": ("cd", 1.5)}})
    assert Cursor.parse(cursor.dump()) == cursor


@pytest.mark.parametrize("name", ["BINANCE-FUTURES%3APERPETUAL%3ABTC-USDT", BTC_KEY])
def test_encoded_names_are_found(folder: Path, graph: Graph, name: str) -> None:
    _raw(folder, "2024-01-01", key=name)
    found = find_raw(graph.project.sources[1], dt.date(2024, 1, 1), graph.project.settings)
    if found is None:
        found = find_raw(graph.project.sources[0], dt.date(2024, 1, 1), graph.project.settings)
    assert found is not None
    assert found.path.endswith(f"{name}.parquet")


def test_a_tick_reports_each_version_once_and_requests_a_run(
    folder: Path, tick: Tick, instance: dg.DagsterInstance
) -> None:
    day = FIRST_DAY.isoformat()
    _day(folder, day, marked=True)
    first = tick()

    assert first.run_requests is not None
    assert [(r.job_name, r.partition_key) for r in first.run_requests] == [(f"{BTC}_day", day)]
    key = dg.AssetKey(["raw", BTC_SLUG, "trades"])
    assert instance.get_materialized_partitions(key) == {day}
    event = instance.get_latest_data_version_record(key, partition_key=day)
    assert event is not None
    assert event.asset_materialization is not None
    stat = (
        folder / f"data/raw_tick_data/by_date/day-{day}/data_type-trades/{BTC_KEY}.parquet"
    ).stat()
    assert (event.asset_materialization.tags or {})["dagster/data_version"] == (
        f"{stat.st_size}-{stat.st_mtime_ns}"
    )

    again = tick(first.cursor)
    assert (again.asset_events, again.run_requests) == ([], [])
    assert again.skip_reason is not None

    reset = tick("lost")
    assert reset.asset_events == []
    assert [r.run_key for r in reset.run_requests or []] == [r.run_key for r in first.run_requests]


def test_an_idle_tick_says_what_it_waits_for(tick: Tick) -> None:
    skip = tick().skip_reason
    assert skip is not None
    assert "no day folders (day-YYYY-MM-DD)" in str(skip.skip_message)


def test_the_waiting_time_comes_from_the_environment() -> None:
    assert stable_secs(None) == 30
    assert stable_secs("0") == 0
    for text in ("soon", "-1", "nan", "inf"):
        with pytest.raises(ConfigError, match="ODUM_STABLE_SECS"):
            stable_secs(text)


def test_projects_with_many_days_are_looked_at_quickly(folder: Path, graph: Graph) -> None:
    """A look at a thousand days must fit into the sensor's minute many times over."""
    for index in range(365):
        _day(folder, (dt.date(2023, 1, 1) + dt.timedelta(days=index)).isoformat())
    settled = _discover(graph, stable=0)
    started = dt.datetime.now(dt.UTC)
    _discover(graph, settled, stable=0)
    assert (dt.datetime.now(dt.UTC) - started).total_seconds() < 10


# --- a configuration that cannot be used ----------------------------------------------------------

HALF = '{"instrument": '


def test_a_damaged_config_holds_up_its_own_runs_until_it_is_mended(
    folder: Path, tick: Tick
) -> None:
    path = folder / "configs" / f"{BTC}.json"
    good = path.read_text()
    second = path.with_name("second.json")
    second.write_text(good)
    # Damaged after the graph was loaded: a run that reads it anew would fail.
    path.write_text(HALF)
    _day(folder, "2024-01-01", marked=True)
    missed = tick()
    assert missed.run_requests == []
    assert missed.asset_events, "the day itself is reported"
    assert f"{path}: not JSON" in str(missed.skip_reason and missed.skip_reason.skip_message)
    assert "second.json: not in the graph yet; reload the code location" in str(
        missed.skip_reason and missed.skip_reason.skip_message
    )

    _day(folder, "2024-01-02", marked=True)
    again = tick(missed.cursor)
    assert again.run_requests == []

    path.write_text(good)
    mended = tick(again.cursor)
    assert [(r.job_name, r.partition_key) for r in mended.run_requests or []] == [
        (f"{BTC}_day", "2024-01-01"),
        (f"{BTC}_day", "2024-01-02"),
    ]
    assert tick(mended.cursor).run_requests == []


def test_a_config_that_was_damaged_when_the_graph_was_loaded_gets_its_days_later(
    folder: Path,
) -> None:
    path = folder / "configs" / f"{BTC}.json"
    second = path.with_name("second.json")
    second.write_text(HALF)
    _day(folder, "2024-01-01", marked=True)
    first = _discover(load_graph(load_settings()))
    assert [run.config.name for run in first.runs] == [BTC]
    assert any("second.json: not JSON" in note for note in first.notes)

    second.write_text(path.read_text())
    later = _discover(load_graph(load_settings()), first)
    assert [(run.config.name, str(run.day)) for run in later.runs] == [("second", "2024-01-01")]
    assert _discover(load_graph(load_settings()), later).runs == ()


def test_missed_days_come_a_limited_number_at_a_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = folder / "configs" / "second.json"
    second.write_text(HALF)
    for index in range(1, 6):
        _day(folder, f"2024-01-0{index}", marked=True)
    found = _discover(load_graph(load_settings()))
    second.write_text((folder / "configs" / f"{BTC}.json").read_text())
    monkeypatch.setattr(discovery, "MAX_RUNS", 2)
    graph = load_graph(load_settings())
    counts = []
    for _ in range(4):
        found = _discover(graph, found)
        counts.append(len(found.runs))
    assert counts == [2, 2, 1, 0]


def test_an_earlier_version_s_cursor_is_read() -> None:
    text = '{"done":{"feed":{"2024-01-01":"ab"}},"pending":{}}'
    assert Cursor.parse(text) == Cursor({"feed": {"2024-01-01": "ab"}}, {})


def test_what_is_the_same_on_all_days_is_worked_out_once_per_tick(
    folder: Path, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    whole = discovery.raw_names
    monkeypatch.setattr(
        discovery,
        "raw_names",
        lambda source, settings: asked.append(source.template) or whole(source, settings),  # type: ignore[func-returns-value]
    )
    counts = []
    for last in (2, 9):
        for number in range(1, last + 1):
            _day(folder, f"2024-01-{number:02d}", marked=True)
        asked.clear()
        assert len(_discover(graph).files) == 2 * last
        counts.append(len(asked))
    assert counts[0] == counts[1] == len(graph.project.sources)
