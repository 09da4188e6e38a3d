"""Nautilus instrument definitions, built from an `InstrumentSpec`.

What belongs here: the one mapping from our instruments to Nautilus classes. What does not: parsing
and checking, which come first: Nautilus ends the process on text that it cannot use.
"""

import re
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from odum_assets.instruments.keys import InstrumentKey, Product
from odum_assets.instruments.specs import InstrumentSpec, currency_precision

if TYPE_CHECKING:
    from nautilus_trader.model import (
        CryptoFuture,
        CryptoPerpetual,
        Currency,
        CurrencyPair,
        Equity,
        FuturesContract,
    )

    type NautilusInstrument = (
        CurrencyPair | CryptoPerpetual | CryptoFuture | Equity | FuturesContract
    )

EXPIRY_TIME = time(8, 0, tzinfo=UTC)
"""Time of day at which dated futures settle on every venue known here."""


def nautilus_instrument(spec: InstrumentSpec, venue: str | None = None) -> "NautilusInstrument":
    """Build the Nautilus instrument of a spec.

    Spot becomes a `CurrencyPair`, a perpetual a `CryptoPerpetual`, a dated future a `CryptoFuture`
    that expires at 08:00 UTC; a share becomes an `Equity`, a listed future a `FuturesContract` that
    expires when its day ends, UTC. Fees are not part of an instrument (the venue's fee model has
    them).

    Parameters
    ----------
    spec : InstrumentSpec
        A checked spec, as `odum_assets.config.instrument_spec` returns it.
    venue : str, optional
        The venue whose account trades it, where that is another one than its own.

    Returns
    -------
    CurrencyPair, CryptoPerpetual, CryptoFuture, Equity or FuturesContract
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
    if key.is_listed:
        return _listed(spec, venue)
    base, quote = _currency(key.base), _currency(key.quote)
    common: dict[str, Any] = {
        "instrument_id": InstrumentId.from_str(nautilus_id(key, venue)),
        "raw_symbol": Symbol(key.symbol),
        "quote_currency": quote,
        "price_precision": spec.price_precision,
        "size_precision": spec.size_precision,
        "price_increment": Price.from_str(format(spec.price_increment, "f")),
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
        underlying=base, activation_ns=0, expiration_ns=expiration_ns(spec), **common
    )


def nautilus_id(key: InstrumentKey, venue: str | None) -> str:
    """Return an instrument's Nautilus id, in the account of another venue where one is given."""
    if venue is None:
        return key.nautilus_id
    return f"{key.nautilus_id.rpartition('.')[0]}.{venue.replace('-', '_')}"


def _listed(spec: InstrumentSpec, venue: str | None) -> "Equity | FuturesContract":
    """Build what an exchange lists by a symbol of its own; sizes are whole in Nautilus."""
    from nautilus_trader.model import (
        AssetClass,
        Equity,
        FuturesContract,
        InstrumentId,
        Price,
        Quantity,
        Symbol,
    )

    key = spec.key
    common: dict[str, Any] = {
        "instrument_id": InstrumentId.from_str(nautilus_id(key, venue)),
        "raw_symbol": Symbol(key.symbol),
        "currency": _currency(spec.settlement_currency),
        "price_precision": spec.price_precision,
        "price_increment": Price.from_str(format(spec.price_increment, "f")),
        "lot_size": Quantity.from_str(lot_text(spec)),
        "ts_event": 0,
        "ts_init": 0,
        "margin_init": spec.margin_init,
        "margin_maint": spec.margin_maint,
    }
    if key.product is Product.EQUITY:
        return Equity(**common)
    return FuturesContract(
        asset_class=AssetClass.INDEX,
        underlying=underlying(key),
        activation_ns=0,
        expiration_ns=expiration_ns(spec),
        multiplier=Quantity.from_str(multiplier_text(spec)),
        **common,
    )


def underlying(key: InstrumentKey) -> str:
    """Return the root of a listed future's symbol: ``ES`` of ``ESZ5``."""
    return re.sub(r"[A-Z][0-9]{1,2}$", "", key.symbol)


def lot_text(spec: InstrumentSpec) -> str:
    """Return the size of a lot as text."""
    return format(Decimal(1) if spec.lot_size is None else spec.lot_size, "f")


def expiration_ns(spec: InstrumentSpec) -> int:
    """Return when a dated future settles, ns since 1970."""
    if spec.expiry is not None:
        end = datetime.combine(spec.expiry, time(tzinfo=UTC)) + timedelta(days=1)
        return int(end.timestamp()) * 1_000_000_000
    expiry = spec.key.expiry
    assert expiry is not None  # noqa: S101 - no dated future is without one
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
