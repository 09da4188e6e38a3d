"""Whether a registry is what it should be: its version, its tables, and the runs that it knows."""

from dataclasses import dataclass, field

import sqlalchemy as sa

from odum_assets.registry import schema
from odum_assets.registry.database import (
    create_engine,
    reading,
    registry_exists,
    registry_url,
    result_store,
    shown,
)
from odum_assets.registry.models import ARTIFACTS, IS_PENDING, RUNS
from odum_assets.registry.records import run_ids
from odum_assets.registry.repair import find_damage, remedy
from odum_assets.settings import Settings

_NAMED = 3


@dataclass(slots=True)
class CheckReport:
    """What a check found.

    Parameters
    ----------
    registry : str
        Where it lies.
    version : str or None
        Version of its tables.
    runs : int
        Runs that it knows, those under way not counted.
    pending : int
        Runs under way.
    problems : list of str
        What is wrong, each with what to do.
    """

    registry: str
    version: str | None = None
    runs: int = 0
    pending: int = 0
    problems: list[str] = field(default_factory=list)


def check_registry(settings: Settings) -> CheckReport:
    """Check a registry and change nothing.

    Raises
    ------
    RegistryError
        If the database cannot be reached.
    """
    url = registry_url(settings)
    found = CheckReport(shown(url))
    damage = find_damage(settings)
    if damage is not None:
        found.problems.append(f"{damage}; {remedy(url)}")
        return found
    if not registry_exists(settings):
        found.problems.append("there is no registry yet; run: odum registry upgrade")
        return found
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            found.version = schema.current_version(connection)
            if found.version != schema.VERSION:
                found.problems.append(
                    f"the tables are at version {found.version or 'none'}, this program needs "
                    f"{schema.VERSION}; run: odum registry upgrade"
                )
                return found
            reports = _with_report(connection)
            pending = set(connection.execute(sa.select(RUNS.c.run_id).where(IS_PENDING)).scalars())
            known = set(connection.execute(sa.select(RUNS.c.run_id).where(~IS_PENDING)).scalars())
    finally:
        engine.dispose()
    found.runs, found.pending = len(known), len(pending)
    # A run under way may come to its end, and its file, while this looks.
    store = result_store(settings)
    there = set(run_ids(store))
    gone = {run_id for run_id in reports & there if not store.report_path(run_id).is_dir()}
    for runs, text in (
        (there - known - pending, "have a file but are not registered"),
        (known - there, "are registered but have no file"),
        (gone, "are registered with a report that no longer exists"),
    ):
        if runs:
            named = ", ".join(sorted(runs)[:_NAMED]) + (", ..." if len(runs) > _NAMED else "")
            found.problems.append(f"{len(runs)} runs {text} ({named}); run: odum registry rebuild")
    return found


def _with_report(connection: sa.Connection) -> set[str]:
    """Return the runs of which files of a report are registered."""
    in_report = ARTIFACTS.c.storage_path.like("report/%")
    found = sa.select(RUNS.c.run_id).where(
        sa.exists().where(ARTIFACTS.c.run_id == RUNS.c.id).where(in_report)
    )
    return set(connection.execute(found).scalars())
