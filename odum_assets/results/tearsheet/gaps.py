"""When a run had no trades to replay: days that are missing, and days that are partial."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from odum_assets.results.tearsheet.charts import Span
from odum_assets.utc import DAY_NS, NS_PER_SECOND, day_start_ns


def gaps_of(metadata: Mapping[str, Any], span: Span) -> list[Span]:
    """Return the times of a chart without trades (ns), in order, neighboring ones as one.

    Results of earlier versions do not know them.
    """
    spans = [(start, start + DAY_NS) for start in map(_start, metadata.get("missing_days") or ())]
    for partial in metadata.get("partial_days") or ():
        if partial["data_type"] == "trades":
            start = _start(partial["day"])
            spans.append((start, _ns(partial["first"])))
            spans.append((_ns(partial["last"]), start + DAY_NS))
    gaps: list[Span] = []
    for first, last in sorted(spans):
        if gaps and first <= gaps[-1][1]:
            gaps[-1] = (gaps[-1][0], max(last, gaps[-1][1]))
        else:
            gaps.append((first, last))
    # A second at an edge is no gap to see.
    length = span[1] - span[0]
    return [
        (max(first, span[0]), min(last, span[1]))
        for first, last in gaps
        if min(last, span[1]) - max(first, span[0]) > length // 200
    ]


def _start(day: str) -> int:
    return day_start_ns(date.fromisoformat(day))


def _ns(moment: str) -> int:
    """Return an ISO 8601 time in UTC, to the second."""
    return int(datetime.fromisoformat(moment[:19]).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND
