"""Rules of the kernel changed in turn: its witness must notice."""

import types
from pathlib import Path

import pytest
from hostiledays import TICKER, ask_kernel, verdicts, write_hostile_day
from tinydays import INVERSE, NOON, BookRow, Market, TradeRow, variant

from odum_assets.backtest import kernel_funding, kernel_latency, kernel_match
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.witness import DIFFERS, EQUAL, Verdict
from odum_assets.vectorized.ticks import kernel, run

MUTATIONS = (
    ("state[_ASK] <= price", "state[_ASK] < price"),
    ("state[_BID] >= price", "state[_BID] > price"),
    ("ladder[0, stop - 1] + side", "ladder[0, stop - 1]"),
    ("min(before, state[_TRADE_SIZE])", "before"),
    ("paid = price if liquidity == MAKER else ladder[0, level]", "paid = ladder[0, level]"),
    ("if lifetime == FOK and before > total:", "if False:"),
    ("if lifetime == FOK and size > total:", "if False:"),
    ("if lifetime == IOC and left > 0:", "if False:"),
    ("if market.times[1, row] >= state[_TOP_TS]:", "if True:"),
    ("if trades[_EVENT_TS, row] < state[_TOP_TS]:", "if False:"),
    ("if state[_SENT] > sent:", "if False:"),
    ("    _match_resting(market, state, market.times[0, row], False)", "    pass"),
    ("books[0, state[_BOOK]] < ts", "books[0, state[_BOOK]] <= ts"),
    ("if heap[one, 0] != heap[other, 0]:", "if False:"),
    ("_add_end(market, state, heap[index, 1], ts, CANCELED)", "pass"),
    ("state[_BEYOND] += side * offered", "pass"),
)


FUNDING_MUTATIONS = (
    ("middle & odd", "0"),
    ("amounts[due] = rate", "amounts.setdefault(due, rate)"),
    ("if ts <= due:", "if ts < due:"),
    ("sum(-round(", "sum(round("),
    ("round(terms.notional(price, held))", "terms.notional(price, held)"),
    ("for ts in sorted(amounts) if", "for ts in sorted(amounts)[1:] if"),
)

LATENCY_MUTATIONS = (
    ("sending[0, state[_ARRIVED]] <= ts", "sending[0, state[_ARRIVED]] < ts", kernel),
    ("if state[_ARRIVED] > first:", "if False:", kernel),
    ("        if state[_ARRIVED] < state[_UNDERWAY]:", "        if kind < 3:", kernel),
    ("ts + market.rules[_LATENCY]", "ts + market.rules[_LATENCY] + 1", kernel),
    ("in timer_steps_ns(first, last)", "in ()", kernel_latency),
    ("times[inside], ", "", kernel_latency),
)


CLOSING_MUTATIONS = (
    ("if step + 1 == steps.shape[1] or steps[0, step + 1] != ts:", "if False:", kernel),
    ("    state[_OPEN] = waiting\n", "", kernel),
    (
        "size, waiting = min(listed[3, row], state[_REDUCED])",
        "size, waiting = listed[3, row]",
        kernel,
    ),
    ("(state[_POSITION] + state[_BEYOND])", "state[_POSITION]", kernel),
    (
        "close_at + latency.cancel_ns, close_at + latency.insert_ns",
        "close_at, close_at",
        kernel_latency,
    ),
    ('np.argsort(arrival, kind="stable")', "np.arange(len(arrival))", kernel_latency),
    ("np.maximum(arrival, close_at)", "np.maximum(arrival, close_at) + 1", kernel_latency),
)


def _mutated(old: str, new: str, real: types.ModuleType = kernel) -> types.ModuleType:
    """Return the kernel, or what is beside it, as plain Python with one text replaced."""
    source = Path(str(real.__file__)).read_text(encoding="utf-8")
    assert old in source, old
    source = source.replace("from numba import njit", "njit = lambda **_: lambda found: found")
    module = types.ModuleType("mutated_kernel")
    exec(compile(source.replace(old, new), old, "exec"), module.__dict__)  # noqa: S102 - our own
    return module


def test_rule_9_matters(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one that the book fills better, an order of its price is filled by the trade."""
    orders = [{"side": "buy", "price": 64000.0, "amount": 5}] * 2
    config = variant(
        strategy={"submission_mode": "seed_orders", "orders": orders, "time_in_force": "GTC"}
    )
    bid, far, near = [("63990.0", "1")], [("64010.0", "1")], [("63999.0", "1")]
    market.books([(NOON, bid, far), (NOON + 2, bid, near)])
    market.trades([(NOON + 1, None, "64005.0", "1"), (NOON + 3, "buy", "63999.0", "0.4")])
    mutant = _mutated("_give_way(market, state, stop, side, price)\n    left", "pass\n    left")
    plain = _mutated("import", "import")

    def judge(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
        monkeypatch.setattr(run, "kernel", mutant)
        assert ask_kernel(plan, outcome).verdict == DIFFERS
        monkeypatch.setattr(run, "kernel", plain)
        return ask_kernel(plan, outcome)

    options = {"snapshot_mode": "both", "close_positions": False}
    ((_, verdict),) = verdicts(market, tmp_path / "work", [config], judge, **options)
    assert verdict.verdict == EQUAL


def test_each_rule_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = {old for old, _ in MUTATIONS}
    plain = _mutated("import", "import")

    def judge(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
        for old, new in MUTATIONS:
            if old in missed:
                monkeypatch.setattr(run, "kernel", _mutated(old, new))
                if ask_kernel(plan, outcome).verdict != EQUAL:
                    missed.discard(old)
        monkeypatch.setattr(run, "kernel", plain)
        return ask_kernel(plan, outcome)

    kinds = [("LIMIT", lifetime) for lifetime in ("IOC", "FOK", "GTC")]
    kinds += [("MARKET", "FOK"), ("MARKET", "GTC")]
    configs = [
        variant(
            strategy={"order_type": order, "time_in_force": lifetime},
            venue={"book_type": book, "starting_balance": 1e12},
        )
        for order, lifetime in kinds
        for book in ("L1_MBP", "L2_MBP")
    ]
    for seed, mode in enumerate(("both", "book", *["both"] * 10), 106):
        if not missed:
            break
        own = Market(tmp_path / str(seed))
        write_hostile_day(own, variant(), seed)
        closes = seed % 2 == 1
        options = {"snapshot_mode": mode, "close_positions": closes}
        found = verdicts(own, tmp_path / "work", configs, judge, **options)
        assert {verdict.verdict for _, verdict in found} == {EQUAL}
    assert missed == set()


def test_each_rule_of_closing_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = {old for old, _, _ in CLOSING_MUTATIONS}
    monkeypatch.setattr(run, "kernel", _mutated("import", "import"))

    def judge(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
        for old, new, real in CLOSING_MUTATIONS:
            if old in missed:
                mutant = _mutated(old, new, real)
                with monkeypatch.context() as patch:
                    if real is kernel:
                        patch.setattr(run, "kernel", mutant)
                    else:
                        patch.setattr(kernel_match, "closing_steps", mutant.closing_steps)
                    if ask_kernel(plan, outcome).verdict == DIFFERS:
                        missed.discard(old)
        return ask_kernel(plan, outcome)

    # A cancel before and after the closing order, with orders on their way and without.
    late = ((40.0, 1.0), (7.3, 0.0), (0.05, 5.0), (0.0, 5.0))
    configs = [
        variant(
            strategy={"order_type": order, "time_in_force": "GTC"},
            venue={"starting_balance": 1e12},
            execution={"latency": {"insert_ms": insert, "cancel_ms": cancel}},
        )
        for order in ("LIMIT", "MARKET")
        for insert, cancel in late
    ]
    for seed in range(1_000, 1_020):
        if not missed:
            break
        own = Market(tmp_path / str(seed))
        write_hostile_day(own, variant(), seed)
        found = verdicts(own, tmp_path / "work", configs, judge, snapshot_mode="book")
        # Not covered are closing orders that the venue rejects.
        assert DIFFERS not in {verdict.verdict for _, verdict in found}
    assert missed == set()


def test_each_rule_of_funding_matters(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = {old for old, _ in FUNDING_MUTATIONS}

    def judge(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
        for old, new in FUNDING_MUTATIONS:
            mutant = _mutated(old, new, kernel_funding)
            with monkeypatch.context() as patch:
                for name in ("payment", "settlements"):
                    patch.setattr(kernel_match, name, getattr(mutant, name))
                if ask_kernel(plan, outcome).verdict != EQUAL:
                    missed.discard(old)
        return ask_kernel(plan, outcome)

    path = TICKER["derivative_ticker_path"].replace(
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "DERIBIT:PERPETUAL:BTC-USD@INV"
    )
    config = variant(
        INVERSE,
        strategy={"order_type": "MARKET"},
        data_catalog={"derivative_ticker_path": path},
    )
    market.trades([(NOON + 1, "buy", "9.4", "70"), (NOON + 9, None, "9.3", "1")], config)
    # Half of a tick goes to 9.4; two rates for the first time, one that arrives at the second.
    market.books([(NOON, [("9.3", "500")], [("9.4", "500")])], config)
    rates = [(NOON + 2, "0.5", NOON + 4), (NOON + 3, "40", NOON + 4), (NOON + 6, "-30", NOON + 6)]
    market.funding(rates, config)
    ((_, verdict),) = verdicts(market, tmp_path / "work", [config], judge, snapshot_mode="book")
    assert verdict.verdict == EQUAL
    assert missed == set()


def test_each_rule_of_latency_matters(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = {old for old, _, _ in LATENCY_MUTATIONS}
    plain = _mutated("import", "import")
    monkeypatch.setattr(run, "kernel", plain)

    def judge(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
        for old, new, real in LATENCY_MUTATIONS:
            mutant = _mutated(old, new, real)
            with monkeypatch.context() as patch:
                if real is kernel:
                    patch.setattr(run, "kernel", mutant)
                else:
                    patch.setattr(kernel_match, "wake_ups", mutant.wake_ups)
                if ask_kernel(plan, outcome).verdict != EQUAL:
                    missed.discard(old)
        return ask_kernel(plan, outcome)

    config = variant(
        strategy={"time_in_force": "GTC"},
        execution={"latency": {"insert_ms": 1000}},
        data_catalog=TICKER,
    )
    # They arrive with a book, with a rate, and with a timer; what rests then fills again.
    times = (1, 10, 30)
    trades: list[TradeRow] = [(NOON + each, "buy", "64000.2", "7") for each in times]
    market.trades([*trades, (NOON + 40_001, None, "64000.0", "1")], config)
    bid = [("64000.0", "1")]
    books: list[BookRow] = [
        (NOON + each, bid, [("64000.1", str(place + 3))])
        for place, each in enumerate((0, 2, 3, 12, 45, 90))
    ]
    market.books(books, config)
    market.funding([(NOON + 11, "0.0001", NOON + 20)], config)
    options = {"snapshot_mode": "book", "close_positions": False}
    ((_, verdict),) = verdicts(market, tmp_path / "work", [config], judge, **options)
    assert verdict.verdict == EQUAL
    assert missed == set()
