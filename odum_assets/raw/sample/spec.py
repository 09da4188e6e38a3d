"""What to make: the request for sample data and the markets it can be made for.

Only descriptions and their validation belong here; how a day comes about is in `market`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import MONTHS, InstrumentKey, Product, parse_instrument_key
from odum_assets.instruments.specs import contract_multiplier

DEFAULT_KEYS = ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BINANCE-FUTURES:PERPETUAL:ETH-USDT")

# Trade ids of a day start at a multiple of this, so that they increase from day to day.
IDS_PER_DAY = 10_000_000
MAX_TRADES_PER_DAY = 8_000_000
MAX_BOOKS_PER_SECOND = 125
MAX_SEED = 2**63 - 1
YEARS = (2010, 2099)


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
    """

    price: float
    tick: Decimal
    lot: Decimal
    fill: float
    depth: float
    volatility: float
    open_interest: float


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
_LOTS = {("BYBIT", "ETH-USDT"): Decimal("0.01")}
"""Lots of derivatives at venues where they differ from those of the market."""
_GENERIC = _market(100, "0.01", "0.001", 5, 500, 0.035, 2_000_000)


def market_of(key: InstrumentKey) -> Market:
    """Return how an instrument trades: as known, else generic; in contracts where it is counted."""
    pair = f"{key.base}-{key.quote}"
    if key.product is Product.SPOT_PAIR:
        return _SPOT.get(pair, _GENERIC)
    market, contract = _DERIVATIVE.get(pair), contract_multiplier(key)
    if market is None or contract == 1:
        market = market or _GENERIC
        return replace(market, lot=_LOTS.get((key.venue, pair), market.lot))
    return replace(
        market,
        lot=Decimal(1) if key.is_inverse else Decimal("0.01"),
        fill=market.fill / float(contract),
        depth=market.depth / float(contract),
        open_interest=market.open_interest / float(contract),
    )


def names_of(key: InstrumentKey) -> tuple[str, str]:
    """Return exchange and symbol as Tardis writes them in the columns of the same names."""
    venue, expiry = key.venue.lower(), key.expiry
    day = "" if expiry is None else f"{expiry:%y%m%d}"
    if venue == "okx":
        exchange, suffix = {
            Product.SPOT_PAIR: ("okex", ""),
            Product.PERPETUAL: ("okex-swap", "-SWAP"),
            Product.FUTURE: ("okex-futures", f"-{day}"),
        }[key.product]
        return exchange, f"{key.base}-{key.quote}{suffix}"
    if venue == "deribit" and key.product is not Product.SPOT_PAIR:
        name = key.base if key.quote == "USD" else f"{key.base}_{key.quote}"
        if expiry is None:
            return venue, f"{name}-PERPETUAL"
        return venue, f"{name}-{expiry.day}{MONTHS[expiry.month - 1]}{day[:2]}"
    return venue, f"{key.base}{key.quote}" + (f"_{day}" if day else "")


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
    decimals : Mapping[str, tuple[int, int]]
        By instrument, the most decimals that its prices and sizes may have.

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
    decimals: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def market(self, key: InstrumentKey) -> Market:
        """Return how an instrument trades, with no more decimals than it may have."""
        market = market_of(key)
        if str(key) not in self.decimals:
            return market
        tick, lot = (Decimal(1).scaleb(-decimals) for decimals in self.decimals[str(key)])
        return replace(market, tick=max(market.tick, tick), lot=max(market.lot, lot))

    def __post_init__(self) -> None:
        """Refuse a request that cannot be met."""
        if not self.keys or len(set(self.keys)) != len(self.keys):
            msg = f"SampleSpec.keys must name each instrument once, got {list(self.keys)}"
            raise ConfigError(msg)
        for key in self.keys:
            parse_instrument_key(key)
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
                msg = f"SampleSpec.{name} must be between {low} and {high}, got {value}"
                raise ConfigError(msg)
        end = self.start.toordinal() + self.days - 1
        if self.start.year < YEARS[0] or end > dt.date(YEARS[1], 12, 31).toordinal():
            msg = f"SampleSpec.start: days must be in {YEARS[0]} to {YEARS[1]}, got {self.start}"
            raise ConfigError(msg)
