"""What tells runs apart in a list: their time range, and what of them was not the configuration's.

It is read from the record of a result, and from that of a run without one.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from odum_assets.config.variants import label_of, short_names
from odum_assets.utc import DAY_NS, NS_PER_SECOND, datetime_of_ns, day_of_ns, day_start_ns


def time_range(document: Mapping[str, Any]) -> str:
    """Return the time that a run covers (UTC): a day, a part of it, or several days.

    Parameters
    ----------
    document : mapping
        Of a result, or the record of a run without one.
    """
    metadata = document["metadata"]
    # A year of daily bars is one day of these, and many sessions.
    days, window = metadata.get("sessions") or metadata.get("days") or [], metadata.get("window")
    if window is None:
        # The record of a run without a result.
        start, end = (_ns(document.get(name)) for name in ("start", "end"))
    else:
        start, end = (window.get(name) for name in ("start_ns", "end_ns"))
    if days:
        start = day_start_ns(date.fromisoformat(days[0])) if start is None else start
        end = day_start_ns(date.fromisoformat(days[-1])) + DAY_NS if end is None else end
    if start is None or end is None:
        return str(metadata["partition"])
    return _range_text(int(start), int(end))


def _range_text(start: int, end: int) -> str:
    first, last = day_of_ns(start), day_of_ns(end - 1)
    begin, finish = f"{first}", f"{last}"
    if start % DAY_NS or end % DAY_NS:
        begin, finish = (
            f"{first} {_clock(start)}",
            f"{last} {_clock(end) if end % DAY_NS else '24:00'}",
        )
    if first == last:
        finish = finish.removeprefix(f"{first}").strip()
    return f"{begin} to {finish}" if finish else begin


def _clock(moment: int) -> str:
    second, rest = datetime_of_ns(moment)
    if rest or second.second:
        return f"{second:%H:%M:%S}" + (f".{rest:09d}".rstrip("0") if rest else "")
    return f"{second:%H:%M}"


def _ns(text: str | None) -> int | None:
    if text is None:
        return None
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(f"{seconds}+00:00")
    return int(moment.timestamp()) * NS_PER_SECOND + int(f"{fraction:0<9}"[:9])


def algorithm(metadata: Mapping[str, Any]) -> str:
    """Return the execution algorithm of a run."""
    return str((metadata.get("exec_algorithm") or {}).get("type") or "NORMAL")


def overrides(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a run that are not those of its configuration, by name.

    The values that a sweep varied or the run overrode are among them, by the last part of their
    path.
    """
    config = metadata.get("config") or {}
    changed: dict[str, Any] = {}
    chosen = metadata.get("exec_algorithm") or {}
    configured = (config.get("strategy") or {}).get("exec_algorithm") or {"type": "NORMAL"}
    if chosen and chosen.get("type") != configured.get("type"):
        changed["exec_algorithm"] = chosen["type"]
    has_book = (config.get("data_catalog") or {}).get("book_snapshot_5_path") is not None
    configured_mode = "both" if has_book else "trades"
    if config.get("kind") == "bars":
        configured_mode = "bars"
    if metadata.get("snapshot_mode", "both") != configured_mode:
        changed["snapshot_mode"] = metadata["snapshot_mode"]
    if metadata.get("close_positions") is False:
        changed["close_positions"] = False
    varied = {
        **(metadata.get("overrides") or {}),
        **((metadata.get("sweep") or {}).get("varied") or {}),
    }
    return changed | dict(zip(short_names(list(varied)), varied.values(), strict=True))


def overrides_text(metadata: Mapping[str, Any]) -> str:
    """Return the overrides of a run on one line."""
    return label_of(overrides(metadata))
