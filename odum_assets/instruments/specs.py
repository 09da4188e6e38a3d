"""What a simulation needs to know of an instrument beyond its name.

What belongs here: the `InstrumentSpec` record and the venues' contract sizes. What does not:
Nautilus objects (``definitions``), the run configuration (``config`` fills the record).
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey, Product

# Contract sizes from the venues' public contract specifications: base units per contract for
# linear, USD per contract for inverse. Only where the venue reports amounts in contracts; the
# others report linear amounts in base units and inverse amounts in USD.
_CONTRACT_SIZES = {
    ("OKX", "BTC-USDT"): Decimal("0.01"),
    ("OKX", "ETH-USDT"): Decimal("0.1"),
    ("OKX", "BTC-USD"): Decimal(100),
    ("OKX", "ETH-USD"): Decimal(10),
    ("BINANCE-FUTURES", "BTC-USD"): Decimal(100),
    ("BINANCE-FUTURES", "ETH-USD"): Decimal(10),
}

# Decimals of amounts in NautilusTrader's own currencies; coins have 8, also those that it lacks.
_COIN_PRECISION = 8
_OTHER_PRECISIONS = {
    **dict.fromkeys(("JPY", "KRW"), 0),
    **dict.fromkeys(
        (
            *("AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF"),
            *("ILS", "INR", "MXN", "NOK", "NZD", "PLN", "RUB", "SAR", "SEK", "SGD", "THB", "TRY"),
            *("TWD", "USD", "XAG", "XAU", "XPT", "ZAR"),
        ),
        2,
    ),
    **dict.fromkeys(("ADA", "XRP", "XTZ"), 6),
}


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """Describe an instrument as the simulation sees it.

    Parameters
    ----------
    key : InstrumentKey
        Which instrument.
    price_precision : int
        Decimals of a price, 0 to 16; the price increment is ``10 ** -price_precision``.
    size_precision : int
        Decimals of a size, 0 to 16; the size increment is ``10 ** -size_precision``.
    multiplier : Decimal
        Size of one unit: sizes times multiplier are base units (linear) or quote units (inverse).
    margin_init : Decimal
        Initial margin as a fraction of the notional value, 0 to 1.
    margin_maint : Decimal
        Maintenance margin as a fraction of the notional value, 0 to 1.
    settlement_currency : str
        Currency of profits and fees.
    tick_size : Decimal or None
        Price increment where it is not one unit of the last decimal.
    lot_size : Decimal or None
        Sizes that are traded are multiples of it; None: of one unit of the last decimal.
    expiry : date or None
        UTC day on which a listed future expires; None for anything else, and where the key says it.
    """

    key: InstrumentKey
    price_precision: int
    size_precision: int
    multiplier: Decimal
    margin_init: Decimal
    margin_maint: Decimal
    settlement_currency: str
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    expiry: date | None = None

    @property
    def price_increment(self) -> Decimal:
        """Return the smallest step between prices."""
        return (
            Decimal(1).scaleb(-self.price_precision) if self.tick_size is None else self.tick_size
        )


def contract_multiplier(key: InstrumentKey) -> Decimal:
    """Return the size of one contract by the venue's public specification.

    Parameters
    ----------
    key : InstrumentKey
        Which instrument.

    Returns
    -------
    Decimal
        Base units (linear) or USD (inverse) per unit of size; 1 where amounts are not in contracts.

    Raises
    ------
    ConfigError
        If the venue counts in contracts and this one's size is not known: a guess would scale every
        position and profit.
    """
    if key.is_listed and key.product is Product.FUTURE:
        raise ConfigError(f"the contract size of {key} is not known here; give it")
    counts_contracts = key.product is not Product.SPOT_PAIR and (
        key.venue == "OKX" or (key.venue == "BINANCE-FUTURES" and key.is_inverse)
    )
    if not counts_contracts:
        return Decimal(1)
    size = _CONTRACT_SIZES.get((key.venue, f"{key.base}-{key.quote}"))
    if size is None:
        unit = key.quote if key.is_inverse else key.base
        raise ConfigError(
            f"{key.venue} reports {key} in contracts whose size is not known here; give it, "
            f"in {unit} per contract"
        )
    return size


def currency_precision(code: str) -> int:
    """Return the decimals to which NautilusTrader keeps amounts in a currency."""
    return _OTHER_PRECISIONS.get(code, _COIN_PRECISION)
