"""``odum demo``: sample data through the whole graph, and where everything is."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from odum_assets.cli.options import JsonOption

if TYPE_CHECKING:
    from datetime import date

    from odum_assets.cli.board import DayWork
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.session import Session
    from odum_assets.config import LoadedConfig
    from odum_assets.raw.sample.spec import SampleSpec
    from odum_assets.results.store import ResultEntry
    from odum_assets.settings import Settings

CONFIGS = (
    "binance_futures_btcusdt_l2_trades_config",
    "binance_futures_ethusdt_l2_trades_config",
)


def demo(as_json: JsonOption = False) -> None:
    """Make sample data and every asset of them: a first look at the whole.

    Three days of two instruments are written, converted and run, each day by itself and all of them
    as one account; then two studies on bars: an opening-range breakout, and a crossover with a
    sweep of its lengths. Existing data and results are kept.
    """
    from odum_assets.cli import demo_bars
    from odum_assets.cli.outcome import show_list
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    started = time.monotonic()
    for name in (*CONFIGS, *demo_bars.STUDIES):
        choose_config(name, settings, what="demo")
    spec = sample()
    written = _write_missing(spec, settings, output)
    with open_session(settings, output) as session:
        runs_made = _make_days(session, spec)
        runs_made += sum(
            _make_window(session, session.config(name), days)
            for names, days in (
                (CONFIGS, _days(spec)),
                (demo_bars.STUDIES, [demo_bars.FIRST_DAY, demo_bars.LAST_DAY]),
            )
            for name in names
        )
        swept = demo_bars.last_sweep(session)
        if swept is None:
            swept = demo_bars.sweep(session)
            runs_made += swept is not None
    entries = _entries(settings, spec)
    seconds = time.monotonic() - started
    places = _places(settings)
    output.data(
        {
            "files_written": written,
            "runs_made": runs_made,
            "seconds": round(seconds, 1),
            "results": [_record(entry) for entry in entries],
            "vsweep": None if swept is None else swept["file"],
            "places": places,
        }
    )
    show_list(output, entries)
    if swept is not None:
        demo_bars.show_sweep(output, swept)
    _show(output, entries, places, written, runs_made, seconds)


def sample() -> "SampleSpec":
    """Return what sample data the demo makes: three whole days."""
    from odum_assets.raw.sample import SampleSpec

    return SampleSpec(days=3, trades_per_day=4_000, books_per_day=14_400)


def _days(spec: "SampleSpec") -> "list[date]":
    return [spec.start + timedelta(days=index) for index in range(spec.days)]


def _write_missing(spec: "SampleSpec", settings: "Settings", output: "Output") -> int:
    """Write the sample files that are not there; what is there is never touched."""
    import tempfile
    from pathlib import Path

    from odum_assets.cli.demo_bars import missing_bars, write_bars
    from odum_assets.cli.progress import Display
    from odum_assets.cli.sample import sample_paths
    from odum_assets.raw.sample import write_sample

    missing = [path for path in sample_paths(spec, settings.raw_root) if not path.is_file()]
    bars = list(missing_bars(settings))
    if missing or bars:
        _refuse_foreign(spec, settings)
    root = Path(settings.raw_root)
    root.mkdir(parents=True, exist_ok=True)
    if bars:
        write_bars(settings, bars)
    if not missing:
        return len(bars)
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=root) as folder:
        with Display(output, "Writing sample data") as display:
            write_sample(folder, spec, display.files)
        for path in missing:
            path.parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path.relative_to(root)).replace(path)
    return len(missing) + len(bars)


def _refuse_foreign(spec: "SampleSpec", settings: "Settings") -> None:
    """Refuse to mix sample data into a folder of real data that the environment names."""
    from odum_assets.cli.demo_bars import bar_days
    from odum_assets.errors import DataError
    from odum_assets.raw.layout import is_url, list_days

    if "raw_root" not in settings.model_fields_set:
        return
    others = [] if is_url(settings.raw_root) else list_days(settings.raw_root)
    others = [day for day in others if day not in (*_days(spec), *bar_days())]
    if others or is_url(settings.raw_root):
        raise DataError(
            f"UNIFIED_CLOUD_LOCAL_PATH={settings.raw_root} holds other days or is not a local "
            "folder, so no sample data are written there. Unset it for the demo, or name an "
            "empty folder"
        )


def _make_days(session: "Session", spec: "SampleSpec") -> int:
    """Make the days that are not complete and return how many there were."""
    from odum_assets.cli.backfill import plan, run_all
    from odum_assets.cli.errors import WorkError
    from odum_assets.orchestration.requests import NewRun

    planner, days = session.planner(), _days(spec)
    works = []
    for name in CONFIGS:
        new = NewRun(config=name, first_day=days[0], last_day=days[-1], export_ticks=True)
        works += [work for work in plan(planner, new, False) if not _is_complete(session, work)]
    run_all(session, works, slots=2)
    failed = [work for work in works if work.state != "done"]
    if failed:
        lines = [f"{work.config} {work.day}: {work.error}" for work in failed]
        raise WorkError("the demo is not complete:\n" + "\n".join(lines))
    return len(works)


def _is_complete(session: "Session", work: "DayWork") -> bool:
    import dagster as dg

    if work.plan is None or work.plan.conversions:
        return False
    for key in work.plan.keys:
        if work.day not in session.instance.get_materialized_partitions(dg.AssetKey(key)):
            return False
    return _has_files(session.settings, work.config, work.day)


def _has_files(settings: "Settings", name: str, partition: str) -> bool:
    from odum_assets.cli.outcome import files
    from odum_assets.results.store import ResultStore

    entry = ResultStore(settings.results_path).current(name, partition)
    expected = {"summary", "report", "tearsheet"}
    if partition != "window":
        expected.add("ticks")
    return entry is not None and expected <= files(entry).keys()


def _make_window(session: "Session", loaded: "LoadedConfig", days: "list[date]") -> int:
    """Make the continuous run over all days unless it is there; return how many were made."""
    from odum_assets.cli.runs import run_plan
    from odum_assets.orchestration.names import backtest_key
    from odum_assets.orchestration.requests import NewRun

    key = backtest_key(loaded.name, "window")
    recorded = session.instance.get_latest_materialization_event(key) is not None
    if recorded and _has_files(session.settings, loaded.name, "window"):
        return 0
    new = NewRun(config=loaded.name, first_day=days[0], last_day=days[-1], window=True)
    run_plan(session, session.planner().plan(new))
    return 1


def _entries(settings: "Settings", spec: "SampleSpec") -> "list[ResultEntry]":
    from odum_assets.cli.demo_bars import STUDIES
    from odum_assets.results.store import ResultStore

    store = ResultStore(settings.results_path)
    partitions = [*(day.isoformat() for day in _days(spec)), "window"]
    stored = [store.current(name, partition) for name in CONFIGS for partition in partitions]
    stored += [store.current(name, "window") for name in STUDIES]
    return [entry for entry in stored if entry is not None]


def _record(entry: "ResultEntry") -> dict[str, Any]:
    from odum_assets.cli.outcome import record

    return record(entry)


def _places(settings: "Settings") -> dict[str, str]:
    import os
    from pathlib import Path

    results = settings.results_path
    return {
        "raw files": f"{settings.raw_root}/raw_tick_data/by_date",
        "catalog": str(settings.catalog_path),
        "results": str(results / "fast"),
        "reports": str(results / "report"),
        "tearsheets": str(results / "report" / "*" / "tearsheet.html"),
        "ticks": str(results / "tickdata"),
        "Dagster": os.environ.get("DAGSTER_HOME") or str(Path(".dagster").absolute()),
    }


def _show(
    output: "Output",
    entries: "list[ResultEntry]",
    places: dict[str, str],
    written: int,
    runs_made: int,
    seconds: float,
) -> None:
    from odum_assets.cli.rendering import display_path, escaped

    output.facts("Files", [(name, escaped(display_path(path))) for name, path in places.items()])
    output.show("")
    if entries:
        newest = entries[-1].run_id
        output.facts(
            "Next steps",
            [
                ("odum dev", "the asset graph, at http://127.0.0.1:3000/dagster"),
                ("odum data check", "quality of the data"),
                ("odum results show", newest),
            ],
        )
    what = (
        f"{written} raw files written, {runs_made} runs made"
        if written or runs_made
        else "nothing to do"
    )
    output.show(f"\n[green]Ready[/] in {seconds:.1f} s: {what}.")
