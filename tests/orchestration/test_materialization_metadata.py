"""Figures become metadata that the event log stores and the browser shows."""

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from dagster._serdes import serialize_value

from odum_assets.orchestration.metadata import (
    bullet_list,
    gaps_table,
    rejects_table,
    timestamp,
    to_metadata,
)
from odum_assets.orchestration.plot import LIMIT, equity_plot
from odum_assets.raw.layout import DataType


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(1.5), dg.MetadataValue.float(1.5)),
        (np.int64(7), dg.MetadataValue.int(7)),
        (np.bool_(True), dg.MetadataValue.bool(True)),
        (True, dg.MetadataValue.bool(True)),
        (Decimal("0.1"), dg.MetadataValue.float(0.1)),
        (math.nan, dg.MetadataValue.text("n/a")),
        (np.float64("inf"), dg.MetadataValue.text("n/a")),
        (-math.inf, dg.MetadataValue.text("n/a")),
        (Decimal("NaN"), dg.MetadataValue.text("n/a")),
        (2**40, dg.MetadataValue.int(2**40)),
        (2**70, dg.MetadataValue.text(str(2**70))),
        (DataType.TRADES, dg.MetadataValue.text("trades")),
        (dt.date(2024, 7, 18), dg.MetadataValue.text("2024-07-18")),
        (Path("/a/b"), dg.MetadataValue.path("/a/b")),
        ([np.int64(1), math.nan, None], dg.MetadataValue.json([1, "n/a", None])),
        (np.array([1.0, 2.0]), dg.MetadataValue.json([1.0, 2.0])),
        ({"a": Decimal(2)}, dg.MetadataValue.json({"a": 2.0})),
        (dg.MetadataValue.url("http://x"), dg.MetadataValue.url("http://x")),
    ],
)
def test_values_are_converted_to_what_dagster_stores(value: object, expected: Any) -> None:
    found: Any = to_metadata({"figure": value})["figure"]
    assert found == expected
    serialize_value(found)


def test_unknown_figures_are_left_out() -> None:
    assert to_metadata({"sharpe": None}) == {}


def test_aware_times_become_timestamps_and_naive_ones_are_refused() -> None:
    moment = dt.datetime(2024, 7, 18, 12, tzinfo=dt.UTC)
    assert to_metadata({"at": moment})["at"].value == moment.timestamp()
    with pytest.raises(ValueError, match="time zone"):
        to_metadata({"at": moment.replace(tzinfo=None)})


def test_other_types_are_refused_instead_of_guessed() -> None:
    with pytest.raises(TypeError, match="object"):
        to_metadata({"figure": object()})


def test_nanoseconds_become_a_timestamp_to_the_microsecond() -> None:
    assert timestamp(1_721_347_021_434_994_999).value == 1_721_347_021.434994


def test_rejects_are_listed_with_their_share_most_first() -> None:
    table: Any = rejects_table({"price_missing": 1, "wrong_symbol": 3}, 10)
    assert [record.data for record in table.records] == [
        {"reason": "wrong_symbol", "rows": 3, "share": 0.3},
        {"reason": "price_missing", "rows": 1, "share": 0.1},
    ]


def test_a_day_without_rejects_still_has_a_table() -> None:
    table: Any = rejects_table({}, 10)
    assert table.records == []
    assert [column.name for column in table.schema.columns] == ["reason", "rows", "share"]


def test_gaps_are_listed_in_utc() -> None:
    table: Any = gaps_table([{"start": "1721347021000000000", "end": "0", "seconds": 2.5}])
    assert table.records[0].data == {"start": "2024-07-18T23:57:01+00:00", "seconds": 2.5}


def test_sentences_become_a_list() -> None:
    assert bullet_list(["One.", "Two."]).value == "- One.\n- Two."


def test_a_plot_is_small_whatever_the_number_of_points() -> None:
    points = [(index * 1_000_000_000, 1e6 + math.sin(index) * 1e5) for index in range(100_000)]
    plot = equity_plot(points, "USDT")
    assert plot is not None
    assert plot.startswith("![Equity in USDT](<data:image/svg+xml,%3Csvg ")
    assert len(plot) < LIMIT


def test_a_flat_equity_is_drawn_and_a_single_point_is_not() -> None:
    assert equity_plot([(0, 5.0), (1, 5.0)], "USDT") is not None
    assert equity_plot([(0, 5.0)], "USDT") is None
