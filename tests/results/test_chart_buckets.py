"""Buckets, curves and chosen rows against plain loops over decimals."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.errors import InvalidRequestError
from odum_assets.results.buckets import LADDER, Grid, Groups, Sums, grid_over, nearest_floats
from odum_assets.results.candles import Candles, Fills, Refusals
from odum_assets.results.chart_levels import ChartBuckets, level_of, serves
from odum_assets.results.choosing import (
    ChosenTable,
    Condition,
    choose,
    index_of_id,
    index_of_time,
    parse_conditions,
    parse_sort,
    time_ns,
)
from odum_assets.results.curve import CurveBuckets, CurveFile
from odum_assets.results.scanning import scan
from odum_assets.results.stored_file import ResultError
from odum_assets.results.tables import StoredTable
from odum_assets.utc import DAY_NS

TIME = pa.timestamp("ns", "UTC")
T0 = 1_704_067_195_000_000_000
"""Five seconds before a midnight."""

amounts = st.decimals(
    min_value=Decimal("-89999999.99999999"), max_value=Decimal("89999999.99999999"), places=8
)
positive = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal("123456.789"), places=8)
gaps = st.integers(0, 3_000_000_000) | st.integers(0, 3)
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class OnDisk:
    """A file as `TableFile` has it."""

    path: Path

    def opened(self) -> Any:
        from contextlib import nullcontext

        return nullcontext(self.path)


def written(folder: Path, columns: dict[str, Any], rows_per_group: int = 3) -> OnDisk:
    path = folder / "table.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=rows_per_group)
    return OnDisk(path)


def decimals(values: list[Any]) -> "pa.Array[Any]":
    return pa.array(values, DECIMAL)


def moments(steps: list[int]) -> list[int]:
    return (T0 + np.cumsum(np.array(steps, np.int64))).tolist()


def test_the_ladder_divides_days_and_fits_what_is_asked() -> None:
    assert LADDER[0] == 10_000_000
    assert LADDER[-1] == DAY_NS
    assert all(DAY_NS % step == 0 for step in LADDER)
    for points in (2, 7, 500):
        for width in (1, 10**7, 10**9 + 1, 3_600 * 10**9, DAY_NS):
            grid = grid_over(T0 + 1, T0 + 1 + width, points)
            assert grid.t0 <= T0 + 1 < grid.t0 + grid.step or grid.count == 0
            assert grid.end - grid.step < T0 + 1 + width <= grid.end
            assert grid.t0 % grid.step == 0
            assert grid.count <= points
            finer = [step for step in LADDER if step < grid.step]
            if finer:
                assert -(-(T0 + 1 + width) // finer[-1]) - (T0 + 1) // finer[-1] > points
    assert grid_over(T0, T0, 10).count in (0, 1)
    assert grid_over(0, 3_650 * DAY_NS, 100) == Grid(0, DAY_NS, 3_650)
    assert grid_over(T0, T0 + 10**9, 1_000, least_step=60 * 10**9).step == 60 * 10**9


@SLOW
@given(st.lists(st.tuples(gaps, positive, positive), min_size=1, max_size=60), st.integers(2, 40))
def test_candles_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, Decimal, Decimal]], points: int
) -> None:
    times = moments([step for step, _, _ in rows])
    grid = grid_over(times[0], times[-1] + 1, points)
    expected: dict[int, list[Any]] = {}
    for time, (_, price, size) in zip(times, rows, strict=True):
        one = expected.setdefault((time - grid.t0) // grid.step, [price, price, price, price, 0, 0])
        one[1], one[2], one[3] = max(one[1], price), min(one[2], price), price
        one[4], one[5] = one[4] + size, one[5] + 1
    candles = Candles(grid)
    columns = {
        "ts_init": pa.array(times).cast(TIME),
        "price": decimals([price for _, price, _ in rows]),
        "size": decimals([size for _, _, size in rows]),
    }
    file = written(tmp_path_factory.mktemp("c"), columns)
    for found, batch in scan(file, "ts_init", ("price", "size"), grid.t0, grid.end):
        candles.update(found, [batch["price"]], batch["size"])
    shown = candles.columns()
    assert shown.pop("i") == list(expected)
    for at, name in enumerate("ohlcv"):
        assert shown[name] == [float(one[at]) for one in expected.values()]
    assert shown["n"] == [one[5] for one in expected.values()]


@SLOW
@given(
    st.lists(st.tuples(gaps, amounts, amounts), min_size=1, max_size=60),
    st.integers(2, 40),
    st.integers(0, 59),
    st.integers(0, 59),
)
def test_no_extreme_of_a_curve_is_lost_and_peaks_before_the_window_count(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, Decimal, Decimal]],
    points: int,
    first: int,
    length: int,
) -> None:
    times = moments([step for step, _, _ in rows])
    first = min(first, len(rows) - 1)
    last = min(first + length, len(rows) - 1)
    grid = grid_over(times[first], times[last] + 1, points)
    expected: dict[int, list[Any]] = {}
    peak, before = Decimal("-Infinity"), None
    for time, (_, equity, position) in zip(times, rows, strict=True):
        peak = max(peak, equity)
        fall = (equity - peak) / peak if peak > 0 else None
        if time < grid.t0:
            before = (time, equity, fall, position)
        elif time < grid.end:
            one = expected.setdefault((time - grid.t0) // grid.step, [])
            one.append((equity, fall, position))
    columns = {
        "timestamp": pa.array(times).cast(TIME),
        "portfolio_value": decimals([equity for _, equity, _ in rows]),
        "position": decimals([position for _, _, position in rows]),
    }
    file = written(tmp_path_factory.mktemp("e"), columns)
    assert CurveFile(file).span() == (times[0], times[-1])
    shown = CurveBuckets(grid).read(CurveFile(file)).columns()
    assert shown["i"] == list(expected)
    for name, pick in {
        "first": lambda values: values[0],
        "min": min,
        "max": max,
        "last": lambda values: values[-1],
    }.items():
        found = [float(pick([equity for equity, _, _ in one])) for one in expected.values()]
        assert shown["equity"][name] == found
    falls = [[fall for _, fall, _ in one if fall is not None] for one in expected.values()]
    for shown_one, one in zip(shown["drawdown"]["min"], falls, strict=True):
        assert shown_one == (pytest.approx(float(min(one)), rel=1e-12, abs=1e-15) if one else None)
    assert shown["position"]["last"] == [float(one[-1][2]) for one in expected.values()]
    if before is None:
        assert shown["before"] is None
    else:
        assert shown["before"]["ts_ns"] == str(before[0])
        assert shown["before"]["equity"] == float(before[1])


@SLOW
@given(st.lists(st.tuples(gaps, st.booleans(), positive, positive), min_size=1, max_size=40))
def test_fills_by_side(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, bool, Decimal, Decimal]]
) -> None:
    times = moments([row[0] for row in rows])
    grid = grid_over(times[0], times[-1] + 1, 10)
    columns = {
        "timestamp": pa.array(times).cast(TIME),
        "side": pa.array(["buy" if row[1] else "sell" for row in rows]),
        "price": decimals([row[2] for row in rows]),
        "quantity": decimals([row[3] for row in rows]),
    }
    shown = Fills(grid).read(written(tmp_path_factory.mktemp("f"), columns), None).columns()
    for name, is_buy in (("buys", True), ("sells", False)):
        expected: dict[int, list[tuple[Decimal, Decimal]]] = {}
        for time, (_, buys, price, quantity) in zip(times, rows, strict=True):
            if buys == is_buy:
                expected.setdefault((time - grid.t0) // grid.step, []).append((price, quantity))
        assert shown[name]["i"] == list(expected)
        assert shown[name]["n"] == [len(one) for one in expected.values()]
        sums = [sum(quantity for _, quantity in one) for one in expected.values()]
        assert shown[name]["qty"] == [float(one) for one in sums]
        means = [
            float(sum(price * quantity for price, quantity in one) / total)
            for one, total in zip(expected.values(), sums, strict=True)
        ]
        assert shown[name]["vwap"] == pytest.approx(means, rel=1e-12)


@SLOW
@given(
    st.lists(
        st.tuples(
            gaps | st.integers(0, 10**14),
            st.booleans(),
            st.booleans(),
            positive,
            st.none() | amounts,
        ),
        min_size=1,
        max_size=60,
    ),
    st.integers(2, 200),
    st.integers(0, 59),
    st.integers(0, 59),
)
def test_coarser_buckets_are_those_that_are_read_from_the_rows(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, bool, bool, Decimal, Decimal | None]],
    points: int,
    one: int,
    other: int,
) -> None:
    """Of all of the run, and of a part of it; a curve may have samples without a value."""
    times = moments([row[0] for row in rows])
    columns = {
        "timestamp": pa.array(times).cast(TIME),
        "side": pa.array(["buy" if row[1] else "sell" for row in rows]),
        "status": pa.array(["denied" if row[2] else "filled" for row in rows]),
        "price": decimals([row[3] for row in rows]),
        "quantity": decimals([row[3] for row in rows]),
        "portfolio_value": decimals([row[4] for row in rows]),
        "position": decimals([row[4] for row in rows]),
    }
    file = written(tmp_path_factory.mktemp("l"), columns)

    def read(grid: Grid) -> ChartBuckets:
        candles = Candles(grid)
        for found, batch in scan(file, "timestamp", ("price", "quantity"), grid.t0, grid.end):
            candles.update(found, [batch["price"]], batch["quantity"])
        fills, refusals = Fills(grid).read(file, None), Refusals(grid).read(file, None)
        return ChartBuckets(grid, candles, fills, refusals)

    level = level_of(times[0], times[-1] + 1, 0)
    assert level is not None
    assert level.t0 <= times[0] <= times[-1] < level.end
    fine, curve = read(level), CurveBuckets(level).read(CurveFile(file))
    first, last = sorted((times[min(one, len(times) - 1)], times[min(other, len(times) - 1)]))
    for window in ((times[0], times[-1] + 1), (first, last + 1)):
        grid = grid_over(*window, points)
        if grid.step % level.step:
            assert not serves(level, grid)
            continue
        found, expected = fine.coarser(grid).columns(), read(grid).columns()
        for side in ("buys", "sells"):
            # A sum of floats, in another order.
            means = expected[side].pop("vwap")
            assert found[side].pop("vwap") == pytest.approx(means, rel=1e-12)
        assert found == expected
        assert curve.coarser(grid).columns() == CurveBuckets(grid).read(CurveFile(file)).columns()


def test_fine_buckets_serve_for_large_windows_of_steps_that_they_divide() -> None:
    level = level_of(T0, T0 + DAY_NS, 0)
    assert level == Grid(T0 // 5_000_000_000 * 5_000_000_000, 5_000_000_000, 17_280)
    assert serves(level, grid_over(T0, T0 + DAY_NS, 1_440))
    assert serves(level, grid_over(T0 - DAY_NS, T0 + DAY_NS, 1_440))
    assert not serves(level, grid_over(T0, T0 + DAY_NS // 3, 500))
    assert not serves(level, grid_over(T0, T0 + DAY_NS, 100_000))
    assert level_of(0, 90_000 * DAY_NS, 0) is None
    for least in (60 * 10**9, DAY_NS):
        coarse = level_of(T0, T0 + 300 * DAY_NS, least)
        assert coarse is not None
        assert coarse.step >= least
        assert all(step % coarse.step == 0 for step in LADDER if step >= coarse.step)


def test_numbers_wider_than_64_bits_are_exact() -> None:
    texts = ["123456789012345678901.1234567890123456", "-0.0000000000000001", "0.1", None]
    column = pa.array([None if text is None else Decimal(text) for text in texts], DECIMAL)
    found = nearest_floats(column)
    assert found[:3].tolist() == [float(text) for text in texts[:3] if text is not None]
    assert np.isnan(found[3])
    sums = Sums(2)
    sums.update(
        Groups.of(np.array([0, 0, 1])),
        pa.array([Decimal("0.1"), Decimal("0.2"), Decimal(5)], DECIMAL),
    )
    assert sums.floats().tolist() == [0.3, 5.0]
    for _ in range(3):
        sums.update(
            Groups.of(np.array([1])), pa.array([Decimal("99999999999999999999.5")], DECIMAL)
        )
    sums.update(Groups.of(np.array([0, 1])), pa.array([Decimal("1e-16"), Decimal("0.25")], DECIMAL))
    assert sums.floats().tolist() == [
        float(Decimal("0.3000000000000001")),
        float(Decimal("300000000000000000003.75")),
    ]


ROWS = st.lists(
    st.tuples(gaps, st.sampled_from(["buy", "sell", None]), st.none() | amounts, st.integers(0, 3)),
    max_size=50,
)


@SLOW
@given(ROWS, st.booleans(), st.booleans(), st.sampled_from(["side:BUY", "side!=buy", "side:null"]))
def test_chosen_rows_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    down: bool,
    first: bool,
    condition: str,
) -> None:
    times = moments([row[0] for row in rows]) if rows else []
    columns = {
        "timestamp": pa.array(times, pa.int64()).cast(TIME),
        "id": pa.array([f"O-{number}" for number in range(len(rows))], pa.string()),
        "side": pa.array([row[1] for row in rows], pa.string()),
        "net_pnl": decimals([row[2] for row in rows]),
        "fills": pa.array([row[3] for row in rows], pa.int64()),
    }
    table = StoredTable(written(tmp_path_factory.mktemp("o"), columns))
    holds = {
        "side:BUY": lambda side: side == "buy",
        "side!=buy": lambda side: side != "buy",
        "side:null": lambda side: side is None,
    }[condition]
    expected = [
        at
        for at, (_, side, pnl, _) in enumerate(rows)
        if holds(side) and pnl is not None and pnl < Decimal("1.5")
    ]
    where = parse_conditions(f"{condition}, net_pnl < 1.5")
    assert choose(table, where, ()).rows.tolist() == expected
    key = (lambda at: (rows[at][3], 0)) if first else (lambda at: (rows[at][2], 0))
    ordered = sorted(expected, key=key, reverse=down)
    if down:
        # Equal ones stay in the order of the table.
        ordered = sorted(expected, key=lambda at: -key(at)[0])
    sort = parse_sort(("-" if down else "") + ("fills" if first else "net_pnl"))
    chosen = choose(table, where, sort).rows
    assert chosen.tolist() == ordered
    found = ChosenTable(table.file, chosen=choose(table, where, sort), name=(where, sort))
    assert found.count() == len(ordered)
    page = pa.Table.from_batches(list(found.arrow(1, 3)))
    assert page["id"].to_pylist() == [f"O-{at}" for at in ordered[1:4]]
    assert b"".join(found.lines(1, 3)).count(b"\n") == len(ordered[1:4])
    for place, at in enumerate(ordered):
        assert index_of_id(table, "id", f"O-{at}", chosen) == place
    assert index_of_id(table, "id", "O-none", chosen) is None
    if ordered:
        middle = times[ordered[len(ordered) // 2]]
        place = index_of_time(table, "timestamp", middle, chosen)
        assert place is not None
        assert times[ordered[place]] == middle
        late = index_of_time(table, "timestamp", 2**62, chosen)
        assert late is not None
        assert times[ordered[late]] == max(times[at] for at in ordered)


@SLOW
@given(
    st.lists(st.tuples(st.integers(-20, 20), st.sampled_from("abcéK")), min_size=1, max_size=60),
    st.integers(-25, 25),
    st.integers(1, 9),
    st.booleans(),
)
def test_rows_are_found_in_a_file_as_in_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, str]],
    wanted: int,
    group: int,
    in_order: bool,
) -> None:
    rows = sorted(rows) if in_order else rows
    times = [T0 + time for time, _ in rows]
    columns = {
        "timestamp": pa.array(times, pa.int64()).cast(TIME),
        "id": pa.array([text for _, text in rows]),
    }
    table = StoredTable(written(tmp_path_factory.mktemp("f"), columns, group))
    everything = choose(table, (), ()).rows
    later = [time for time in times if time >= T0 + wanted]
    expected = times.index(min(later) if later else max(times))
    assert index_of_time(table, "timestamp", T0 + wanted, everything) == expected
    for text in "abcéKx":
        place = next((at for at, row in enumerate(rows) if row[1] == text), None)
        assert index_of_id(table, "id", text, everything) == place


@SLOW
@given(
    st.lists(st.none() | st.text("abAB-\0éK\N{KELVIN SIGN}", max_size=6), max_size=40),
    st.text("abAB-\0k", min_size=1, max_size=3) | st.sampled_from(["é", "K", "\N{KELVIN SIGN}"]),
    st.booleans(),
)
def test_texts_that_contain_a_part_are_those_of_a_plain_loop(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str | None], part: str, ascii_only: bool
) -> None:
    if ascii_only:
        texts = [
            None if text is None else text.encode("ascii", "ignore").decode() for text in texts
        ]
    columns = {"id": pa.array([*texts, None], pa.string())}
    table = StoredTable(written(tmp_path_factory.mktemp("t"), columns, 7))

    expected = [
        at for at, text in enumerate(texts) if text is not None and part.lower() in text.lower()
    ]
    assert choose(table, (Condition("id", "~", part),), ()).rows.tolist() == expected


@SLOW
@given(
    st.lists(
        st.tuples(st.none() | amounts, st.none() | st.integers(-3, 3), st.sampled_from("abc")),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from(["amount", "-amount", "small,-amount", "-small", "text,-small", "-text"]),
    st.integers(1, 90),
)
def test_the_begin_of_an_order_is_that_of_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], sort: str, first: int
) -> None:
    columns = {
        "amount": decimals([row[0] for row in rows]),
        "small": pa.array([row[1] for row in rows], pa.int64()),
        "text": pa.array([row[2] for row in rows]),
    }
    table = StoredTable(written(tmp_path_factory.mktemp("b"), columns, 9))
    order = parse_sort(sort)

    def key(at: int) -> list[Any]:
        found: list[Any] = []
        for one in order:
            value = rows[at][["amount", "small", "text"].index(one.column)]
            number = value if not isinstance(value, str) else ord(value)
            sign = -1 if one.descending else 1
            found += [value is None, 0 if number is None else sign * number]
        return found

    expected = sorted(range(len(rows)), key=key)
    found = choose(table, (), order, first)
    assert found.total == len(rows)
    assert len(found.rows) >= min(first, len(rows))
    assert found.rows.tolist() == expected[: len(found.rows)]
    assert choose(table, (), order).rows.tolist() == expected


def test_rows_are_never_taken_from_another_file_than_they_were_chosen_from(tmp_path: Path) -> None:
    columns = {
        "timestamp": pa.array(T0 + np.arange(100)).cast(TIME),
        "number": pa.array(np.arange(100)),
        "nothing": pa.nulls(100, pa.string()),
    }
    file = written(tmp_path, columns)
    sort = parse_sort("-number")
    table = ChosenTable(file, chosen=choose(StoredTable(file), (), sort), name="-number")
    (page,) = table.arrow(0, 3)
    assert page.to_pydict() == {
        "timestamp": page["timestamp"].to_pylist(),
        "number": [99, 98, 97],
        "nothing": [None] * 3,
    }
    columns["number"] = pa.array(np.arange(100)[::-1].copy())
    (tmp_path / "new").mkdir()
    written(tmp_path / "new", columns).path.replace(file.path)
    with pytest.raises(ResultError, match="another file has just taken its place; try again"):
        list(table.arrow(50, 60))
    again = ChosenTable(file, chosen=choose(StoredTable(file), (), sort), name="-number")
    (page,) = again.arrow(0, 3)
    assert page["number"].to_pylist() == [99, 98, 97]
    assert page["timestamp"].cast(pa.int64()).to_pylist() == [T0, T0 + 1, T0 + 2]


def test_what_cannot_be_compared_is_named(tmp_path: Path) -> None:
    columns = {
        "timestamp": pa.array([T0]).cast(TIME),
        "side": pa.array(["buy"]),
        "price": decimals([Decimal("1.5")]),
    }
    table = StoredTable(written(tmp_path, columns))
    for text, part in {
        "nonsense": "'nonsense'",
        "sid:buy": "timestamp, side, price",
        "price:abc": "price cannot be compared with 'abc'",
        "price:1.00000000000000001": "price cannot",
        "price~1": "price is no text",
        "side<buy": "side has no order",
        "timestamp>noon": "timestamp cannot",
    }.items():
        with pytest.raises(InvalidRequestError, match=part):
            choose(table, parse_conditions(text), ())
    with pytest.raises(InvalidRequestError, match="no column 'nothing'"):
        choose(table, (), parse_sort("-nothing"))
    for text in (str(T0), "2023-12-31T23:59:55Z", "2024-01-01T00:59:55.000000000+01:00"):
        assert time_ns(text) == T0
        assert choose(table, parse_conditions(f"timestamp:{text}"), ()).rows.tolist() == [0]
    assert time_ns("2023-12-31T23:59:55.000000007Z") == T0 + 7


def test_an_order_by_several_columns_has_texts_nulls_and_wide_numbers(tmp_path: Path) -> None:
    """Texts of few values are read as dictionaries, of a group of rows each its own."""
    draws = np.random.default_rng(3)
    count = 3_000
    sides = [("sell", None, "buy")[n] for n in draws.integers(0, 3, count)]
    sides[:1_000] = ["sell"] * 1_000
    fees = [None if n == 7 else Decimal(int(n)) / 8 for n in draws.integers(0, 9, count)]
    wide = [Decimal(int(n)).scaleb(21) for n in draws.integers(-4, 5, count)]
    columns = {
        "timestamp": pa.array(T0 + np.arange(count)).cast(TIME),
        "side": pa.array(sides, pa.string()),
        "fee": decimals(fees),
        "wide": decimals(wide),
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=1_000)
    file = OnDisk(path)
    plain = pa.table(columns)
    for sort, keys in {
        "side,-fee": [("side", "ascending"), ("fee", "descending")],
        "-side,fee,-timestamp": [
            ("side", "descending"),
            ("fee", "ascending"),
            ("timestamp", "descending"),
        ],
        "-wide,side": [("wide", "descending"), ("side", "ascending")],
    }.items():
        found = choose(StoredTable(file), (), parse_sort(sort))
        assert found.rows.tolist() == pc.sort_indices(plain, sort_keys=keys).to_pylist()
        page = ChosenTable(file, chosen=found, name=sort)
        for first, count in ((7, 9), (16, 9), (0, 2_500), (2_990, 99), (7, 9)):
            shown = pa.Table.from_batches(list(page.arrow(first, count)))
            assert shown.equals(plain.take(found.rows[first : first + count]))


def test_a_window_beside_another_has_the_same_rows_as_a_plain_loop(tmp_path: Path) -> None:
    """Blocks are kept: windows in one, over their edges and over those of groups of rows."""
    count = 40_000
    columns = {
        "timestamp": pa.array(T0 + np.arange(count) // 3 * 5).cast(TIME),
        "side": pa.array([("buy", "sell")[n % 2] for n in range(count)]),
        "number": pa.array(np.arange(count)),
    }
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=17_000)
    times = (T0 + np.arange(count) // 3 * 5).tolist()
    for first, last in ((0, 9), (100, 900), (8_190, 8_200), (16_990, 17_010), (200, 30_000)):
        for _ in range(2):
            start, end = times[first], times[last] + 1
            rows = list(scan(OnDisk(path), "timestamp", ("side", "number"), start, end))
            expected = [n for n in range(count) if start <= times[n] < end]
            assert [n for _, batch in rows for n in batch["number"].to_pylist()] == expected
            assert [t for found, _ in rows for t in found.tolist()] == [times[n] for n in expected]
            sides = [side for _, batch in rows for side in batch["side"].to_pylist()]
            assert sides == [("buy", "sell")[n % 2] for n in expected]
    # Another file in its place is another one.
    columns["number"] = pa.array(np.arange(count) + 1)
    pq.write_table(pa.table(columns), tmp_path / "u.parquet", row_group_size=17_000)
    (tmp_path / "u.parquet").replace(path)
    rows = list(scan(OnDisk(path), "timestamp", ("side", "number"), times[0], times[3]))
    assert [n for _, batch in rows for n in batch["number"].to_pylist()] == [1, 2, 3]
