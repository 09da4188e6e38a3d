"""What a run from a command must convert first."""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odum_assets.cli.session import Session
    from odum_assets.orchestration.partition_state import Partition
    from odum_assets.orchestration.project import Source


def to_convert(session: "Session", sources: "tuple[Source, ...]", day: date) -> "list[Partition]":
    """Return the partitions of a day that must be converted before a run can read them.

    A partition that Dagster has no record of counts too: converting it again does nothing but
    record it, and without the record the result would have no lineage.
    """
    from odum_assets.orchestration.partition_state import State, look_at

    found = [look_at(session.graph.project, source, day) for source in sources]
    return [
        each
        for each in found
        if each.state in (State.NEW, State.STALE, State.MISSING)
        or (each.state is State.CURRENT and not session.is_recorded(each.source, day))
        # The conversion says what is wrong; what was converted before can still be run.
        or (each.state is State.UNREADABLE and each.manifest is None)
    ]
