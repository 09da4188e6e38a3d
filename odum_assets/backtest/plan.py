"""What the parent hands to the child process: one JSON file that holds the whole run."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.order_file import HeldOrders
from odum_assets.backtest.request import LogLevel, SnapshotMode
from odum_assets.config import RunConfig
from odum_assets.config.sections.algorithms import ExecAlgorithm
from odum_assets.config.sections.execution import Closing
from odum_assets.raw.layout import DataType
from odum_assets.utc import NS_PER_SECOND, iso_ns

EXIT_USER_ERROR = 3
"""Exit code of a process that reported why its run was refused."""

SETTLE_NS = 500_000
"""Time between the arrival of closing orders at the venue and the end of the run."""

_STEPS = 100
_FLUSHES_PER_STEP = 10


def timer_steps_ns(first_ns: int, last_ns: int) -> tuple[int, int]:
    """Return the steps of a run's timers: for its progress, and for writing what is recorded."""
    step = max((last_ns - first_ns) // _STEPS, 1)
    return step, max(step // _FLUSHES_PER_STEP, 1)


class RunPlan(BaseModel):
    """A run in all its parts.

    Parameters
    ----------
    config : RunConfig
        The run configuration.
    exec_algorithm : ExecAlgorithm
        Execution algorithm that counts.
    snapshot_mode : {"trades", "book", "both"}
        What moves the market.
    closing : Closing or None
        How positions are closed at the end; None leaves them open.
    data_types : tuple[DataType, ...]
        What is replayed.
    days : tuple[date, ...]
        Its UTC days, ascending.
    catalog : Path
        Absolute path of the run's private catalog view; it has no instrument definition yet.
    funding_files : tuple[Path, ...]
        Funding partitions of the view.
    start_ns, end_ns : int or None
        Window, `end_ns` exclusive; None where nothing is cut off.
    first_trade_ns : int
        ``ts_init`` of the first trade in the window.
    last_row_ns : int
        ``ts_init`` of the last row of all partitions.
    last_price : Decimal
        Price of the last trade in the window.
    volume_curve : tuple[float, ...] or None
        Cumulative volume over the day, for VWAP.
    work : Path
        Folder for recorded events, the outcome and tables.
    log_level : {"DEBUG", "INFO", "WARNING", "ERROR"}
        What of the strategy's log is kept.
    chunk_rows : int or None
        Rows loaded at a time; None is the default.
    orders : HeldOrders or None
        The file of orders that are sent, where the configuration names one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: RunConfig
    exec_algorithm: ExecAlgorithm
    snapshot_mode: SnapshotMode
    closing: Closing | None
    data_types: tuple[DataType, ...]
    days: tuple[date, ...]
    catalog: Path
    funding_files: tuple[Path, ...]
    start_ns: int | None
    end_ns: int | None
    first_trade_ns: int
    last_row_ns: int
    last_price: Decimal
    volume_curve: tuple[float, ...] | None
    work: Path
    log_level: LogLevel
    chunk_rows: int | None = None
    orders: HeldOrders | None = None

    def document(self) -> dict[str, Any]:
        """Return the plan as a JSON document; numbers of the strategy's parameters are exact."""
        document = self.model_dump(mode="json", exclude={"config"})
        return {**document, "config": self.config.document()}

    @property
    def strategy_inputs(self) -> dict[str, str]:
        """Return the SHA-256 of what the strategy reads beside market data, by name."""
        return {} if self.orders is None else self.orders.inputs

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """Return the window."""
        return self.start_ns, self.end_ns

    @property
    def close_at_ns(self) -> int:
        """Return the moment at which positions are closed: no row is replayed at or after it."""
        after_last = self.last_row_ns + 1
        return after_last if self.end_ns is None else min(self.end_ns, after_last)

    @property
    def ends_at_ns(self) -> int:
        """Return the moment at which a run is over: closing orders have reached the venue."""
        latency = self.config.execution.latency
        return self.close_at_ns + max(latency.insert_ns, latency.cancel_ns) + SETTLE_NS

    @property
    def work_from_ns(self) -> int | None:
        """Return when the strategy stops and its positions are worked; None if they are not."""
        if self.closing is None or self.closing.method != "work":
            return None
        return self.close_at_ns - int(self.closing.work_secs * NS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: phase, share done (0 to 1), orders so far, market time (ns)."""

    phase: str
    done: float
    orders: int = 0
    market_time_ns: int | None = None

    @property
    def text(self) -> str:
        """Return the progress as a line for a person."""
        if self.market_time_ns is None:
            return self.phase
        market_time = iso_ns(self.market_time_ns)[11:19]
        return f"{self.phase}: {self.done:.0%}, {self.orders:,} orders, market time {market_time}"
