"""Which runs the kernel covers: those whose fills were seen to equal NautilusTrader's.

What belongs here: the reasons for which a run is not covered, by name; the table of the
documentation is made of them. What does not: the kernel (``vectorized.ticks``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from odum_assets.config import RunConfig
from odum_assets.config.sections.algorithms import ExecAlgorithm
from odum_assets.config.sections.execution import Closing
from odum_assets.errors import BacktestError
from odum_assets.instruments.keys import Product

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest


class NotCoveredError(BacktestError):
    """Report that the kernel does not cover a run."""


class Run(NamedTuple):
    """What decides whether a run is covered."""

    config: RunConfig
    algorithm: ExecAlgorithm
    snapshot_mode: str
    closing: Closing | None


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A reason not to cover a run.

    Parameters
    ----------
    name : str
        What the configuration calls it.
    why : str
        What the kernel does not know of it.
    applies : Callable[[Run], bool]
        Whether a run has it.
    """

    name: str
    why: str
    applies: Callable[[Run], bool]


_LOCKED: Final = "what open orders lock of the balances, by which orders are denied"

RESTING_CASH: Final = f"strategy.orders_file with time_in_force GTC on a CASH account: {_LOCKED}"


def _locks(run: Run) -> bool:
    latency = run.config.execution.latency
    waits = bool(latency.insert_ns or latency.cancel_ns)
    may_rest = run.config.strategy.time_in_force == "GTC"
    return run.config.venue.account_type == "CASH" and (waits or may_rest)


UNCOVERED: Final = (
    Uncovered(
        "strategy.path",
        "strategies of your own are Python code",
        lambda run: run.config.strategy.path is not None,
    ),
    Uncovered(
        "strategy.exec_algorithm",
        "orders that are worked in parts",
        lambda run: run.algorithm.type != "NORMAL",
    ),
    Uncovered(
        "execution.liquidity_consumption",
        "sizes that fills use up, remembered for each price over later books",
        lambda run: run.config.execution.liquidity_consumption,
    ),
    Uncovered(
        "execution.queue_position",
        "the queue before a resting order",
        lambda run: run.config.execution.queue_position,
    ),
    Uncovered(
        "execution.fill_model",
        "chances that are drawn by NautilusTrader's random numbers",
        lambda run: (
            run.config.execution.fill_model.prob_fill_on_limit != Decimal(1)
            or run.config.execution.fill_model.prob_slippage != Decimal(0)
        ),
    ),
    Uncovered(
        "execution.closing.method work",
        "positions that are worked through several books",
        lambda run: run.closing is not None and run.closing.method == "work",
    ),
    Uncovered(
        "risk.throttling_per_sec",
        "orders that a rate limit denies",
        lambda run: run.config.risk.throttling_per_sec is not None,
    ),
    Uncovered(
        "venue.account_type CASH with time_in_force GTC or latency",
        _LOCKED,
        _locks,
    ),
    Uncovered(
        "venue.oms_type HEDGING",
        "a position for each order, of which the kernel keeps one, and a closing order for each",
        lambda run: run.config.venue.oms_type == "HEDGING",
    ),
    Uncovered(
        "instrument.id of a dated future",
        "the settlement at expiry",
        lambda run: run.config.key.product is Product.FUTURE,
    ),
)
"""Every reason, in the order in which they are looked for."""


def uncovered(
    config: RunConfig, algorithm: ExecAlgorithm, snapshot_mode: str, closing: Closing | None
) -> str | None:
    """Return why a run is not covered by the kernel, None if it is.

    What shows only in the data is found out as the kernel runs: orders that the account's free
    balance might not allow, and amounts of more than 64 bits.
    """
    run = Run(config, algorithm, snapshot_mode, closing)
    for rule in UNCOVERED:
        if rule.applies(run):
            return f"{rule.name}: {rule.why}"
    return None


def uncovered_request(request: "RunRequest") -> str | None:
    """Return why a request is not covered by the kernel, None if it is."""
    if request.config.bars is not None:
        return "bars: the kernel matches orders with trades and books"
    config = request.config.ticks
    return uncovered(config, request.algorithm, request.snapshot_mode, request.effective_closing)
