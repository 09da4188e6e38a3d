"""Hostile book files with the depths that must come out of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hostilefile import HostileFile, spec_with, write_options
from hypothesis import strategies as st
from rawcells import MAX_PRICE, MAX_SIZE, Cell, Column, clock_columns, number_columns
from rawtrades import (
    PRECISIONS,
    assemble,
    expect_units,
    extra_columns,
    first_reason,
    identity_columns,
    plain_rows,
    row_orders,
)

from odum_assets.raw.layout import DataType

LEVEL_NAMES = {
    "exchange": {
        "price": "{side}s[{level}].price",
        "size": "{side}s[{level}].amount",
        "times": ("timestamp", "local_timestamp"),
    },
    "converted": {
        "price": "{side}_price_{level}",
        "size": "{side}_size_{level}",
        "times": ("ts_event", "ts_init"),
    },
}


@st.composite
def _levels(draw: st.DrawFn, rows: int, precision: int, limit: Any) -> Column:
    """Return a column of one level: mostly numbers that can be held, so that rows survive."""
    if draw(st.integers(0, 3)) == 0:
        return draw(number_columns(rows, precision, limit))
    usual = st.integers(1, 10**6).map(lambda ticks: _cell(ticks, precision))
    absent = st.sampled_from([Cell(None, None, "missing"), Cell(0.0, None, "not_positive")])
    cells = st.one_of(*[usual] * 8, absent)
    return Column(pa.float64(), draw(st.lists(cells, min_size=rows, max_size=rows)))


def _cell(ticks: int, precision: int) -> Cell:
    from decimal import Decimal

    meant = Decimal(ticks).scaleb(-precision)
    return Cell(float(meant), meant)


def _is_absent(cell: Cell) -> bool:
    """Return whether a level is left out for this cell: nothing there, or zero."""
    if cell.reason == "missing":
        return True
    return cell.reason == "not_positive" and cell.given == 0


@st.composite
def hostile_books(draw: st.DrawFn) -> HostileFile:
    """Return a hostile book file and what must become of it; crossed and short books included."""
    spec = spec_with(draw(PRECISIONS), draw(PRECISIONS))
    layout = LEVEL_NAMES[draw(st.sampled_from(sorted(LEVEL_NAMES)))]
    rows = draw(st.integers(1, 8))
    order = draw(row_orders(rows))
    depth = {side: draw(st.sampled_from([1, 2, 3, 5, 7, 12])) for side in ("bid", "ask")}
    levels = {
        (side, level, part): draw(_levels(rows, precision, limit))
        for side in ("bid", "ask")
        for level in range(depth[side])
        for part, precision, limit in (
            ("price", spec.price_precision, MAX_PRICE),
            ("size", spec.size_precision, MAX_SIZE),
        )
    }
    event, init = draw(clock_columns(rows))
    identity = draw(identity_columns(rows))
    times = [event] if init is None else [event, init]
    arrays: dict[str, Any] = {
        layout["times"][place]: column.array(order) for place, column in enumerate(times)
    }
    arrays |= {role: column.array(order) for role, column in identity.items()}
    for (side, level, part), column in levels.items():
        arrays[layout[part].format(side=side, level=level)] = column.array(order)
    arrays |= draw(extra_columns(len(order)))
    spoil = draw(st.sampled_from([*[None] * 12, "drop", "type", "twice"]))
    refused = None
    if spoil in ("drop", "type"):
        side, level, part = draw(st.sampled_from(sorted(levels)))
        # A level without size or price is no level; a last one that is gone as a whole is.
        name = refused = layout[part].format(side=side, level=level)
        if spoil == "drop":
            del arrays[name]
            refused = "not a raw book_snapshot_5 file: missing"
        else:
            arrays[name] = pa.nulls(len(order), draw(st.sampled_from([pa.string(), pa.bool_()])))
    table, twice = assemble(draw, arrays, spoil)
    made = HostileFile(
        table,
        spec,
        DataType.BOOK,
        refused=refused or twice,
        options=draw(write_options(len(order))),
    )
    if made.refused is None:
        _expect(made, order, depth, levels, times, identity)
    return made


def _expect(
    made: HostileFile,
    order: list[int],
    depth: dict[str, int],
    levels: dict[tuple[str, int, str], Column],
    times: list[Column],
    identity: dict[str, Column],
) -> None:
    expected = []
    for place, row in enumerate(order):
        found = [
            column.cells[row].reason
            for column in (*times, *identity.values())
            if column.cells[row].reason is not None
        ]
        found += [
            f"{part}_{column.cells[row].reason}"
            for (_, _, part), column in levels.items()
            if column.cells[row].reason is not None and not _is_absent(column.cells[row])
        ]
        sides = {
            side: [
                (levels[side, level, "price"].cells[row], levels[side, level, "size"].cells[row])
                for level in range(depth[side])
            ]
            for side in depth
        }
        kept = {
            side: [
                (price.value, size.value)
                for price, size in cells
                if price.reason is None and size.reason is None
            ]
            for side, cells in sides.items()
        }
        reason = first_reason([each for each in found if each is not None])
        if reason is None and not kept["bid"] and not kept["ask"]:
            reason = "empty_book"
        if reason is not None:
            made.rejects.append((place, reason))
            continue
        expected.append((times[-1].cells[row].value, times[0].cells[row].value, kept))
    made.rows = sorted(expected, key=lambda each: each[0])
    expect_units(made, [[column.cells[row] for row in order] for column in times])


def catalog_books(path: Path) -> list[Any]:
    """Return the rows of a depths file as (ts_init, ts_event, levels by side)."""
    return [
        (
            row["ts_init"],
            row["ts_event"],
            {
                side: [(level["price"], level["size"]) for level in row[f"{side}s"]]
                for side in ("bid", "ask")
            },
        )
        for row in plain_rows(pq.read_table(path))
    ]
