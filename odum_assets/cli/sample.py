"""``odum data generate``: sample raw data."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from odum_assets.cli.options import JsonOption, parse_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odum_assets.raw.sample.spec import SampleSpec
    from odum_assets.settings import Settings

_FIRST_DAY = date(2024, 1, 1)


def generate(
    days: Annotated[
        int | None,
        typer.Option(help="Number of consecutive days. Default: 3, or those of the configuration."),
    ] = None,
    start: Annotated[
        date | None,
        typer.Option(
            parser=parse_day,
            metavar="DAY",
            help=f"First day. Default: {_FIRST_DAY}, or that of the configuration.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="CONFIG",
            help="Make what this configuration reads: its instrument, the days of its time_window, "
            "no more decimals than it allows.",
        ),
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            help="VENUE:TYPE:SYMBOL; may be given several times. "
            "Default: BTC-USDT and ETH-USDT perpetuals of BINANCE-FUTURES.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    trades_per_day: Annotated[int, typer.Option(help="Trades of a day (approximate).")] = 20_000,
    books_per_day: Annotated[
        int, typer.Option(help="Book snapshots of a day (approximate).")
    ] = 20_000,
    hours: Annotated[
        str, typer.Option(metavar="FROM-TO", help="Hours of the day with data, UTC.")
    ] = "0-24",
    irregular: Annotated[
        bool,
        typer.Option("--irregular", help="Add irregular data: bursts, late rows, skipped ids."),
    ] = False,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="One-minute bars of trading sessions instead.")
    ] = False,
    ohlcv: Annotated[
        bool, typer.Option("--ohlcv", help="A CSV of daily bars with crossovers instead.")
    ] = False,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter of --sessions or --ohlcv."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the CSV of --ohlcv goes.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that already exist.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write sample raw data: trades, five-level books and, for perpetuals, tickers; or bars.

    The files go below UNIFIED_CLOUD_LOCAL_PATH (default: data) and are the same on every machine.

    [dim]Examples:[/]
      odum data generate
      odum data generate --days 7 --instrument BINANCE:SPOT_PAIR:BTC-USDT --seed 2
      odum data generate --sessions --days 60 --set regime=trend_up
      odum data generate --ohlcv --out bars.csv --set n_days=500 --set ma_crossover_pairs=10/25
      odum data generate --config binance_futures_btcusdt_5min_example
    """
    from odum_assets.cli.bar_sample import DEFAULT_SESSIONS, generate_ohlcv, generate_sessions
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output

    if sessions and ohlcv:
        raise UsageError("--sessions and --ohlcv exclude each other")
    values = [f"seed={seed}", *(given or [])]
    if sessions:
        keys = instrument or DEFAULT_SESSIONS
        first, count_of_days = start or _FIRST_DAY, 3 if days is None else days
        generate_sessions(Output(as_json), keys, first, count_of_days, values, overwrite=overwrite)
        return
    if ohlcv:
        generate_ohlcv(Output(as_json), out, values, overwrite=overwrite)
        return
    from odum_assets.cli.progress import Display
    from odum_assets.cli.rendering import count, display_path, size, table
    from odum_assets.errors import ConfigError
    from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    if config is not None and instrument:
        raise UsageError("--config names an instrument; leave out --instrument")
    wanted = None if config is None else _sample_request(config, settings)
    root = settings.raw_root if wanted is None else wanted.root
    try:
        spec = SampleSpec(
            keys=tuple(instrument or DEFAULT_KEYS) if wanted is None else (wanted.key,),
            start=start or (_FIRST_DAY if wanted is None else wanted.start),
            days=days if days is not None else 3 if wanted is None else wanted.days,
            decimals={} if wanted is None else {wanted.key: wanted.decimals},
            trades_per_day=trades_per_day,
            books_per_day=books_per_day,
            seed=seed,
            hours=_hours(hours),
            irregularities=irregular,
        )
    except ConfigError as error:
        raise UsageError(str(error)) from None
    if not overwrite:
        _refuse_existing(spec, root)
    with Display(output, "Writing sample data") as display:
        written = write_sample(root, spec, display.files)
    output.data(
        {
            "root": root,
            "files": [
                {
                    "path": raw_file.path,
                    "instrument": raw_file.key,
                    "data_type": raw_file.data_type,
                    "day": raw_file.day,
                    "rows": raw_file.rows,
                    "sha256": raw_file.sha256,
                }
                for raw_file in written
            ],
        }
    )
    rows = table(None, ["day", "instrument", "data type", "rows", "size"], right=["rows", "size"])
    for raw_file in sorted(written, key=lambda file: (file.day, file.key, file.data_type)):
        bytes_ = size(raw_file.path.stat().st_size)
        rows.add_row(
            str(raw_file.day), raw_file.key, raw_file.data_type, count(raw_file.rows), bytes_
        )
    output.show(rows, f"{len(written)} files below {display_path(root)}")


class _SampleRequest(NamedTuple):
    """What a configuration reads: raw root, instrument, days, decimals of prices and sizes."""

    root: str
    key: str
    start: date
    days: int
    decimals: tuple[int, int]


def _sample_request(config: str, settings: "Settings") -> _SampleRequest:
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.selection import choose_config
    from odum_assets.config import effective_settings, load_config
    from odum_assets.raw.layout import BY_DATE, DataType
    from odum_assets.utc import day_of_ns

    loaded = load_config(choose_config(config, settings, what="--config").path)
    if loaded.bars is not None:
        raise UsageError(f"--config: {loaded.name} is for bars; see --sessions and --ohlcv")
    key = str(loaded.key)
    for kind in (DataType.TRADES, DataType.BOOK, DataType.FUNDING):
        template = loaded.config.template(kind, loaded.key)
        usual = f"{BY_DATE}/day-*/data_type-{kind}/{key}.parquet"
        if template not in (None, usual):
            raise UsageError(f"--config: {loaded.name} reads {template}; samples go to {usual}")
    window, instrument = loaded.config.time_window, loaded.ticks.instrument
    start = _FIRST_DAY if window.start_ns is None else day_of_ns(window.start_ns)
    is_open = window.start_ns is None or window.end_ns is None
    last = start if is_open else day_of_ns((window.end_ns or 1) - 1)
    return _SampleRequest(
        effective_settings(loaded, settings).raw_root,
        key,
        start,
        3 if is_open else (last - start).days + 1,
        (instrument.price_precision, instrument.size_precision),
    )


def _hours(text: str) -> tuple[int, int]:
    from odum_assets.cli.errors import UsageError

    first, _, last = text.partition("-")
    if not (first.isdigit() and last.isdigit()):
        raise UsageError(f"--hours: found {text!r}, allowed two hours such as 9-17")
    return int(first), int(last)


def sample_paths(spec: "SampleSpec", root: str) -> "Iterator[Path]":
    """Return where the files of a sample go."""
    from datetime import timedelta

    from odum_assets.raw.layout import DataType, raw_file_path

    for key in spec.keys:
        for offset in range(spec.days):
            for kind in (DataType.TRADES, DataType.BOOK, DataType.FUNDING):
                if kind is not DataType.FUNDING or ":PERPETUAL:" in key:
                    day = spec.start + timedelta(days=offset)
                    yield Path(raw_file_path(root, day, kind, key))


def _refuse_existing(spec: "SampleSpec", root: str) -> None:
    from odum_assets.cli.rendering import display_path
    from odum_assets.errors import DataError

    existing = [path for path in sample_paths(spec, root) if path.is_file()]
    if existing:
        raise DataError(
            f"{len(existing)} of the files already exist, the first is "
            f"{display_path(existing[0])}; nothing was written. Choose other days, another "
            "UNIFIED_CLOUD_LOCAL_PATH, or replace them with --overwrite"
        )
