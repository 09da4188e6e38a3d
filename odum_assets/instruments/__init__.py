"""Instruments: keys (``BINANCE-FUTURES:PERPETUAL:BTC-USDT``), contract sizes, Nautilus definitions.

What belongs here: everything that follows from an instrument's name and its venue's public rules.
What does not: the run configuration (``config`` builds an `InstrumentSpec` from it) and any file.
`nautilus_instrument` lives in ``instruments.definitions`` and loads Nautilus when it is called.
"""

from odum_assets.instruments.keys import (
    InstrumentKey,
    Product,
    parse_dotted_id,
    parse_instrument_key,
)
from odum_assets.instruments.specs import InstrumentSpec, contract_multiplier

__all__ = [
    "InstrumentKey",
    "InstrumentSpec",
    "Product",
    "contract_multiplier",
    "parse_dotted_id",
    "parse_instrument_key",
]
