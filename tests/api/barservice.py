"""`odum serve` over daily bars of BTC-USDT, with the Dagster behind it."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from barmarket import BarMarket
from live import Live, started_in
from service import free_port, lay_out, settings_of
from urllib3.filepost import encode_multipart_formdata

from odum_assets.bars.series import BarSeries
from odum_assets.config import load_config
from odum_assets.utc import DAY_NS

NAME = "btc_daily"
SYMBOL = "BINANCE:SPOT_PAIR:BTC-USDT"
FIRST = 18_628
"""2021-01-01, days since 1970."""
BARS = 400

CONFIG: dict[str, Any] = {
    "kind": "bars",
    "instruments": [{"id": SYMBOL, "tick_size": "0.01", "lot_size": "0.00001"}],
    "bars": {"step": "1d", "label": "start", "warmup_sessions": 30},
    "session": {"mode": "full"},
    "venue": {"name": "BINANCE", "base_currency": "USDT", "starting_balance": 50_000},
    "strategy": {"name": "MA_CROSS", "params": {"fast": 5, "slow": 20}},
}


def daily_bars(seed: int = 5) -> BarSeries:
    """Return bars from 2021 on."""
    random = np.random.default_rng(seed)
    close = 3_000_000 + np.cumsum(random.integers(-60_000, 61_000, BARS))
    opened = close + random.integers(-9_000, 9_000, BARS)
    high, low = np.maximum(opened, close) + 500, np.minimum(opened, close) - 500
    times = (FIRST + 1 + np.arange(BARS)) * DAY_NS
    volume = random.integers(1, 900, BARS) * 100_000
    return BarSeries(SYMBOL, DAY_NS, Decimal("0.01"), 5, times, opened, high, low, close, volume)


@contextmanager
def serving_bars(folder: Path, **environment: str) -> Iterator[Live]:
    """Run the service in a folder until the context ends; it must end well."""
    lay_out(folder)
    path = folder / f"configs/{NAME}.json"
    path.write_text(json.dumps(CONFIG))
    market = BarMarket(folder)
    market.settings = settings_of(folder)
    market.add(load_config(path), [daily_bars()])
    live = Live(folder, free_port(), **environment)
    live.start()
    try:
        live.wait_for_dagster()
        yield live
        code = live.stop()
        assert code == 0, live.log.read_text()[-3000:]
        assert started_in(folder) == []
    finally:
        for pid, _ in started_in(folder):
            os.kill(pid, signal.SIGKILL)


def form(**fields: Any) -> tuple[bytes, str]:
    """Return a multipart body and its type; a file is a name and its content."""
    parts = {
        name: (*value, "application/octet-stream") if isinstance(value, tuple) else str(value)
        for name, value in fields.items()
    }
    return encode_multipart_formdata(parts)
