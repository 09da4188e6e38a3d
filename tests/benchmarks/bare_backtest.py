"""A bare `BacktestNode` script: the same orders over the same partition, nothing recorded.

Run as ``python bare_backtest.py CATALOG INSTRUMENT_ID CLOSE_AT_NS [none]``; the catalog holds the
instrument. With ``none`` no order is sent. It prints the account's final balance.
"""

import sys
from decimal import Decimal

from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import ExecutionEngineConfig, MakerTakerFeeModel
from nautilus_trader.model import (
    AggressorSide,
    Currency,
    InstrumentId,
    NautilusDataType,
    OrderSide,
    TimeInForce,
    TradeTick,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy

CATALOG, ID, CLOSE_AT = sys.argv[1], InstrumentId.from_str(sys.argv[2]), int(sys.argv[3])
IS_QUIET = sys.argv[4:] == ["none"]
USDT = Currency.from_str("USDT")


class Replay(Strategy):
    def __init__(self) -> None:
        super().__init__()

    def on_start(self) -> None:
        self.clock.set_time_alert_ns("close", CLOSE_AT, lambda _event: self.close_all_positions(ID))
        self.subscribe_trades(ID)

    def on_trade(self, trade: TradeTick) -> None:
        if IS_QUIET:
            return
        if trade.aggressor_side == AggressorSide.BUY:
            side = OrderSide.BUY
        elif trade.aggressor_side == AggressorSide.SELL:
            side = OrderSide.SELL
        else:
            return
        self.submit_order(
            self.order_factory.limit(ID, side, trade.size, trade.price, TimeInForce.IOC)
        )


run = BacktestRunConfig(
    venues=[
        BacktestVenueConfig(
            "BINANCE_FUTURES",
            "NETTING",
            "MARGIN",
            ["1000000000 USDT"],
            book_type="L2_MBP",
            base_currency=USDT,
            trade_execution=True,
            fee_model=MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0005")),
        )
    ],
    data=[
        BacktestDataConfig(kind, CATALOG, instrument_id=ID)
        for kind in (NautilusDataType.TradeTick, NautilusDataType.OrderBookDepth)
    ],
    engine=BacktestEngineConfig(
        bypass_logging=True,
        logging=LoggerConfig(stdout_level=LogLevel.ERROR),
        run_analysis=False,
        risk_engine=RiskEngineConfig(max_order_submit_rate="1000000000/00:00:01"),
        exec_engine=ExecutionEngineConfig(
            purge_closed_orders_interval_mins=1,
            purge_closed_orders_buffer_mins=0,
            purge_closed_positions_interval_mins=1,
            purge_closed_positions_buffer_mins=0,
            purge_account_events_interval_mins=1,
            purge_account_events_lookback_mins=0,
        ),
    ),
    chunk_size=50_000,
    raise_exception=True,
    dispose_on_completion=False,
    end=CLOSE_AT + 1_000_000,
)
node = BacktestNode([run])
node.build()
node.add_strategy(run.id, Replay())
node.run()
account = node.get_engine_cache(run.id).account_for_venue(Venue("BINANCE_FUTURES"))
print(account.balance_total(USDT).as_decimal())
