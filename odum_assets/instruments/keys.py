"""Instrument keys: how an instrument is named in raw files, asset keys, Nautilus ids and run ids.

What belongs here: parsing and the spellings that follow from a key. What does not: precisions,
contract sizes and margins (``specs``), Nautilus objects (``definitions``).
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from odum_assets.errors import ConfigError

VENUE_CODES = {
    "BINANCE": "BN",
    "BINANCE-FUTURES": "BNF",
    "BYBIT": "BYB",
    "DERIBIT": "DER",
    "OKX": "OKX",
    "BITSTAMP": "BST",
    "COINBASE": "CBS",
    "AMEX": "AMX",
    "ARCA": "ARC",
    "BATS": "BTS",
    "NASDAQ": "NAS",
    "NYSE": "NYS",
    "CBOT": "CBT",
    "CME": "CME",
    "COMEX": "CMX",
    "EUREX": "EUX",
    "NYMEX": "NYM",
}
"""Venues known here, each with its code in run ids."""

_CURRENCY = re.compile(r"[A-Z0-9]{2,16}")
_EXPIRY = re.compile(
    r"(20[0-9]{2}|[0-9]{2})([0-9]{2})([0-9]{2})|([0-9]{1,2})([A-Z]{3})([0-9]{2})", re.ASCII
)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_SHAPE = "VENUE:TYPE:SYMBOL, VENUE:TYPE:SYMBOL@LIN or VENUE:TYPE:SYMBOL@INV"


class Product(StrEnum):
    """Kind of instrument, spelled as in raw file names."""

    SPOT_PAIR = "SPOT_PAIR"
    PERPETUAL = "PERPETUAL"
    FUTURE = "FUTURE"
    EQUITY = "EQUITY"


_CRYPTO = (Product.SPOT_PAIR, Product.PERPETUAL, Product.FUTURE)
_VENUE_PRODUCTS = {
    "BINANCE": (Product.SPOT_PAIR,),
    "BINANCE-FUTURES": (Product.PERPETUAL, Product.FUTURE),
    **dict.fromkeys(("BITSTAMP", "COINBASE"), (Product.SPOT_PAIR,)),
    **dict.fromkeys(("AMEX", "ARCA", "BATS", "NASDAQ", "NYSE"), (Product.EQUITY,)),
    **dict.fromkeys(("CBOT", "CME", "COMEX", "EUREX", "NYMEX"), (Product.FUTURE,)),
}
_LISTED_SYMBOLS = {
    Product.EQUITY: (re.compile(r"[A-Z0-9]{1,12}(\.[A-Z]{1,2})?", re.ASCII), "SPY or BRK.B"),
    Product.FUTURE: (
        re.compile(r"[A-Z0-9]{1,6}[FGHJKMNQUVXZ][0-9]{1,2}", re.ASCII),
        "ESZ5: root, month code, year",
    ),
}
"""Symbols of exchanges that trade neither pairs nor coins, each with an example."""
_LISTED_VENUES = {
    venue
    for venue, products in _VENUE_PRODUCTS.items()
    if products in ((Product.EQUITY,), (Product.FUTURE,))
}


@dataclass(frozen=True, slots=True)
class InstrumentKey:
    """Name one instrument of one venue.

    Build it with `parse_instrument_key`, which checks every part.

    Parameters
    ----------
    venue : str
        Venue with hyphens, such as ``BINANCE-FUTURES``.
    product : Product
        Kind of instrument.
    symbol : str
        ``BASE-QUOTE``, for a dated future ``BASE-QUOTE-EXPIRY``; what an exchange lists by a symbol
        of its own (`is_listed`): ``SPY``, ``ESZ5``.
    margin : str or None
        ``LIN`` or ``INV`` when the key is written with that suffix.
    """

    venue: str
    product: Product
    symbol: str
    margin: str | None = None

    def __str__(self) -> str:
        """Return the key as raw files are named: ``VENUE:TYPE:SYMBOL[@LIN|@INV]``."""
        suffix = "" if self.margin is None else f"@{self.margin}"
        return f"{self.venue}:{self.product}:{self.symbol}{suffix}"

    @property
    def slug(self) -> str:
        """Return the key as lower-case words joined by ``_``, for asset keys and folders."""
        return re.sub(r"[^a-z0-9]", "_", str(self).lower())

    @property
    def nautilus_id(self) -> str:
        """Return the Nautilus instrument id, such as ``BTC-USDT-PERP.BINANCE_FUTURES``.

        Hyphens of the venue become ``_``, since Nautilus splits account ids at hyphens.
        """
        suffix = "-PERP" if self.product is Product.PERPETUAL else ""
        return f"{self.symbol}{suffix}.{self.venue.replace('-', '_')}"

    @property
    def is_listed(self) -> bool:
        """Return whether it is a share, or a future of an exchange for futures.

        Its symbol says neither currency nor day of expiry: the configuration does.
        """
        return self.venue in _LISTED_VENUES

    @property
    def base(self) -> str:
        """Return the currency that is bought and sold; the symbol of what is listed."""
        return self.symbol.split("-")[0]

    @property
    def quote(self) -> str:
        """Return the currency that prices are in.

        Raises
        ------
        ConfigError
            If the symbol does not say it.
        """
        if self.is_listed:
            raise ConfigError(f"{self}: the symbol does not say the currency; only bars know it")
        return self.symbol.split("-")[1]

    @property
    def expiry(self) -> date | None:
        """Return the UTC day on which a dated future expires, None where the symbol says none."""
        if self.product is not Product.FUTURE or self.is_listed:
            return None
        return _parse_expiry(self.symbol.split("-")[2])

    @property
    def is_inverse(self) -> bool:
        """Return whether sizes are in the quote currency and profits in the base currency."""
        if self.product is Product.SPOT_PAIR or self.is_listed:
            return False
        return self.margin == "INV" or (self.margin is None and self.quote == "USD")

    @property
    def settlement_currency(self) -> str:
        """Return the currency of profits and fees: base when inverse, else quote."""
        return self.base if self.is_inverse else self.quote

    @property
    def venue_code(self) -> str:
        """Return the venue's short code in run ids, such as ``BNF``."""
        return VENUE_CODES[self.venue]

    @property
    def short_name(self) -> str:
        """Return the instrument's short name in run ids: ``BTC``, for a future ``BTC241227``."""
        expiry = self.expiry
        return self.base if expiry is None else f"{self.base}{expiry:%y%m%d}"

    def agrees_with(self, other: "InstrumentKey") -> bool:
        """Return whether both name one instrument, one perhaps without ``@LIN`` or ``@INV``."""
        return (self.venue, self.product, self.symbol, self.is_inverse) == (
            other.venue,
            other.product,
            other.symbol,
            other.is_inverse,
        )


def venue_products(venue: str) -> tuple[Product, ...]:
    """Return the kinds of instrument that a venue has."""
    return _VENUE_PRODUCTS.get(venue, _CRYPTO)


def normalize_venue(text: str) -> str:
    """Return a venue in its spelling with hyphens (``BINANCE_FUTURES`` -> ``BINANCE-FUTURES``).

    Raises
    ------
    ConfigError
        If the venue is not known.
    """
    venue = text.replace("_", "-")
    if venue not in VENUE_CODES:
        raise ConfigError(f"unknown venue {text!r}; known venues: {', '.join(VENUE_CODES)}")
    return venue


def parse_instrument_key(text: str) -> InstrumentKey:
    """Parse ``VENUE:TYPE:SYMBOL[@LIN|@INV]``; ``SPOT`` may stand for ``SPOT_PAIR``.

    Parameters
    ----------
    text : str
        The key, for example the name of a raw file without ``.parquet``.

    Returns
    -------
    InstrumentKey
        The key, its venue spelled with hyphens.

    Raises
    ------
    ConfigError
        If the text is no key, names an option, or its parts contradict each other.
    """
    parts = text.split(":")
    if len(parts) != 3:
        raise ConfigError(f"{text!r} is not an instrument key; write {_SHAPE}")
    venue = normalize_venue(parts[0])
    if parts[1] == "OPTION":
        raise ConfigError(f"options are not supported yet: {text}")
    product = "SPOT_PAIR" if parts[1] == "SPOT" else parts[1]
    if product not in Product.__members__:
        raise ConfigError(
            f"unknown product {parts[1]!r} in {text!r}; known products: {', '.join(Product)}"
        )
    symbol, at, margin = parts[2].partition("@")
    if at and margin not in ("LIN", "INV"):
        raise ConfigError(f"unknown suffix '@{margin}' in {text!r}; write @LIN, @INV or none")
    return _checked(InstrumentKey(venue, Product(product), symbol, margin or None), text)


def parse_instrument_id(text: str) -> InstrumentKey:
    """Parse an instrument in either spelling: as a key, or as a dotted id.

    Raises
    ------
    ConfigError
        If the text is neither.
    """
    return parse_instrument_key(text) if ":" in text else parse_dotted_id(text)


def parse_dotted_id(text: str) -> InstrumentKey:
    """Parse ``BASE-QUOTE.VENUE``, ``BASE-QUOTE-PERP.VENUE`` or ``BASE-QUOTE-EXPIRY.VENUE``.

    The dotted form does not always say the product: ``BASE-QUOTE.BINANCE`` is spot, on the other
    venues ``BASE-QUOTE`` is the perpetual.

    Parameters
    ----------
    text : str
        The id; hyphens of the venue may be written ``_``.

    Returns
    -------
    InstrumentKey
        The key, without a margin suffix.

    Raises
    ------
    ConfigError
        If the text is no such id.
    """
    symbol, dot, venue_text = text.rpartition(".")
    if not dot:
        raise ConfigError(f"{text!r} is not an instrument id; write {_SHAPE}, or BASE-QUOTE.VENUE")
    venue = normalize_venue(venue_text)
    if symbol.endswith("-PERP"):
        product = Product.PERPETUAL
        symbol = symbol.removesuffix("-PERP")
    elif symbol.count("-") == 2:
        product = Product.FUTURE
    elif symbol.count("-") > 2:
        raise ConfigError(f"options are not supported yet: {text}")
    else:
        products = venue_products(venue)
        product = products[0] if len(products) == 1 else Product.PERPETUAL
    return _checked(InstrumentKey(venue, product, symbol), text)


def _checked(key: InstrumentKey, text: str) -> InstrumentKey:
    """Return the key if its parts fit together, else raise `ConfigError`."""
    allowed = venue_products(key.venue)
    if key.product not in allowed:
        raise ConfigError(
            f"{key.venue} has no {key.product} ({text!r}); allowed there: {', '.join(allowed)}"
        )
    if key.is_listed:
        return _checked_listed(key, text)
    parts = key.symbol.split("-")
    shape = "BASE-QUOTE-EXPIRY" if key.product is Product.FUTURE else "BASE-QUOTE"
    if len(parts) != shape.count("-") + 1 or not all(map(_CURRENCY.fullmatch, parts[:2])):
        raise ConfigError(
            f"symbol {key.symbol!r} in {text!r} is not {shape} "
            "in capital letters and digits, such as "
            + ("BTC-USD-241227" if key.product is Product.FUTURE else "BTC-USDT")
        )
    if key.product is Product.FUTURE and _parse_expiry(parts[2]) is None:
        raise ConfigError(
            f"expiry {parts[2]!r} in {text!r} is not a day; write YYMMDD, YYYYMMDD or 27DEC24"
        )
    if key.margin is not None and key.product is Product.SPOT_PAIR:
        raise ConfigError(f"spot has no margin: leave out @{key.margin} in {text!r}")
    if key.margin == "INV" and key.quote != "USD":
        raise ConfigError(f"inverse contracts are quoted in USD, not {key.quote} ({text!r})")
    return key


def _checked_listed(key: InstrumentKey, text: str) -> InstrumentKey:
    pattern, example = _LISTED_SYMBOLS[key.product]
    if not pattern.fullmatch(key.symbol):
        raise ConfigError(
            f"symbol {key.symbol!r} in {text!r} is none of {key.venue}; write {example}"
        )
    if key.margin is not None:
        raise ConfigError(f"{key.product} has no suffix: leave out @{key.margin} in {text!r}")
    return key


def _parse_expiry(text: str) -> date | None:
    # Not strptime: its month names follow the locale and its two-digit years turn at 69.
    match = _EXPIRY.fullmatch(text)
    if match is None:
        return None
    year, month, day, named_day, month_name, named_year = match.groups()
    try:
        if month_name is None:
            return date(int(year if len(year) == 4 else f"20{year}"), int(month), int(day))
        return date(int(f"20{named_year}"), MONTHS.index(month_name) + 1, int(named_day))
    except ValueError:
        return None
