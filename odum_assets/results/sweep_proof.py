"""Proving variants that the kernel ran: NautilusTrader runs some of them again.

What belongs here: choosing them, and comparing events and digests. What does not: the comparison of
events (``backtest.witness``), running variants (``backtest.sweep``).
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from odum_assets.backtest.process import Slots
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.sweep import completed_variants
from odum_assets.backtest.witness import DIFFERS, EQUAL
from odum_assets.config.variants import Variant
from odum_assets.errors import BacktestError, OdumError
from odum_assets.results.digest import digest_of
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Proof:
    """Variants that NautilusTrader repeated with the same digest.

    Parameters
    ----------
    best, random : tuple[int, ...]
        Their numbers, from 1.
    seed : int
        What the random ones were drawn with.
    fills : int
        Their fills, all of them equal.
    """

    best: tuple[int, ...]
    random: tuple[int, ...]
    seed: int
    fills: int


def prove_variants(
    request: RunRequest,
    variants: Sequence[Variant],
    digests: Sequence[str | None],
    order: Sequence[int],
    count: int,
    settings: Settings,
    *,
    slots: int | Slots,
    progress: ProgressCallback | None = None,
) -> Proof:
    """Run the best variants and as many random ones in NautilusTrader; compare fills and digests.

    Parameters
    ----------
    request : RunRequest
        What the kernel was asked for.
    variants : sequence of Variant
        All variants.
    digests : sequence of str or None
        Their digests; None for those that failed, which are left out.
    order : sequence of int
        Places of the variants, best first.
    count : int
        How many of each.
    settings : Settings
        Where everything lies.
    slots, progress : any
        As of `odum_assets.results.sweep.run_sweep`.

    Raises
    ------
    BacktestError
        If one is not repeated; the message names the variant and the first difference.
    OdumError
        If the request cannot be served.
    """
    done = [place for place in order if digests[place] is not None]
    # The same sweep draws the same ones again.
    seed = int(request.config.content_hash[:8], 16)
    best, others = done[:count], done[count:]
    drawn = np.random.default_rng(seed).permutation(len(others))[:count]
    random = [others[index] for index in drawn]
    places = [*best, *random]
    if not places:
        return Proof((), (), seed, 0)
    completed = completed_variants(
        replace(request, engine="nautilus"),
        [variants[place] for place in places],
        settings,
        ResultStore(settings.results_path).workspace(),
        slots=slots,
        begun=lambda _: None,
        ended=lambda *_: None,
        progress=progress,
    )
    fills = 0
    with closing(completed) as ends:
        for index, end in ends:
            place = places[index]
            name = f"variant {place + 1} ({variants[place].label})"
            fills += _repeated(name, end, digests[place])
    numbers = [tuple(place + 1 for place in chosen) for chosen in (best, random)]
    return Proof(numbers[0], numbers[1], seed, fills)


def _repeated(name: str, end: CompletedRun | OdumError, expected: str | None) -> int:
    """Return the fills of a variant that NautilusTrader repeated."""
    if isinstance(end, OdumError):
        raise BacktestError(f"{name}: NautilusTrader could not run it: {end}")
    verdict = end.witness
    if verdict is not None and verdict.verdict == DIFFERS:
        raise BacktestError(f"{name}: the kernel's result is another one, first {verdict.detail}")
    digest = digest_of(end)
    if digest != expected:
        why = verdict.detail if verdict is not None else None
        events = "all events are equal" if verdict is not None and verdict.verdict == EQUAL else why
        raise BacktestError(
            f"{name}: the kernel's digest is {expected}, NautilusTrader's {digest} ({events})"
        )
    return end.figures.fills
