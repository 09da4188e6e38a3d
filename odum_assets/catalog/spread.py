"""How wide books are: per book, and weighted by the time that each one was the latest.

Only books with both sides that are not crossed have a spread.
"""

from typing import Any

import numpy as np

from odum_assets.catalog.latency import lower_quantiles, quantile_names
from odum_assets.catalog.timeline import Timeline, ratios, shortened
from odum_assets.catalog.times import Int64s
from odum_assets.utc import NS_PER_SECOND

_REACH = 100_000
"""Spreads of so many ticks and more share a bin: a quantile among them is unknown."""
_LONGEST_NS = 10 * NS_PER_SECOND
"""A book counts no longer than this: without news for ten seconds the spread is unknown."""
_MANTISSA_BITS = 15
"""Bits of a float32 that a bin leaves open: bins are 1/256 of a power of two wide."""
_BPS_BINS = 2**31 >> _MANTISSA_BITS
_PER_BOOK = (5, 25, 50, 75, 95, 99)
_BY_TIME = (50, 95)


class Spreads:
    """The spreads of a day's books.

    Parameters
    ----------
    ts_init : ndarray
        Times of arrival (ns), never decreasing; shape (n,).
    best_bid, best_ask : ndarray
        Best prices in ticks, 0 where there is none; shape (n,).
    ticks_per_unit : int
        Ticks that are a price of one.
    """

    def __init__(
        self, ts_init: Int64s, best_bid: Int64s, best_ask: Int64s, ticks_per_unit: int
    ) -> None:
        self._ticks_per_unit = ticks_per_unit
        known = (best_bid > 0) & (best_ask >= best_bid)
        self._bids = best_bid[known]
        self._known = best_ask[known] - self._bids
        self._ticks = np.where(known, best_ask - best_bid, -1)
        # Until the next book; how long the last one held is unknown.
        held = np.diff(ts_init, append=ts_init[-1:])
        self._held_ns = np.where(known, np.minimum(held, _LONGEST_NS), 0)

    def figures(self) -> dict[str, Any]:
        """Return the figures; quantiles are lower ones."""
        count = len(self._known)
        bins = np.minimum(self._known, _REACH)
        ticks = lower_quantiles(np.bincount(bins, minlength=_REACH + 1), _PER_BOOK)
        bps = np.bincount(_bps_bins(self._known, self._bids), minlength=_BPS_BINS)
        names = quantile_names(_PER_BOOK)
        median = ticks[_PER_BOOK.index(50)]
        return {
            "books": count,
            "median": None if median is None else median / self._ticks_per_unit,
            "mean": exact_sum(self._known) / count / self._ticks_per_unit if count else None,
            "ticks": {
                **dict(zip(names, ticks, strict=True)),
                "max": int(self._known.max()) if count else None,
            },
            "bps": dict(zip(names, map(_bps_of, lower_quantiles(bps, _PER_BOOK)), strict=True)),
            "by_time": self._by_time(),
        }

    def along_the_day(self, timeline: Timeline) -> dict[str, Any]:
        """Return mean by time and maximum per span, as prices; None where there is no book."""
        # In floats: whole numbers, exact below 2**53.
        weighted = timeline.sums(self._held_ns.astype(np.float64) * self._ticks)
        # One more than the spread: zero stands for no book.
        highest = timeline.highest(self._ticks + 1).tolist()
        return {
            "spread_mean": ratios(weighted, timeline.sums(self._held_ns), self._ticks_per_unit),
            "spread_max": [
                shortened((spread - 1) / self._ticks_per_unit) if spread else None
                for spread in highest
            ],
        }

    def _by_time(self) -> dict[str, Any]:
        bins = np.clip(self._ticks, 0, _REACH)
        # Sums of whole numbers in float64, exact below 2**53: a day has 2**47 ns.
        weights = np.bincount(bins, self._held_ns, minlength=_REACH + 1).astype(np.int64)
        total = int(weights.sum())
        used = np.flatnonzero(weights).tolist()
        mean = None
        if used and used[-1] < _REACH:
            mean = sum(ticks * int(weights[ticks]) for ticks in used) / total
        quantiles = lower_quantiles(weights, _BY_TIME)
        return {
            "seconds": total / NS_PER_SECOND,
            "mean_ticks": mean,
            **{
                f"{name}_ticks": quantile
                for name, quantile in zip(quantile_names(_BY_TIME), quantiles, strict=True)
            },
        }


def exact_sum(ticks: Int64s) -> int:
    """Return the sum without overflow: high and low halves are added apart."""
    return (int((ticks >> 32).sum()) << 32) + int((ticks & 0xFFFFFFFF).sum())


def _bps_bins(spread: Int64s, best_bid: Int64s) -> Int64s:
    """Return the bin of each relative spread: the leading bits of a float32 sort like numbers."""
    # In floats: with 16 decimals, bid and ask of 462 fit 64 bits, and their sum does not.
    double_mid = 2.0 * best_bid + spread
    bps = (spread * 20_000.0 / double_mid).astype(np.float32)
    return (bps.view(np.int32) >> _MANTISSA_BITS).astype(np.int64)


def _bps_of(index: int | None) -> float | None:
    """Return the middle of a bin, exact for zero, else at most 0.2 % off."""
    if not index:
        return None if index is None else 0.0
    low, high = (
        float(np.int32((index + step) << _MANTISSA_BITS).view(np.float32)) for step in (0, 1)
    )
    return shortened((low + high) / 2)
