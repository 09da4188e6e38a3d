"""One-minute bars of trading sessions: regimes, shapes of volume, real dates and hours.

A session follows from seed, symbol and date alone: whichever dates are made together, each has the
same bars. It starts at a level of its own, so that a trend of many days does not carry prices away.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from odum_assets.errors import ConfigError
from odum_assets.raw.sample.draws import Draws, Floats, Ints, walk

if TYPE_CHECKING:
    from collections.abc import Callable

REGIMES: Final = ("trend_up", "trend_down", "mean_revert", "choppy")
SESSIONS: Final = ("us_equity", "cme_index_rth", "cme_eth")
VOLUME_PROFILES: Final = ("u_shape", "morning_spike", "flat")
MIXED: Final = "mixed"

_MINUTE_NS: Final = 60_000_000_000
_VOLATILITY: Final = 0.0015
"""Standard deviation of a minute's log return."""
_DRIFT: Final = 0.0002
_REVERSION: Final = 0.002
_RANGE: Final = 0.001
_LEVEL: Final = 0.01
"""Standard deviation of the log level between dates."""
_VOLUME: Final = 10_000.0
_ANCHOR: Final = dt.date(2024, 1, 1)


@dataclass(frozen=True)
class SessionSpec:
    """Say which sessions to make.

    Parameters
    ----------
    session : str
        Hours by name: ``us_equity``, ``cme_index_rth`` or ``cme_eth``.
    regime : str
        ``trend_up``, ``trend_down``, ``mean_revert``, ``choppy``; ``mixed``: another each date.
    base_price : float
        The level on 2024-01-01.
    volume_profile : str
        ``u_shape``, ``morning_spike`` or ``flat``.
    volatility_mult : float
        Widens (above 1) or narrows the moves.
    tick : float
        Prices are multiples of it.
    seed : int
        The same seed gives the same bars.

    Raises
    ------
    ConfigError
        If a value cannot be used; the message names it.
    """

    session: str = "us_equity"
    regime: str = MIXED
    base_price: float = 100.0
    volume_profile: str = "u_shape"
    volatility_mult: float = 1.0
    tick: float = 0.01
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values that cannot be met."""
        for name, allowed in (
            ("session", SESSIONS),
            ("regime", (MIXED, *REGIMES)),
            ("volume_profile", VOLUME_PROFILES),
        ):
            if getattr(self, name) not in allowed:
                text = f"found {getattr(self, name)}, allowed {', '.join(allowed)}"
                raise ConfigError(f"{name}: {text}")
        for name, low, high in (
            ("base_price", 1.0, 1e6),
            ("volatility_mult", 0.0, 10.0),
            ("tick", 1e-6, 1.0),
            ("seed", 0, 2**63 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                text = f"found {getattr(self, name)}, allowed {low:g} to {high:g}"
                raise ConfigError(f"{name}: {text}")


def make_sessions(
    spec: SessionSpec,
    symbol: str,
    first: dt.date,
    last: dt.date,
    bounds: Callable[[dt.date], tuple[int, int] | None],
) -> pa.Table:
    """Return the one-minute bars of a symbol.

    Parameters
    ----------
    spec : SessionSpec
        What they are like.
    symbol : str
        The symbol; another one has other bars.
    first, last : datetime.date
        Dates of sessions, both included.
    bounds : callable
        When the session of a date opens and closes, in ns since 1970 (UTC); None without one.

    Returns
    -------
    pa.Table
        ``timestamp open high low close volume``; a time is the end of its bar.
    """
    dates = [first + dt.timedelta(days=index) for index in range((last - first).days + 1)]
    parts = []
    for date in dates:
        hours = bounds(date)
        if hours is not None:
            parts.append(_session(spec, symbol, date, *hours))
    names = ["timestamp", "open", "high", "low", "close", "volume"]
    if not parts:
        raise ConfigError(f"there is no session from {first} to {last}")
    times = pa.array(np.concatenate([part[0] for part in parts])).cast(pa.timestamp("ns", "UTC"))
    columns = np.concatenate([part[1] for part in parts], axis=1)
    return pa.table([times, *(pa.array(column) for column in columns)], names=names)


def _session(
    spec: SessionSpec, symbol: str, date: dt.date, opens: int, closes: int
) -> tuple[Ints, Floats]:
    """Return the times of one session's bars and their values, shape (5, minutes)."""
    minutes = (closes - opens) // _MINUTE_NS
    draws = Draws(spec.seed, "session", symbol, date.isoformat())
    chosen = int(draws.uniform(1)[0] * len(REGIMES))
    regime = REGIMES[chosen] if spec.regime == MIXED else spec.regime
    base = spec.base_price * float(np.exp(_level(spec, symbol, date)))
    close = _closes(draws, regime, minutes, base, spec.volatility_mult)
    start = np.concatenate(([base], close[:-1]))
    share = _RANGE * spec.volatility_mult
    span = np.abs(share + share / 3 * draws.normal(minutes)) / 2
    high = np.maximum(start, close) * (1 + span)
    low = np.minimum(start, close) * (1 - span)
    ticks = np.maximum(np.rint(np.stack((start, high, low, close)) / spec.tick), 1)
    decimals = max(0, round(-np.log10(spec.tick)) + 1)
    volume = np.maximum(np.rint(_volume(draws, spec.volume_profile, minutes)), 1)
    times = opens + _MINUTE_NS * np.arange(1, minutes + 1)
    return times, np.vstack((np.round(ticks * spec.tick, decimals), volume))


def _closes(draws: Draws, regime: str, minutes: int, base: float, mult: float) -> Floats:
    volatility = _VOLATILITY * mult * (1.5 if regime == "choppy" else 1.0)
    returns = volatility * draws.normal(minutes)
    returns += {"trend_up": _DRIFT, "trend_down": -_DRIFT}.get(regime, 0.0)
    if regime == "mean_revert":
        returns -= _REVERSION * (np.exp(np.cumsum(returns)) - 1)
    return base * np.exp(np.cumsum(returns))


def _volume(draws: Draws, profile: str, minutes: int) -> Floats:
    volume = draws.lognormal(_VOLUME, 0.4, minutes)
    progress = np.linspace(0, 1, minutes)
    if profile == "u_shape":
        volume *= 1 + 0.5 * (progress**2 + (1 - progress) ** 2)
    elif profile == "morning_spike":
        volume *= 1 + 0.8 * np.exp(-progress / 0.2)
    return volume


def _level(spec: SessionSpec, symbol: str, date: dt.date) -> float:
    """Return the log level at which a date starts, zero on the anchor's date."""
    away = (date - _ANCHOR).days
    direction = 1 if away >= 0 else -1
    shocks = Draws(spec.seed, "level", symbol, direction).normal(abs(away))
    return float(walk(_LEVEL * shocks, 0.004)[-1]) if away else 0.0
