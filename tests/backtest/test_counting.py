"""Compiled counting against the exact ledger: every figure equal, whatever the fills are."""

import random
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from odum_assets.backtest import counting
from odum_assets.backtest.columns import Dues, FillColumns
from odum_assets.backtest.counting import Counted, FillCounter, SharedCounts, load_kernel
from odum_assets.backtest.ledger import AccountRules
from odum_assets.catalog.fixed_point import units_array

D = Decimal
_rules = partial(AccountRules, is_inverse=False, is_cash=False, price_precision=2, size_precision=3)
RULES = {
    "linear": _rules(D(1), currency_precision=8),
    "contracts": _rules(D("0.01"), currency_precision=8, size_precision=0),
    "odd multiplier": _rules(D("0.3"), currency_precision=2),
    "cents": _rules(D(1), currency_precision=2),
    "spot, cash": _rules(D(1), is_cash=True, currency_precision=8, size_precision=8),
    "cash, cents": _rules(D(1), is_cash=True, currency_precision=2, size_precision=5),
    "inverse": _rules(D(1), is_inverse=True, currency_precision=8, size_precision=0),
    "inverse, x100": _rules(D(100), is_inverse=True, currency_precision=8, price_precision=1),
    "whole prices": _rules(D(1), currency_precision=0, price_precision=0, size_precision=0),
}
NAMES = ["A", "B", "C"]

Fill = tuple[int, int, int, int]
"""Position, signed quantity, price, commission; units of the last decimals."""
Due = tuple[int, int, bool]


@pytest.fixture(scope="module")
def kernel() -> ModuleType:
    found = load_kernel()
    assert found is not None
    return found


def columns(fills: list[Fill]) -> FillColumns:
    rows = [[row[index] for row in fills] for index in range(4)]
    position = np.array(rows[0], np.int64)
    return FillColumns(
        np.arange(len(fills), dtype=np.int64), NAMES, position, *map(units_array, rows[1:])
    )


def dues_of(dues: list[Due], count: int) -> Dues:
    rows = sorted((min(after, count), amount, is_sample) for after, amount, is_sample in dues)
    after, amounts, samples = zip(*rows, strict=True) if rows else ((), (), ())
    return Dues(np.array(after, np.int64), units_array(amounts), np.array(samples, np.bool_))


def _parts(fills: list[Fill], dues: list[Due], batch: int) -> list[tuple[FillColumns, Dues]]:
    """Cut fills and what is due between them into batches, the last one without fills."""
    parts = []
    for start in [*range(0, len(fills), batch), len(fills)]:
        own = fills[start : start + batch]
        inside = [
            (after - start, amount, is_sample)
            for after, amount, is_sample in dues
            if start <= after < start + batch or (not own and after >= start)
        ]
        parts.append((columns(own), dues_of(inside, len(own))))
    return parts


def _seen(counter: FillCounter, parts: list[Counted]) -> dict[str, Any]:
    """Return every figure of an account, floats included."""
    ledger = counter.ledger
    return {
        "rows": [[*map(int, column)] for each in parts for column in each.rows],
        "samples": [
            (each.units(), each._signed_cost(), each.entry(), each.unrealized(D(7)))
            for part in parts
            for each in part.samples
        ],
        "trips": counter.closed().to_pylist(),
        "results": counter.results().tolist(),
        "open": [*ledger.open_positions()],
        "state": {name: vars_of(each) for name, each in ledger._positions.items()},
        "left out": (ledger.left_out, ledger.value_left_out),
        "engine": ledger.engine_account,
        "totals": (ledger.units(), ledger.commissions, ledger.funding, ledger.open_cost),
    }


def vars_of(position: Any) -> dict[str, Any]:
    found = {name: getattr(position, name) for name in position.__slots__}
    binary = found.pop("binary")
    return found | {"binary": (binary.average, binary.error, binary.drift)}


def assert_equal(
    kernel: ModuleType,
    rules: AccountRules,
    fills: list[Fill],
    dues: list[Due],
    batch: int,
) -> FillCounter:
    parts = _parts(fills, dues, batch)
    found = []
    for module in (None, kernel):
        counter = FillCounter(rules, D(1000), module)
        found.append(_seen(counter, [counter.count(*part) for part in parts]))
    exact, compiled = found
    assert compiled == exact
    if not any(fill[0] for fill in fills):
        shared = SharedCounts(kernel, rules)
        others = _parts([(*fill[:3], index) for index, fill in enumerate(fills)], dues, batch)
        for each in (others, parts, others, parts):
            beside = FillCounter(rules, D(1000), kernel, shared)
            seen = _seen(beside, [beside.count(*part) for part in each])
            if each is parts:
                assert seen == exact
    return counter


_SIZES = st.one_of(st.integers(1, 30), st.integers(1, 10**7), st.integers(1, 2**52))
_PRICES = st.one_of(
    st.integers(1, 10), st.integers(640_000, 640_100), st.integers(1, 10**9), st.integers(1, 2**52)
)
_FEES = st.one_of(st.integers(-5, 5), st.integers(-(10**12), 10**12))
_FILLS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.tuples(_SIZES, st.sampled_from([1, -1])).map(lambda both: both[0] * both[1]),
        _PRICES,
        _FEES,
    ),
    max_size=60,
)
_DUES = st.lists(st.tuples(st.integers(0, 60), st.integers(-100, 100), st.booleans()), max_size=8)


def _is_in_tables(rules: AccountRules, fills: list[Fill]) -> bool:
    """Return whether amounts fit the tables' decimals: a thousand million times Nautilus' money."""
    quantity = sum(abs(fill[1]) for fill in fills)
    price = 0 if rules.is_inverse else max((fill[2] for fill in fills), default=0)
    amount = D(quantity) * price * rules.multiplier
    return amount.scaleb(-rules.price_precision - rules.size_precision) < D(10) ** 22


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=150, deadline=None)
@given(fills=_FILLS, dues=_DUES, batch=st.integers(1, 40), single=st.booleans())
def test_compiled_counting_gives_every_figure_of_the_exact_ledger(
    kernel: ModuleType,
    name: str,
    fills: list[Fill],
    dues: list[Due],
    batch: int,
    single: bool,
) -> None:
    if single:
        fills = [(0, *fill[1:]) for fill in fills]
    assume(_is_in_tables(RULES[name], fills))
    assert_equal(kernel, RULES[name], fills, dues, batch)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("style", ["walk", "many positions", "coarse"])
def test_many_fills_are_counted_by_compiled_code_alone(
    kernel: ModuleType, name: str, style: str
) -> None:
    rng = random.Random(f"{name} {style}")  # noqa: S311 - not a secret
    fills: list[Fill] = []
    for _ in range(3_000):
        size = rng.choice([1, 2, 5]) if style == "coarse" else rng.randrange(1, 40_000)
        price = rng.choice([64, 128, 65]) if style == "coarse" else rng.randrange(600_000, 640_000)
        position = rng.randrange(3) if style == "many positions" else 0
        fills.append((position, rng.choice([-1, 1]) * size, price, rng.randrange(-50, 500)))
    dues = [(rng.randrange(3_000), rng.randrange(-9, 9), rng.random() < 0.8) for _ in range(300)]
    counter = assert_equal(kernel, RULES[name], fills, sorted(dues), 700)
    assert counter._compiled is not None
    assert len(counter.results()) > 5


@pytest.mark.parametrize(
    "large",
    [
        (0, 2**53, 100, 0),
        (0, 5, 2**53, 0),
        (0, 5, 100, 2**53),
        (1, 5, 100, 2**70),
        (1, 2**52, 2**52, 0),
        (0, 5, 0, 0),
    ],
    ids=["size", "price", "commission", "beyond 64 bits", "value", "price of zero"],
)
@pytest.mark.parametrize("name", ["linear", "inverse", "spot, cash"])
def test_the_exact_ledger_takes_over_where_64_bits_do_not_suffice(
    kernel: ModuleType, name: str, large: Fill
) -> None:
    rules = RULES[name]
    if rules.is_inverse and (large[2] == 0 or large[1] == large[2]):
        return  # Not possible, or small.
    before: list[Fill] = [(0, 7, 101, 3), (1, -3, 99, 1), (0, -2, 105, 2), (1, 9, 98, 1)]
    closing = (large[0], -large[1], large[2] + 1, large[3])
    after: list[Fill] = [large, closing, (0, -9, 103, 1), (2, 5, 100, 0)]
    dues: list[Due] = [(3, 5, True), (5, -2, True), (6, 0, True)]
    first = FillCounter(rules, D(1000), kernel)
    first.count(columns(before))
    assert first._compiled is not None
    counter = assert_equal(kernel, rules, [*before, *after], dues, len(before))
    assert counter._compiled is None


def test_compiled_code_is_not_loaded_for_few_fills_or_without_numba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "fill_events.arrow"
    counting.load_kernel_here.cache_clear()
    monkeypatch.setattr(counting, "load_kernel", lambda _timeout: counting)
    events.write_bytes(bytes(40 * (counting.WORTH_LOADING - 1)))
    assert counting.kernel_for(events) is None
    events.write_bytes(bytes(40 * counting.WORTH_LOADING))
    assert counting.kernel_for(events) is counting
    with monkeypatch.context() as patch:
        patch.setattr(counting, "find_spec", lambda _name: None)
        assert counting.load_kernel_here() is None
    # What is there already is used for any number.
    counting.load_kernel_here.cache_clear()
    found = counting.load_kernel_here()
    events.write_bytes(b"")
    assert found is not None
    assert counting.kernel_for(events) is found
