"""``odum data generate``: sample raw data."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.options import JsonOption, parse_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odum_assets.raw.sample.spec import SampleSpec

_FIRST_DAY = date(2024, 1, 1)


def generate(
    days: Annotated[int, typer.Option(help="Number of consecutive days.")] = 3,
    start: Annotated[
        date, typer.Option(parser=parse_day, metavar="DAY", help="First day.")
    ] = _FIRST_DAY,
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
    """
    from odum_assets.cli.bar_sample import DEFAULT_SESSIONS, generate_ohlcv, generate_sessions
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output

    if sessions and ohlcv:
        raise UsageError("--sessions and --ohlcv exclude each other")
    values = [f"seed={seed}", *(given or [])]
    if sessions:
        keys = instrument or DEFAULT_SESSIONS
        generate_sessions(Output(as_json), keys, start, days, values, overwrite=overwrite)
        return
    if ohlcv:
        generate_ohlcv(Output(as_json), out, values, overwrite=overwrite)
        return
    from odum_assets.cli.progress import Display
    from odum_assets.cli.rendering import count, display_path, size, table
    from odum_assets.errors import ConfigError
    from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample
    from odum_assets.settings import load_settings

    output, root = Output(as_json), load_settings().raw_root
    try:
        spec = SampleSpec(
            keys=tuple(instrument or DEFAULT_KEYS),
            start=start,
            days=days,
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
            for kind in DataType:
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
