"""The bars of a series that belong to sessions, and where each session starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from odum_assets.bars.orb.indicators import Ints
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import OUTSIDE, SessionRules

_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Session:
    """One session.

    Parameters
    ----------
    day
        Its date.
    number
        Its position among the sessions.
    first, stop
        Its bars, ``first`` included and ``stop`` excluded.
    open_ns, close_ns
        Its bounds, nanoseconds since the epoch (UTC).
    """

    day: date
    number: int
    first: int
    stop: int
    open_ns: int
    close_ns: int


@dataclass(frozen=True, slots=True)
class SessionBars(BarSeries):
    """The bars of a series that lie inside of sessions.

    Parameters
    ----------
    session
        Position of each bar's session in `sessions`, shape ``(n,)``.
    first
        Index of the first bar of each bar's session, shape ``(n,)``.
    sessions
        All sessions that have bars, in order.
    row_of
        For each bar of the whole series its index here, -1 outside of sessions.
    """

    session: Ints
    first: Ints
    sessions: tuple[Session, ...]
    row_of: Ints

    def buckets(self, minutes: int) -> Ints:
        """Return numbers that are equal for bars within the same `minutes` of a session."""
        length = minutes * 60_000_000_000
        starts = np.array([session.open_ns for session in self.sessions], dtype=np.int64)
        inside = (self.close_time - starts[self.session] - 1) // length
        return self.session * (1 << 20) + inside


def select_bars(series: BarSeries, rules: SessionRules) -> SessionBars:
    """Take the bars of a series that lie inside of sessions."""
    days = rules.assign(series.close_time)
    kept = np.flatnonzero(days != OUTSIDE)
    row_of = np.full(len(series), -1, dtype=np.int64)
    row_of[kept] = np.arange(len(kept))
    days = days[kept]
    starts = np.flatnonzero(np.diff(days, prepend=OUTSIDE))
    session = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(days)))).astype(
        np.int64
    )
    return SessionBars(
        series.instrument,
        series.step,
        series.tick_size,
        series.size_precision,
        series.close_time[kept],
        series.open[kept],
        series.high[kept],
        series.low[kept],
        series.close[kept],
        series.volume[kept],
        session=session,
        first=starts[session].astype(np.int64),
        sessions=tuple(_sessions(days, starts, rules)),
        row_of=row_of,
    )


def _sessions(
    days: NDArray[np.int32], starts: NDArray[np.intp], rules: SessionRules
) -> Iterator[Session]:
    bounds_of_rows = [*starts.tolist(), len(days)]
    for number, (first, stop) in enumerate(pairwise(bounds_of_rows)):
        day = _FIRST_DAY + timedelta(days=int(days[first]))
        bounds = rules.bounds(day)
        if bounds is None:
            raise ValueError(f"{day}: bars are assigned to a session that does not exist")
        yield Session(day, number, first, stop, *bounds)
