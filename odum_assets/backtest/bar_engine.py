"""Replaying bars on a NautilusTrader engine."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.model import AccountType, Money, OmsType, Venue
from nautilus_trader.risk import RiskEngineConfig

from odum_assets.backtest.bar_market import BarMarket, BarPosition, PathFillModel, PathModule
from odum_assets.bars.path import Path
from odum_assets.bars.series import BarSeries

CHUNK_BARS = 8_000
"""Bars whose events are in memory at a time."""


def bar_market(
    series: Sequence[BarSeries],
    instruments: Sequence[Any],
    path: Path = "conservative",
    slippage: Decimal = Decimal(0),
) -> BarMarket:
    """Return the market of some instruments, at its beginning."""
    return BarMarket([BarPosition(item, path, slippage) for item in series], instruments)


def bar_engine(
    market: BarMarket,
    venue: str,
    fee_model: Any,  # noqa: ANN401 - a Nautilus fee model
    balance: Money,
    account_type: AccountType = AccountType.MARGIN,
    leverage: Decimal = Decimal(1),
) -> BacktestEngine:
    """Build an engine with one venue, one account, and the instruments of a market."""
    rate = "1000000000/00:00:01"
    engine = BacktestEngine(
        BacktestEngineConfig(
            bypass_logging=True,
            logging=LoggerConfig(stdout_level=LogLevel.ERROR),
            run_analysis=False,
            risk_engine=RiskEngineConfig(max_order_submit_rate=rate, max_order_modify_rate=rate),
        )
    )
    engine.add_venue(
        Venue(venue),
        OmsType.NETTING,
        account_type,
        [balance],
        base_currency=None if account_type == AccountType.CASH else balance.currency,
        default_leverage=leverage,
        fill_model=PathFillModel(market),
        fee_model=fee_model,
        modules=[PathModule(market)],
        reject_stop_orders=False,
        bar_execution=False,
    )
    for instrument in market.instruments:
        engine.add_instrument(instrument)
    return engine


def replay(
    engine: BacktestEngine,
    market: BarMarket,
    progress: Callable[[int], None] | None = None,
    chunk_bars: int = CHUNK_BARS,
) -> None:
    """Run an engine over all bars of a market; the result does not depend on `chunk_bars`."""
    for data, last in market.chunks(chunk_bars):
        engine.add_data(data, validate=False)
        engine.run(streaming=True)
        engine.clear_data()
        if progress is not None:
            progress(last)
    engine.end()
