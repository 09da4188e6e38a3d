"""Nautilus instrument definitions, built from an `InstrumentSpec`.

What belongs here: the one mapping from our instruments to Nautilus classes. What does not: parsing
and checking, which come first: Nautilus ends the process on text that it cannot use.
"""

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from odum_assets.instruments.keys import InstrumentKey, Product
from odum_assets.instruments.specs import InstrumentSpec, currency_precision

if TYPE_CHECKING:
    from nautilus_trader.model import CryptoFuture, CryptoPerpetual, Currency, CurrencyPair

EXPIRY_TIME = time(8, 0, tzinfo=UTC)
"""Time of day at which dated futures settle on every venue known here."""


def nautilus_instrument(spec: InstrumentSpec) -> "CurrencyPair | CryptoPerpetual | CryptoFuture":
    """Build the Nautilus instrument of a spec.

    Spot becomes a `CurrencyPair`, a perpetual a `CryptoPerpetual`, a dated future a `CryptoFuture`
    that expires at 08:00 UTC. Fees are not part of an instrument (the venue's fee model has them).

    Parameters
    ----------
    spec : InstrumentSpec
        A checked spec, as `odum_assets.config.instrument_spec` returns it.

    Returns
    -------
    CurrencyPair or CryptoPerpetual or CryptoFuture
        The definition, with price and size increments of one unit of the last decimal.
    """
    from nautilus_trader.model import (
        CryptoFuture,
        CryptoPerpetual,
        CurrencyPair,
        InstrumentId,
        Price,
        Quantity,
        Symbol,
    )

    key = spec.key
    base, quote = _currency(key.base), _currency(key.quote)
    common: dict[str, Any] = {
        "instrument_id": InstrumentId.from_str(key.nautilus_id),
        "raw_symbol": Symbol(key.symbol),
        "quote_currency": quote,
        "price_precision": spec.price_precision,
        "size_precision": spec.size_precision,
        "price_increment": Price.from_str(increment(spec.price_precision)),
        "size_increment": Quantity.from_str(increment(spec.size_precision)),
        "ts_event": 0,
        "ts_init": 0,
        "margin_init": spec.margin_init,
        "margin_maint": spec.margin_maint,
    }
    if key.product is Product.SPOT_PAIR:
        return CurrencyPair(base_currency=base, **common)
    common |= {
        "settlement_currency": _currency(spec.settlement_currency),
        "is_inverse": key.is_inverse,
        "multiplier": Quantity.from_str(multiplier_text(spec)),
    }
    if key.product is Product.PERPETUAL:
        return CryptoPerpetual(base_currency=base, **common)
    return CryptoFuture(
        underlying=base, activation_ns=0, expiration_ns=expiration_ns(key), **common
    )


def expiration_ns(key: InstrumentKey) -> int:
    """Return when a dated future settles, ns since 1970."""
    expiry = key.expiry
    assert expiry is not None  # noqa: S101 - parsing admits no dated future without one
    return int(datetime.combine(expiry, EXPIRY_TIME).timestamp()) * 1_000_000_000


def increment(precision: int) -> str:
    """Return one unit of the last decimal as text."""
    return format(Decimal(1).scaleb(-precision), "f")


def multiplier_text(spec: InstrumentSpec) -> str:
    """Return the size of a contract as text, without the zeros that end it.

    NautilusTrader counts them as digits, of which a quantity holds 16.
    """
    return format(spec.multiplier.normalize(), "f")


def _currency(code: str) -> "Currency":
    """Return the currency, registering a coin that Nautilus does not know."""
    from nautilus_trader.model import Currency, CurrencyType

    try:
        return Currency.from_str(code, strict=True)
    except ValueError:
        coin = Currency(code, currency_precision(code), 0, code, CurrencyType.CRYPTO)
        Currency.register(coin)
        return coin
