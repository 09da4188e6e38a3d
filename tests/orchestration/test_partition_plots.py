"""Pictures of partitions: what they show, how small they are, and when there is none."""

import math
import re
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
from graphtools import BTC, REPO
from test_quality_verdicts import GOOD

from odum_assets.catalog.manifest import PartitionManifest
from odum_assets.config import load_config
from odum_assets.orchestration.checks import evaluate_partition
from odum_assets.orchestration.partition_plots import partition_plots
from odum_assets.orchestration.plot import LIMIT
from odum_assets.raw.layout import DataType

SVG = "{http://www.w3.org/2000/svg}"
START = 1_721_347_200_000_000_000
HOUR = 3600 * 10**9


def _book(**changed: Any) -> PartitionManifest:
    quality: dict[str, Any] = {
        "rate": {"max_per_second": 7},
        "gaps": {"max_s": 7200.0, "largest": []},
        "latency": {
            "median_ms": 20.0,
            "p99_ms": 30.0,
            "negative_rows": 0,
            "distribution": {
                "start_ms": -5.0,
                "step_ms": 2.5,
                "rows": [1, 0, 8, 4],
                "below": 2,
                "above": 1,
            },
        },
        "spread": {"median": 0.1},
        "timeline": {
            "start": str(START),
            "part_s": 3600,
            "rows": [3600, 7200, 0, 1800],
            "latency_mean_ms": [20.0, 30.0, None, 10.0],
            "spread_mean": [0.1, 0.2, None, 0.1],
            "spread_max": [0.4, 0.2, None, 0.1],
        },
    }
    return replace(GOOD, data_type=DataType.BOOK, quality=quality | changed)


def _svg(markdown: str) -> ET.Element:
    found = re.fullmatch(r"!\[[A-Za-z ]+\]\(<data:image/svg\+xml,([^<>\n]+)>\)", markdown)
    assert found is not None
    return ET.fromstring(urllib.parse.unquote(found[1]))  # noqa: S314 - made here


def _words(svg: ET.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{SVG}text")]


def _outlines(svg: ET.Element) -> list[list[int]]:
    """Return the heights over the bottom of each filled outline, per pixel of the width."""
    found = []
    for path in svg.iter(f"{SVG}path"):
        moves = re.fullmatch(r"M0 99([vh0-9-]*)H385V99", path.get("d", ""))
        if moves is None:
            continue
        level, heights = 0, []
        for kind, number in re.findall(r"([vh])(-?\d+)", moves[1]):
            if kind == "v":
                level -= int(number)
            else:
                heights += [level] * int(number)
        found.append(heights + [level] * (385 - len(heights)))
    return found


def _bars(outline: list[int], count: int) -> list[int]:
    """Return the height in the middle of each of so many bars."""
    return [outline[round((bar + 0.5) * 385 / count)] for bar in range(count)]


def _pictures(manifest: PartitionManifest) -> dict[str, ET.Element | None]:
    return {
        name: None if value is None else _svg(value.value)
        for name, value in partition_plots(manifest).items()
    }


def _shown(manifest: PartitionManifest, name: str) -> ET.Element:
    found = _pictures(manifest)[name]
    assert found is not None
    return found


def test_rates_are_bars_over_time_and_silence_is_blank() -> None:
    svg = _shown(_book(), "rows_over_time")
    # 1, 2, 0 and half a row per second, 79 pixels for 2.
    (outline,) = _outlines(svg)
    assert _bars(outline, 4) == pytest.approx([39.5, 79, 0, 19.75], abs=0.5)
    assert _words(svg) == [
        "up to 2 rows/s (60 min mean), busiest second 7",
        "2024-07-19 00:00 to 04:00 UTC",
    ]


def test_a_long_gap_is_marked_where_it_was_and_a_short_one_is_not() -> None:
    gaps = {
        "max_s": 3600.0,
        "largest": [
            {"start": str(START + 2 * HOUR), "end": str(START + 3 * HOUR), "seconds": 3600.0},
            {"start": str(START), "end": str(START + 9 * 10**9), "seconds": 9.0},
        ],
    }
    svg = _shown(_book(gaps=gaps), "rows_over_time")
    (mark,) = [path for path in svg.iter(f"{SVG}path") if "z" in path.get("d", "")]
    # From the half to three quarters of 385 pixels.
    assert mark.get("d") == "M192 20h96V99h-96z"
    assert _words(svg)[0].endswith("gaps in red")


def test_the_largest_spread_stands_behind_the_mean() -> None:
    svg = _shown(_book(), "spread_over_time")
    largest, mean = _outlines(svg)
    assert _bars(largest, 4) == pytest.approx([79, 39.5, 0, 19.75], abs=0.5)
    assert _bars(mean, 4) == pytest.approx([19.75, 39.5, 0, 19.75], abs=0.5)
    assert "up to 0.4, median 0.1" in _words(svg)[0]


def test_the_distribution_marks_zero_only_where_rows_are_around_it() -> None:
    svg = _shown(_book(), "latency_distribution")
    (outline,) = _outlines(svg)
    assert _bars(outline, 4) == pytest.approx([79 / 8, 0, 79, 39.5], abs=0.5)
    # Zero lies in the middle of -5 to 5.
    assert [path.get("d") for path in svg.iter(f"{SVG}path")][1:] == ["M192 20V99"]
    assert _words(svg) == ["latency: median 20 ms, p99 30 ms", "-5 to 5 ms, 3 rows beyond"]
    latency = _book().quality["latency"]
    later = latency | {"distribution": latency["distribution"] | {"start_ms": 5.0}}
    assert len(list(_shown(_book(latency=later), "latency_distribution").iter(f"{SVG}path"))) == 1


@pytest.mark.parametrize("data_type", [DataType.TRADES, DataType.BOOK])
def test_without_arrival_times_there_is_no_latency_to_see_or_judge(data_type: DataType) -> None:
    book = _book(latency=None, duplicate_ids=0, crossed_books=0, locked_books=0)
    timeline = {**book.quality["timeline"], "latency_mean_ms": None}
    manifest = replace(book, data_type=data_type, quality=book.quality | {"timeline": timeline})
    found = _pictures(manifest)
    assert (found["latency_over_time"], found["latency_distribution"]) == (None, None)
    config = load_config(REPO / "configs" / f"{BTC}.json")
    verdicts = {each.check.name: each.verdict for each in evaluate_partition(manifest, [config])}
    assert verdicts["clock_skew"].passed
    assert "no arrival times" in verdicts["clock_skew"].text


def test_funding_has_no_pictures() -> None:
    assert partition_plots(replace(_book(), data_type=DataType.FUNDING)) == {}


def test_the_fullest_pictures_are_shown_in_place() -> None:
    """53 parts that differ from each other as much as they can, and long numbers in the words."""
    parts = 53
    swing = [1 + 123_456 * (index % 2) + index for index in range(parts)]
    timeline = {
        "start": str(START - HOUR),
        "part_s": 1800,
        "rows": [each * 1800 for each in swing],
        "latency_mean_ms": [-1e6 * math.cos(math.pi * index) for index in range(parts)],
        "spread_mean": [each / 3.7 for each in swing],
        "spread_max": [float(each) * 1.01 for each in swing],
    }
    gaps = {
        "largest": [
            {"start": str(START + at * HOUR), "end": str(START + (at + 2) * HOUR), "seconds": 7200}
            for at in (1, 5, 9, 13, 17)
        ]
    }
    distribution = {
        "start_ms": -1234.5,
        "step_ms": 50.0,
        "rows": swing[:42],
        "below": 10**7,
        "above": 10**7,
    }
    latency = {"median_ms": -1234.5, "p99_ms": 9876.5, "distribution": distribution}
    manifest = _book(timeline=timeline, gaps=gaps, latency=latency)
    for name, value in partition_plots(manifest).items():
        assert value is not None
        assert len(value.value) < LIMIT, name
        _svg(value.value)
