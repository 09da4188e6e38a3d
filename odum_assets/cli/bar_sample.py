"""``odum data generate --sessions`` and ``--ohlcv``: sample bars."""

import typing
from collections.abc import Sequence
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odum_assets.cli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output

DEFAULT_SESSIONS = ("ARCA:EQUITY:SPY", "NASDAQ:EQUITY:QQQ")
DEFAULT_CSV = Path("mock_backtest_data.csv")


def generate_sessions(
    output: "Output",
    keys: Sequence[str],
    first: date,
    days: int,
    given: Sequence[str],
    *,
    overwrite: bool,
) -> None:
    """Write one-minute bars of the sessions of some days into the raw layout; labels are ends."""
    from odum_assets.bars.sessions import SessionRules
    from odum_assets.bars.us_calendar import early_closes, holidays
    from odum_assets.cli.bar_import import document_of, show_import
    from odum_assets.config.sections.session import SessionConfig
    from odum_assets.instruments.keys import parse_instrument_key
    from odum_assets.raw.imports.run import ImportRequest, import_bars
    from odum_assets.raw.imports.source import TableBars
    from odum_assets.raw.sample.sessions import SessionSpec, make_sessions
    from odum_assets.settings import load_settings

    spec = _spec(SessionSpec, given)
    last = first + timedelta(days=days - 1)
    years = range(first.year, last.year + 1)
    session = SessionConfig.model_validate(
        {
            "preset": spec.session,
            "holidays": [day for year in years for day in holidays(year)],
            "early_closes": {day: "13:00" for year in years for day in early_closes(year)}
            if spec.session == "us_equity"
            else {},
        }
    )
    rules, raw_root = SessionRules.of(session), load_settings().raw_root
    documents = []
    for key in keys:
        table = make_sessions(spec, parse_instrument_key(key).symbol, first, last, rules.bounds)
        request = ImportRequest(key, "end", step="1m", overwrite=overwrite)
        result = import_bars(TableBars("generated bars", [table]), request, raw_root)
        documents.append(document_of(request, result))
        show_import(output, request, result)
    dates = [day.isoformat() for day in session.holidays if first <= day <= last]
    if dates:
        output.info(f"Holidays without a session: {', '.join(dates)}")
    output.data({"session": session.model_dump(mode="json"), "imports": documents})


def generate_ohlcv(
    output: "Output", out: Path | None, given: Sequence[str], *, overwrite: bool
) -> None:
    """Write daily bars as a CSV file, and count crossovers."""
    import pyarrow.csv as pa_csv

    from odum_assets.cli.rendering import count, display_path, table
    from odum_assets.errors import DataError
    from odum_assets.raw.sample.ohlcv import OhlcvSpec, crossovers, make_ohlcv

    spec, path = _spec(OhlcvSpec, given), out or DEFAULT_CSV
    if path.exists() and not overwrite:
        raise DataError(f"{path} already exists; choose another --out, or --overwrite it")
    bars = make_ohlcv(spec)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.tmp")
        # The stubs do not know the header's quotes yet.
        plain: dict[str, Any] = {"quoting_style": "none", "quoting_header": "none"}
        pa_csv.write_csv(bars, unfinished, pa_csv.WriteOptions(**plain))
        unfinished.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error
    counts = crossovers(bars["Close"].to_numpy(), spec.ma_crossover_pairs)
    output.data(
        {
            "path": str(path),
            "rows": bars.num_rows,
            "crossovers": [
                {"fast": fast, "slow": slow, "up": up, "down": down}
                for (fast, slow), (up, down) in counts.items()
            ],
        }
    )
    rows = table(None, ["averages", "up", "down"], right=["up", "down"])
    for (fast, slow), (up, down) in counts.items():
        rows.add_row(f"{fast}/{slow}", count(up), count(down))
    output.show(rows, f"{bars.num_rows:,} bars in {display_path(path)}")
    output.info(
        f"Import them: odum data import-bars {display_path(path)} --instrument "
        "NASDAQ:EQUITY:TEST --label start"
    )


def _spec[T](kind: type[T], given: Sequence[str]) -> T:
    """Return a description from its class and ``NAME=VALUE`` texts."""
    from pydantic import TypeAdapter, ValidationError

    from odum_assets.errors import ConfigError

    hints = typing.get_type_hints(kind)
    known = [field.name for field in fields(typing.cast("Any", kind))]
    values: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise UsageError(f"--set {text}: allowed NAME=VALUE{did_you_mean(name, known)}")
        try:
            values[name] = _value(hints[name], value, TypeAdapter(hints[name]))
        except (ValidationError, ValueError):
            raise UsageError(f"--set {text}: {value!r} is not a value of {name}") from None
    try:
        return kind(**values)
    except ConfigError as error:
        raise UsageError(f"--set: {error}") from None


def _value(hint: Any, text: str, adapter: Any) -> Any:  # noqa: ANN401
    """Return what a text means; pairs of lengths are written ``20/50,50/100``."""
    if typing.get_origin(hint) is tuple:
        return adapter.validate_python(tuple(pair.split("/") for pair in text.split(",") if pair))
    return adapter.validate_python(text)
