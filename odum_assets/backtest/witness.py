"""The kernel as a witness: whether it says of a replay what NautilusTrader said.

What belongs here: matching the orders of a plan a second time beside its replay, and the first
event in which both differ. What does not: the kernel (``kernel_run``), judging the verdict
(``orchestration.checks``).
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from odum_assets.backtest.coverage import uncovered
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import RunPlan
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.errors import OdumError

_FOLDER = "witness"
_ENDS = "end_events.arrow"
_STREAMED = ("order_events.arrow", "fill_events.arrow", "change_events.arrow")
_OF_OUTCOME = (
    *("closing_at_ns", "flat_at_ns", "skipped_no_aggressor"),
    *("funding", "engine_balance"),
)

EQUAL, NOT_COVERED, DIFFERS = "equal", "not covered", "differs"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the kernel says of a replay.

    Parameters
    ----------
    verdict : {"equal", "not covered", "differs"}
        Whether all orders, fills and ends are equal.
    detail : str or None
        Why it is not covered, or the first difference.
    """

    verdict: str
    detail: str | None = None

    def record(self) -> dict[str, Any]:
        """Return the verdict as it is in the provenance."""
        return {"verdict": self.verdict, "detail": self.detail}


class Witness:
    """A second matching of a plan's orders.

    Parameters
    ----------
    plan : RunPlan
        The run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._why = uncovered(plan.config, plan.exec_algorithm, plan.snapshot_mode, plan.closing)
        self._outcome: ReplayOutcome | None = None

    def match(self) -> None:
        """Match the orders; nothing is raised where the kernel cannot."""
        if self._why is not None:
            return
        work = self._plan.work / _FOLDER
        work.mkdir()
        try:
            from odum_assets.backtest.kernel_run import run_kernel

            self._outcome = run_kernel(self._plan.model_copy(update={"work": work}))
        except OdumError as error:
            self._why = str(error)
        except (ImportError, RuntimeError) as error:
            # Numba is not installed, or has no folder for what it compiles.
            self._why = f"the kernel cannot be loaded ({error})"

    def verdict(self, outcome: ReplayOutcome) -> Verdict:
        """Compare with the journal of the replay, after `match`."""
        if self._why is not None or self._outcome is None:
            return Verdict(NOT_COVERED, self._why)
        difference = _first_difference(self._plan.work, self._plan.work / _FOLDER, self._plan)
        for name in _OF_OUTCOME:
            ours, theirs = getattr(self._outcome, name), getattr(outcome, name)
            if difference is None and ours != theirs:
                difference = f"{name}: NautilusTrader {theirs}, kernel {ours}"
        return Verdict(EQUAL) if difference is None else Verdict(DIFFERS, difference)


@contextmanager
def beside_replay(plan: RunPlan) -> Iterator[Witness]:
    """Match a plan's orders in a thread while its replay goes on in another process.

    The matching is over when the context ends.
    """
    witness = Witness(plan)
    with ThreadPoolExecutor(1, "witness") as pool:
        matched: Future[None] = pool.submit(witness.match)
        yield witness
        matched.result()


def _first_difference(theirs: Path, ours: Path, plan: RunPlan) -> str | None:
    """Return the first event in which two journals differ, None if there is none."""
    from odum_assets.backtest.journal import read_events

    for name in _STREAMED:
        difference = _compared(name, read_events(theirs / name), read_events(ours / name))
        if difference is not None:
            return difference
    # Orders that are canceled at the closing are canceled in any order.
    ends = [_sorted_ends(folder / _ENDS, plan.close_at_ns) for folder in (theirs, ours)]
    return _compared(_ENDS, *(iter(table.combine_chunks().to_batches()) for table in ends))


def _sorted_ends(path: Path, close_at_ns: int) -> pa.Table:
    from odum_assets.backtest.journal import read_event_table

    table = read_event_table(path)
    is_late = pc.greater_equal(table["ts"], close_at_ns)
    late = table.filter(is_late).sort_by("order_id")
    return pa.concat_tables([table.filter(pc.invert(is_late)), late])


def _compared(
    name: str, theirs: Iterator[pa.RecordBatch], ours: Iterator[pa.RecordBatch]
) -> str | None:
    row = 0
    for left, right in _aligned(theirs, ours):
        count = min(left.num_rows, right.num_rows)
        if count == left.num_rows == right.num_rows and left.equals(right):
            row += count
            continue
        rows = range(count)
        unequal = (index for index in rows if left[index : index + 1] != right[index : index + 1])
        place = next(unequal, count)
        values: list[Any] = [batch[place : place + 1].to_pylist() for batch in (left, right)]
        values = [value[0] if value else "nothing" for value in values]
        kind = name.partition("_")[0]
        return f"{kind} {row + place + 1}: NautilusTrader {values[0]}, kernel {values[1]}"
    return None


def _aligned(
    left: Iterator[pa.RecordBatch], right: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield parts of two streams of equal rows; at last what only one of them has."""
    parts: list[pa.RecordBatch | None] = [next(left, None), next(right, None)]
    while parts[0] is not None and parts[1] is not None:
        count = min(parts[0].num_rows, parts[1].num_rows)
        yield parts[0][:count], parts[1][:count]
        for place, source in ((0, left), (1, right)):
            rest = parts[place][count:]  # type: ignore[index]
            parts[place] = rest if rest.num_rows else next(source, None)
    for place in (0, 1):
        rest = parts[place]
        if rest is not None:
            nothing = rest[:0]
            yield (rest, nothing) if place == 0 else (nothing, rest)
            return
