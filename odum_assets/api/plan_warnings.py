"""What a plan has to say of its data before anything is started."""

from collections.abc import Iterable, Iterator
from typing import Final

from odum_assets.config import LoadedConfig
from odum_assets.orchestration.checks import evaluate_partition
from odum_assets.orchestration.partition_state import Partition, State

MOST_WARNINGS: Final = 100
"""Warnings of one reply."""


def plan_warnings(loaded: LoadedConfig, parts: Iterable[Partition]) -> Iterator[str]:
    """Yield what of a plan's partitions is missing, damaged, or not good enough."""
    yield from loaded.notes
    for part in parts:
        name = f"{part.source.key} {part.source.data_type} {part.day}"
        yield from (f"{name}: {problem}" for problem in part.problems)
        if part.state in (State.MISSING, State.KEPT):
            yield f"{name}: {part.state}"
        if part.manifest is None or part.state not in (State.CURRENT, State.KEPT):
            continue
        for evaluation in evaluate_partition(part.manifest, [loaded]):
            if not evaluation.verdict.passed:
                word = "refused" if evaluation.refused else "warning"
                yield f"{name}: {word}: {evaluation.check.name}: {evaluation.verdict.text}"
