"""The price of one instrument's day, and how busy the market is.

The level at each midnight comes from a daily walk anchored at a fixed date, and the path between
two midnights is bent to meet both: so any day can be made alone and days still join. Book and
trades are made of it in `market`.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from odum_assets.instruments.keys import InstrumentKey
from odum_assets.raw.sample.draws import Draws, Floats, Ints, hold, walk
from odum_assets.raw.sample.spec import Market, SampleSpec

ANCHOR = dt.date(2024, 1, 1)
MINUTE_MS = 60_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Activity:
    """How busy a day is: a weight a minute, and sudden moves in units of a day's volatility."""

    weights: Floats
    jump_ms: Ints
    jump: Floats


class PriceProcess:
    """Make the price of one day.

    Parameters
    ----------
    spec : SampleSpec
        The request.
    key : InstrumentKey
        The instrument.
    day : datetime.date
        The day (UTC).

    Attributes
    ----------
    activity : Activity
    """

    def __init__(self, spec: SampleSpec, key: InstrumentKey, day: dt.date) -> None:
        self._spec = spec
        self._key = str(key)
        self._day = day
        self._market: Market = spec.market(key)
        self.activity = self._make_activity()

    def _draws(self, what: str) -> Draws:
        return Draws(self._spec.seed, self._key, self._day.toordinal(), what)

    def daily(self, what: str, volatility: float, reversion: float) -> tuple[float, float]:
        """Return the log level of a daily walk at both midnights, zero at the anchor."""
        index = (self._day - ANCHOR).days
        direction = 1 if index >= 0 else -1
        count = max(index + 1, -index)
        own = Draws(self._spec.seed, self._key, what, direction).normal(count)
        # Instruments share most of a day's move, as coins do.
        common = Draws(self._spec.seed, what, direction).normal(count)
        levels = walk(volatility * (0.6 * own + 0.8 * common), reversion)
        levels = np.concatenate(([0.0], levels))
        if direction > 0:
            return float(levels[index]), float(levels[index + 1])
        return float(levels[-index]), float(levels[-index - 1])

    def path(self, ms: Ints) -> tuple[Floats, Floats]:
        """Return the mid price in ticks and how lively the market is (1 is usual), per row."""
        draws = self._draws("path")
        weights = self.activity.weights / self.activity.weights.mean()
        lively = weights[ms // MINUTE_MS]
        seconds = np.diff(ms, prepend=ms[0]) / 1000
        # A price stands still between moves. It moves in episodes of about a second, each with a
        # direction and a pace of its own: cascades of small steps rather than single leaps.
        fresh = draws.uniform(ms.size) < -np.expm1(-seconds / 0.9)
        sign = hold(np.where(draws.uniform(ms.size) < 0.5, -1.0, 1.0), fresh)
        pace = hold(draws.lognormal(0.45, 1.2, ms.size), fresh) * lively
        chance = -np.expm1(-pace * seconds)
        moved = draws.uniform(ms.size) < chance
        variance = np.zeros(ms.size)
        np.divide(pace * seconds, chance, out=variance, where=moved)
        size = draws.lognormal(1.0, 0.5, ms.size) * np.abs(draws.normal(ms.size))
        steps = sign * size * np.sqrt(variance)
        episodes = np.add.reduceat(steps, np.flatnonzero(fresh | (np.arange(ms.size) == 0)))
        hours = self._spec.hours[1] - self._spec.hours[0]
        usual = self._market.volatility * np.sqrt(hours / 24)
        usual *= self._draws("volatility").lognormal(1.0, 0.2, 1)[0]
        steps *= usual / max(float(np.sqrt(np.sum(episodes**2))), 1.0)
        inside = (self.activity.jump_ms > ms[0]) & (self.activity.jump_ms <= ms[-1])
        rows = np.searchsorted(ms, self.activity.jump_ms[inside])
        np.add.at(steps, rows, self._market.volatility * self.activity.jump[inside])
        variance[rows] += 1.0

        path = np.cumsum(steps)
        first, final = self.daily("price", self._market.volatility, 0.004)
        begin, end = (first + (final - first) * hour / 24 for hour in self._spec.hours)
        progress = np.cumsum(variance)
        if progress[-1] > 0:
            progress /= progress[-1]
        path += begin + (end - begin - path[-1]) * progress
        return np.exp(path) * (self._market.price / float(self._market.tick)), lively

    def _make_activity(self) -> Activity:
        """Shape the day: session humps, slow noise, busy minutes after sudden moves.

        All instruments share it, as news does not stop at one of them.
        """
        ordinal = self._day.toordinal()
        minutes = DAY_MS // MINUTE_MS
        hour = np.arange(minutes) / 60
        humps = ((0, 1.2, 0.5), (1.5, 1.5, 0.4), (8, 1.5, 0.5), (14.5, 1.6, 1.5), (20, 1.2, 0.5))
        weights = np.full(minutes, 0.45)
        for center, width, height in (*humps, (24, 1.2, 0.5)):
            weights += height * np.exp(-0.5 * ((hour - center) / width) ** 2)
        weights *= np.exp(0.35 * Draws(self._spec.seed, ordinal, "activity").smooth(minutes, 30))
        draws = Draws(self._spec.seed, ordinal, "jumps")
        count = 3 + int(4 * draws.uniform(1)[0])
        jump_ms = (draws.uniform(count) * DAY_MS).astype(np.int64)
        jump = draws.normal(count) * 0.22
        after = np.exp(-np.arange(60) / 7)
        for at, size in zip((jump_ms // MINUTE_MS).tolist(), jump.tolist(), strict=True):
            stretch = weights[at : at + after.size]
            stretch *= 1 + 25 * min(abs(size), 0.3) * after[: stretch.size]
        if self._spec.irregularities:
            bursts = (draws.uniform(12) * minutes).astype(np.int64)
            weights[bursts] *= 12
        return Activity(weights, jump_ms, jump)
