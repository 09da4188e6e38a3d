"""Signals over a grid of parameters: the bars in, figures of each variant out.

The rules are those of the event-driven strategies: an order is decided at a close and fills at the
next bar's open. Where signals come from is a subclass: `CrossoverGrid`, `ThresholdGrid`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from odum_assets.errors import ConfigError, DataError, OdumError
from odum_assets.vectorized.terms import KernelTerms, Terms, kernel_terms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from odum_assets.bars.series import BarSeries

    type Ints = NDArray[np.int64]
    type Floats = NDArray[np.float64]
    type Signals = NDArray[np.int8]

MIN_GROWTH_SESSIONS = 30
"""Sessions from which on growth is annualized, as for any result."""


class NoNumbaError(OdumError):
    """Report that the extra with the compiler is not installed."""


@dataclass(frozen=True, slots=True)
class KernelFill:
    """One fill of a variant.

    Parameters
    ----------
    bar : int
        The index of the bar at whose open it was.
    quantity : int
        Units, negative for a sale.
    price : int
        In ticks.
    fee : Fraction
        In the account currency.
    """

    bar: int
    quantity: int
    price: int
    fee: Fraction


class SignalGrid[V](ABC):
    """Run variants of a strategy on the bars of one instrument.

    Parameters
    ----------
    series : BarSeries
        The bars that the strategy sees, in order.
    sessions : int array, shape (n,)
        The session of each bar, ascending; equity returns are taken between sessions.
    first : int
        The first bar that is traded; those before it belong to signals only.
    terms : Terms
        How it trades.
    annualization_days : int
        Sessions of a year.

    Raises
    ------
    NoNumbaError
        If Numba is not installed.
    ConfigError
        If a number of `terms` cannot be used.
    """

    def __init__(
        self,
        series: BarSeries,
        sessions: NDArray[Any],
        first: int,
        terms: Terms,
        annualization_days: int,
    ) -> None:
        require_numba()
        self._money_unit = terms.money_unit
        self._annualization_days = annualization_days
        if not 0 <= first < len(series):
            raise DataError(f"{series.instrument}: there are no bars to trade")
        self._first = first
        ends = np.append(np.flatnonzero(np.diff(sessions)) + 1, len(series))
        ends = ends[ends > first]
        self._bars = (
            np.ascontiguousarray(series.close),
            _against(series.open, terms.slippage, 1),
            _against(series.open, terms.slippage, -1),
            ends.astype(np.int64),
            np.ascontiguousarray(series.open),
        )
        highest = max((int(column.max()) for column in self._bars[:3] if len(column)), default=1)
        self._terms: KernelTerms = kernel_terms(terms, highest)

    @abstractmethod
    def axes(self, variants: Sequence[V]) -> dict[str, NDArray[Any]]:
        """Return a column for each parameter that varies, in the order of the variants."""

    @abstractmethod
    def signals(self, variant: V) -> Signals:
        """Return the signal of each bar: 1, -1 or 0, shape (n,).

        Raises
        ------
        ConfigError
            If the variant cannot be run.
        """

    @abstractmethod
    def _run(self, variants: Sequence[V], counts: Ints, rates: Floats) -> None:
        """Run variants; `counts` and `rates` take what the kernel counts of each."""

    def figures(self, variants: Sequence[V]) -> pa.Table:
        """Run variants and return a row of figures for each.

        Returns
        -------
        pa.Table
            A column for each axis, then ``return_pct cagr_pct sharpe max_drawdown_pct trades
            win_rate profit_factor fees fills final_equity``. Rates are in percent, amounts in the
            account currency; a figure that is not defined is null. All are null where it is not
            certain what NautilusTrader's account does: a balance within the rounding of the margin
            of an entry, or a cash account that is overdrawn.

        Raises
        ------
        ConfigError
            If sums or amounts leave the whole numbers of 64 bits.
        """
        from odum_assets.vectorized.signal_kernel import COUNTS, RATES, TOO_LARGE, UNCERTAIN

        counts = np.empty((len(variants), len(COUNTS)), np.int64)
        rates = np.empty((len(variants), len(RATES)))
        self._run(variants, counts, rates)
        whole = dict(zip(COUNTS, counts.T, strict=True))
        axes = self.axes(variants)
        if (whole["status"] == TOO_LARGE).any():
            row = int(np.argmax(whole["status"] == TOO_LARGE))
            name = "/".join(str(column[row]) for column in axes.values())
            raise ConfigError(
                f"variant {name}: its amounts are too large for a sweep; use a "
                "smaller starting balance or size, or a coarser tick_size or lot_size"
            )
        figures = self._figures(whole, dict(zip(RATES, rates.T, strict=True)))
        unknown = whole["status"] == UNCERTAIN
        return pa.table(
            {name: pa.array(values, from_pandas=True) for name, values in axes.items()}
            | {
                name: pa.array(values, mask=unknown | np.isnan(values))
                for name, values in figures.items()
            }
        )

    def fills(self, variant: V) -> list[KernelFill]:
        """Return every fill of one variant, in order."""
        from odum_assets.vectorized.signal_kernel import COUNTS, FILL, RATES, run_variant

        signals = self.signals(variant)
        counts, rates = np.empty(len(COUNTS), np.int64), np.empty(len(RATES))
        record = np.empty((0, len(FILL)), np.int64)
        run_variant(self._bars, self._first, signals, self._terms, (counts, rates, record))
        # The first pass counts the fills, the second one records them.
        record = np.empty((counts[COUNTS.index("fills")], len(FILL)), np.int64)
        run_variant(self._bars, self._first, signals, self._terms, (counts, rates, record))
        return [
            KernelFill(bar, quantity, price, fee * self._money_unit)
            for bar, quantity, price, fee in record.tolist()
        ]

    def _figures(self, whole: dict[str, Ints], rates: dict[str, Floats]) -> dict[str, NDArray[Any]]:
        from odum_assets.vectorized.signal_kernel import SOUND

        unit = float(self._money_unit)
        sessions = len(self._bars[3])
        is_sound = whole["status"] == SOUND
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = whole["equity"] / self._terms.balance
            years = sessions / self._annualization_days
            cagr = np.where(
                is_sound & (sessions >= MIN_GROWTH_SESSIONS), growth ** (1 / years), np.nan
            )
            deviation = np.sqrt(rates["squared_return"] / max(sessions - 1, 1))
            sharpe = rates["mean_return"] / deviation * math.sqrt(self._annualization_days)
            sharpe[~is_sound | (deviation == 0)] = np.nan
            return {
                "return_pct": 100 * (growth - 1),
                "cagr_pct": 100 * (cagr - 1),
                "sharpe": sharpe,
                "max_drawdown_pct": 100 * rates["max_drawdown"],
                "trades": whole["trades"],
                "win_rate": 100 * whole["wins"] / whole["trades"],
                "profit_factor": np.where(
                    whole["lost"] > 0, whole["gained"] / whole["lost"], np.nan
                ),
                "fees": whole["fees"] * unit,
                "fills": whole["fills"],
                "final_equity": whole["equity"] * unit,
            }


def _against(opens: Ints, slippage: Decimal, side: int) -> Ints:
    """Return the prices of market orders at the opens, in ticks, worse by the slippage."""
    share = Fraction(slippage)
    factor = share.denominator + side * share.numerator
    if int(np.max(opens, initial=1)) * max(factor, share.denominator) >= 2**62:
        raise ConfigError("execution.slippage has too many digits; give fewer decimals")
    # A buyer pays the price rounded up, a seller gets it rounded down.
    return np.ascontiguousarray(side * -(-side * opens * factor // share.denominator))


def require_numba() -> None:
    """Refuse to go on without the compiler.

    Raises
    ------
    NoNumbaError
        If it is not installed; the message says how to install it.
    """
    from importlib.util import find_spec

    if find_spec("numba") is None:
        raise NoNumbaError(
            "a vectorized sweep needs Numba, which is not installed; run: make install, or "
            "pip install 'odum-assets[vector]'"
        )
