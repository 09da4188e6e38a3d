"""Time from the exchange's clock to the recorder's: negative when the clocks disagree."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from odum_assets.catalog.times import Int64s

_BIN_NS: Final = 100_000
_REACH: Final = 100_000
"""Bins on either side of zero, ten seconds; what is beyond shares a first and a last bin."""
_ZERO: Final = _REACH + 1
_PERCENTS: Final = (1, 5, 50, 95, 99)
_BARS: Final = 40
_STEPS: Final = tuple(digit * 10**power for power in range(5) for digit in (1, 2, 5))
"""Widths of a bar, in bins; round ones do not comb through rounded times."""


def lower_quantiles(counts: Int64s, percents: Sequence[int]) -> list[int | None]:
    """Return the least bins that so many percent of what was counted do not exceed.

    Parameters
    ----------
    counts : ndarray
        How much was counted in each bin; shape (bins,). The last one is for all that is larger.
    percents : sequence of int
        Which quantiles.

    Returns
    -------
    list of int or None
        One for each percentage; None if nothing was counted or it is in the last bin.
    """
    up_to = np.cumsum(counts)
    total = int(up_to[-1])
    if total == 0:
        return [None] * len(percents)
    ranks = [max(-(-total * percent // 100), 1) for percent in percents]
    bins = np.searchsorted(up_to, ranks).tolist()
    return [None if index == len(counts) - 1 else index for index in bins]


def quantile_names(percents: Sequence[int]) -> list[str]:
    """Return the names of quantiles: ``p05``, ``median``, ``p95``."""
    return ["median" if percent == 50 else f"p{percent:02}" for percent in percents]


def latency_figures(latency_ns: Int64s) -> dict[str, Any]:
    """Return bounds, quantiles and distribution in ms, and the rows and share below zero.

    Quantiles are lower ones, known to a tenth of a millisecond, and only within ten seconds.

    Parameters
    ----------
    latency_ns : ndarray
        ``ts_init - ts_event``, ns; shape (n,), n at least one.
    """
    bins = np.clip(latency_ns // _BIN_NS + _ZERO, 0, 2 * _REACH + 1)
    counts = np.bincount(bins, minlength=2 * _REACH + 2)
    quantiles = [quantile or None for quantile in lower_quantiles(counts, _PERCENTS)]
    negative = int(np.count_nonzero(latency_ns < 0))
    return {
        "min_ms": int(latency_ns.min()) / 1e6,
        **{
            f"{name}_ms": None if index is None else _ms(index)
            for name, index in zip(quantile_names(_PERCENTS), quantiles, strict=True)
        },
        "max_ms": int(latency_ns.max()) / 1e6,
        "negative_rows": negative,
        "negative_share": negative / len(latency_ns),
        "distribution": _distribution(counts, quantiles[0], quantiles[-1]),
    }


def _distribution(counts: Int64s, p01: int | None, p99: int | None) -> dict[str, Any] | None:
    """Return bars around the middle 98 % of the rows, and how many rows are beside them."""
    if p01 is None or p99 is None:
        return None
    step = next(step for step in _STEPS if step * _BARS > p99 - p01)
    # Whole multiples of the step, so that zero lies between two bars and not within one.
    first = max((p01 - _ZERO) // step - 1, -_REACH // step) * step + _ZERO
    count = min((p99 - first) // step + 2, (len(counts) - 1 - first) // step)
    end = first + count * step
    return {
        "start_ms": _ms(first),
        "step_ms": step / 10,
        "rows": counts[first:end].reshape(count, step).sum(axis=1).tolist(),
        "below": int(counts[:first].sum()),
        "above": int(counts[end:].sum()),
    }


def _ms(index: int) -> float:
    """Return where a bin begins, ms."""
    return (index - _ZERO) / 10
