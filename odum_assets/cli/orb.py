"""``odum orb``: an opening-range-breakout study over several symbols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.errors import UsageError
from odum_assets.cli.options import JsonOption, parse_day

if TYPE_CHECKING:
    from odum_assets.bars.orb.yaml_file import StudyFile, StudyInstrument
    from odum_assets.cli.rendering import Output
    from odum_assets.results.store import ResultEntry
    from odum_assets.settings import Settings

_WARMUP = timedelta(days=45)
"""Days of synthetic bars before the first session, for indicators."""

_STEPS = ("1m", "5m", "15m")


@dataclass(frozen=True, slots=True)
class BarFiles:
    """Bars of a symbol: the instrument key, the step, and the label if a configuration has it."""

    key: str
    step: str
    label: str | None


def orb(
    symbols: Annotated[
        list[str],
        typer.Option("--symbols", metavar="SYMBOL...", help="One or several: SPY QQQ IWM."),
    ],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    start: Annotated[
        date | None,
        typer.Option("--start", parser=parse_day, metavar="DAY", help="First session."),
    ] = None,
    end: Annotated[
        date | None,
        typer.Option("--end", parser=parse_day, metavar="DAY", help="Last session, included."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="YAML", help="Keys that differ from the defaults."),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Without effect: converted bars are always kept.")
    ] = False,
    cache_dir: Annotated[
        Path | None,
        typer.Option("--cache-dir", metavar="DIR", help="Folder of the converted bars."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also write an HTML report for each symbol.")
    ] = False,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Where the run gets a folder.")
    ] = Path("runs"),
    synthetic: Annotated[
        bool, typer.Option("--synthetic", help="Trade generated bars; nothing else is read.")
    ] = False,
    validate_or: Annotated[
        bool,
        typer.Option("--validate-or", help="Trade only opening ranges of which no bar is missing."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also print every session and trade.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run an opening-range-breakout study: all symbols in one account.

    Without --start or --end backtest.start_date and end_date of the YAML file count. Tables,
    figures and the configuration are written to a folder of the run.

    [dim]Examples:[/]
      odum orb --symbols SPY QQQ --start 2024-01-02 --end 2024-03-28 --report
      odum orb --symbols SPY --start 2024-01-02 --end 2024-01-10 --synthetic
    """
    from odum_assets.bars.orb.yaml_file import read_study, run_configuration
    from odum_assets.cli.rendering import Output
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    file = read_study(config)
    names = list(dict.fromkeys(name.strip() for name in [*symbols, *(more or [])]))
    if symbols[0].startswith("-"):
        raise UsageError(f"--symbols {symbols[0]}: name one or several symbols: --symbols SPY QQQ")
    first, last = _dates(file, start, end)
    if cache_dir is not None:
        settings = settings.model_copy(update={"catalog_path": cache_dir.absolute()})
    if cache and cache_dir is None:
        output.info(f"converted bars are kept in {settings.catalog_path}, with or without --cache")
    wanted = {name: file.instrument(name) for name in names}
    is_synthetic = synthetic or _wants_synthetic(wanted)
    if is_synthetic:
        settings = _synthetic_settings(settings, output_dir)
        available = _generate(file, wanted, first, last, settings)
    else:
        available = _find_bars(wanted, first, last, settings, output)
    bars = _bars_section(file, available)
    document = run_configuration(
        file,
        {available[name].key: wanted[name] for name in available},
        bars,
        needs_all_bars=validate_or,
    )
    if is_synthetic:
        # Whoever runs it again finds the bars.
        document["environment"] = {
            "UNIFIED_CLOUD_LOCAL_PATH": settings.raw_root,
            "DATA_CATALOG_PATH": str(settings.catalog_path),
        }
    path, is_new = _write_configuration(document, list(available), settings)
    proxies = {
        instrument.symbol: instrument.proxy_symbol
        for symbol, instrument in wanted.items()
        if symbol in available and instrument.symbol != instrument.proxy_symbol
    }
    for symbol, proxy in proxies.items():
        output.info(f"DATA_MODE: PROXY: {proxy} is traded for {symbol}")
    modes = {"SYNTHETIC": is_synthetic, "PROXY": bool(proxies)}
    mode = next((name for name, is_so in modes.items() if is_so), "DIRECT")
    entry = _run(path, first, last, settings, output, is_new=is_new)
    is_verbose = verbose or file.study.log_level == "DEBUG"
    written = {"data_mode": mode, "proxies": proxies, "configuration": document}
    folder = _export(entry, file, written, output_dir, report=report)
    _show(output, entry, folder, is_verbose=is_verbose)


def _dates(file: "StudyFile", start: date | None, end: date | None) -> tuple[date, date]:

    first = start or file.study.backtest.start_date
    last = end or file.study.backtest.end_date
    if first is None or last is None:
        missing = "--start" if first is None else "--end"
        raise UsageError(f"{missing} is missing, and the configuration has no dates either")
    if last < first:
        raise UsageError(f"--end {last} is before --start {first}")
    return first, last


# --- bars ---------------------------------------------------------------------------------------


def _wants_synthetic(wanted: "Mapping[str, StudyInstrument]") -> bool:
    """Return whether the file asks for generated bars.

    Raises
    ------
    ConfigError
        If it does so for some symbols only.
    """
    from odum_assets.errors import ConfigError

    sources = {instrument.data_source for instrument in wanted.values()}
    if "synthetic" in sources and len(sources) > 1:
        raise ConfigError(
            f"instruments: {', '.join(wanted)} have generated and real bars; run them apart"
        )
    return sources == {"synthetic"}


def _find_bars(
    wanted: "Mapping[str, StudyInstrument]",
    first: date,
    last: date,
    settings: "Settings",
    output: "Output",
) -> dict[str, BarFiles]:
    """Return the bars of each symbol that has any; the others are named.

    Raises
    ------
    UnavailableDataError
        If no symbol has bars.
    """
    from odum_assets.errors import UnavailableDataError

    available: dict[str, BarFiles] = {}
    for name, instrument in wanted.items():
        match = _of_configurations(instrument, settings) or _of_raw_files(
            instrument, first, last, settings
        )
        if match is not None:
            available[name] = match
            continue
        output.warn(
            f"{name}: there are no bars from {first} to {last}; expected "
            f"{settings.raw_root}/raw_tick_data/by_date/day-{first}/data_type-bars_1m/"
            f"VENUE:EQUITY:{instrument.proxy_symbol}.parquet. odum data import-bars writes such "
            "files; --synthetic needs none"
        )
    if not available:
        raise UnavailableDataError("missing-data", "none of the symbols has bars")
    return available


def _matches(instrument: "StudyInstrument", key: str) -> bool:
    if instrument.instrument is not None or ":" in instrument.proxy_symbol:
        return key == (instrument.instrument or instrument.proxy_symbol)
    return key.rpartition(":")[2] == instrument.proxy_symbol


def _of_configurations(instrument: "StudyInstrument", settings: "Settings") -> BarFiles | None:
    """Return the bars that a configuration of the folder reads."""
    from odum_assets.config.folder import read_folder

    for loaded in read_folder(settings).configs if settings.configs_path.is_dir() else []:
        if loaded.bars is not None and not loaded.bars.bars.is_daily:
            for item in loaded.bars.instruments:
                if _matches(instrument, str(item.key)):
                    return BarFiles(str(item.key), loaded.bars.bars.step, loaded.bars.bars.label)
    return None


def _of_raw_files(
    instrument: "StudyInstrument", first: date, last: date, settings: "Settings"
) -> BarFiles | None:
    """Return the bars of the shortest step that have a raw file in a range of days."""
    from odum_assets.raw.layout import list_days, list_raw_files

    for day in list_days(settings.raw_root):
        if not first <= day <= last:
            continue
        keys = {
            file.data_type.step: file.key_text
            for file in list_raw_files(settings.raw_root, day=day)
            if file.data_type.is_bars and _matches(instrument, file.key_text)
        }
        for step in _STEPS:
            if step in keys:
                return BarFiles(keys[step], step, None)
    return None


def _bars_section(file: "StudyFile", available: Mapping[str, BarFiles]) -> dict[str, Any]:
    """Return the section ``bars``; all symbols have the same step and label.

    Raises
    ------
    ConfigError
        If they have not, or nothing says the label.
    """
    from odum_assets.errors import ConfigError

    given = file.study.bars
    steps = {given.step or files.step for files in available.values()}
    labels = {given.label or files.label for files in available.values()} - {None}
    if len(steps) > 1 or len(labels) > 1:
        raise ConfigError(
            f"{', '.join(available)} have bars of different steps or labels; run them apart, or "
            "give bars.step and bars.label in the YAML file"
        )
    if not labels:
        raise ConfigError(
            "bars.label is missing: a raw file does not tell whether its times name the start or "
            "the end of a bar. Add to the YAML file: bars: {label: end} (or start)"
        )
    return {
        "step": steps.pop(),
        "label": labels.pop(),
        "source": "raw",
        "warmup_sessions": given.warmup_sessions,
    }


def _synthetic_settings(settings: "Settings", output_dir: Path) -> "Settings":
    """Return settings under which generated bars stay apart from real ones."""
    root = (output_dir / "synthetic").absolute()
    (root / "configs").mkdir(parents=True, exist_ok=True)
    update = {
        "raw_root": str(root),
        "catalog_path": root / "catalog",
        "configs_path": root / "configs",
    }
    return settings.model_copy(update=update)


def _generate(
    file: "StudyFile",
    wanted: "Mapping[str, StudyInstrument]",
    first: date,
    last: date,
    settings: "Settings",
) -> dict[str, BarFiles]:
    """Generate bars of every symbol: those of a date follow from seed, symbol and date."""
    from odum_assets.bars.sessions import SessionRules
    from odum_assets.config.sections.session import SessionConfig
    from odum_assets.raw.imports.run import ImportRequest, import_bars
    from odum_assets.raw.imports.source import TableBars
    from odum_assets.raw.sample.sessions import SessionSpec, make_sessions

    available = {}
    for name, instrument in wanted.items():
        symbol = instrument.proxy_symbol
        key = instrument.instrument or (symbol if ":" in symbol else f"ARCA:EQUITY:{symbol}")
        rules = SessionRules.of(SessionConfig.model_validate(instrument.session))
        spec = SessionSpec(seed=file.study.backtest.random_seed, tick=float(instrument.tick_size))
        table = make_sessions(spec, symbol, first - _WARMUP, last, rules.bounds)
        request = ImportRequest(key, "end", step="1m", overwrite=True)
        import_bars(TableBars(f"synthetic {symbol}", [table]), request, settings.raw_root)
        available[name] = BarFiles(key, "1m", "end")
    return available


# --- the run ------------------------------------------------------------------------------------


def _write_configuration(
    document: Mapping[str, Any], names: Sequence[str], settings: "Settings"
) -> tuple[Path, bool]:
    """Write the run configuration into the folder of configurations, if it is not there.

    Returns
    -------
    tuple[Path, bool]
        Its file, and whether it was written now.
    """
    import hashlib
    import re

    from odum_assets.config.exact_json import write_json

    text = write_json(document, indent=2) + "\n"
    symbols = re.sub("[^a-z0-9]+", "_", "_".join(names[:4]).lower()).strip("_")
    name = f"orb_{symbols}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    path = settings.configs_path / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    path.write_text(text, encoding="utf-8")
    return path, is_new


def _run(
    path: Path,
    first: date,
    last: date,
    settings: "Settings",
    output: "Output",
    *,
    is_new: bool,
) -> "ResultEntry":
    """Run a configuration; a new one is removed again where it comes to no run.

    Raises
    ------
    OdumError
        If the run is refused or fails; of a new configuration that stays the message says so.
    """
    from odum_assets.cli.errors import WorkError
    from odum_assets.cli.rendering import display_path
    from odum_assets.cli.runs import run_plan
    from odum_assets.cli.session import open_session
    from odum_assets.errors import OdumError
    from odum_assets.orchestration.requests import NewRun

    has_run = False
    try:
        new = NewRun.of(
            config=path.stem, first_day=first, last_day=last, window=True, mode="report"
        )
        with open_session(settings, output, replays=True) as session:
            plan = session.planner().plan(new)
            try:
                return run_plan(session, plan)
            finally:
                has_run = session.has_run(plan)
    except BaseException as error:
        if is_new and not has_run:
            path.unlink(missing_ok=True)
        elif is_new:
            stays = f"The configuration stays, because this run refers to it: {display_path(path)}"
            if isinstance(error, OdumError):
                raise WorkError(f"{error}\n{stays}") from error
            output.info(stays)
        raise


def _export(
    entry: "ResultEntry",
    file: "StudyFile",
    written: Mapping[str, Any],
    output_dir: Path,
    *,
    report: bool,
) -> Path:
    """Copy what the strategy wrote into a folder of the run, with configuration and reports."""
    from odum_assets.results.orb import export_study

    metadata = {"name": file.study.name, "version": file.study.version}
    return export_study(
        entry,
        output_dir / entry.run_id,
        {**metadata, **written},
        with_reports=report,
        with_log=file.study.log_to_file,
    )


def _show(output: "Output", entry: "ResultEntry", folder: Path, *, is_verbose: bool) -> None:
    from odum_assets.cli.rendering import colored, display_path, number, percent, table
    from odum_assets.results.orb import OrbRun

    run = OrbRun(entry)
    symbols, together = run.symbol_metrics(), run.metrics()
    output.data(
        {
            "run_id": entry.run_id,
            "folder": str(folder),
            "net_pnl": run.net_pnl(),
            "symbols": symbols,
            "total": together,
        }
    )
    if is_verbose:
        for line in run.log_lines():
            output.info(line)
    heads = ("Symbol", "Trades", "Win Rate", "Total R", "Expectancy", "Sharpe", "Max DD")
    rows = table("Per-Symbol Results", heads, right=heads[1:])
    for symbol, figures in symbols.items():
        rate = figures["win_rate"]
        rows.add_row(
            symbol,
            str(figures["total_trades"]),
            percent(None if rate is None else 100 * rate, sign=False, digits=1),
            colored(f"{number(figures['total_r'])}R", figures["total_r"]),
            f"{number(figures['expectancy'], 3)}R",
            number(figures["sharpe_ratio"]),
            f"{number(figures['max_drawdown_r'])}R",
        )
    output.show(rows)
    output.facts(
        "Aggregated Results",
        [
            ("Total Symbols", str(len(symbols))),
            ("Total Trades", str(together["total_trades"])),
            ("Total R", f"{number(together['total_r'])}R"),
            ("Average R per Trade", f"{number(together['average_r'], 3)}R"),
            ("Net PnL", number(run.net_pnl())),
            ("Results", display_path(folder)),
            ("Run ID", entry.run_id),
        ],
    )
    for flag in together["flags"]:
        output.warn(flag)
    if not together["total_trades"]:
        output.warn("no trades: sessions.parquet says of each session why")
