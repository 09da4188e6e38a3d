"""Replaying bars on NautilusTrader in this process, without files."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.model import Currency, Equity, InstrumentId, Money, Price, Symbol

from odum_assets.backtest.bar_broker import BarStrategyHost
from odum_assets.backtest.bar_engine import bar_engine, bar_market, replay
from odum_assets.backtest.bar_market import BarFeeModel
from odum_assets.backtest.guard import Failures, guarded
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries

USD = Currency.from_str("USD")
NO_FEE = BarFeeModel(FeeRule("rate", Decimal(0), 2), "USD")


def share(symbol: str = "SPY") -> Equity:
    """Return a share with cents."""
    name = InstrumentId.from_str(f"{symbol}.ARCA")
    return Equity(name, Symbol(symbol), USD, 2, Price(0.01, 2), 0, 0)


def replayed(
    series: BarSeries | Sequence[BarSeries],
    factory: Callable[[Any], Any],
    path: str = "conservative",
    *,
    instruments: Sequence[Any] = (),
    slippage: str = "0",
    fees: Any = NO_FEE,
    balance: int = 100_000_000,
    chunk_bars: int = 1_000,
) -> BarStrategyHost:
    """Replay bars and return the NautilusTrader strategy; what a callback raises is raised."""
    every = [series] if isinstance(series, BarSeries) else list(series)
    shares = list(instruments) or [share(f"S{index}") for index in range(len(every))]
    market = bar_market(every, shares, path, Decimal(slippage))
    engine = bar_engine(market, "ARCA", fees, Money(balance, USD))
    failures = Failures()
    with failures.refused():
        host = guarded(BarStrategyHost, failures)(
            market, lambda host: [factory(broker) for broker in host.brokers], Decimal(balance)
        )
        engine.add_strategy(host)
        replay(engine, market, chunk_bars=chunk_bars)
    engine.dispose()
    return host
