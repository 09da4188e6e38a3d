"""The job that runs a stored result again and compares every order and fill."""

from datetime import UTC, datetime
from typing import Final

import dagster as dg
from pydantic import Field

from odum_assets.errors import OdumError
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.names import POOL_BACKTEST
from odum_assets.orchestration.progress import run_progress
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import register_result

JOB: Final = "verify_result"
"""Name of the job."""

_OP: Final = "verify"

VERIFIES_TAG: Final = "odum/verifies"
"""Tag of a Dagster run: the result that it runs again."""


class VerifyConfig(dg.Config):
    """Which result is verified."""

    run_id: str = Field(description="Run id of a stored result.")


def run_config(run_id: str) -> dict[str, object]:
    """Return the run config by which the job verifies a result."""
    return {"ops": {_OP: {"config": {"run_id": run_id}}}}


def verification_job(project: Project) -> dg.JobDefinition:
    """Return the job; it makes no asset, and stores nothing but what it found."""
    description = (
        "Runs a stored result again from its provenance and compares the digests. What it finds is "
        "an event of the result (`verified`); the result stays as it is."
    )

    @dg.op(name=_OP, pool=POOL_BACKTEST, description=description)
    def verify(context: dg.OpExecutionContext, config: VerifyConfig) -> None:
        with failing({"run_id": config.run_id}):
            _verify(context, project, config.run_id)

    @dg.job(name=JOB, description=description)
    def job() -> None:
        verify()

    return job


def _verify(context: dg.OpExecutionContext, project: Project, run_id: str) -> None:
    """Verify a result, and keep what was found, or why it could not be run again.

    Raises
    ------
    OdumError
        If there is no such result, or it could not be run again.
    """
    from odum_assets.results.store import ResultStore
    from odum_assets.results.verified import VerifiedResult, store_verification
    from odum_assets.results.verify import Verification, verify_result

    store = ResultStore(project.settings.results_path)
    # One that is not there has nothing to say.
    store.entry(run_id)

    def keep(outcome: Verification | str) -> VerifiedResult:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        stored = store_verification(store, run_id, outcome, context.run.run_id, now)
        register_result(context, project.settings, run_id)
        return stored

    try:
        verification = keep(verify_result(run_id, project.settings, run_progress(context)))
    except OdumError as error:
        keep(str(error))
        raise
    words = (
        "the same digest"
        if verification.equal
        else f"digest {verification.found}, not {verification.expected}"
    )
    context.log.info(f"{run_id}: {words}")
    for name in verification.changed_inputs:
        context.log.warning(f"{run_id}: an input has changed: {name}")
