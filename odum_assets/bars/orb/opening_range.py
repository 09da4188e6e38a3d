"""The opening range of each session: its length, edges, validity and triggers.

Nothing here looks ahead: average true ranges are those of the bars before the session, the edges
those of the opening range's own bars.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from odum_assets.bars.orb.indicators import (
    Floats,
    average_true_range,
    deviation_of_changes,
    group_bars,
)
from odum_assets.bars.orb.params import BufferParams, OpeningRangeParams, OrbParams
from odum_assets.bars.orb.sessions import Session, SessionBars
from odum_assets.errors import ConfigError
from odum_assets.utc import NS_PER_SECOND

_MINUTE_NS = 60 * NS_PER_SECOND
_CHANGES = 10
"""Changes of the close of the adaptive buffer."""


@dataclass(frozen=True, slots=True)
class OpeningRange:
    """The opening range of one session.

    Parameters
    ----------
    session
        The session.
    minutes
        Its length.
    end_ns
        Its end, nanoseconds since the epoch (UTC).
    ready
        Index of the bar at whose close it is complete; ``session.stop`` if there is none.
    high, low
        Its edges in ticks; zero without bars.
    coverage
        Share of its bars that are there.
    norm_vol
        v, the intraday over the daily average true range, scaled as configured; None if unknown.
    atr
        The reference average true range in ticks; None if unknown.
    reason
        Why it is not valid; None if it is.
    block
        Why the session has no entries; None if it may have some.
    long_trigger, short_trigger
        Where a breakout starts, in ticks; zero without bars.
    cutoff_ns, flatten_ns
        From these closes on there are no entries, and no positions; nanoseconds.
    """

    session: Session
    minutes: int
    end_ns: int
    ready: int
    high: int
    low: int
    coverage: float
    norm_vol: float | None
    atr: float | None
    reason: str | None
    block: str | None
    long_trigger: int
    short_trigger: int
    cutoff_ns: int
    flatten_ns: int

    @property
    def width(self) -> int:
        """Return the distance of the edges in ticks."""
        return self.high - self.low

    @property
    def norm_width(self) -> float | None:
        """Return the width in reference average true ranges."""
        return self.width / self.atr if self.atr else None


@dataclass(frozen=True, slots=True)
class _Volatility:
    """Average true ranges as of the start of each session, NaN while unknown."""

    intraday: Floats
    daily: Floats
    by_minutes: dict[int, Floats]


def find_opening_ranges(
    bars: SessionBars, params: OrbParams, step: int, tick_size: Decimal, timezone: str
) -> tuple[OpeningRange, ...]:
    """Find the opening range of every session.

    Parameters
    ----------
    bars
        Bars inside of sessions.
    params
        Parameters.
    step
        Length of a bar in nanoseconds.
    tick_size
        Price of one tick.
    timezone
        IANA name of the zone of local times.

    Raises
    ------
    ConfigError
        If a length is no multiple of the bars'.
    """
    _check_lengths(params.orb, step)
    volatility = _volatility(bars, params.orb)
    changes = deviation_of_changes(bars.close, _CHANGES)
    zone = ZoneInfo(timezone)
    return tuple(
        _opening_range(bars, session, params, step, tick_size, zone, volatility, changes)
        for session in bars.sessions
    )


def _check_lengths(params: OpeningRangeParams, step: int) -> None:
    lengths = {"base_minutes": params.base_minutes}
    if params.adaptive:
        lengths |= {
            "short_or_minutes": params.short_or_minutes,
            "long_or_minutes": params.long_or_minutes,
            "intraday_atr_timeframe": params.intraday_minutes,
        }
    for key, minutes in lengths.items():
        if minutes * _MINUTE_NS % step:
            raise ConfigError(
                f"strategy.params.orb.{key}: {minutes} minutes are no multiple of the bars of "
                f"{step / _MINUTE_NS:g} minutes; choose a multiple or shorter bars"
            )


def _volatility(bars: SessionBars, params: OpeningRangeParams) -> _Volatility:
    lengths = {params.base_minutes}
    if params.adaptive:
        lengths |= {params.short_or_minutes, params.long_or_minutes}
    return _Volatility(
        _atr_before(bars, bars.buckets(params.intraday_minutes), params.atr_period),
        _atr_before(bars, bars.session, params.atr_period),
        {
            minutes: _atr_before(bars, bars.buckets(minutes), params.atr_period)
            for minutes in lengths
        },
    )


def _atr_before(bars: SessionBars, key: np.ndarray, period: int) -> Floats:
    """Return the average true range of longer bars as of the start of each session."""
    groups = group_bars(bars.high, bars.low, bars.close, key)
    atr = average_true_range(groups.high, groups.low, groups.close, period)
    first = np.array([session.first for session in bars.sessions], dtype=np.int64)
    before = np.searchsorted(groups.last, first) - 1
    return np.where(before >= 0, atr[before], np.nan) if len(atr) else np.full(len(first), np.nan)


def _opening_range(
    bars: SessionBars,
    session: Session,
    params: OrbParams,
    step: int,
    tick_size: Decimal,
    zone: ZoneInfo,
    volatility: _Volatility,
    changes: Floats,
) -> OpeningRange:
    orb, governance = params.orb, params.governance
    intraday, daily = (
        _known(atrs[session.number]) for atrs in (volatility.intraday, volatility.daily)
    )
    norm_vol = _norm_vol(intraday, daily, session, orb)
    minutes = choose_minutes(norm_vol, orb)
    references = {
        "or_length": _known(volatility.by_minutes[minutes][session.number]),
        "intraday": intraday,
        "daily": daily,
    }
    atr = references[orb.validity_atr]
    end_ns = session.open_ns + minutes * _MINUTE_NS
    times = bars.close_time[session.first : session.stop]
    stop = session.first + int(times.searchsorted(end_ns, side="right"))
    ready = session.first + int(times.searchsorted(end_ns, side="left"))
    high, low = 0, 0
    if stop > session.first:
        high = int(bars.high[session.first : stop].max())
        low = int(bars.low[session.first : stop].min())
    coverage = (stop - session.first) * step / (minutes * _MINUTE_NS)
    reason = check_range(high - low, atr, coverage, orb)
    buffer = None
    if stop > session.first:
        buffer = _buffer(params.buffers, atr, _known(changes[stop - 1]), tick_size)
    return OpeningRange(
        session=session,
        minutes=minutes,
        end_ns=end_ns,
        ready=ready,
        high=high,
        low=low,
        coverage=coverage,
        norm_vol=norm_vol,
        atr=atr,
        reason=reason,
        block=_block(session, params, reason, atr, stop > session.first),
        long_trigger=high + math.ceil((buffer or 0) - 1e-9),
        short_trigger=low - math.ceil((buffer or 0) - 1e-9),
        cutoff_ns=_local_ns(session, governance.time_cutoff, zone),
        # A market order fills at the next open: a bar before the end at the latest.
        flatten_ns=session.close_ns - max(governance.flatten_minutes * _MINUTE_NS, step),
    )


def choose_minutes(norm_vol: float | None, params: OpeningRangeParams) -> int:
    """Return the length of an opening range; unknown volatility has the base length."""
    if not params.adaptive or norm_vol is None:
        return params.base_minutes
    if norm_vol < params.low_norm_vol:
        return params.short_or_minutes
    if norm_vol > params.high_norm_vol:
        return params.long_or_minutes
    return params.base_minutes


def check_range(
    width: int, atr: float | None, coverage: float, params: OpeningRangeParams
) -> str | None:
    """Return why an opening range is not valid, None if it is.

    Parameters
    ----------
    width
        Distance of its edges in ticks.
    atr
        Reference average true range in ticks.
    coverage
        Share of its bars that are there.
    params
        Bounds.
    """
    if coverage == 0:
        return "no_bars"
    if coverage < params.min_coverage:
        return "missing_bars"
    if not atr:
        return "atr_unknown"
    if width < float(params.min_atr_mult) * atr:
        return "too_narrow"
    if width > float(params.max_atr_mult) * atr:
        return "too_wide"
    return None


def _block(
    session: Session, params: OrbParams, reason: str | None, atr: float | None, has_bars: bool
) -> str | None:
    filters, weekday = params.filters, f"{session.day:%a}".lower()
    if session.day in filters.no_trade_dates:
        return "no_trade_date"
    if weekday not in filters.weekdays:
        return "weekday"
    if not has_bars:
        return "no_bars"
    if not atr and (params.buffers.use_atr or params.trade.stop_mode == "atr_capped"):
        return "atr_unknown"
    return reason if params.orb.enable_validity_filter else None


def _norm_vol(
    intraday: float | None, daily: float | None, session: Session, params: OpeningRangeParams
) -> float | None:
    if intraday is None or not daily:
        return None
    bars = (session.close_ns - session.open_ns) / (params.intraday_minutes * _MINUTE_NS)
    return intraday / daily * (math.sqrt(bars) if params.norm_vol_scale == "sqrt_time" else 1)


def _buffer(
    params: BufferParams, atr: float | None, deviation: float | None, tick_size: Decimal
) -> float:
    """Return the distance of the triggers from the edges, in ticks."""
    # Whole ticks stay whole: the quotient of two decimals is exact.
    ticks: Callable[[Decimal], float] = lambda price: float(price / tick_size)  # noqa: E731
    buffer = ticks(params.fixed)
    if params.adaptive is not None:
        moved = buffer + float(params.adaptive.scalar) * (deviation or 0.0)
        buffer = min(max(moved, ticks(params.adaptive.min)), ticks(params.adaptive.max))
    if params.use_atr and atr:
        buffer += float(params.atr_mult) * atr
    return buffer


def _local_ns(session: Session, local: time | None, zone: ZoneInfo) -> int:
    """Return when it is a local time inside of a session; its end if it never is."""
    if local is None:
        return session.close_ns
    # A session that crosses midnight has the date of its end.
    for day in (session.day, session.day - timedelta(days=1)):
        moment = int(datetime.combine(day, local, zone).timestamp()) * NS_PER_SECOND
        if session.open_ns <= moment <= session.close_ns:
            return moment
    late = datetime.combine(session.day, local, zone).timestamp() * NS_PER_SECOND
    return session.open_ns if late < session.open_ns else session.close_ns


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
