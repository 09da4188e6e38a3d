"""When there are no more entries: limits of a session, of an instrument and of the account."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from odum_assets.bars.broker import Side
from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.params import GovernanceParams
from odum_assets.bars.orb.trade import Trade

_MINUTE_NS = 60_000_000_000


class AccountGovernance:
    """Limits of all instruments of an account together.

    Parameters
    ----------
    params
        Loss in money, and positions at a time.
    """

    def __init__(self, params: GovernanceParams) -> None:
        self._max_loss = params.max_daily_loss
        self._max_positions = params.max_concurrent
        self._gains: defaultdict[int, Decimal] = defaultdict(Decimal)
        self._positions = 0
        self._withdraw: list[Callable[[], None]] = []

    def register(self, withdraw: Callable[[], None]) -> None:
        """Add an instrument by what cancels its resting entries."""
        self._withdraw.append(withdraw)

    def block(self, day: int) -> str | None:
        """Return why there are no entries at all, None if there may be some.

        Parameters
        ----------
        day
            Date of the session, as an ordinal.
        """
        if self._max_loss is not None and self._gains[day] <= -self._max_loss:
            return "account_loss"
        if self._max_positions is not None and self._positions >= self._max_positions:
            return "max_concurrent"
        return None

    def opened(self, day: int) -> None:
        """Take note of a position; entries that rest elsewhere go once there are enough."""
        self._positions += 1
        self._enforce(day)

    def closed(self, day: int, gain: Decimal) -> None:
        """Take note of the end of a position and its gain in money, fees excluded."""
        self._positions -= 1
        self._gains[day] += gain
        self._enforce(day)

    def _enforce(self, day: int) -> None:
        if self.block(day) is not None:
            for withdraw in self._withdraw:
                withdraw()


class Governance:
    """Limits of one instrument.

    Full stops are counted until a trade wins, over sessions, too; a lockout ends with its session.

    Parameters
    ----------
    params
        Limits.
    """

    def __init__(self, params: GovernanceParams) -> None:
        self._params = params
        self._full_stops = 0
        self._max_loss_r = (
            None if params.max_daily_loss_r is None else float(params.max_daily_loss_r)
        )
        self._cooldown_ns = params.cooldown_minutes * _MINUTE_NS
        self.entries = 0
        self.lockout: str | None = None
        self.lockout_ns: int | None = None
        self._session_r = 0.0
        self._resting_until: dict[Side, int] = {}

    def start_session(self) -> None:
        """Forget what belongs to the session before."""
        self.entries, self._session_r = 0, 0.0
        self.lockout = self.lockout_ns = None

    def block(self, time: int, opening_range: OpeningRange) -> str | None:
        """Return why the session has no more entries, None if it may have some.

        Parameters
        ----------
        time
            The close, nanoseconds.
        opening_range
            The session's.
        """
        if self.lockout is not None:
            return self.lockout
        if self.entries >= self._params.max_signals_per_day:
            return "max_signals"
        if time >= opening_range.cutoff_ns:
            return "time_cutoff"
        return "session_end" if time >= opening_range.flatten_ns else None

    def is_cooling(self, side: Side, time: int) -> bool:
        """Return whether a side waits after its last trade."""
        return time < self._resting_until.get(side, 0)

    def record(self, trade: Trade, time: int) -> None:
        """Take note of a closed trade.

        Parameters
        ----------
        trade
            The trade.
        time
            When it was closed, nanoseconds.
        """
        realized = trade.realized_r
        self._session_r += realized
        if self._cooldown_ns:
            self._resting_until[trade.side] = time + self._cooldown_ns
        if realized > 0:
            self._full_stops = 0
        elif trade.is_full_stop:
            self._full_stops += 1
            if self._full_stops >= self._params.lockout_after_losses:
                self._lock("losses", time)
        if self._max_loss_r is not None and self._session_r <= -self._max_loss_r + 1e-9:
            self._lock("daily_loss_r", time)

    def _lock(self, reason: str, time: int) -> None:
        if self.lockout is None:
            self.lockout, self.lockout_ns = reason, time
