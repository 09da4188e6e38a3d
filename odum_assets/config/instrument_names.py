"""The spellings by which a request may name a configuration's instrument."""

import re

from odum_assets.config.loading import LoadedConfig
from odum_assets.instruments import InstrumentKey


def names_instrument(text: str, loaded: LoadedConfig) -> bool:
    """Return whether a text is a spelling of one of a configuration's instruments.

    ``VENUE:TYPE:SYMBOL`` with or without suffix, ``BASE-QUOTE.VENUE``, the Nautilus id, and the
    plain symbol (``BTCUSDT``, ``BTC-USDT``) are.
    """
    return any(is_spelling(text, loaded, key) for key in loaded.keys)


def is_spelling(text: str, loaded: LoadedConfig, key: InstrumentKey) -> bool:
    """Return whether a text is a spelling of one of a configuration's instruments."""
    return _plain(text) in spellings(key) | {_plain(loaded.config.ids[key])}


def spellings(key: InstrumentKey) -> set[str]:
    """Return the spellings of an instrument, in capital letters without separators."""
    names = [str(key), f"{key.venue}:{key.product}:{key.symbol}", key.nautilus_id, key.slug]
    names += [key.symbol, f"{key.symbol}.{key.venue}", f"{key.symbol}-PERP"]
    if key.product == "SPOT_PAIR":
        names = [name for name in names if not name.endswith("-PERP")]
    return {_plain(name) for name in names}


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
