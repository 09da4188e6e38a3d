"""What to make: the request for sample data and the markets it can be made for.

Only descriptions and their validation belong here; how a day comes about is in `market`.
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import VENUE_CODES, parse_instrument_key
from odum_assets.instruments.specs import contract_multiplier

DEFAULT_KEYS = ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BINANCE-FUTURES:PERPETUAL:ETH-USDT")

# Trade ids of a day start at a multiple of this, so that they increase from day to day.
IDS_PER_DAY = 10_000_000
MAX_TRADES_PER_DAY = 8_000_000
MAX_BOOKS_PER_SECOND = 125
MAX_SEED = 2**63 - 1
YEARS = (2010, 2099)

_KEY = re.compile(
    r"(?P<venue>[A-Z0-9]+(?:-[A-Z0-9]+)*):(?P<product>SPOT_PAIR|PERPETUAL|FUTURE):"
    r"(?P<base>[A-Z0-9]+)-(?P<quote>[A-Z]+)(?:-(?P<expiry>\d{6}))?(?:@(?:LIN|INV))?"
)


@dataclass(frozen=True)
class Market:
    """Describe how an instrument trades.

    Parameters
    ----------
    price : float
        Price on 2024-01-01, from which the price of every other day is derived.
    tick, lot : Decimal
        Smallest steps of price and size.
    fill, depth : float
        Median size of one fill and of the best level of the book, in the unit of `amount`.
    volatility : float
        Standard deviation of a day's log return.
    open_interest : float
        Typical open interest, in the unit of `amount`.

    Raises
    ------
    ConfigError
        If a figure is not positive, or the price is so near to the tick that a book has no room.
    """

    price: float
    tick: Decimal
    lot: Decimal
    fill: float
    depth: float
    volatility: float
    open_interest: float

    def __post_init__(self) -> None:
        """Refuse figures that no market can have."""
        for name in self.__dataclass_fields__:
            if not 0 < getattr(self, name) < float("inf"):
                msg = f"Market.{name} must be positive and finite, got {getattr(self, name)}"
                raise ConfigError(msg)
        if self.price < 1000 * float(self.tick):
            msg = f"Market.tick {self.tick} is too coarse for the price {self.price}: take 1/1000"
            raise ConfigError(msg)
        if self.volatility > 0.2:
            msg = f"Market.volatility is a fraction a day, at most 0.2, got {self.volatility}"
            raise ConfigError(msg)


def _market(price: float, tick: str, lot: str, *figures: float) -> Market:
    return Market(price, Decimal(tick), Decimal(lot), *figures)


_SPOT = {
    "BTC-USDT": _market(60_000, "0.01", "0.00001", 0.002, 1.5, 0.022, 1),
    "ETH-USDT": _market(3_000, "0.01", "0.0001", 0.03, 25, 0.029, 1),
}
_DERIVATIVE = {
    "BTC-USDT": _market(60_000, "0.1", "0.001", 0.013, 5, 0.022, 85_000),
    "ETH-USDT": _market(3_000, "0.01", "0.001", 0.06, 75, 0.029, 1_600_000),
    "BTC-USD": _market(60_000, "0.5", "10", 500, 120_000, 0.022, 900_000_000),
    "ETH-USD": _market(3_000, "0.05", "1", 200, 90_000, 0.029, 350_000_000),
}
_GENERIC = _market(100, "0.01", "0.001", 5, 500, 0.035, 2_000_000)


# Not strftime, which speaks the language of the machine.
_MONTHS = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"


def _delivery(key: str, expiry: str) -> dt.date:
    try:
        return dt.date(2000 + int(expiry[:2]), int(expiry[2:4]), int(expiry[4:]))
    except ValueError as error:
        msg = f"SampleSpec.keys: {key!r} ends in {expiry}, which is no date (YYMMDD): {error}"
        raise ConfigError(msg) from error


@dataclass(frozen=True)
class Identity:
    """Name an instrument in the ways a raw file needs.

    Parameters
    ----------
    key : str
        `VENUE:TYPE:SYMBOL[@LIN|@INV]`, also the stem of the file.
    product : str
        SPOT_PAIR, PERPETUAL or FUTURE.
    pair : str
        `BASE-QUOTE`.
    exchange, symbol : str
        As Tardis writes them in the columns of the same names.
    """

    key: str
    product: str
    pair: str
    exchange: str
    symbol: str

    @classmethod
    def parse(cls, key: str) -> "Identity":
        """Read a key.

        Raises
        ------
        ConfigError
            If `key` is not of the form `VENUE:TYPE:BASE-QUOTE[-YYMMDD][@LIN|@INV]`.
        """
        match = _KEY.fullmatch(key)
        if match is None or (match["product"] == "FUTURE") != (match["expiry"] is not None):
            msg = (
                f"SampleSpec.keys: no sample data can be made for {key!r}. Expected "
                "VENUE:SPOT_PAIR:BASE-QUOTE, VENUE:PERPETUAL:BASE-QUOTE or "
                f"VENUE:FUTURE:BASE-QUOTE-YYMMDD, for example {DEFAULT_KEYS[0]}"
            )
            raise ConfigError(msg)
        base, quote, expiry = match["base"], match["quote"], match["expiry"]
        if expiry is not None:
            delivery = _delivery(key, expiry)
        exchange, symbol = match["venue"].lower(), f"{base}{quote}"
        if exchange == "okx":
            kind = {"SPOT_PAIR": "", "PERPETUAL": "-SWAP", "FUTURE": f"-{expiry}"}
            folder = {"SPOT_PAIR": "okex", "PERPETUAL": "okex-swap", "FUTURE": "okex-futures"}
            exchange = folder[match["product"]]
            symbol = f"{base}-{quote}{kind[match['product']]}"
        elif exchange == "deribit":
            name = base if quote == "USD" else f"{base}_{quote}"
            if expiry is not None:
                month = _MONTHS[3 * delivery.month - 3 :][:3]
                symbol = f"{name}-{delivery.day}{month}{expiry[:2]}"
            elif match["product"] == "PERPETUAL":
                symbol = f"{name}-PERPETUAL"
        elif expiry is not None:
            symbol = f"{symbol}_{expiry}"
        return cls(key, match["product"], f"{base}-{quote}", exchange, symbol)


@dataclass(frozen=True)
class SampleSpec:
    """Say which sample data to make.

    Parameters
    ----------
    keys : tuple[str, ...]
        Instruments, as `VENUE:TYPE:SYMBOL[@LIN|@INV]`.
    start : datetime.date
        First day (UTC).
    days : int
        Number of consecutive days.
    trades_per_day, books_per_day : int
        Rows of an average day: a day has up to 10 % more or fewer, and exactly as many with
        `irregularities`.
    seed : int
        The same seed gives the same files, whichever days are made together.
    hours : tuple[int, int]
        First and last hour (exclusive) of the session, UTC; all rows of the day fall into it.
    irregularities : bool
        Add what breaks careless readers, on top of valid data: bursts, batches with equal arrival
        times, rows that arrive out of exchange order, skipped trade ids.
    markets : Mapping[str, Market]
        Markets by key, for instruments that are not BTC or ETH against USDT or USD, or to trade
        those differently.

    Raises
    ------
    ConfigError
        If a value cannot be used; the message names it.
    """

    keys: tuple[str, ...] = DEFAULT_KEYS
    start: dt.date = dt.date(2024, 1, 1)
    days: int = 3
    trades_per_day: int = 20_000
    books_per_day: int = 20_000
    seed: int = 1
    hours: tuple[int, int] = (0, 24)
    irregularities: bool = False
    markets: Mapping[str, Market] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Refuse a request that cannot be met."""
        if not self.keys or len(set(self.keys)) != len(self.keys):
            msg = f"SampleSpec.keys must name each instrument once, got {list(self.keys)}"
            raise ConfigError(msg)
        for key in (*self.keys, *self.markets):
            Identity.parse(key)
        first, last = self.hours
        if not 0 <= first < last <= 24:
            msg = (
                f"SampleSpec.hours must be (first, last) with 0 <= first < last <= 24: {self.hours}"
            )
            raise ConfigError(msg)
        books = (last - first) * 3600 * MAX_BOOKS_PER_SECOND
        for name, low, high in (
            ("days", 1, 36_525),
            ("trades_per_day", 1, MAX_TRADES_PER_DAY),
            ("books_per_day", 2, books),
            ("seed", 0, MAX_SEED),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                msg = f"SampleSpec.{name} must lie between {low} and {high}, got {value}"
                raise ConfigError(msg)
        end = self.start.toordinal() + self.days - 1
        if self.start.year < YEARS[0] or end > dt.date(YEARS[1], 12, 31).toordinal():
            msg = f"SampleSpec.start: days must lie in {YEARS[0]} to {YEARS[1]}, got {self.start}"
            raise ConfigError(msg)

    def market(self, identity: Identity) -> Market:
        """Return how an instrument trades: as asked for, else as known, else generic."""
        if identity.key in self.markets:
            return self.markets[identity.key]
        if identity.product == "SPOT_PAIR":
            return _SPOT.get(identity.pair, _GENERIC)
        known = _DERIVATIVE.get(identity.pair)
        return _GENERIC if known is None else _in_contracts(known, identity.key)


def _in_contracts(market: Market, key: str) -> Market:
    """Return a market with its sizes in contracts, where the venue reports those."""
    if key.partition(":")[0] not in VENUE_CODES:
        return market
    instrument = parse_instrument_key(key)
    contract = contract_multiplier(instrument)
    if contract == 1:
        return market
    return replace(
        market,
        lot=Decimal(1) if instrument.is_inverse else Decimal("0.01"),
        fill=market.fill / float(contract),
        depth=market.depth / float(contract),
        open_interest=market.open_interest / float(contract),
    )
