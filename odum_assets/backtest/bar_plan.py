"""What the parent hands to the child process for a run on bars: one JSON file, and the bars."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.request import LogLevel
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries
from odum_assets.config import BarsConfig
from odum_assets.instruments.specs import currency_precision

LEGS = "order_legs.parquet"
"""Table in a run's work folder: instrument, leg, role and trigger price of every order."""

AMBIGUOUS = "ambiguous_bars.parquet"
"""Table in a run's work folder: bars in which the other path gives another answer."""

STRATEGY_FILES = "strategy"
"""Folder in a run's work folder for what the strategy adds to the report."""


def is_bar_plan(document: dict[str, Any]) -> bool:
    """Return whether a plan's document is that of a run on bars."""
    return bool(document["config"].get("kind") == "bars")


def fee_rule(config: BarsConfig) -> FeeRule:
    """Return the fees of fills of a configuration."""
    fees = config.venue.fees
    amount = fees.rate if fees.model == "rate" else fees.amount
    return FeeRule(fees.model, Decimal(amount), currency_precision(config.venue.base_currency))


_COLUMNS = ("close_time", "open", "high", "low", "close", "volume")


class BarPlan(BaseModel):
    """A run on bars in all its parts; the bars lie in its work folder.

    Parameters
    ----------
    config : BarsConfig
        The run configuration.
    close_positions : bool
        Whether positions are closed at the last close.
    days : tuple[date, ...]
        Dates of the sessions that are traded, ascending.
    first_bars : tuple[int, ...]
        For each instrument the index of the first bar that is traded.
    first_close_ns, last_close_ns : int
        When the first and the last traded bar of all instruments close.
    work : Path
        Folder for bars, recorded events, the outcome and tables.
    log_level : {"DEBUG", "INFO", "WARNING", "ERROR"}
        What of the strategy's log is kept.
    chunk_rows : int or None
        Bars loaded at a time; None is the default.
    strategy_inputs : dict[str, str]
        SHA-256 of what the strategy reads beside bars, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: BarsConfig
    close_positions: bool
    days: tuple[date, ...]
    first_bars: tuple[int, ...]
    first_close_ns: int
    last_close_ns: int
    work: Path
    log_level: LogLevel = "INFO"
    chunk_rows: int | None = None
    strategy_inputs: dict[str, str] = {}

    def document(self) -> dict[str, Any]:
        """Return the plan as a JSON document; numbers of the strategy's parameters are exact."""
        content = self.model_dump(mode="json", exclude={"config"})
        return {**content, "config": self.config.document()}

    @property
    def fees(self) -> FeeRule:
        """Return the fees of fills."""
        return fee_rule(self.config)

    def write_bars(self, number: int, series: BarSeries, sessions: NDArray[np.int32]) -> None:
        """Write the bars of an instrument, with the session of each, into the work folder."""
        columns = {name: getattr(series, name) for name in _COLUMNS}
        np.savez(self._bars(number), sessions=sessions, **columns)

    def read_bars(self, number: int) -> tuple[BarSeries, NDArray[np.int32]]:
        """Return the bars of an instrument and the date of each one's session, as written."""
        item = self.config.instruments[number]
        with np.load(self._bars(number)) as stored:
            series = BarSeries(
                item.id,
                self.config.bars.step_ns,
                item.tick_size,
                item.size_precision,
                *(stored[name] for name in _COLUMNS),
            )
            return series, stored["sessions"]

    def prepared(self, number: int) -> Path:
        """Return the file that the strategy may write for an instrument before the run."""
        return self.work / f"prepared-{number}.parquet"

    def _bars(self, number: int) -> Path:
        return self.work / f"bars-{number}.npz"
