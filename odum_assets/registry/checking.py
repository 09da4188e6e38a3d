"""Whether a registry is what it should be: its version, its tables, and the runs that it knows."""

from dataclasses import dataclass, field

import sqlalchemy as sa

from odum_assets.registry import schema
from odum_assets.registry.database import (
    create_engine,
    display_url,
    reading,
    registry_exists,
    registry_url,
    result_store,
)
from odum_assets.registry.models import ARTIFACTS, IS_PENDING, RUNS
from odum_assets.registry.records import run_ids
from odum_assets.registry.repair import find_damage, remedy
from odum_assets.results.deletion import marked_deleted
from odum_assets.settings import Settings
from odum_assets.storage.copies import exists

_NAMED = 3


@dataclass(slots=True)
class CheckReport:
    """What a check found.

    Parameters
    ----------
    registry : str
        Where it is.
    version : str or None
        Version of its tables.
    runs : int
        Runs that it knows, active ones not counted.
    pending : int
        Queued and active runs.
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
    report = CheckReport(display_url(url))
    damage = find_damage(settings)
    if damage is not None:
        report.problems.append(f"{damage}; {remedy(url)}")
        return report
    if not registry_exists(settings):
        report.problems.append("there is no registry yet; run: odum registry upgrade")
        return report
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            report.version = schema.current_version(connection)
            if report.version != schema.VERSION:
                report.problems.append(
                    f"the tables are at version {report.version or 'none'}, this program needs "
                    f"{schema.VERSION}; run: odum registry upgrade"
                )
                return report
            reports = _with_report(connection)
            pending = set(connection.execute(sa.select(RUNS.c.run_id).where(IS_PENDING)).scalars())
            known = set(connection.execute(sa.select(RUNS.c.run_id).where(~IS_PENDING)).scalars())
    finally:
        engine.dispose()
    report.runs, report.pending = len(known), len(pending)
    # An active run may end, and get its file, during this check.
    store = result_store(settings)
    stored = set(run_ids(store))
    deleted = set(marked_deleted(store))
    gone = {run_id for run_id in reports & stored if not exists(store.report_folder(run_id))}
    for runs, text in (
        (stored - known - pending, "have a file but are not registered"),
        (known - stored - deleted, "are registered but have no file"),
        (deleted, "are deleted in part"),
        (gone, "are registered with a report that no longer exists"),
    ):
        if runs:
            named = ", ".join(sorted(runs)[:_NAMED]) + (", ..." if len(runs) > _NAMED else "")
            report.problems.append(f"{len(runs)} runs {text} ({named}); run: odum registry rebuild")
    return report


def _with_report(connection: sa.Connection) -> set[str]:
    """Return the runs of which files of a report are registered."""
    in_report = ARTIFACTS.c.storage_path.like("report/%")
    query = sa.select(RUNS.c.run_id).where(
        sa.exists().where(ARTIFACTS.c.run_id == RUNS.c.id).where(in_report)
    )
    return set(connection.execute(query).scalars())
