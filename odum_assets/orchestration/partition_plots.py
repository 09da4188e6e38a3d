"""What a catalog partition looks like along its day: pictures of the figures in its manifest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from odum_assets.orchestration.plot import line, marks, picture, rule, steps, time_span
from odum_assets.raw.layout import DataType
from odum_assets.utc import NS_PER_SECOND

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest

_LONG_GAP_S: Final = 10
_LONG_GAP_SHARE: Final = 0.003
"""Of the time shown: about a pixel."""


def partition_plots(manifest: "PartitionManifest") -> dict[str, dg.MetadataValue[Any] | None]:
    """Return the pictures of a partition by name; None where there is nothing to see.

    Funding rates come a few times a day, bars at steps: their rows have no rate worth a picture.
    """
    if manifest.data_type is DataType.FUNDING or manifest.data_type.is_bars:
        return {}
    quality = manifest.quality
    pictures = {
        "rows_over_time": _rows(quality),
        "spread_over_time": _spread(quality),
        "latency_over_time": _latency(quality),
        "latency_distribution": _distribution(quality),
    }
    return {
        name: None if picture is None else dg.MetadataValue.md(picture)
        for name, picture in pictures.items()
    }


def _rows(quality: Mapping[str, Any]) -> str:
    """Draw rows per second, and in red the longest times without any."""
    timeline, rate = quality["timeline"], quality["rate"]
    rates = [rows / timeline["part_s"] for rows in timeline["rows"]]
    start, length = int(timeline["start"]), len(rates) * timeline["part_s"] * NS_PER_SECOND
    gaps = [
        ((int(gap["start"]) - start) / length, (int(gap["end"]) - start) / length)
        for gap in quality["gaps"]["largest"]
        if gap["seconds"] >= _LONG_GAP_S
        and gap["seconds"] * NS_PER_SECOND >= length * _LONG_GAP_SHARE
    ]
    return picture(
        "Rows per second over time",
        f"up to {max(rates):,.3g} rows/s ({_part(timeline)} mean), "
        f"busiest second {rate['max_per_second']:,}" + ("; gaps in red" if gaps else ""),
        _span(timeline),
        [steps(rates, max(rates)), marks(gaps)],
    )


def _spread(quality: Mapping[str, Any]) -> str | None:
    """Draw the mean spread, and behind it the largest."""
    timeline = quality["timeline"]
    widest = [spread for spread in timeline.get("spread_max", []) if spread is not None]
    if not widest:
        return None
    median = quality["spread"]["median"]
    known = "" if median is None else f", median {median:g}"
    return picture(
        "Spread over time",
        f"spread: {_part(timeline)} mean, maximum behind it up to {max(widest):g}{known}",
        _span(timeline),
        [
            steps(timeline["spread_max"], max(widest), faint=True),
            steps(timeline["spread_mean"], max(widest)),
        ],
    )


def _latency(quality: Mapping[str, Any]) -> str | None:
    """Draw the mean time from the exchange's clock to the recorder's."""
    timeline = quality["timeline"]
    if timeline["latency_mean_ms"] is None:
        return None
    # A part without rows keeps the level of the one before: the line goes on.
    means: list[float] = []
    for value in timeline["latency_mean_ms"]:
        means.append(means[-1] if value is None else value)
    if len(means) < 2:
        return None
    low, high = min(means), max(means)
    return picture(
        "Latency over time",
        f"latency: {_part(timeline)} mean, {low:,.4g} to {high:,.4g} ms",
        _span(timeline),
        [line(means, low, high)],
    )


def _distribution(quality: Mapping[str, Any]) -> str | None:
    """Draw how many rows have which latency, with a red line at zero where rows are below it."""
    latency = quality["latency"]
    if latency is None or latency["distribution"] is None:
        return None
    distribution = latency["distribution"]
    bars, start, step = distribution["rows"], distribution["start_ms"], distribution["step_ms"]
    end = start + len(bars) * step
    shapes = [steps(bars, max(bars))]
    if start < 0 < end:
        shapes.append(rule(-start / (end - start)))
    beside = distribution["below"] + distribution["above"]
    return picture(
        "Distribution of latency",
        f"latency: median {latency['median_ms']:,g} ms, p99 {latency['p99_ms']:,g} ms",
        f"{start:,g} to {end:,g} ms" + (f", {beside:,} rows beyond" if beside else ""),
        shapes,
    )


def _span(timeline: Mapping[str, Any]) -> str:
    start = int(timeline["start"])
    return time_span(start, start + len(timeline["rows"]) * timeline["part_s"] * NS_PER_SECOND)


def _part(timeline: Mapping[str, Any]) -> str:
    seconds = timeline["part_s"]
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
