"""Runs side by side."""

from collections.abc import Hashable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from odum_assets.api.aggregating import aggregated
from odum_assets.api.cache import file_validator
from odum_assets.api.origins import Align, Comparison
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import Service, ServiceHere
from odum_assets.api.tables import equity_of, fills_of, orders_of, trades_of
from odum_assets.results.aligning import aligned_curves, last_values
from odum_assets.results.compare import compare_results, origins, simulated
from odum_assets.results.differing import first_difference
from odum_assets.results.store import ResultEntry

router = APIRouter(prefix="/api/v1", tags=["runs"])

_MOST = 20


@router.get("/compare", response_model=Comparison, responses=KNOWN)
async def compare_runs(
    service: ServiceHere,
    request: Request,
    ids: Annotated[
        str,
        Query(
            description="Ids of runs, their own or in Dagster, separated by commas.",
            max_length=2_000,
            examples=[
                "BNF_BTC_20240718_00000000_018dd7_c54988,BNF_BTC_20240718_00000000_a1b2c3_d4e5f6"
            ],
        ),
    ],
    align: Annotated[Align, Query(description="Same time, or same time since the begin.")] = "time",
    points: Annotated[
        int, Query(ge=2, le=5_000, description="Buckets, about: their length is a usual one.")
    ] = 500,
    base: Annotated[
        str | None, Query(max_length=120, description="One of the ids; the first by default.")
    ] = None,
) -> Response:
    """Put runs side by side: figures, what differs and where first, equity in the same buckets."""
    entries, at = await to_thread.run_sync(chosen_entries, service, ids, base, 2, _MOST)
    work = partial(_compared, entries, entries[at], align, points)
    key = ("compare", tuple(entry.run_id for entry in entries), at, align, points)
    validator = tuple(validator_of(entry) for entry in entries)
    return await aggregated(service, request, key, validator, work)


def chosen_entries(
    service: Service, ids: str, base: str | None, fewest: int, most: int
) -> tuple[list[ResultEntry], int]:
    """Return the results that ids name, and the number of the base, by default the first.

    Raises
    ------
    ProblemError
        If there are too few or too many, or one is not known.
    """
    names = list(dict.fromkeys(text.strip() for text in ids.split(",") if text.strip()))
    if not fewest <= len(names) <= most:
        raise ProblemError(
            422, "invalid-request", f"ids: allowed {fewest} to {most} different ids of runs"
        )
    entries = [service.result_of_run(name) for name in names]
    if base is None:
        return entries, 0
    for at, (name, entry) in enumerate(zip(names, entries, strict=True)):
        if base in (name, entry.run_id):
            return entries, at
    raise ProblemError(422, "invalid-request", f"base: {base[:80]!r} is none of the ids")


def validator_of(entry: ResultEntry) -> Hashable:
    """Return what changes when what is worked out from a result's tables does."""
    tables = ("equity", "fills", "orders", "positions")
    files = [entry.report_file(f"{name}.parquet").path for name in tables]
    return entry.digest, file_validator(entry.fast_path, *files)


def _compared(
    entries: Sequence[ResultEntry], base: ResultEntry, align: Align, points: int
) -> bytes:
    comparison = compare_results(entries)
    known = [entry for entry in entries if entry.report_path is not None]
    for entry in known:
        for table in (equity_of, fills_of, orders_of, trades_of):
            # Says what a report lacks.
            table(entry)
    others = [entry for entry in known if entry.digest != base.digest]
    if base.report_path is None:
        others = []
    differing = [first_difference(base, entry) for entry in others]
    compared = {base.run_id, *(entry.run_id for entry in others)}
    curves = aligned_curves(known, align, points)
    missing = [entry.run_id for entry in entries if entry.run_id not in curves["runs"]]
    document = {
        "run_ids": comparison.run_ids,
        "base": base.run_id,
        "same_digest": comparison.same_digest,
        "metrics": {row.name: row.values for row in comparison.metrics},
        "config": {row.name: row.values for row in comparison.config},
        "inputs": {row.name: row.values for row in comparison.inputs},
        "lineage": [
            {
                "kind": kind,
                "name": row.name,
                "differs": row.differs,
                "values": [None if value is None else asdict(value) for value in row.values],
            }
            for kind, row in origins(entries)
        ],
        "simulated": [
            {"aspect": row.name, "differs": row.differs, "values": row.values}
            for row in simulated(entries)
        ],
        "first_differences": [index for index in differing if index is not None],
        "not_compared": [
            entry.run_id
            for entry in entries
            if entry.run_id not in compared and entry.digest != base.digest
        ],
        "curves": {**curves, "align": align, "missing": missing},
        "equity": {**last_values(curves), "align": align, "missing": missing},
    }
    return Comparison.model_validate(document).model_dump_json().encode()
