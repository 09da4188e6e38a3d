"""Runs side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from odum_assets.api.aligning import align_equity
from odum_assets.api.origins import Align, Comparison, Curves
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import ServiceHere
from odum_assets.results.compare import compare_results

router = APIRouter(prefix="/api/v1", tags=["runs"])

_MOST = 20


@router.get("/compare")
def compare_runs(
    service: ServiceHere,
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
) -> Comparison:
    """Put runs side by side: figures, what differs, and equity at the same moments."""
    names = list(dict.fromkeys(text.strip() for text in ids.split(",") if text.strip()))
    if not 2 <= len(names) <= _MOST:
        raise ProblemError(
            422, "invalid-request", f"ids: allowed 2 to {_MOST} different ids of runs"
        )
    entries = [service.result_of_run(name) for name in names]
    comparison = compare_results(entries)
    return Comparison(
        run_ids=list(comparison.run_ids),
        same_digest=comparison.same_digest,
        metrics={row.name: list(row.values) for row in comparison.metrics},
        config={row.name: list(row.values) for row in comparison.config},
        inputs={row.name: list(row.values) for row in comparison.inputs},
        base=comparison.run_ids[0],
        lineage=[],
        simulated=[],
        first_differences=[],
        not_compared=[],
        curves=Curves(align=align, t0_ns="0", step_ns="0", runs={}, missing=[]),
        equity=align_equity(entries, align, points),
    )
