"""Results and failures come into the registry as their files say; anew it is the same."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from contents import contents
from resultfiles import FIRST, stored, write
from tinydays import DAY, Market, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import (
    RegistryError,
    create_engine,
    display_url,
    reading,
    registry_url,
)
from odum_assets.registry.queries import list_runs
from odum_assets.registry.register import open_registry, opened, rebuild, register_run
from odum_assets.registry.types import RunStatus
from odum_assets.results.failures import store_failure
from odum_assets.results.run import run_backtest
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings


def _request(**options: object) -> RunRequest:
    values = {"days": (DAY,), "partition": DAY.isoformat(), "snapshot_mode": "trades", **options}
    return RunRequest(config=variant(), **values)  # type: ignore[arg-type]


def test_a_real_result_is_registered_as_its_file_says(
    registry: sa.Engine, settings: Settings, market: Market
) -> None:
    here = market.settings.model_copy(update={"results_path": settings.results_path})
    result = run_backtest(_request(), here, dagster_run_id="abc")
    register_run(settings, result.run_id)

    found = contents(registry)
    (run,), (dataset,), (strategy,) = found["runs"], found["datasets"], found["strategies"]
    summary, metadata = result.summary, result.metadata
    assert run["status"] is RunStatus.SUCCEEDED
    assert run["digest"] == result.digest
    assert run["dagster_run_id"] == "abc"
    assert run["pnl"] == Decimal(str(summary["pnl"]))
    assert run["total_return"] * 100 == pytest.approx(
        Decimal(str(summary["returns"]["total_return_pct"])), abs=Decimal("1e-9")
    )
    assert run["max_drawdown"] * 100 == pytest.approx(
        Decimal(str(summary["drawdown"]["max_drawdown_pct"])), abs=Decimal("1e-9")
    )
    assert run["max_drawdown"] < 0
    assert run["drawdown_amount"] == Decimal(str(summary["drawdown"]["max_drawdown_amount"]))
    assert run["drawdown_duration_secs"] == pytest.approx(
        Decimal(str(summary["drawdown"]["max_drawdown_duration_secs"])), abs=Decimal("1e-9")
    )
    assert run["volatility"] * 100 == pytest.approx(
        Decimal(str(summary["returns"]["volatility_pct"])), abs=Decimal("1e-9")
    )
    assert (run["figures_version"], run["cagr"], run["calmar_ratio"]) == (2, None, None)
    assert run["total_trades"] == summary["trades"]["total_trades"]
    assert run["flag_count"] == len(summary["flags"])
    assert dataset["symbols"] == ["BTC-USDT"]
    assert dataset["start_date"].date() == DAY
    assert dataset["end_date"] - dataset["start_date"] == timedelta(days=1)
    assert dataset["row_count"] == sum(each["rows"] for each in metadata["catalog"])
    assert strategy["name"] == "TradeReplay"
    assert strategy["version"] == metadata["strategy_sha256"]
    sizes = {row["storage_path"]: row["size_bytes"] for row in found["artifacts"]}
    files = [each for each in settings.results_path.rglob("*") if each.is_file()]
    assert sizes == {
        str(each.relative_to(settings.results_path)): each.stat().st_size
        for each in files
        if each.parent.name in ("fast", result.run_id)
    }
    warnings = [row["payload"]["text"] for row in found["events"] if row["event_type"] == "warning"]
    assert warnings == summary["flags"]
    assert [row["sequence"] for row in found["events"]] == list(range(len(found["events"])))


def test_registering_again_changes_nothing(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    (document,) = stored(sample, settings.results_path, 1)
    register_run(settings, document["run_id"])
    once = contents(registry)
    register_run(settings, document["run_id"])
    assert contents(registry) == once
    assert len(once["runs"]) == 1


def test_an_export_made_later_is_added(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    (document,) = stored(sample, settings.results_path, 1)
    register_run(settings, document["run_id"])
    ticks = ResultStore(settings.results_path).ticks_path(document["run_id"])
    ticks.parent.mkdir()
    ticks.write_text("[]")
    register_run(settings, document["run_id"])
    assert [row["storage_path"] for row in contents(registry)["artifacts"]] == [
        f"fast/{document['run_id']}.json",
        f"tickdata/{document['run_id']}.json",
    ]


def test_a_registry_made_anew_is_the_one_that_grew(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    documents = stored(
        sample,
        settings.results_path,
        12,
        pnl=[1.25, -3.5, 0.0],
        ratios__sharpe=[None, 1.5],
        account__final_equity=[-12.5, 1_000_000.12345678],
    )
    other = json.loads(json.dumps(documents[0]))
    other["run_id"] = other["metadata"]["run_id"] = "BNF_BTC_20240305_00000000_99a518_ffffff"
    other["metadata"]["catalog"][0]["digest"] = "another"
    other["metadata"]["config"]["strategy"]["order_type"] = "MARKET"
    write(settings.results_path, other)
    failed = [
        store_failure(_request(), settings, ValueError("no such file"), "dagster-1"),
        store_failure(_request(days=(), start_ns=10**18), settings, KeyboardInterrupt()),
    ]
    # Not in the order in which they ended: what is first in time was registered last.
    for run_id in [other["run_id"], *failed, *(each["run_id"] for each in reversed(documents))]:
        register_run(settings, run_id)
    grown = contents(registry)
    assert (len(grown["runs"]), len(grown["datasets"]), len(grown["strategies"])) == (15, 2, 2)
    assert {row["created_at"] for row in grown["datasets"]} == {FIRST}

    done = rebuild(registry, ResultStore(settings.results_path))
    assert (done.runs, done.problems) == (15, [])
    assert contents(registry) == grown
    # Its keys go on after those that were loaded.
    register_run(settings, documents[0]["run_id"])
    (new,) = stored(sample, settings.results_path, 1, pnl=[7.0])
    register_run(settings, new["run_id"])
    rebuild(registry, ResultStore(settings.results_path))
    later = store_failure(_request(), settings, ValueError("later"))
    register_run(settings, later)
    assert len(contents(registry)["runs"]) == 16


def test_a_failed_run_says_why(registry: sa.Engine, settings: Settings) -> None:
    run_id = store_failure(_request(), settings, ValueError("day has no trades"), "dagster-1")
    register_run(settings, run_id)
    found = contents(registry)
    (run,) = found["runs"]
    assert run["status"] is RunStatus.FAILED
    assert (run["error_type"], run["error"]) == ("ValueError", "day has no trades")
    assert (run["pnl"], run["dataset_id"], run["digest"]) == (None, None, None)
    assert run["dagster_run_id"] == "dagster-1"
    assert run["window_start"] == datetime(2024, 3, 5, tzinfo=UTC)
    assert [row["event_type"] for row in found["events"]] == ["error", "failed"]
    assert [row["storage_path"] for row in found["artifacts"]] == [f"failed/{run_id}.json"]


def test_a_stopped_run_is_canceled(registry: sa.Engine, settings: Settings) -> None:
    register_run(settings, store_failure(_request(), settings, KeyboardInterrupt()))
    (run,) = contents(registry)["runs"]
    assert run["status"] is RunStatus.CANCELED
    assert run["error_type"] == "KeyboardInterrupt"


def test_damaged_files_are_named_and_the_others_registered(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    documents = stored(sample, settings.results_path, 3)
    cut = settings.results_path / "fast" / f"{documents[1]['run_id']}.json"
    cut.write_text(cut.read_text()[:100])
    lacking = documents[2]
    del lacking["summary"]["flags"]
    write(settings.results_path, lacking)
    done = rebuild(registry, ResultStore(settings.results_path))
    assert done.runs == 1
    assert len(done.problems) == 2
    assert documents[1]["run_id"] in done.problems[0]
    assert "flags" in done.problems[1]
    with pytest.raises(ResultError, match=documents[1]["run_id"]):
        register_run(settings, documents[1]["run_id"])


def test_check_finds_what_is_missing_on_either_side(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    documents = stored(sample, settings.results_path, 2)
    assert "2 runs have a file but are not registered" in check_registry(settings).problems[0]
    rebuild(registry, ResultStore(settings.results_path))
    good = check_registry(settings)
    assert (good.problems, good.runs) == ([], 2)
    ResultStore(settings.results_path).fast_path(documents[0]["run_id"]).unlink()
    (problem,) = check_registry(settings).problems
    assert documents[0]["run_id"] in problem
    assert "have no file" in problem


def test_processes_that_register_at_once_wait_for_each_other(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    documents = stored(sample, settings.results_path, 24)
    halves = [documents[::2], documents[1::2]]
    code = (
        "import sys; from odum_assets.settings import Settings;"
        "from odum_assets.registry.register import register_run;"
        "from pathlib import Path;"
        "settings = Settings(results_path=Path(sys.argv[1]), database_url=sys.argv[2] or None);"
        "[register_run(settings, each) for each in sys.argv[3:]]"
    )
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                str(settings.results_path),
                url,
                *(each["run_id"] for each in half),
            ]
        )
        for half in halves
    ]
    seen = []
    while any(each.poll() is None for each in running):
        with reading(registry) as connection:
            seen.append(list_runs(connection, limit=1, with_total=True).total)
    assert [each.wait(120) for each in running] == [0, 0]
    assert seen == sorted(seen)
    found = contents(registry)
    assert (len(found["runs"]), len(found["datasets"])) == (24, 1)


def test_a_file_is_made_and_filled_by_itself_a_server_is_not(
    settings: Settings, sample: Path
) -> None:
    stored(sample, settings.results_path, 3)
    if settings.database_url is not None:
        with pytest.raises(RegistryError, match="run: odum registry upgrade"):
            open_registry(settings)
        return
    with opened(settings) as engine:
        assert len(contents(engine)["runs"]) == 3
    assert (settings.results_path / "registry.sqlite").is_file()


def test_tables_of_a_newer_program_are_left_alone(registry: sa.Engine, settings: Settings) -> None:
    with registry.begin() as connection:
        connection.execute(sa.text("UPDATE registry_version SET version_num = '9999'"))
    expected = "newer than this program" if settings.database_url is None else "version 9999"
    with pytest.raises(RegistryError, match=expected):
        open_registry(settings)


@pytest.mark.parametrize(
    "url",
    [
        "not a url",
        "mysql://root:secret@host/db",
        "postgresql+pg8000://u:secret@h/db",
        "sqlite://",
    ],
)
def test_other_databases_are_refused_without_repeating_the_password(
    tmp_path: Path, url: str
) -> None:
    settings = Settings(results_path=tmp_path, database_url=url)
    with pytest.raises(RegistryError) as caught:
        registry_url(settings)
    assert "DATABASE_URL" in str(caught.value)
    assert "secret" not in f"{caught.value} {settings!r}"


@pytest.mark.parametrize("url", ["odum:secret@/db?host={}", "odum@/db?host={}&password=secret"])
def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path, url: str) -> None:
    url = "postgresql://" + url.format(tmp_path)
    settings = Settings(results_path=tmp_path, database_url=url)
    with pytest.raises(RegistryError, match="registry postgresql") as caught:
        open_registry(settings)
    assert "secret" not in str(caught.value)
    assert "secret" not in display_url(create_engine(registry_url(settings)).url)


def test_days_of_a_dataset_are_those_of_the_catalog(
    registry: sa.Engine, settings: Settings, sample: Path
) -> None:
    document = json.loads(sample.read_text())
    (part,) = document["metadata"]["catalog"]
    document["metadata"]["catalog"] = [part | {"day": "2024-03-07"}, part]
    write(settings.results_path, document)
    register_run(settings, document["run_id"])
    (dataset,) = contents(registry)["datasets"]
    assert dataset["start_date"].date() == date(2024, 3, 5)
    assert dataset["end_date"].date() == date(2024, 3, 8)
