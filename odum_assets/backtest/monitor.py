"""An actor beside the strategy: progress of the run, and funding as it is settled."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

from nautilus_trader.common import DataActor, TimeEvent
from nautilus_trader.model import AccountId, Currency, PositionAdjustmentType

from odum_assets.backtest.journal import Journal
from odum_assets.backtest.outcome import Funding
from odum_assets.backtest.plan import timer_steps_ns


class RunMonitor(DataActor):
    """Report progress a hundred times a run and write down every funding payment.

    Parameters
    ----------
    account_id : str
        The venue's account.
    currency : Currency
        Currency of funding payments.
    record : Journal
        What is recorded of the run.
    span : tuple[int, int]
        First and last market time (ns).
    settlements : tuple[int, ...]
        Times (ns) at which funding may be settled.
    report : Callable[[float, int, int], None]
        Called with share done, orders so far and market time.
    end : tuple[int, Callable[[], None]]
        Last moment of the run (ns), and what is called there.
    """

    def __new__(cls, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes no arguments of ours."""
        return super().__new__(cls)

    def __init__(
        self,
        account_id: str,
        currency: Currency,
        record: Journal,
        span: tuple[int, int],
        settlements: tuple[int, ...],
        report: Callable[[float, int, int], None],
        end: tuple[int, Callable[[], None]],
    ) -> None:
        super().__init__()
        self.funding: list[Funding] = []
        self._account_id = AccountId(account_id)
        self._currency = currency
        self._record = record
        self._span = span
        self._settlements = settlements
        self._report = report
        self._end = end
        self._before: tuple[Decimal, int] | None = None

    def on_start(self) -> None:
        """Set the timers."""
        first, last = self._span
        step, batch = timer_steps_ns(first, last)
        self.clock.set_timer_ns("odum.progress", step, first, last, self._on_progress)
        self.clock.set_timer_ns(
            "odum.flush", batch, first, last, lambda _event: self._record.flush_if_worth()
        )
        # Orders on their way arrive only when market time passes, after a timer was called:
        # rows alone would stop short, and the end must not be the same timer.
        end_at, end = self._end
        self.clock.set_time_alert_ns("odum.settle", end_at - 1, lambda _event: None)
        self.clock.set_time_alert_ns("odum.end", end_at, lambda _event: end())
        for moment in self._settlements:
            self.clock.set_time_alert_ns(f"odum.before.{moment}", moment - 1, self._on_before)
            self.clock.set_time_alert_ns(f"odum.after.{moment}", moment + 1, self._on_after)

    def balance(self) -> Decimal:
        """Return the balance of the engine's account."""
        account: Any = self.cache.account(self._account_id)
        return Decimal(account.balance_total(self._currency).as_decimal())

    def _on_progress(self, event: TimeEvent) -> None:
        first, last = self._span
        done = min((event.ts_event - first) / max(last - first, 1), 1.0)
        self._report(done, len(self._record.orders), event.ts_event)

    def _on_before(self, _event: TimeEvent) -> None:
        self._before = (self.balance(), len(self._record.fills))

    def _on_after(self, event: TimeEvent) -> None:
        assert self._before is not None  # noqa: S101 - its alert is two nanoseconds earlier
        balance, fills = self._before
        moment = event.ts_event - 1
        if fills == len(self._record.fills):
            amount = self.balance() - balance
        else:
            # Fills in the same instant changed the balance too: ask the positions (copies them).
            amount = self._adjustments_at(moment)
        if amount:
            self.funding.append(Funding(moment, amount))

    def _adjustments_at(self, moment: int) -> Decimal:
        changes = [
            adjustment.pnl_change.as_decimal()
            for position in self.cache.positions()
            for adjustment in position.adjustments()
            if adjustment.ts_event == moment
            and adjustment.adjustment_type == PositionAdjustmentType.FUNDING
            and adjustment.pnl_change is not None
        ]
        return sum(changes, Decimal(0))
