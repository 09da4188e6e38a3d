"""Configuration files of the earlier system, in today's spelling.

What belongs here: which of its spellings are understood, and what a file means that leaves a key
out. What does not: what is allowed today (``sections``, ``rules``), reading files (``loading``).

A spelling is translated where its meaning is certain. Anything else is left as it is, and refused
by the rules: nothing that could change figures is guessed.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from odum_assets.config.raw_paths import DAY_FOLDER, SPOT_NAMES
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey, parse_instrument_key

_FEES: Final = {"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0004")}
"""Fees of the earlier system for a file that names none."""

_PATHS: Final = ("trades_path", "book_snapshot_5_path", "derivative_ticker_path")
_ONE_DAY: Final = re.compile(r"day-(\d{4}-\d\d-\d\d)", re.ASCII)
_ROOT: Final = "UNIFIED_CLOUD_LOCAL_PATH"


@dataclass(frozen=True, slots=True)
class Translation:
    """What was translated, or filled in.

    Parameters
    ----------
    path : str
        Key, such as ``venue.maker_fee``.
    text : str
        What it means here.
    is_note : bool
        Whether a reader of results should know; a mere spelling is not worth it.
    """

    path: str
    text: str
    is_note: bool = True

    def __str__(self) -> str:
        """Return ``path: text``."""
        return f"{self.path}: {self.text}"


def translate(document: dict[str, Any]) -> tuple[dict[str, Any], list[Translation]]:
    """Return a configuration in today's spelling, and what was translated.

    Parameters
    ----------
    document : dict[str, Any]
        The parsed file, valid or not; it is not changed.

    Returns
    -------
    tuple[dict[str, Any], list[Translation]]
        A document of the same meaning; equal to the given one when it is spelled as today.
    """
    # The earlier system knew one kind of configuration, and no such key.
    if "kind" in document:
        return document, []
    changed = copy.deepcopy(document)
    return changed, [translation for rule in _RULES for translation in rule(changed)]


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a section to read and change; an empty one where there is none."""
    section = document.get(name)
    return section if isinstance(section, dict) else {}


def _paths(document: dict[str, Any]) -> dict[str, str]:
    """Return the paths of raw files that are texts, by key."""
    data = _section(document, "data_catalog")
    return {name: data[name] for name in _PATHS if isinstance(data.get(name), str)}


def _strategy(document: dict[str, Any]) -> list[Translation]:
    if "strategy" in document:
        return []
    document["strategy"] = {"name": "TradeReplay"}
    return [
        Translation(
            "strategy",
            "not in the file: one order for each trade row, a limit order at the row's side, price "
            "and size",
        )
    ]


def _fees(document: dict[str, Any]) -> list[Translation]:
    venue = _section(document, "venue")
    left_out = {name: fee for name, fee in _FEES.items() if name not in venue} if venue else {}
    venue.update(left_out)
    return [
        Translation(f"venue.{name}", f"not in the file: {fee} of the value, as in earlier versions")
        for name, fee in left_out.items()
    ]


def _oms_type(document: dict[str, Any]) -> list[Translation]:
    venue = _section(document, "venue")
    if venue.get("oms_type") != "FUTURES":
        return []
    venue["oms_type"] = "NETTING"
    return [Translation("venue.oms_type", "FUTURES is NETTING: one position per instrument")]


def _environment(document: dict[str, Any]) -> list[Translation]:
    environment = _section(document, "environment")
    switches = {name: value for name, value in environment.items() if isinstance(value, bool)}
    environment.update({name: str(value).lower() for name, value in switches.items()})
    return [
        Translation(f"environment.{name}", f'{text} is "{text}"', is_note=False)
        for name, text in ((name, str(value).lower()) for name, value in switches.items())
    ]


def _spot(document: dict[str, Any]) -> list[Translation]:
    instrument, data = _section(document, "instrument"), _section(document, "data_catalog")
    spelled: list[tuple[str, dict[str, Any], str]] = [("instrument", instrument, "id")]
    spelled += [("data_catalog", data, name) for name in (*_PATHS, "instrument_file_pattern")]
    specs = []
    for section, values, name in spelled:
        text = values.get(name)
        if isinstance(text, str) and SPOT_NAMES[1] in text.rpartition("/")[2]:
            folder, slash, key = text.rpartition("/")
            values[name] = f"{folder}{slash}{key.replace(SPOT_NAMES[1], SPOT_NAMES[0])}"
            specs.append(Translation(f"{section}.{name}", "SPOT is SPOT_PAIR", is_note=False))
    return specs


def _pattern(document: dict[str, Any]) -> list[Translation]:
    """Translate a pattern that names one file: it says no more than the paths do."""
    data = _section(document, "data_catalog")
    pattern = data.get("instrument_file_pattern")
    if not isinstance(pattern, str) or "{" in pattern or "*" in pattern:
        return []
    stem = pattern.removesuffix(".parquet")
    paths = _paths(document)
    files = {path.rpartition("/")[2] for path in paths.values()}
    if _key_of(stem) is None or not paths or files - {"", f"{stem}.parquet"}:
        return []
    del data["instrument_file_pattern"]
    data.update({name: f"{path.rpartition('/')[0]}/{stem}.parquet" for name, path in paths.items()})
    text = "names the file of the paths, which say it already"
    return [Translation("data_catalog.instrument_file_pattern", text, is_note=False)]


def _root_in_paths(document: dict[str, Any]) -> list[Translation]:
    """Leave the folder out of paths that the raw root ends in already."""
    root = _section(document, "environment").get(_ROOT)
    name = root.rstrip("/").rpartition("/")[2] if isinstance(root, str) else ""
    if not name.strip("."):
        return []
    doubled = {key: path for key, path in _paths(document).items() if path.startswith(f"{name}/")}
    _section(document, "data_catalog").update(
        {key: path.removeprefix(f"{name}/") for key, path in doubled.items()}
    )
    text = f"{name}/ is left out, since environment.{_ROOT} ends in it"
    return [Translation(f"data_catalog.{key}", text, is_note=False) for key in doubled]


def _one_day(document: dict[str, Any]) -> list[Translation]:
    """Translate the day in paths where it is that of the time window: no other file is read."""
    paths = _paths(document)
    days = {name: _ONE_DAY.findall(path) for name, path in paths.items()}
    named = {day for dates in days.values() for day in dates}
    if len(named) != 1 or not _holds(min(named), _section(document, "time_window")):
        return []
    for name, path in paths.items():
        parts = [DAY_FOLDER if _ONE_DAY.fullmatch(part) else part for part in path.split("/")]
        _section(document, "data_catalog")[name] = "/".join(parts)
    text = f"day-{min(named)} in the paths is {DAY_FOLDER}: a run reads the files of its own days"
    return [Translation("data_catalog", text)]


def _holds(day: str, window: dict[str, Any]) -> bool:
    """Return whether a time window lies in a UTC day; one that cannot be read is no matter."""
    if None in (window.get("start", ""), window.get("end", "")):
        return False
    try:
        first = datetime.fromisoformat(f"{date.fromisoformat(day)}T00:00:00+00:00")
        start, end = (datetime.fromisoformat(str(window[name])) for name in ("start", "end"))
        return first <= start and end <= first + timedelta(days=1)
    except (KeyError, ValueError, TypeError, OverflowError):
        # The window, or the day, is refused for itself.
        return True


def _futures(document: dict[str, Any]) -> list[Translation]:
    """Translate BINANCE where the raw file is one of BINANCE-FUTURES, which it stood for."""
    keys = {_key_of(path) for path in _paths(document).values()}
    if not keys or not all(key is not None and key.venue == "BINANCE-FUTURES" for key in keys):
        return []
    symbols = {key.symbol for key in keys if key is not None}
    instrument, venue = _section(document, "instrument"), _section(document, "venue")
    specs = []
    identifier = str(instrument.get("id"))
    symbol = identifier.removesuffix(".BINANCE").removesuffix("-PERP")
    if identifier.endswith(".BINANCE") and symbols == {symbol}:
        instrument["id"] = f"{identifier}-FUTURES"
        text = f"{identifier} is {instrument['id']}, as the raw file says"
        specs.append(Translation("instrument.id", text))
    named = re.match(r"BINANCE[-_]FUTURES:|.*\.BINANCE[-_]FUTURES$", str(instrument.get("id")))
    if venue.get("name") == "BINANCE" and named:
        venue["name"] = "BINANCE-FUTURES"
        text = "BINANCE is BINANCE-FUTURES, as the raw file says"
        specs.append(Translation("venue.name", text))
    return specs


def _key_of(path: str) -> InstrumentKey | None:
    """Return the instrument key that the file name of a path is, None if it is none."""
    try:
        return parse_instrument_key(path.rpartition("/")[2].removesuffix(".parquet"))
    except ConfigError:
        return None


_RULES: Final[tuple[Callable[[dict[str, Any]], list[Translation]], ...]] = (
    _strategy,
    _fees,
    _oms_type,
    _environment,
    _spot,
    _pattern,
    _root_in_paths,
    _one_day,
    _futures,
)
