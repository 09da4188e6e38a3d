"""How much of its window a run's data cover: days that are missing, days that are partial."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from odum_assets.backtest.request import name_days
from odum_assets.backtest.run import CompletedRun
from odum_assets.catalog import PartitionManifest
from odum_assets.raw.layout import DataType
from odum_assets.utc import DAY_NS, NS_PER_SECOND, day_start_ns, iso_ns

_MOST_NAMED = 5


def missing_days(run: CompletedRun) -> list[str]:
    """Return the days of the window that the catalog lacks, in order."""
    return [day.isoformat() for day in run.request.missing_days]


def partial_days(run: CompletedRun) -> list[dict[str, Any]]:
    """Return the partitions whose rows stop far from an edge of their day, JSON-ready.

    Only edges inside the window count, and only distances above ``quality.max_edge_gap_secs``.

    Returns
    -------
    list of dict
        ``data_type``, ``day``, first and last arrival (``first``, ``last``, ISO 8601), and the
        distances in seconds (``starts_late_s``, ``ends_early_s``).
    """
    if run.request.config.bars is not None:
        return []
    limit = run.request.config.config.quality.max_edge_gap_secs
    partial = (_partial(manifest, run.request.bounds(), limit) for manifest in run.inputs.manifests)
    return [item for item in partial if item is not None]


def _partial(
    manifest: PartitionManifest, bounds: tuple[int | None, int | None], limit: Decimal
) -> dict[str, Any] | None:
    if manifest.covered is None:
        return None
    start = day_start_ns(manifest.day)
    end = start + DAY_NS
    if bounds[0] is not None:
        start = max(start, bounds[0])
    if bounds[1] is not None:
        end = min(end, bounds[1])
    first, last = manifest.covered
    late, early = max(first - start, 0), max(end - last, 0)
    if max(late, early) <= limit * NS_PER_SECOND:
        return None
    return {
        "data_type": manifest.data_type.value,
        "day": manifest.day.isoformat(),
        "first": iso_ns(first),
        "last": iso_ns(last),
        "starts_late_s": late / NS_PER_SECOND,
        "ends_early_s": early / NS_PER_SECOND,
    }


def days_without_funding(run: CompletedRun) -> tuple[date, ...]:
    """Return the days that ran without funding data, though the configuration names a path."""
    there = {
        manifest.day for manifest in run.inputs.manifests if manifest.data_type is DataType.FUNDING
    }
    if DataType.FUNDING not in run.request.data_types:
        return ()
    return tuple(day for day in run.request.days if day not in there)


def coverage_flags(run: CompletedRun) -> list[str]:
    """Return what a reader must know of missing, partial and repeated data."""
    flags = []
    missing = run.request.missing_days
    if missing:
        flags.append(
            f"The catalog lacks {len(missing)} of {len(missing) + len(run.request.days)} days of "
            f"the window: {name_days(missing)}."
        )
    if run.inputs.repeated:
        counts = ", ".join(f"{count} of {name}" for name, count in run.inputs.repeated.items())
        flags.append(f"Rows that two neighboring days hold were replayed once: {counts}.")
    unfunded = days_without_funding(run)
    if unfunded:
        flags.append(
            f"Funding is not charged without data, and there are none for {name_days(unfunded)}."
        )
    partial = partial_days(run)
    if partial:
        flags.append(_partial_text(partial))
    return flags


def _partial_text(partial: Sequence[dict[str, Any]]) -> str:
    named = ", ".join(
        f"{part['data_type']} from {part['first'][:19]}Z to {part['last'][:19]}Z"
        for part in partial[:_MOST_NAMED]
    )
    more = len(partial) - _MOST_NAMED
    return f"Days are not covered whole: {named}" + (f" and {more} more." if more > 0 else ".")
