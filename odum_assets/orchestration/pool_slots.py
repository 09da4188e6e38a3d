"""Slots of a pool for the further processes of one step.

Dagster counts steps: a step takes one slot of its pool, however many processes it starts. A pool is
there to bound the processes of backtests, so a sweep claims a slot for each process beyond its
first. Dagster has no public call for that. This module makes the calls that its executor makes for
steps, under names that no step has; where Dagster ends a run, it frees them like those of steps.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg


@contextmanager
def claimed_slots(
    instance: dg.DagsterInstance, run: dg.DagsterRun, pool: str, step: str, most: int
) -> Iterator[Callable[[int], int]]:
    """Claim slots of a pool beside the one that a step holds, and free them at the end.

    Nothing ever waits for a slot: the step goes on with the one that it has, and more are claimed
    when the function is called again and they are free.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Whose pool it is.
    run : dg.DagsterRun
        The step's run.
    pool : str
        The pool.
    step : str
        Name of the step, shown in the UI with a number.
    most : int
        Processes at one time.

    Yields
    ------
    callable
        Takes how many processes there is work for, claims or frees slots accordingly, and returns
        how many processes may run.
    """
    from dagster._core.execution.plan.instance_concurrency_context import (
        InstanceConcurrencyContext,
    )

    held: list[str] = []

    def claim(name: str) -> bool:
        # Leaving the context withdraws a claim that has to wait.
        with InstanceConcurrencyContext(instance, run) as claims:
            return claims.claim(pool, name)

    def free(name: str) -> None:
        instance.event_log_storage.free_concurrency_slot_for_step(run.run_id, name)

    def adjust(work: int) -> int:
        target = min(work, most) - 1
        while len(held) > max(target, 0):
            free(held.pop())
        while len(held) < target and claim(name := f"{step}, process {len(held) + 2}"):
            held.append(name)
        return len(held) + 1

    try:
        yield adjust
    finally:
        for name in held:
            free(name)
