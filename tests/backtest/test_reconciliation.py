"""Accounts that must be accepted, whatever a strategy does, and wrong ones that never may be."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tinydays import (
    CONTRACTS,
    DAY,
    INVERSE,
    LINEAR,
    SPOT,
    Market,
    TradeRow,
    own_strategy,
    with_strategy,
)

from odum_assets.backtest import figures
from odum_assets.backtest.counting import load_kernel
from odum_assets.backtest.equity import LastPrices
from odum_assets.backtest.figures import Resources, RunFigures, compute_figures
from odum_assets.backtest.inputs import plan_of, run_inputs
from odum_assets.backtest.journal import FILL_EVENTS, read_event_table
from odum_assets.backtest.ledger import AccountRules, Fills, Ledger
from odum_assets.backtest.outcome import Funding, ReplayOutcome
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.reconciliation import reconcile
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.tables import read_fills
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.raw.layout import DataType
from odum_assets.results.store import ResultStore

D = Decimal
EIGHT = 8 * 3600
DOLLARS = "BINANCE:SPOT_PAIR:BTC-USD"
RAW = "raw_tick_data/by_date/day-*/data_type-{}/{}.parquet"
REFUSED = "the accounts do not reconcile"
NOT_MEASURED = Resources(0.0, 0.0, 0)


@dataclass(frozen=True)
class Kind:
    """A kind of account: what is traded on it, and which sections of a configuration change."""

    config: str
    style: str
    amount: str
    sections: dict[str, Any] = field(default_factory=dict)
    hedged: bool = False
    follow: bool = False
    close_positions: bool = True
    funding: bool = False

    def loaded(self, style: str | None = None, amount: str | None = None) -> LoadedConfig:
        """Return its configuration."""
        strategy = own_strategy(
            "trading_styles:Styled",
            style=style or self.style,
            amount=amount or self.amount,
            hedged=self.hedged,
            follow=self.follow,
        )
        return with_strategy(strategy, self.config, **self.sections)


def _tickers(key: str) -> dict[str, Any]:
    return {"data_catalog": {"derivative_ticker_path": RAW.format("derivative_ticker", key)}}


KINDS = {
    "linear": Kind(LINEAR, "pyramid", "0.037"),
    "linear, open": Kind(LINEAR, "inventory", "0.037", close_positions=False),
    "contracts": Kind(CONTRACTS, "flip", "7"),
    "inverse": Kind(INVERSE, "inventory", "37"),
    "inverse, open": Kind(INVERSE, "inventory", "370", close_positions=False),
    "spot": Kind(SPOT, "flip", "0.00371"),
    "spot, cents": Kind(
        SPOT,
        "inventory",
        "0.00371",
        {
            "instrument": {"id": DOLLARS},
            "venue": {"base_currency": "USD"},
            "data_catalog": {
                "trades_path": RAW.format("trades", DOLLARS),
                "book_snapshot_5_path": RAW.format("book_snapshot_5", DOLLARS),
            },
        },
    ),
    "cash": Kind(SPOT, "inventory", "0.00371", {"venue": {"account_type": "CASH"}}),
    "hedging": Kind(LINEAR, "pyramid", "0.037", {"venue": {"oms_type": "HEDGING"}}, hedged=True),
    "hedging, reversed": Kind(
        LINEAR, "flip", "0.037", {"venue": {"oms_type": "HEDGING"}}, follow=True
    ),
    "funding": Kind(
        LINEAR, "inventory", "0.5", _tickers("BINANCE-FUTURES:PERPETUAL:BTC-USDT"), funding=True
    ),
    "inverse, funding": Kind(
        INVERSE, "inventory", "500", _tickers("DERIBIT:PERPETUAL:BTC-USD@INV"), funding=True
    ),
}


def walk(count: int) -> list[TradeRow]:
    """Return trades whose price wanders in steps that repeat only after a thousand rows."""
    return [
        (EIGHT - 60 + index * 120 / count, "buy", f"{64000 + (37 * index % 1009) / 10:.1f}", "5")
        for index in range(count)
    ]


@dataclass
class Replayed:
    """A replay that was not counted yet."""

    plan: RunPlan
    prices: LastPrices
    outcome: ReplayOutcome
    rules: AccountRules

    def counted(self, work: Path, outcome: ReplayOutcome | None = None) -> RunFigures:
        """Count what a work folder holds."""
        plan = self.plan.model_copy(update={"work": work})
        return compute_figures(plan, self.prices, outcome or self.outcome)

    def fills(self) -> Fills:
        """Return what was recorded."""
        events = self.plan.work / "fill_events.arrow"
        parts = [fills.rows() for _, fills in read_fills(events, self.rules)]
        return Fills(
            *([each for part in column for each in part] for column in zip(*parts, strict=True))
        )

    def ledger(self, fills: Fills, funding: list[Funding] | None = None) -> Ledger:
        """Return an account of some fills; order of time does not matter to its end."""
        ledger = Ledger(self.rules, self.plan.config.venue.starting_balance)
        for each in self.outcome.funding if funding is None else funding:
            ledger.apply_funding(each.amount)
        ledger.apply_fills(fills)
        return ledger


@pytest.fixture(scope="module", params=KINDS)
def replayed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replayed]:
    kind = KINDS[request.param]
    config = kind.loaded()
    market = Market(tmp_path_factory.mktemp("kinds"))
    market.trades(walk(41), config)
    if kind.funding:
        market.funding([(EIGHT - 90, "0.0001", EIGHT), (EIGHT + 1, "0.0003", 2 * EIGHT)], config)
    wanted = RunRequest(
        config,
        (DAY,),
        DAY.isoformat(),
        snapshot_mode="trades",
        close_positions=kind.close_positions,
    )
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(Path(__file__).parent)
        # Compiled code counts here what `ledger` counts exactly.
        patch.setattr(figures, "kernel_for", lambda _: load_kernel())
        workspace = ResultStore(market.settings.results_path).workspace()
        data = stack.enter_context(run_inputs(wanted, market.settings, workspace))
        plan, _ = plan_of(data.request, data, data.work)
        outcome = run_plan(plan)
        rules = AccountRules(
            multiplier=config.config.multiplier,
            is_inverse=config.key.is_inverse,
            is_cash=config.config.venue.account_type == "CASH",
            price_precision=config.config.instrument.price_precision,
            size_precision=config.config.instrument.size_precision,
            currency_precision=outcome.currency_precision,
        )
        yield Replayed(plan, data.prices, outcome, rules)


@pytest.fixture
def copy(replayed: Replayed, tmp_path: Path) -> Path:
    """Return a copy of the replay's work folder."""
    return Path(shutil.copytree(replayed.plan.work, tmp_path / "work"))


Change = Callable[[pa.Table, int], pa.Table]


def _without(table: pa.Table, row: int) -> pa.Table:
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def _changed(table: pa.Table, name: str, row: int, value: Callable[[Any], Any]) -> pa.Table:
    values = table[name].to_pylist()
    values[row] = value(values[row])
    index = table.schema.get_field_index(name)
    return table.set_column(index, table.schema.field(name), pa.array(values, table[name].type))


def _twice_paid(table: pa.Table, row: int) -> pa.Table:
    return _changed(table, "commission", row, lambda paid: 2 * paid)


def _turned(table: pa.Table, row: int) -> pa.Table:
    return _changed(table, "side", row, {"buy": "sell", "sell": "buy"}.__getitem__)


CHANGES: dict[str, Change] = {
    "a fill dropped": _without,
    "a commission doubled": _twice_paid,
    "a sign turned": _turned,
}


def test_the_account_is_accepted_as_it_is(replayed: Replayed, copy: Path) -> None:
    found = replayed.counted(copy)
    assert found.fills > 40
    assert found.reconciliation.cash_flow_balance == found.account.final_balance
    # Nothing that these accounts do is more than the last decimal off.
    assert found.reconciliation.engine_tolerance <= 5 * D(1).scaleb(
        -replayed.outcome.currency_precision
    )
    rebuilt = replayed.ledger(replayed.fills())
    assert reconcile(rebuilt, replayed.outcome, copy / "fills.parquet")


def test_the_exact_ledger_gives_the_same_figures_and_tables(
    replayed: Replayed, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> tuple[RunFigures, list[bytes]]:
        found = replace(replayed.counted(copy), resources=NOT_MEASURED)
        return found, [path.read_bytes() for path in sorted(copy.glob("*.parquet"))]

    compiled = counted()
    assert len(compiled[1]) == 4
    monkeypatch.setattr(figures, "kernel_for", lambda _: None)
    assert repr(counted()) == repr(compiled)


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_differs_from_what_the_engine_did_is_refused(
    replayed: Replayed, copy: Path, change: str
) -> None:
    path = copy / "fill_events.arrow"
    table = read_event_table(path)
    assert table.num_rows > 40
    for row in (0, 1, table.num_rows // 2, table.num_rows - 1):
        with pa.ipc.new_file(str(path), FILL_EVENTS) as writer:
            writer.write_table(CHANGES[change](table, row))
        with pytest.raises(BacktestError, match=REFUSED):
            replayed.counted(copy)


@pytest.mark.parametrize("change", CHANGES)
def test_a_fills_table_that_differs_from_the_account_is_refused(
    replayed: Replayed, copy: Path, change: str
) -> None:
    replayed.counted(copy)
    path = copy / "fills.parquet"
    table = pq.read_table(path)
    ledger = replayed.ledger(replayed.fills())
    for row in range(table.num_rows):
        pq.write_table(CHANGES[change](table, row), path)
        with pytest.raises(BacktestError, match=REFUSED):
            reconcile(ledger, replayed.outcome, path)


@pytest.mark.parametrize("name", ["quantity", "commission", "realized_pnl", "price"])
def test_a_column_that_is_off_by_its_last_decimal_is_refused(
    replayed: Replayed, copy: Path, name: str
) -> None:
    replayed.counted(copy)
    path = copy / "fills.parquet"
    table = pq.read_table(path)
    ledger = replayed.ledger(replayed.fills())
    rules = replayed.rules
    unit = D(1).scaleb(-(rules.size_precision if name == "quantity" else rules.currency_precision))
    # The last decimal of a price can be worth less than that of the currency.
    off = (lambda value: value * 2) if name == "price" else (lambda value: value + unit)
    pq.write_table(_changed(table, name, 7, off), path)
    with pytest.raises(BacktestError, match=REFUSED):
        reconcile(ledger, replayed.outcome, path)


def _one(fills: Fills, row: int, change: str) -> Fills:
    columns = [list(column) for column in fills]
    if change == "a fill dropped":
        for column in columns:
            del column[row]
    elif change == "a commission doubled":
        columns[4][row] *= 2
    else:
        columns[2][row] *= -1
    return Fills(*columns)


@pytest.mark.parametrize("change", CHANGES)
def test_an_account_that_counts_other_fills_than_its_table_is_refused(
    replayed: Replayed, copy: Path, change: str
) -> None:
    replayed.counted(copy)
    fills = replayed.fills()
    for row in range(len(fills.ts)):
        wrong = replayed.ledger(_one(fills, row, change))
        # By our own books alone: NautilusTrader is made to agree.
        agreeing = replayed.outcome.model_copy(
            update={"engine_balance": wrong.engine_cash, "engine_quantity": wrong.quantity}
        )
        with pytest.raises(BacktestError, match=REFUSED):
            reconcile(wrong, agreeing, copy / "fills.parquet")


@pytest.mark.parametrize("replayed", ["funding", "inverse, funding"], indirect=True)
def test_a_funding_payment_that_is_missing_is_refused(replayed: Replayed, copy: Path) -> None:
    assert replayed.outcome.funding
    lost = replayed.outcome.model_copy(update={"funding": replayed.outcome.funding[1:]})
    with pytest.raises(BacktestError, match="NautilusTrader's account ends at"):
        replayed.counted(copy, lost)
    replayed.counted(copy)
    uncounted = replayed.ledger(replayed.fills(), funding=[])
    agreeing = replayed.outcome.model_copy(update={"engine_balance": uncounted.engine_cash})
    with pytest.raises(BacktestError, match="funding payments sum to"):
        reconcile(uncounted, agreeing, copy / "fills.parquet")


def test_a_rule_that_realizes_too_little_is_refused(
    replayed: Replayed, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed.counted(copy)
    gain = Ledger._gain
    monkeypatch.setattr(Ledger, "_gain", lambda *args: gain(*args) - 1)
    wrong = replayed.ledger(replayed.fills())
    agreeing = replayed.outcome.model_copy(update={"engine_balance": wrong.engine_cash})
    with pytest.raises(BacktestError, match="the cash flows of the fills give"):
        reconcile(wrong, agreeing, copy / "fills.parquet")


@pytest.mark.parametrize("replayed", ["hedging, reversed"], indirect=True)
def test_a_fill_that_reverses_a_hedged_position_belongs_to_two(
    replayed: Replayed, copy: Path
) -> None:
    replayed.counted(copy)
    rows = pq.read_table(copy / "fills.parquet").to_pylist()
    # The first buys 0.037; each next one sells or buys 0.074: half closes, half opens.
    assert [each["quantity"] for each in rows] == [D("0.037")] * len(rows)
    assert [each["order_id"] for each in rows[1::2]] == [
        each["order_id"] for each in rows[2::2]
    ] + [rows[-1]["order_id"]]
    names = [each["position_id"] for each in rows]
    assert names[0::2] == names[1::2]
    assert len(set(names)) == len(rows) / 2
    assert all(name.endswith("F") for name in names[2:])
    assert {abs(each["position_quantity"]) for each in rows[0::2]} == {D("0.037")}
    assert {each["position_quantity"] for each in rows[1::2]} == {D(0)}
    # Half of the commission each, and together what the venue took.
    for closing, opening in zip(rows[1:-1:2], rows[2::2], strict=True):
        paid = (D("0.074") * closing["price"] * D("0.0005")).quantize(D("1e-8"))
        assert closing["commission"] + opening["commission"] == paid
        assert abs(closing["commission"] - opening["commission"]) <= D("1e-8")


STYLES = ["accumulate", "pyramid", "flip", "hold", "inventory"]


@pytest.mark.parametrize("name", ["linear", "inverse", "spot", "spot, cents", "cash", "hedging"])
def test_no_style_of_trading_is_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = KINDS[name]
    monkeypatch.chdir(Path(__file__).parent)
    market.trades(walk(1_000), kind.loaded())
    for style in STYLES:
        if name == "cash" and style in ("pyramid", "flip"):
            continue  # It cannot sell what it does not hold.
        run = market.run(kind.loaded(style))
        assert run.summary["fills"] > (1_000 if style != "hold" else 1)


REAL = {
    "futures, accumulate": (Kind(LINEAR, "accumulate", "0.037"), (dt.date(2023, 4, 5),)),
    "futures, reversed": (
        Kind(LINEAR, "flip", "1000", {"venue": {"starting_balance": 10**10}}),
        (dt.date(2024, 7, 18), dt.date(2024, 7, 19)),
    ),
    "spot, cash": (
        Kind(SPOT, "inventory", "0.001", {"venue": {"account_type": "CASH"}}),
        (dt.date(2026, 2, 16),),
    ),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_no_style_of_trading_is_refused_on_real_days(
    market: Market, monkeypatch: pytest.MonkeyPatch, real_data: Path, name: str
) -> None:
    kind, days = REAL[name]
    market.settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    monkeypatch.chdir(Path(__file__).parent)
    for day in days:
        market.convert(kind.loaded(), DataType.TRADES, day)
    run = market.run(kind.loaded(), days)
    assert run.summary["fills"] > 10_000
