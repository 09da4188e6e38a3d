"""The strategy itself: what it does at each close and after each fill.

States of a session: ``WAIT`` before its first bar, ``FORMING`` until the opening range is complete,
``INVALID`` when it has no entries, ``READY``, ``ARMED`` while entries rest, ``OPEN`` while a trade
is open, ``DONE`` once governance allows no more entries.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from odum_assets.bars.broker import Bracket, Broker, Fill, Side
from odum_assets.bars.orb.excursions import covered
from odum_assets.bars.orb.exits import ClosedBar, ExitRule, exit_rules
from odum_assets.bars.orb.governance import AccountGovernance, Governance
from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.params import OrbParams
from odum_assets.bars.orb.stops import EntryPlan, EntryPlanner, divide
from odum_assets.bars.orb.study import Study
from odum_assets.bars.orb.trade import Leg, Trade
from odum_assets.bars.path import Path, path_points

_SIDES: tuple[Side, Side] = (1, -1)


class State(StrEnum):
    """Where a session stands."""

    WAIT = "wait"
    FORMING = "forming"
    INVALID = "invalid"
    READY = "ready"
    ARMED = "armed"
    OPEN = "open"
    DONE = "done"


@dataclass(slots=True)
class SessionRecord:
    """What became of a session.

    Parameters
    ----------
    opening_range
        Its opening range.
    state
        Where it ended.
    entries
        Trades that were entered.
    lockout, lockout_ns
        Why governance ended it early, and when (nanoseconds); None if it did not.
    """

    opening_range: OpeningRange
    state: State
    entries: int = 0
    lockout: str | None = None
    lockout_ns: int | None = None


@dataclass(slots=True)
class _Columns:
    """Columns of a study as lists, which Python reads one by one faster than arrays."""

    close_time: list[int]
    open: list[int]
    high: list[int]
    low: list[int]
    close: list[int]
    session: list[int]
    long_passes: list[bool]
    short_passes: list[bool]
    swing_low: list[float]
    swing_high: list[float]

    @classmethod
    def of(cls, study: Study) -> "_Columns":
        bars, scores = study.bars, study.scores
        return cls(
            *(
                column.tolist()
                for column in (
                    bars.close_time,
                    bars.open,
                    bars.high,
                    bars.low,
                    bars.close,
                    bars.session,
                    scores.long_passes,
                    scores.short_passes,
                    study.swing_low,
                    study.swing_high,
                )
            )
        )


class OrbMachine:
    """Trade one instrument.

    Parameters
    ----------
    study
        What is known at each close.
    params
        Parameters.
    broker
        Where orders go.
    account
        Limits that the instruments of an account share.
    path
        The path of the price within bars, for excursions.
    tick_value
        Money per tick and unit of ``10 ** -size_precision``.
    trade_from
        Nanoseconds: sessions that open earlier are for indicators only.
    offset
        Index in the study's series of the first bar that `on_bar` counts.
    """

    def __init__(
        self,
        study: Study,
        params: OrbParams,
        broker: Broker,
        account: AccountGovernance,
        path: Path = "conservative",
        tick_value: Decimal = Decimal(1),
        trade_from: int = 0,
        offset: int = 0,
    ) -> None:
        self.study = study
        self.trades: list[Trade] = []
        self.sessions: list[SessionRecord] = []
        self._params = params
        self._broker = broker
        self._account = account
        self._tick_value = tick_value
        self._trade_from = trade_from
        self._rows: list[int] = study.bars.row_of[offset:].tolist()
        self._columns = _Columns.of(study)
        self._points = path_points(study.bars, path)
        self._governance = Governance(params.governance)
        self._planner = EntryPlanner(params.trade, study.bars.tick_size)
        self._rules: tuple[ExitRule, ...] = exit_rules(params, study.bars.tick_size)
        self._second_chance_ns = params.governance.second_chance_minutes * 60_000_000_000
        self._enters_at_close = params.entry.mode == "close"
        self.quantities = divide(
            params.backtest.contracts_per_trade * 10**study.bars.size_precision,
            [share for _, _, share in params.trade.targets()],
        )
        self._range: OpeningRange | None = None
        self._record: SessionRecord | None = None
        self._row = -1
        self._resting: dict[Side, Trade] = {}
        self._is_available: dict[Side, bool] = {1: True, -1: True}
        self._trade: Trade | None = None
        self._count = 0
        account.register(self._withdraw)

    def on_bar(self, index: int) -> None:
        """Decide at the close of a bar.

        Parameters
        ----------
        index
            Index of the bar in the series that is replayed.
        """
        row = self._rows[index]
        if row < 0:
            return
        self._row = row
        session = self._columns.session[row]
        if self._range is None or session != self._range.session.number:
            self._start_session(session)
        if self._trade is not None:
            self._follow(row)
        record, current = self._record, self._range
        if record is None or current is None or row < current.ready:
            return
        if record.state is State.FORMING:
            record.state = State.READY if current.block is None else State.INVALID
        if record.state in (State.INVALID, State.DONE):
            return
        self._decide(row, current, record)

    def on_fill(self, fill: Fill) -> None:
        """Take note of a fill."""
        if fill.role == "entry":
            self._enter(fill)
        elif self._trade is not None and fill.leg in self._trade.legs:
            self._trade.leave(fill)
            if self._trade.is_closed:
                self._close(self._trade, fill.time)

    def finish(self) -> None:
        """Take note of the end: fills that came after the last close are counted."""
        if self._trade is not None and self._trade.is_closed:
            self._trade = None

    # --- sessions ---------------------------------------------------------------------------

    def _start_session(self, number: int) -> None:
        self._withdraw()
        self._range = self.study.ranges[number]
        self._governance.start_session()
        self._is_available = {1: True, -1: True}
        self._record = None
        if self._range.session.open_ns >= self._trade_from:
            self._record = SessionRecord(self._range, State.FORMING)
            self.sessions.append(self._record)

    def _decide(self, row: int, current: OpeningRange, record: SessionRecord) -> None:
        """Let entries rest at the triggers whose side may be entered, and no others."""
        time = self._columns.close_time[row]
        reason = self._governance.block(time, current)
        if reason is not None:
            self._withdraw()
            if self._trade is None:
                record.state = State.DONE
            self._note_lockout(record)
            return
        beyond = self._update_availability(row, time, current, record)
        if self._trade is not None:
            return
        is_blocked = self._is_account_blocked(current, record)
        for side in _SIDES:
            plan = None
            if not is_blocked and self._may_enter(side, row, time, beyond):
                plan = self._plan(side, row, current)
            self._rest(side, plan, row, current)
        record.state = State.ARMED if self._resting else State.READY

    def _is_account_blocked(self, current: OpeningRange, record: SessionRecord) -> bool:
        reason = self._account.block(current.session.day.toordinal())
        if reason == "account_loss" and record.lockout is None:
            record.lockout, record.lockout_ns = reason, self._columns.close_time[self._row]
        return reason is not None

    def _note_lockout(self, record: SessionRecord) -> None:
        if record.lockout is None:
            record.lockout = self._governance.lockout
            record.lockout_ns = self._governance.lockout_ns

    def _update_availability(
        self, row: int, time: int, current: OpeningRange, record: SessionRecord
    ) -> set[Side]:
        """Say which triggers can still be broken, and return the sides that this close enters.

        A trigger that is crossed while no order rests there is spent. A close back inside revives
        it: during the second chance, and after a trade.
        """
        columns, entered = self._columns, set[Side]()
        revives = record.entries > 0 or time <= current.end_ns + self._second_chance_ns
        for side, trigger in (
            (_SIDES[0], current.long_trigger),
            (_SIDES[1], current.short_trigger),
        ):
            is_inside = side * (trigger - columns.close[row]) > 0
            if self._enters_at_close:
                is_crossed = not is_inside
                if is_crossed and self._is_available[side]:
                    entered.add(side)
            else:
                extreme = columns.high[row] if side > 0 else columns.low[row]
                is_crossed = side * (extreme - trigger) >= 0 and side not in self._resting
            if revives:
                self._is_available[side] = is_inside
            elif is_crossed:
                self._is_available[side] = False
        return entered

    # --- entries ----------------------------------------------------------------------------

    def _may_enter(self, side: Side, row: int, time: int, beyond: set[Side]) -> bool:
        passes = self._columns.long_passes if side > 0 else self._columns.short_passes
        is_available = side in beyond if self._enters_at_close else self._is_available[side]
        return passes[row] and is_available and not self._governance.is_cooling(side, time)

    def _plan(self, side: Side, row: int, current: OpeningRange) -> EntryPlan | None:
        columns = self._columns
        swing = columns.swing_low[row] if side > 0 else columns.swing_high[row]
        entry = current.long_trigger if side > 0 else current.short_trigger
        if self._enters_at_close:
            entry = columns.close[row]
        return self._planner.plan(side, entry, current, swing)

    def _rest(self, side: Side, plan: EntryPlan | None, row: int, current: OpeningRange) -> None:
        """Let an entry rest as planned; one that rests like that stays."""
        resting = self._resting.get(side)
        if resting is not None and plan is not None and resting.plan == plan:
            resting.decided = row
            return
        if resting is not None:
            self._cancel(side)
        if plan is None:
            return
        self._count += 1
        legs = {}
        for number, ((name, _, _), quantity, target) in enumerate(
            zip(self._params.trade.targets(), self.quantities, plan.targets, strict=True), 1
        ):
            if quantity:
                leg = Leg(f"{self._count}.{number}", name, quantity, plan.stop, target)
                legs[leg.name] = leg
        self._resting[side] = Trade(0, current, plan, legs, row)
        trigger = None if self._enters_at_close else plan.entry
        for leg in legs.values():
            self._broker.bracket(
                Bracket(leg.name, side, leg.quantity, trigger, leg.stop, leg.target)
            )

    def _cancel(self, side: Side) -> None:
        trade = self._resting.pop(side, None)
        if trade is not None:
            for leg in trade.legs:
                self._broker.cancel(leg)

    def _withdraw(self) -> None:
        for side in _SIDES:
            self._cancel(side)

    def _enter(self, fill: Fill) -> None:
        """Take note of a filled entry; the first one of a trade cancels the other side."""
        if self._trade is None:
            trade = self._resting.pop(fill.side)
            trade.number = len(self.trades) + 1
            self._trade = trade
            self.trades.append(trade)
            self._cancel(-fill.side)
            self._governance.entries += 1
            if self._record is not None:
                self._record.entries += 1
                self._record.state = State.OPEN
            self._account.opened(trade.day.toordinal())
        self._trade.enter(fill)

    # --- the open trade ---------------------------------------------------------------------

    def _follow(self, row: int) -> None:
        """Take note of what the bar did to the trade, and let the exit rules decide."""
        trade = self._trade
        assert trade is not None  # noqa: S101 - the caller has one
        self._extend(trade, row)
        if trade.is_closed:
            self._trade = None
            if self._record is not None and self._record.state is State.OPEN:
                self._record.state = State.READY
            return
        if trade.close_reason is not None or self._range is None:
            return
        columns = self._columns
        bar = ClosedBar(columns.close_time[row], columns.close[row], self._range)
        for rule in self._rules:
            action = rule.decide(trade, bar)
            if action is None:
                continue
            if action.stop is None:
                trade.close_reason = action.reason
                self._for_open_legs(trade, lambda leg: self._broker.close(leg.name))
                return
            self._tighten(trade, action.stop, action.reason)

    def _extend(self, trade: Trade, row: int) -> None:
        """Extend the excursions of a trade by a bar, as far as it was open in it."""
        columns = self._columns
        low, high = columns.low[row], columns.high[row]
        if trade.is_new or trade.is_closed:
            is_triggered = trade.is_new and not self._enters_at_close
            low, high = covered(
                self._points[row].tolist(),
                trade.side,
                trade.plan.entry if is_triggered else None,
                self._exit_level(trade, row) if trade.is_closed else None,
            )
        trade.is_new = False
        trade.extend(low, high)

    def _exit_level(self, trade: Trade, row: int) -> int:
        """Return the price on the path at which the last exit filled, without slippage."""
        last = trade.fills[-1]
        leg = trade.legs[last.leg]
        if last.role == "market":
            return self._columns.open[row]
        return leg.stop if last.role == "stop" else leg.target

    def _tighten(self, trade: Trade, stop: int, reason: str) -> None:
        """Move the stops that this makes tighter, of legs whose target lies beyond it."""

        def move(leg: Leg) -> None:
            if trade.side * (stop - leg.stop) > 0 and trade.side * (leg.target - stop) > 0:
                leg.stop = stop
                trade.stop_reason = reason
                self._broker.move_stop(leg.name, stop)

        self._for_open_legs(trade, move)

    def _for_open_legs(self, trade: Trade, act: Callable[[Leg], None]) -> None:
        for leg in trade.legs.values():
            if leg.entry is not None and leg.exit is None:
                act(leg)

    def _close(self, trade: Trade, time: int) -> None:
        self._governance.record(trade, time)
        gain = trade.gain * self._tick_value
        self._account.closed(trade.day.toordinal(), gain)
        if self._record is not None:
            self._note_lockout(self._record)
