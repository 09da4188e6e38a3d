"""The fourteen features of a bar that a model is given.

Every window is computed from its own bars alone, over whole numbers of ticks: later bars, or where
a series begins, change nothing. Rows whose windows are not full yet are NaN and give no signal.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from odum_assets.bars.series import BarSeries
from odum_assets.errors import ConfigError

type Floats = NDArray[np.float64]
type Int64s = NDArray[np.int64]

FEATURES: Final = (
    "Open",
    "High",
    "Low",
    "Close",
    "Volume",
    "SMA_5",
    "SMA_10",
    "SMA_20",
    "Returns",
    "Returns_5",
    "Volatility_5",
    "Volatility_10",
    "Volume_SMA_5",
    "Volume_Ratio",
)
"""Names in the order in which a model gets them."""


def bar_features(bars: BarSeries, names: Sequence[str] = FEATURES) -> Floats:
    """Return features of every bar's close.

    ``SMA_n`` is the mean of the last n closes, ``Returns`` and ``Returns_5`` the relative change of
    the close over one and five bars, ``Volatility_n`` the sample standard deviation of the last n
    closes, ``Volume_SMA_5`` the mean of the last five volumes, and ``Volume_Ratio`` a bar's volume
    over it.

    Parameters
    ----------
    bars : BarSeries
        Bars in order of time, n of them.
    names : sequence of str
        Which features, of `FEATURES`.

    Returns
    -------
    ndarray
        Shape (n, len(names)); prices in the quote currency, volumes in units, NaN where a window
        is not full or a ratio has no denominator.

    Raises
    ------
    ConfigError
        If a name is not one of `FEATURES`.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise ConfigError(
            f"feature columns: there is no {', '.join(map(repr, unknown))}; the features are "
            f"{', '.join(FEATURES)}"
        )
    columns = _columns(bars)
    return np.column_stack([columns[name] for name in names])


def _columns(bars: BarSeries) -> dict[str, Floats]:
    exponent = int(bars.tick_size.as_tuple().exponent)
    tick, digits = int(bars.tick_size.scaleb(-exponent)), 10.0**-exponent
    units = 10.0**bars.size_precision

    def prices(ticks: Int64s | Floats) -> Floats:
        # One division, so that 126.98 is the float that a CSV gives.
        values: Floats = ticks * tick / digits
        return values

    close, volume = bars.close, bars.volume
    volume_mean = _mean(volume, 5) / units
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(volume_mean > 0, volume / units / volume_mean, np.nan)
    return {
        "Open": prices(bars.open),
        "High": prices(bars.high),
        "Low": prices(bars.low),
        "Close": prices(close),
        "Volume": volume / units,
        **{f"SMA_{n}": prices(_mean(close, n)) for n in (5, 10, 20)},
        "Returns": _change(close, 1),
        "Returns_5": _change(close, 5),
        **{f"Volatility_{n}": prices(_deviation(close, n)) for n in (5, 10)},
        "Volume_SMA_5": volume_mean,
        "Volume_Ratio": ratio,
    }


def _mean(values: Int64s, length: int) -> Floats:
    return _padded(_windows(values, length).sum(axis=1) / length, len(values))


def _deviation(values: Int64s, length: int) -> Floats:
    """Return sample standard deviations; the sums below the root are exact."""
    windows = _windows(values, length)
    # From the window's first value: squares stay far from the limit of 64 bits.
    offsets = windows - windows[:, :1]
    spread = length * (offsets**2).sum(axis=1) - offsets.sum(axis=1) ** 2
    return _padded(np.sqrt(spread / (length * (length - 1))), len(values))


def _change(values: Int64s, bars: int) -> Floats:
    return _padded(values[bars:] / values[:-bars] - 1.0, len(values))


def _windows(values: Int64s, length: int) -> Int64s:
    if len(values) < length:
        return np.zeros((0, length), np.int64)
    return sliding_window_view(values, length)


def _padded(values: Floats, rows: int) -> Floats:
    """Put NaN before the values so that there are as many as rows."""
    padded: Floats = np.full(rows, np.nan)
    if len(values):
        padded[rows - len(values) :] = values
    return padded
