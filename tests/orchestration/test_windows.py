"""Windows: the job that runs one, the asset that it reports, and the days that it converts."""

import hashlib
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, ETH, FIRST_DAY

from odum_assets.catalog import read_manifest
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration.launch import Graph, LaunchResult, load_graph, materialize
from odum_assets.orchestration.steps import require_passed
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings

# Plotly's way with times, while a tearsheet is drawn.
pytestmark = pytest.mark.filterwarnings("ignore:The 'generic' unit for NumPy:DeprecationWarning")

DAYS = ("2024-01-01", "2024-01-02")
WINDOW = ("backtest", BTC, "window")
KEY = "/".join(WINDOW)
TRADES = ("catalog", BTC_SLUG, "trades")
BOUNDS = {"start": f"{DAYS[0]}T00:00:00Z", "end": "2024-01-03T00:00:00Z", "mode": "fast"}


def _window(graph: Graph, instance: dg.DagsterInstance, **more: Any) -> LaunchResult:
    return materialize(instance, graph, [WINDOW], None, config={WINDOW: {**BOUNDS, **more}})


def _tags(instance: dg.DagsterInstance, key: tuple[str, ...], day: str | None) -> dict[str, str]:
    record = instance.get_latest_data_version_record(dg.AssetKey(key), partition_key=day)
    assert record is not None
    assert record.asset_materialization is not None
    return dict(record.asset_materialization.tags or {})


def _converted(instance: dg.DagsterInstance, run: LaunchResult) -> Counter[str]:
    """Return how many catalog partitions a run has reported, by day."""
    events = [each.dagster_event for each in instance.all_logs(run.dagster_run_id)]
    return Counter(
        str(each.partition)
        for each in events
        if each is not None
        and each.is_step_materialization
        and each.asset_key is not None
        and each.asset_key.path[0] == "catalog"
    )


def test_a_window_converts_its_days_and_reports_them(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    first = _window(graph, instance)

    assert first.success, first.failures
    assert _converted(instance, first) == dict.fromkeys(DAYS, 3)
    warned = [text for key, text in first.warnings if key == "/".join(TRADES)]
    assert {text.split(":")[0] for text in warned} == set(DAYS), "a warning names its day"
    key = parse_instrument_key(BTC_KEY)
    digests = ""
    for day in DAYS:
        file = sample / f"data/raw_tick_data/by_date/day-{day}/data_type-trades/{BTC_KEY}.parquet"
        stat = file.stat()
        manifest = read_manifest(
            graph.project.settings.catalog_path, key, DataType.TRADES, FIRST_DAY.fromisoformat(day)
        )
        assert manifest is not None
        digests += manifest.digest
        # As of a run of the catalog asset.
        tags = _tags(instance, TRADES, day)
        assert tags["dagster/data_version"] == manifest.digest
        version = hashlib.sha256(f"{stat.st_size}-{stat.st_mtime_ns}".encode()).hexdigest()
        assert tags[f"dagster/input_data_version/raw/{BTC_SLUG}/trades"] == version
    made = first.materializations[KEY]
    tags = _tags(instance, WINDOW, None)
    assert tags["dagster/data_version"] == made["digest"]
    read = tags[f"dagster/input_data_version/catalog/{BTC_SLUG}/trades"]
    assert read == hashlib.sha256(digests.encode()).hexdigest()

    # What is there is not converted again; what has changed is.
    assert _converted(instance, _window(graph, instance)) == {}
    file.touch()
    again = _window(graph, instance)
    assert _converted(instance, again) == {DAYS[1]: 1}
    assert again.materializations[KEY]["digest"] == made["digest"]


def test_lineage_is_that_of_an_asset_with_a_step_of_its_own(
    sample: Path, graph: Graph, settings: Settings
) -> None:
    assert sample.is_dir()
    found = []
    for by_window in (True, False):
        with dg.DagsterInstance.ephemeral() as instance:
            if by_window:
                assert _window(graph, instance).success
            else:
                assert materialize(instance, graph, [TRADES], DAYS[0]).success
            tags = _tags(instance, TRADES, DAYS[0])
            found.append({name: tags[name] for name in tags if "pointer" not in name})
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(TRADES), asset_partitions=[DAYS[0]]),
                limit=1,
            ).records
            made = records[0].asset_materialization
            assert made is not None
            found.append(sorted(made.metadata))
    assert found[0] == found[2]
    assert found[1] == found[3]
    assert settings.catalog_path.is_dir()


def test_missing_days_are_named_or_refused(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    longer = {"end": "2024-01-04T00:00:00Z"}
    named = _window(graph, instance, **longer)
    assert named.success, named.failures
    assert named.materializations[KEY]["days_missing"] == ["2024-01-03"]
    assert any("missing: 2024-01-03" in text for _, text in named.warnings)
    refused = _window(graph, instance, **longer, missing_days="refuse")
    assert not refused.success
    assert "missing_days is refuse" in dict(refused.failures)[KEY]
    nothing = _window(graph, instance, start="2024-02-01T00:00:00Z", end="2024-02-03T00:00:00Z")
    assert "there are no raw files of these days" in dict(nothing.failures)[KEY]


def test_a_damaged_raw_file_fails_the_window_and_is_named(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    name = f"data/raw_tick_data/by_date/day-{DAYS[1]}/data_type-trades/{BTC_KEY}.parquet"
    (sample / name).write_bytes(b"not parquet")
    done = _window(graph, instance)
    assert not done.success
    assert name in dict(done.failures)[KEY]
    assert KEY not in done.materializations


def test_conversions_of_a_window_take_slots_of_their_pool(
    sample: Path, graph: Graph, tmp_path: Path
) -> None:
    assert sample.is_dir()
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        storage = instance.event_log_storage
        storage.set_concurrency_slots("conversion", 1)
        assert storage.claim_concurrency_slot("conversion", "another-run", "step").is_claimed
        waited = threading.Event()

        def free_once_awaited() -> None:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not waited.is_set():
                if storage.get_concurrency_info("conversion").pending_step_count:
                    assert not instance.get_materialized_partitions(dg.AssetKey(TRADES))
                    waited.set()
                time.sleep(0.1)
            storage.free_concurrency_slots_for_run("another-run")

        other = threading.Thread(target=free_once_awaited)
        other.start()
        done = _window(graph, instance)
        was_held_up = waited.is_set()
        waited.set()
        other.join()
        assert done.success, done.failures
        assert was_held_up
        assert storage.get_concurrency_info("conversion").active_slot_count == 0


def test_a_converted_day_can_be_made_as_a_whole(
    sample: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    """What "Materialize all" asks for: everything that can be, for one day."""
    (sample / "configs" / f"{ETH}.json").unlink()
    graph = load_graph(settings)
    keys = graph.definitions.resolve_asset_graph().materializable_asset_keys
    assert {key.path[-1] for key in keys if key.path[0] == "backtest"} == {
        "result",
        "report",
        "ticks",
    }
    done = materialize(instance, graph, [key.path for key in keys], DAYS[0])
    assert done.success, done.failures
    assert set(done.materializations) == {key.to_user_string() for key in keys}


def test_checks_of_a_window_can_be_run_again(
    sample: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    (sample / "configs" / f"{ETH}.json").unlink()
    graph = load_graph(settings)
    job = graph.definitions.resolve_implicit_global_asset_job_def()

    def judged() -> dict[str, Any]:
        """Run everything, all checks among it, and return the verdicts of the window."""
        done = job.execute_in_process(instance=instance, partition_key=DAYS[0])
        return {
            each.check_name: (each.passed, each.description)
            for each in done.get_asset_check_evaluations()
            if each.asset_key == dg.AssetKey(WINDOW)
        }

    assert judged() == {}, "there is nothing to judge yet"
    done = _window(graph, instance, end="2024-01-04T00:00:00Z")
    said = {
        each.dagster_event.asset_check_evaluation_data.check_name: (
            each.dagster_event.asset_check_evaluation_data.passed,
            each.dagster_event.asset_check_evaluation_data.description,
        )
        for each in instance.all_logs(
            done.dagster_run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
        if each.dagster_event is not None
        and each.dagster_event.asset_check_evaluation_data.asset_key == dg.AssetKey(WINDOW)
    }
    assert len(said) == 5
    assert judged() == said
    assert not said["days_complete"][0]


def test_a_bad_verdict_that_blocks_fails_the_step() -> None:
    def made(severity: dg.AssetCheckSeverity) -> Any:
        verdict = dg.AssetCheckResult(
            passed=False, check_name="accounts", description="off by 1", severity=severity
        )
        return dg.MaterializeResult(check_results=[verdict])

    require_passed(made(dg.AssetCheckSeverity.WARN))
    with pytest.raises(DataError, match="check accounts: off by 1"):
        require_passed(made(dg.AssetCheckSeverity.ERROR))


def test_a_window_is_made_by_itself(graph: Graph, instance: dg.DagsterInstance) -> None:
    with pytest.raises(ConfigError, match=f"no such asset: {KEY}"):
        materialize(instance, graph, [TRADES, WINDOW], DAYS[0])
    unknown = ("backtest", "nobody", "window")
    with pytest.raises(ConfigError, match="no such asset: backtest/nobody/window"):
        materialize(instance, graph, [unknown], None)
