"""Hostile ticker files with the funding rates that must come out of them."""

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hostilefile import HostileFile, spec_with, write_options
from hypothesis import strategies as st
from rawcells import MIDNIGHT_NS, Cell, Column, clock_columns
from rawtrades import (
    assemble,
    expect_units,
    extra_columns,
    identity_columns,
    plain_rows,
    row_orders,
)

from odum_assets.raw.layout import DataType

_LAST = Decimal("1e-16")
_DAY_NS = 86_400 * 10**9
_ORDER = [
    "timestamp_missing",
    "previous_day",
    "next_day",
    "timestamp_outside_day",
    "wrong_symbol",
    "rate_missing",
    "rate_not_finite",
    "rate_too_large",
]


def _judge(meant: Decimal) -> tuple[Any, str | None]:
    if abs(meant) > 100:
        return None, "rate_too_large"
    with np.errstate(all="ignore"):
        return meant.quantize(_LAST, ROUND_HALF_EVEN), None


@st.composite
def rate_columns(draw: st.DrawFn, rows: int) -> Column:
    """Return a column of funding rates."""
    kind = draw(
        st.sampled_from(
            [pa.float64(), pa.float64(), pa.float32(), pa.int64(), pa.decimal128(38, 18)]
        )
    )
    usual = st.tuples(st.integers(-(10**9), 10**9), st.integers(5, 12)).map(
        lambda pair: Decimal(pair[0]).scaleb(-pair[1])
    )
    extreme = st.sampled_from(
        [
            *(Decimal(text) for text in ("0", "0.51", "-0.7", "57.3", "100", "-100", "99.99999")),
            *(Decimal(text) for text in ("100.5", "-101", "9007199254740993", "1e-15", "0.0001")),
            Decimal(2**63 - 1),
            Decimal(-(2**63)),
        ]
    )
    meant = st.one_of(usual, extreme)
    null = st.just(Cell(None, None, "rate_missing"))
    if pa.types.is_floating(kind):
        odd = [float("nan"), float("inf"), float("-inf")]
        reasons = ["rate_missing", "rate_not_finite", "rate_not_finite"]
        special = st.sampled_from(
            [Cell(each, None, reason) for each, reason in zip(odd, reasons, strict=True)]
        )
        numbers = st.one_of(meant, st.sampled_from([Decimal("1e-20"), Decimal("1e300")]))
        cell = st.one_of(*[numbers.map(lambda each: _float_cell(kind, each))] * 3, special, null)
    elif pa.types.is_integer(kind):
        whole = meant.filter(lambda each: each == each.to_integral_value() and abs(each) < 2**63)
        cell = st.one_of(
            st.one_of(whole, st.just(Decimal(2))).map(lambda each: Cell(int(each), *_judge(each))),
            null,
        )
    else:
        fine = st.one_of(meant, st.sampled_from([Decimal("1.5e-16"), Decimal("-2.5e-16")]))
        cell = st.one_of(fine.map(lambda each: Cell(each, *_judge(each))), null)
    return Column(kind, draw(st.lists(cell, min_size=rows, max_size=rows)))


def _float_cell(kind: pa.DataType, meant: Decimal) -> Cell:
    if kind == pa.float64():
        return Cell(float(meant), *_judge(Decimal(repr(float(meant)))))
    with np.errstate(over="ignore"):
        given = np.float32(float(meant))
    if np.isinf(given):
        return Cell(given, None, "rate_not_finite")
    return Cell(given, *_judge(Decimal(np.format_float_scientific(given, unique=True))))


@st.composite
def next_columns(draw: st.DrawFn, rows: int) -> Column:
    """Return a column of next funding times in us: what lies a month away is unknown, not wrong."""
    near = st.integers(-30, 31).map(
        lambda days: Cell((MIDNIGHT_NS + days * _DAY_NS) // 1000, MIDNIGHT_NS + days * _DAY_NS)
    )
    unknown = st.sampled_from([Cell(None), Cell(0), Cell((MIDNIGHT_NS + 40 * _DAY_NS) // 1000)])
    return Column(
        pa.int64(), draw(st.lists(st.one_of(near, near, unknown), min_size=rows, max_size=rows))
    )


@st.composite
def hostile_funding(draw: st.DrawFn) -> HostileFile:
    """Return a hostile ticker file and what must become of it."""
    rows = draw(st.integers(1, 10))
    order = draw(row_orders(rows))
    rate = draw(rate_columns(rows))
    following = draw(st.none() | next_columns(rows))
    event, init = draw(clock_columns(rows))
    identity = draw(identity_columns(rows))
    arrays: dict[str, Any] = {"funding_rate": rate.array(order), "timestamp": event.array(order)}
    if init is not None:
        arrays["local_timestamp"] = init.array(order)
    if following is not None:
        arrays["funding_timestamp"] = following.array(order)
    arrays |= {role: column.array(order) for role, column in identity.items()}
    arrays |= draw(extra_columns(len(order)))
    spoil = draw(st.sampled_from([*[None] * 12, "drop", "twice"]))
    if spoil == "drop":
        del arrays["funding_rate"]
    table, twice = assemble(draw, arrays, spoil)
    made = HostileFile(
        table,
        spec_with(1, 3),
        DataType.FUNDING,
        refused="missing funding_rate" if spoil == "drop" else twice,
        options=draw(write_options(len(order))),
    )
    if made.refused is None:
        times = [event] if init is None else [event, init]
        _expect(made, order, [*times, *identity.values(), rate], times, following)
    return made


def _expect(
    made: HostileFile,
    order: list[int],
    judged: list[Column],
    times: list[Column],
    following: Column | None,
) -> None:
    rate = judged[-1]
    kept = []
    for place, row in enumerate(order):
        found = [column.cells[row].reason for column in judged]
        reasons = sorted((each for each in found if each is not None), key=_ORDER.index)
        if reasons:
            made.rejects.append((place, reasons[0]))
            continue
        ahead = None if following is None else following.cells[row].value
        clock = times[-1].cells[row].value, times[0].cells[row].value
        kept.append((*clock, rate.cells[row].value, ahead))
    kept.sort(key=lambda each: each[0])
    for place, each in enumerate(kept):
        if place and each[2:] == kept[place - 1][2:]:
            made.unchanged += 1
        else:
            made.rows.append(each)
    expect_units(made, [[column.cells[row] for row in order] for column in times])
    if following is not None and made.refused is None:
        there = [following.cells[row] for row in order if following.cells[row].given is not None]
        known = sum(cell.value is not None for cell in there)
        if there and 2 * known <= len(there):
            made.maybe_refused = True


def catalog_funding(path: Path) -> list[Any]:
    """Return the rows of a funding file as (ts_init, ts_event, rate, next funding)."""
    return [
        (row["ts_init"], row["ts_event"], Decimal(row["rate"]), row["next_funding_ns"])
        for row in plain_rows(pq.read_table(path))
    ]
