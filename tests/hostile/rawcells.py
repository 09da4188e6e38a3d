"""Cells of hostile raw files and what each must become, worked out with plain Python and Decimal.

A `Cell` is what is written into a column together with what the catalog must make of it: a value,
or the name of the reject reason. Nothing here uses the code under test but the names of reasons.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

DAY = date(2024, 7, 19)
MIDNIGHT_NS = int(datetime(2024, 7, 19, tzinfo=UTC).timestamp()) * 10**9
HOUR_NS = 3600 * 10**9
PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

MAX_PRICE = Decimal(17_014_118_346_046)
MAX_SIZE = Decimal(34_028_236_692_093)
MAX_TICKS = Decimal(2**63)
"""The limits that the catalog states: NautilusTrader's, and int64 for a number of ticks."""


@dataclass(frozen=True)
class Cell:
    """One value of a column.

    Parameters
    ----------
    given : Any
        What is written.
    value : Any
        What it must become; None when `reason` says why it cannot become anything.
    reason : str or None
        Reject reason.
    near : bool
        Of a time: whether it lies in the day or an hour beside it, which decides the unit.
    """

    given: Any
    value: Any = None
    reason: str | None = None
    near: bool = False


@dataclass(frozen=True)
class Column:
    """A column's Arrow type and its cells."""

    kind: pa.DataType
    cells: list[Cell]

    def array(self, order: list[int]) -> Any:
        """Return the cells in an order of rows (rows may repeat) as an Arrow array."""
        return pa.array([self.cells[row].given for row in order], self.kind)


# --- numbers ------------------------------------------------------------------------------------

FLOATS = (pa.float64(), pa.float32(), pa.float16())
INTEGERS = (pa.int64(), pa.uint64(), pa.int32(), pa.uint8())
DECIMALS = (
    pa.decimal128(38, 18),
    pa.decimal128(20, 2),
    pa.decimal256(76, 20),
    pa.decimal256(76, 0),
    pa.decimal32(9, 3),
    pa.decimal64(18, 6),
)


def judge_number(meant: Decimal | None, precision: int, limit: Decimal) -> tuple[Any, str | None]:
    """Return the exact decimal that a number means, or the reason why there is none."""
    if meant is None or meant.is_nan():
        return None, "missing"
    if meant.is_infinite():
        return None, "not_finite"
    if meant <= 0:
        return None, "not_positive"
    if meant > limit or meant.scaleb(precision) >= MAX_TICKS:
        return None, "too_large"
    if meant.as_tuple().exponent < -precision and meant != meant.quantize(
        Decimal(1).scaleb(-precision)
    ):
        return None, "too_many_decimals"
    return meant, None


def _float_cell(kind: pa.DataType, meant: Decimal, precision: int, limit: Decimal) -> Cell:
    numpy_type = {"double": np.float64, "float": np.float32, "halffloat": np.float16}[str(kind)]
    with np.errstate(over="ignore"):
        given = numpy_type(float(meant))
    # The number that a float stands for is its shortest text; half floats are read as floats.
    if kind == pa.float64():
        shown = Decimal(repr(float(given)))
    else:
        shown = Decimal(np.format_float_scientific(np.float32(given), unique=True))
    return Cell(given, *judge_number(shown, precision, limit))


def _noisy_cell(meant: Decimal, steps: int, precision: int, limit: Decimal) -> Cell:
    """Return a double a few steps beside the one that is meant: the noise of float arithmetic."""
    given = float(meant)
    for _ in range(abs(steps)):
        given = float(np.nextafter(given, np.inf if steps > 0 else -np.inf))
    return Cell(given, *judge_number(meant, precision, limit))


def _fits(kind: pa.DataType, meant: Decimal) -> bool:
    if pa.types.is_integer(kind):
        width = kind.bit_width
        low, high = (0, 2**width) if str(kind).startswith("u") else (-(2 ** (width - 1)),) * 2
        high = high if str(kind).startswith("u") else 2 ** (width - 1)
        return meant == meant.to_integral_value() and low <= meant < high
    exponent = meant.as_tuple().exponent
    assert isinstance(exponent, int)
    return -exponent <= kind.scale and abs(meant) < Decimal(10) ** (kind.precision - kind.scale)


@st.composite
def number_columns(
    draw: st.DrawFn, rows: int, precision: int, limit: Decimal, *, kinds: Any = None
) -> Column:
    """Return a column of prices or sizes of some numeric type."""
    kind = draw(st.sampled_from(kinds or (*FLOATS, *INTEGERS, *DECIMALS)))
    grid = st.integers(1, 10**7).map(lambda ticks: Decimal(ticks).scaleb(-precision))
    whole = st.integers(1, 900).map(Decimal)
    off = st.tuples(grid, st.integers(1, 9)).map(
        lambda pair: pair[0] + Decimal(pair[1]).scaleb(-precision - 1)
    )
    extreme = st.sampled_from(
        [
            Decimal(0),
            Decimal("-0.0"),
            Decimal(-1),
            Decimal("-0.5"),
            limit,
            limit + 1,
            limit - 1,
            Decimal(10) ** 18,
            Decimal(10) ** 30,
            -(Decimal(10) ** 30),
            Decimal(2) ** 62,
            Decimal(10) ** 60,
            Decimal(10) ** 75,
            -(Decimal(10) ** 75),
            Decimal("1e-17"),
            Decimal("1e-300"),
            Decimal("1e300"),
            Decimal(921),
            Decimal("921.5"),
            Decimal(2**63 - 1).scaleb(-precision),
            Decimal(2**63).scaleb(-precision),
            Decimal(2) ** 51,
            Decimal(1).scaleb(-precision),
        ]
    )
    usual = st.one_of(grid, whole)
    meant = st.one_of(usual, usual, usual, off, extreme)
    null = st.just(Cell(None, None, "missing"))
    if kind in FLOATS:
        odd = st.sampled_from(
            [
                Cell(float("nan"), None, "missing"),
                Cell(float("inf"), None, "not_finite"),
                Cell(float("-inf"), None, "not_finite"),
            ]
        )
        cell = st.one_of(
            *[meant.map(lambda each: _float_cell(kind, each, precision, limit))] * 4, odd, null
        )
        if kind == pa.float64():
            small = grid.filter(lambda each: each.scaleb(precision) < 2**49)
            noisy = st.builds(
                lambda each, steps: _noisy_cell(each, steps, precision, limit),
                small,
                st.integers(-3, 3),
            )
            cell = st.one_of(cell, noisy)
    else:
        fitting = meant.filter(lambda each: _fits(kind, each))
        simple = st.just(Decimal(7))
        exact = st.one_of(fitting, simple).map(
            lambda each: Cell(
                int(each) if pa.types.is_integer(kind) else each,
                *judge_number(each, precision, limit),
            )
        )
        cell = st.one_of(exact, exact, exact, null)
    return Column(kind, draw(st.lists(cell, min_size=rows, max_size=rows)))


# --- times --------------------------------------------------------------------------------------


@st.composite
def clock_columns(draw: st.DrawFn, rows: int) -> tuple[Column, Column | None]:
    """Return exchange times and times of arrival; without the latter, the former are both."""
    has_arrivals = draw(st.booleans())
    event = draw(time_columns(rows, is_arrival=not has_arrivals))
    return event, draw(time_columns(rows, is_arrival=True)) if has_arrivals else None


def _time_cell(raw: int, factor: int, *, is_arrival: bool) -> Cell:
    """Return what a time must become: a row belongs to the day of its arrival."""
    ns = raw * factor
    near = -HOUR_NS <= ns - MIDNIGHT_NS <= 25 * HOUR_NS
    if is_arrival and not 0 <= ns - MIDNIGHT_NS < 24 * HOUR_NS:
        days = (ns - MIDNIGHT_NS) // (24 * HOUR_NS)
        reason = {-1: "previous_day", 1: "next_day"}.get(days, "timestamp_outside_day")
        return Cell(raw, None, reason, near)
    return Cell(raw, ns, None, near) if near else Cell(raw, None, "timestamp_outside_day")


@st.composite
def time_columns(draw: st.DrawFn, rows: int, *, is_arrival: bool) -> Column:
    """Return a column of times in some unit and type, most of them of the day."""
    unit = draw(st.sampled_from(list(PER_UNIT)))
    factor = PER_UNIT[unit]
    zone = draw(st.sampled_from([None, "UTC", "America/New_York"]))
    kind = draw(st.sampled_from([pa.int64(), pa.uint64(), pa.timestamp(unit, zone)]))
    if unit == "s":
        kind = draw(st.sampled_from([kind, pa.int32(), pa.uint32()]))
    first, last = MIDNIGHT_NS - HOUR_NS, MIDNIGHT_NS + 25 * HOUR_NS
    inside = st.one_of(
        st.integers(0, 40).map(lambda second: MIDNIGHT_NS + second * 10**9),
        st.integers(first, last),
        st.sampled_from([first, last, MIDNIGHT_NS, MIDNIGHT_NS - 1, MIDNIGHT_NS + 24 * HOUR_NS]),
    ).map(lambda ns: -(-ns // factor) if ns == first else ns // factor)
    wrong = [
        (first // factor) - 1,
        (last // factor) + 1,
        MIDNIGHT_NS // factor - 10 * 86_400 * 10**9 // factor,
        0,
        1,
    ]
    if kind == pa.int64():
        wrong += [-1, 2**63 - 1, -(2**62)]
    if kind == pa.uint64():
        wrong += [2**64 - 1, 2**63]
    outside = st.sampled_from([each for each in wrong if each < 2**31 or kind.bit_width > 32])
    cells = st.one_of(
        *[inside.map(lambda raw: _time_cell(raw, factor, is_arrival=is_arrival))] * 12,
        outside.map(lambda raw: _time_cell(raw, factor, is_arrival=is_arrival)),
        st.just(Cell(None, None, "timestamp_missing")),
    )
    return Column(kind, draw(st.lists(cells, min_size=rows, max_size=rows)))


def decides_unit(cells: list[Cell]) -> bool | None:
    """Return whether most values fit the day; None when there is no value to judge."""
    there = [cell for cell in cells if cell.given is not None]
    if not there:
        return None
    return 2 * sum(cell.near for cell in there) > len(there)


# --- texts --------------------------------------------------------------------------------------

TEXTS = (
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.large_string()),
)


@st.composite
def label_columns(
    draw: st.DrawFn, rows: int, right: list[str], wrong: list[str], *, reason: str
) -> Column:
    """Return a column of names that must be one of `right`."""
    kind = draw(st.sampled_from(TEXTS))
    good = st.sampled_from(right).map(lambda text: Cell(text, text))
    bad = st.sampled_from([*wrong, "", "x" * 200, "\u00e9\u4e2d", None]).map(
        lambda text: Cell(text, None, reason)
    )
    return Column(kind, draw(st.lists(st.one_of(*[good] * 15, bad), min_size=rows, max_size=rows)))


def judge_id(text: str | None) -> tuple[str | None, str | None]:
    """Return a trade id, or the reason why Nautilus cannot hold it."""
    if text is None or not text.strip(" \t\n\r"):
        return None, "id_missing"
    if any(not " " <= letter <= "~" for letter in text):
        return None, "id_not_ascii"
    if len(text) > 36:
        return None, "id_too_long"
    return text, None


@st.composite
def id_columns(draw: st.DrawFn, rows: int) -> Column:
    """Return a column of trade ids: texts or whole numbers."""
    kind = draw(st.sampled_from((*TEXTS, pa.int64(), pa.uint64(), pa.int32())))
    if pa.types.is_integer(kind):
        low = 0 if kind == pa.uint64() else -(2 ** (kind.bit_width - 1))
        high = 2**64 - 1 if kind == pa.uint64() else -low - 1
        numbers = st.one_of(st.integers(1, 500), st.integers(low, high))
        cells = numbers.map(lambda number: Cell(number, str(number)))
        null = st.just(Cell(None, None, "id_missing"))
        return Column(
            kind, draw(st.lists(st.one_of(*[cells] * 9, null), min_size=rows, max_size=rows))
        )
    printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
    texts = st.one_of(
        *[st.integers(1, 500).map(str)] * 6,
        printable,
        st.sampled_from(
            [
                None,
                "",
                " ",
                "\t",
                "\u3000",
                "x" * 36,
                "x" * 37,
                "x" * 200,
                "\u4e2d" * 12,
                "\u4e2d" * 200,
                "\U0001f4a5",
                "a\x00b",
                "a\nb",
                "007",
                "0x10",
                "-5",
                "'\"\\;--",
                "\x7f",
            ]
        ),
    )
    cells = texts.map(lambda text: Cell(text, *judge_id(text)))
    return Column(kind, draw(st.lists(cells, min_size=rows, max_size=rows)))


_SIDE_WORDS = {
    "NO_AGGRESSOR": [None, "", "unknown", "none", "buysell", "x" * 200, "\u4e70", "0", "3", "NaN"],
    "BUY": ["buy", "BUY", " Buy ", "buyer", "AGGRESSOR_BUY", "b", "1"],
    "SELL": ["sell", "SELL", "Sell\t", "seller", "aggressor_sell", "s", "2"],
}
_SIDE_NUMBERS = {"NO_AGGRESSOR": [None, 0, 3, 100, -1], "BUY": [1], "SELL": [2]}


@st.composite
def side_columns(draw: st.DrawFn, rows: int) -> Column:
    """Return a column of aggressor sides; an unknown one is no reason to reject."""
    kind = draw(st.sampled_from((*TEXTS, pa.int8(), pa.int64(), pa.null())))
    words = _SIDE_NUMBERS if pa.types.is_integer(kind) else _SIDE_WORDS
    if pa.types.is_null(kind):
        words = {"NO_AGGRESSOR": [None]}
    cells = st.sampled_from([Cell(word, side) for side, each in words.items() for word in each])
    return Column(kind, draw(st.lists(cells, min_size=rows, max_size=rows)))
