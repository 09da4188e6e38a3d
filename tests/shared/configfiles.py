"""Run configurations for tests: documents with keys of their sections changed, and their files."""

import json
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parents[2] / "configs"
BTC = "binance_futures_btcusdt_l2_trades_config"
BTC_KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
FOLDER = "raw_tick_data/by_date/day-*"


def minimal() -> dict[str, Any]:
    """Return a configuration with the required keys only."""
    return {
        "instrument": {"id": BTC_KEY, "price_precision": 1, "size_precision": 3},
        "venue": {
            "name": "BINANCE-FUTURES",
            "oms_type": "NETTING",
            "account_type": "MARGIN",
            "base_currency": "USDT",
            "starting_balance": 1000000,
            "maker_fee": 0.0002,
            "taker_fee": 0.0004,
        },
        "data_catalog": {"trades_path": f"{FOLDER}/data_type-trades/{BTC_KEY}.parquet"},
        "time_window": {"start": None, "end": None},
        "strategy": {"name": "TradeReplay"},
    }


def shipped() -> dict[str, Any]:
    """Return the shipped configuration of the BTC perpetual."""
    document: dict[str, Any] = json.loads((CONFIGS / f"{BTC}.json").read_text())
    return document


def with_keys(document: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """Return a configuration with keys of its sections changed; other values replace a section."""
    return document | {
        name: {**(document.get(name) or {}), **values} if isinstance(values, dict) else values
        for name, values in sections.items()
    }


def write_config(folder: Path, name: str, document: dict[str, Any], **sections: Any) -> Path:
    """Write a configuration with keys of its sections changed, under a name."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps(with_keys(document, **sections)))
    return path
