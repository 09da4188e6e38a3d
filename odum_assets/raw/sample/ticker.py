"""The derivative ticker of a simulated day: funding, open interest and reference prices."""

from dataclasses import dataclass

import numpy as np

from odum_assets.raw.sample.draws import Floats, Ints
from odum_assets.raw.sample.market import BID, Clock, DaySimulation
from odum_assets.raw.sample.price import DAY_MS

FUNDING_MS = 8 * 3_600_000
TICKER_MS = 5_000


@dataclass(frozen=True)
class Ticker:
    """Funding, open interest and reference prices, prices in ticks."""

    clock: Clock
    funding_ms: Ints
    funding_rate: Floats
    open_interest: Floats
    last: Floats
    index: Floats
    mark: Floats


def make_ticker(simulation: DaySimulation) -> Ticker:
    """Return the derivative ticker of a day, a row every five seconds.

    Parameters
    ----------
    simulation : DaySimulation
        The day.
    """
    book, trades = simulation.book, simulation.trades
    ms = np.arange(*simulation.session_ms, TICKER_MS, dtype=np.int64)
    row = np.searchsorted(book.clock.exchange_ms, ms, side="right") - 1
    mid = book.ticks[:, 0, row].mean(axis=0)
    by_time = np.argsort(trades.ids)  # exchange order, whatever the order of arrival
    fill = np.searchsorted(trades.clock.exchange_ms[by_time], ms, side="right") - 1
    last = np.where(fill < 0, book.ticks[BID, 0, 0], trades.ticks[by_time[np.maximum(fill, 0)]])
    premium = 1e-4 + 1.5e-4 * simulation.draws("premium").smooth(ms.size, 240)
    index = mid * (1 - premium)

    funding_ms = (ms // FUNDING_MS + 1) * FUNDING_MS
    rate = np.zeros(ms.size)
    for moment in np.unique(funding_ms).tolist():
        rate[funding_ms == moment] = _settled_rate(simulation, moment)
    # The estimate settles on the rate that is charged as the moment of funding comes near.
    unsure = (funding_ms - ms) / FUNDING_MS * 3e-5
    rate += unsure * simulation.draws("funding-estimate").smooth(ms.size, 400)

    first, final = simulation.prices.daily("open-interest", 0.02, 0.05)
    share = ms / DAY_MS
    swing = simulation.draws("open-interest-swing").smooth(ms.size, 1500) * np.sin(np.pi * share)
    noise = simulation.draws("open-interest-noise").smooth(ms.size, 60)
    interest = simulation.market.open_interest * np.exp(
        first + (final - first) * share + 6e-3 * swing + 1e-4 * noise
    )
    return Ticker(
        clock=Clock(ms, simulation.arrivals(ms, "ticker", 1.0, np.zeros_like(ms))),
        funding_ms=funding_ms,
        funding_rate=np.round(rate, 8),
        open_interest=interest,
        last=last.astype(np.float64),
        index=index,
        mark=mid + 0.2 * (index - mid),
    )


def _settled_rate(simulation: DaySimulation, moment_ms: int) -> float:
    """Return the rate charged at a moment: around one basis point, near to the rates before."""
    number = simulation.day.toordinal() * 3 + moment_ms // FUNDING_MS
    shocks = [simulation.draws_at("funding", number - back).normal(1)[0] for back in range(8)]
    return 1e-4 + 5e-5 * float(sum(shock * 0.7**back for back, shock in enumerate(shocks)))
