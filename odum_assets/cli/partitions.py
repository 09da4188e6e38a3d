"""What a run from a command must convert first."""

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odum_assets.cli.session import Session
    from odum_assets.orchestration.partition_state import Partition
    from odum_assets.orchestration.project import Source


def to_convert(session: "Session", sources: "tuple[Source, ...]", day: date) -> "list[Partition]":
    """Return the partitions of a day that must be converted before a run can read them.

    One without a raw file is among them: its conversion says what is missing.
    """
    from odum_assets.orchestration.partition_state import State, look_at

    recorded = session.instance.get_materialized_partitions
    found = [look_at(session.graph.project, source, day) for source in sources]
    return [
        each
        for each in found
        if each.state is State.MISSING or each.is_due(recorded(each.source.catalog_key))
    ]
