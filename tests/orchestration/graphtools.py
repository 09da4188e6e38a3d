"""Names that the tests of the graph share."""

import datetime as dt
from pathlib import Path

REPO = Path(__file__).parents[2]
BTC = "binance_futures_btcusdt_l2_trades_config"
ETH = "binance_futures_ethusdt_l2_trades_config"
BTC_KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
BTC_SLUG = "binance_futures_perpetual_btc_usdt"
FIRST_DAY = dt.date(2024, 1, 1)
