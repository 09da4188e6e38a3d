"""Results on real bars that others published, or that another engine gives, too."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from bar_replay import BarFeeModel, replayed
from nautilus_trader.model import Currency as Money
from nautilus_trader.model import CurrencyPair, InstrumentId, Price, Quantity, Symbol
from real_bars import EVERY_DATE, US_EQUITY, btcusd_daily, in_sessions, ns, orcl_2001, spy_2011

from odum_assets.backtest.bar_broker import BarStrategyHost
from odum_assets.backtest.strategies.ma_cross import CrossoverParams, MovingAverageCrossover
from odum_assets.bars.broker import Fill
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules
from odum_assets.bars.strategy import BarSetup

FREE = FeeRule("rate", Decimal(0), 2)


class Recorded:
    """Pass everything on to a handler and keep the fills."""

    def __init__(self, handler: Any) -> None:
        self.handler, self.fills = handler, []

    def on_bar(self, index: int) -> None:
        self.handler.on_bar(index)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        self.handler.on_fill(fill)


def crossover(
    every: BarSeries | Sequence[BarSeries],
    rules: SessionRules,
    *,
    fees: FeeRule = FREE,
    balance: int = 1_000_000,
    instruments: Sequence[Any] = (),
    slippage: str = "0",
    **params: Any,
) -> tuple[BarStrategyHost, list[list[Fill]]]:
    """Run the crossover; return the host and the fills of each instrument."""
    recorded = []

    def factory(broker: Any) -> Recorded:
        setup = BarSetup(
            instrument=broker.series.instrument,
            broker=broker,
            account=broker.account,
            series=broker.series,
            first=0,
            sessions=np.zeros(len(broker.series), np.int32),
            rules=rules,
            path="conservative",
            tick_value=Decimal("0.01").scaleb(-broker.series.size_precision),
            lot=10**broker.series.size_precision if rules is EVERY_DATE else 1,
            fees=fees,
            params=CrossoverParams(**params),
        )
        recorded.append(Recorded(MovingAverageCrossover([setup]).handlers[0]))
        return recorded[-1]

    host = replayed(
        every,
        factory,
        fees=BarFeeModel(fees, "USD"),
        balance=balance,
        instruments=instruments,
        slippage=slippage,
    )
    return host, [each.fills for each in recorded]


def test_orcl_2001_ends_at_the_published_977_30(real_data: Path) -> None:
    host, _ = crossover(
        orcl_2001(real_data),
        US_EQUITY,
        fast=10,
        slow=25,
        side="long_short",
        fixed_size=10,
        balance=1000,
    )
    assert host.equity == Decimal("977.30")


def test_spy_2011_has_175_fills_and_loses_seven_dollars(real_data: Path) -> None:
    series = in_sessions(spy_2011(real_data), US_EQUITY)
    host, (fills,) = crossover(series, US_EQUITY, fast=20, slow=50, fixed_size=100)
    assert len(fills) == 175
    assert host.equity - 1_000_000 == Decimal("-7.00")


def test_btcusd_daily_has_27_fills_and_gains(real_data: Path) -> None:
    usd, btc = Money.from_str("USD"), Money.from_str("BTC")
    name = InstrumentId.from_str("BTC-USD.ARCA")
    pair = CurrencyPair(
        name, Symbol("BTC-USD"), btc, usd, 2, 8, Price(0.01, 2), Quantity(1e-8, 8), 0, 0
    )
    host, (fills,) = crossover(
        btcusd_daily(real_data), EVERY_DATE, fast=20, slow=50, fixed_size=1, instruments=[pair]
    )
    assert len(fills) == 27
    assert host.equity - 1_000_000 == Decimal("5996.78")


class AtTimes:
    """Buy one at given closes."""

    def __init__(self, broker: Any, times: set[int]) -> None:
        self.broker, self.times, self.fills = broker, times, []

    def on_bar(self, index: int) -> None:
        if int(self.broker.series.close_time[index]) in self.times:
            self.broker.market(1, 1, str(index))

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)


def test_market_orders_fill_at_the_next_open(real_data: Path) -> None:
    day = "2011-01-03 "
    times = {ns(day + moment) for moment in ("15:00", "15:16", "15:30", "15:31")}
    handlers = []
    replayed(
        spy_2011(real_data),
        lambda broker: handlers.append(AtTimes(broker, times)) or handlers[-1],
    )
    assert [fill.price for fill in handlers[0].fills] == [12714, 12716, 12720, 12716]
    assert [fill.time - 1 for fill in handlers[0].fills] == sorted(times)
