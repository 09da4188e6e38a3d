"""Hostile trades files with the rows that must come out of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hostilefile import HostileFile, spec_with, write_options
from hypothesis import strategies as st
from rawcells import (
    MAX_PRICE,
    MAX_SIZE,
    Column,
    clock_columns,
    decides_unit,
    id_columns,
    label_columns,
    number_columns,
    side_columns,
)

from odum_assets.raw.layout import DataType

PRECISIONS = st.sampled_from([0, 1, 2, 3, 5, 8, 12, 16])
REASONS = [
    "timestamp_missing",
    "previous_day",
    "next_day",
    "timestamp_outside_day",
    "wrong_symbol",
    "id_missing",
    "id_not_ascii",
    "id_too_long",
    *(
        f"{part}_{why}"
        for part in ("price", "size")
        for why in ("missing", "not_finite", "not_positive", "too_large", "too_many_decimals")
    ),
]
"""In the order in which a row's first reason is looked for."""

NAMES = {
    "exchange": {
        "ts_event": "timestamp",
        "ts_init": "local_timestamp",
        "price": "price",
        "size": "amount",
        "side": "side",
        "trade_id": "id",
    },
    "converted": {
        "ts_event": "ts_event",
        "ts_init": "ts_init",
        "price": "price",
        "size": "size",
        "side": "aggressor_side",
        "trade_id": "trade_id",
    },
}


@st.composite
def identity_columns(draw: st.DrawFn, rows: int) -> dict[str, Column]:
    """Return some of the columns that say whose rows these are."""
    reason = "wrong_symbol"
    known = {
        "exchange": (["binance-futures", "BINANCE_FUTURES"], ["binance", "okex"]),
        "symbol": (["BTCUSDT", "btc-usdt", "BTC/USDT:PERP"], ["ETHUSDT", "BTCUSD", "BTCUSDT2"]),
        "instrument_key": (
            ["BINANCE-FUTURES:PERPETUAL:BTC-USDT", "binance-futures:perpetual:btc-usdt@LIN"],
            ["BINANCE-FUTURES:PERPETUAL:ETH-USDT", "BTCUSDT"],
        ),
    }
    return {
        role: draw(label_columns(rows, right, wrong, reason=reason))
        for role, (right, wrong) in known.items()
        if draw(st.booleans())
    }


@st.composite
def row_orders(draw: st.DrawFn, rows: int) -> list[int]:
    """Return rows in an order, some of them more than once, perhaps none."""
    if rows == 0 or draw(st.integers(0, 30)) == 0:
        return []
    order = draw(st.permutations(range(rows))) if draw(st.booleans()) else list(range(rows))
    again = draw(st.lists(st.sampled_from(order), max_size=4))
    return [*order, *again]


@st.composite
def extra_columns(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    """Return columns that mean nothing here."""
    known: dict[str, Any] = {
        "extra": pa.array([1.5] * rows, pa.float64()),
        "index": pa.array(range(rows), pa.int64()),
        "nested": pa.array([{"price": 1, "id": "x"}] * rows, pa.struct({"price": pa.int8()})),
        "list": pa.array([[1, 2]] * rows, pa.list_(pa.int8())),
        "\u4e2d\u6587 \"'\n": pa.array([b"\xff"] * rows, pa.binary()),
        "Price": pa.array(["not a number"] * rows, pa.string()),
        "": pa.array([None] * rows, pa.null()),
        "asks": pa.array([True] * rows, pa.bool_()),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(known)), unique=True, max_size=3))
    return {name: known[name] for name in chosen}


def assemble(
    draw: st.DrawFn, columns: dict[str, Any], spoil: str | None
) -> tuple[pa.Table, str | None]:
    """Return the columns as a table, perhaps spoiled as a whole, and what the error must name."""
    names = draw(st.permutations(sorted(columns)))
    arrays = [columns[name] for name in names]
    if spoil == "twice":
        again = draw(st.sampled_from(names))
        names, arrays = [*names, again], [*arrays, columns[again]]
        return pa.Table.from_arrays(arrays, names), "occur more than once"
    return pa.Table.from_arrays(arrays, list(names)), None


@st.composite
def hostile_trades(draw: st.DrawFn, *, spoiled: bool = True) -> HostileFile:
    """Return a hostile trades file and what must become of it."""
    spec = spec_with(draw(PRECISIONS), draw(PRECISIONS))
    names = NAMES[draw(st.sampled_from(sorted(NAMES)))]
    rows = draw(st.integers(1, 12))
    event, init = draw(clock_columns(rows))
    columns = {
        "price": draw(number_columns(rows, spec.price_precision, MAX_PRICE)),
        "size": draw(number_columns(rows, spec.size_precision, MAX_SIZE)),
        "trade_id": draw(id_columns(rows)),
        "ts_event": event,
        **({} if init is None else {"ts_init": init}),
    }
    side = draw(st.none() | side_columns(rows))
    identity = draw(identity_columns(rows))
    order = draw(row_orders(rows))
    arrays = {names[role]: column.array(order) for role, column in columns.items()}
    arrays |= {role: column.array(order) for role, column in identity.items()}
    if side is not None:
        arrays[names["side"]] = side.array(order)
    arrays |= draw(extra_columns(len(order)))
    spoil = draw(st.sampled_from([*[None] * 12, "drop", "type", "twice"])) if spoiled else None
    refused = None
    if spoil in ("drop", "type"):
        role = draw(st.sampled_from(["price", "size", "trade_id", "ts_event"]))
        name = names[role]
        refused = name
        if spoil == "drop":
            del arrays[name]
        else:
            kind = draw(st.sampled_from([pa.bool_(), pa.binary(), pa.date32(), pa.duration("us")]))
            arrays[name] = pa.nulls(len(order), kind)
    table, twice = assemble(draw, arrays, spoil)
    made = HostileFile(
        table,
        spec,
        DataType.TRADES,
        refused=refused or twice,
        options=draw(write_options(len(order))),
    )
    if made.refused is None:
        _expect(made, order, columns, side, identity)
    return made


def first_reason(found: list[str]) -> str | None:
    """Return the reason that counts of several."""
    return min(found, key=REASONS.index) if found else None


def _expect(
    made: HostileFile,
    order: list[int],
    columns: dict[str, Column],
    side: Column | None,
    identity: dict[str, Column],
) -> None:
    arrival = columns.get("ts_init", columns["ts_event"])
    expected = []
    for place, row in enumerate(order):
        found = []
        for role, column in {**columns, **identity}.items():
            reason = column.cells[row].reason
            if reason is not None:
                found.append(f"{role}_{reason}" if role in ("price", "size") else reason)
        reason = first_reason(found)
        if reason is not None:
            made.rejects.append((place, reason))
            continue
        expected.append(
            {
                "price": columns["price"].cells[row].value,
                "size": columns["size"].cells[row].value,
                "aggressor_side": "NO_AGGRESSOR" if side is None else side.cells[row].value,
                "trade_id": columns["trade_id"].cells[row].value,
                "ts_event": columns["ts_event"].cells[row].value,
                "ts_init": arrival.cells[row].value,
            }
        )
    made.rows = sorted(expected, key=lambda each: each["ts_init"])
    times = [columns[role] for role in ("ts_event", "ts_init") if role in columns]
    expect_units(made, [[column.cells[row] for row in order] for column in times])


def expect_units(made: HostileFile, times: list[list[Any]]) -> None:
    """Let a file be refused whose times do not say in which unit they are."""
    if any(decides_unit(cells) is False for cells in times):
        # With several row groups a look at the first ones may have decided.
        if made.options["row_group_size"] >= made.table.num_rows:
            made.refused = "does not hold times of 2024-07-19"
        else:
            made.maybe_refused = True


def catalog_trades(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a trades file, times as ns."""
    return plain_rows(pq.read_table(path))


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows with times as ns."""
    for index, each in enumerate(table.schema):
        if pa.types.is_timestamp(each.type):
            table = table.set_column(index, each.name, table.column(index).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows
