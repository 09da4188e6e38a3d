"""Running a model over bars: the same for REST and GraphQL."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from anyio import to_thread
from fastapi import Request
from pydantic import Field, FiniteFloat

from odum_assets.api.bar_backtests import (
    BacktestTerms,
    BarBacktest,
    SelectedBars,
    result_reply,
    select_bars,
)
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.runs import run_to_end
from odum_assets.api.routes.trained_models import add_model, find_model, model_store
from odum_assets.api.service import Service
from odum_assets.backtest.strategies.ml_signals import ModelReference
from odum_assets.errors import ConfigError, OdumError
from odum_assets.models.features import FEATURES
from odum_assets.models.store import StoredModel
from odum_assets.orchestration.requests import NewRun

_STRATEGY = "ML_SIGNALS"


class ModelTerms(BacktestTerms):
    """How an account trades what a model predicts."""

    threshold: FiniteFloat = Field(default=0.5, description="A probability or value above it buys.")
    feature_columns: list[str] | None = Field(
        default=None,
        max_length=len(FEATURES),
        description=f"What the model takes, in this order. Null: {', '.join(FEATURES)}.",
    )


async def backtest_upload(
    service: Service,
    request: Request,
    terms: ModelTerms,
    user_id: str,
    filename: str,
    content: bytes,
) -> BarBacktest:
    """Store a model and run it; one that is new and whose run is refused or fails is not kept.

    Raises
    ------
    ProblemError
        404 no such bars, 413 too large, 415 not a format that can be run, 422 a value or the model
        cannot be used.
    OdumError
        If the run is refused or fails.
    """
    store = model_store(service.settings)

    def stored() -> tuple[StoredModel, bool]:
        known: set[str] = set()
        # A name that is not valid is refused below.
        with suppress(ConfigError):
            known |= {model.sha256 for model in store.models_of(user_id)}
        model = add_model(store, user_id, filename, content, None)
        return model, model.sha256 not in known

    # First: a file need not be kept for a symbol that is not there.
    bars = await to_thread.run_sync(select_bars, service, terms)
    model, is_new = await to_thread.run_sync(stored)
    try:
        return await backtest_model(service, request, terms, model, bars)
    except (ProblemError, OdumError) as error:
        # A run that its client no longer waits for goes on.
        goes_on = isinstance(error, ProblemError) and error.kind == "not-waiting"
        if is_new and not goes_on:
            await to_thread.run_sync(store.delete, model)
        raise


async def backtest_model(
    service: Service,
    request: Request,
    terms: ModelTerms,
    model: StoredModel,
    bars: SelectedBars | None = None,
) -> BarBacktest:
    """Run a stored model; errors as of `backtest_upload`."""

    def new_run(chosen: SelectedBars) -> NewRun:
        reference = {"user": model.user, "name": model.filename}
        params: dict[str, Any] = {"model": reference, "threshold": terms.threshold}
        if terms.feature_columns:
            params["features"] = terms.feature_columns
        return chosen.new_run(terms, _STRATEGY, params)

    selected = await to_thread.run_sync(select_bars, service, terms) if bars is None else bars
    label = ModelReference(user=model.user, name=model.filename).label
    try:
        asked = await to_thread.run_sync(new_run, selected)
        finished = await run_to_end(service, request, asked)
    except ProblemError as error:
        if error.kind == "run-failed" and f"{label}: " in error.detail:
            why = error.detail[error.detail.index(label) :]
            raise ProblemError(422, "unusable-model", why) from error
        raise
    return await to_thread.run_sync(
        lambda: result_reply(service.result(finished.run_id), selected, _STRATEGY)
    )


def model_at(service: Service, user_id: str, path: str) -> StoredModel:
    """Return a model of a user by the path of its file, or by its name.

    Raises
    ------
    ProblemError
        404 if the user has none, 422 if the user's name is not valid.
    """
    store = model_store(service.settings)
    root = service.settings.models_path
    if "/" in path:
        for model in store.models_of(user_id):
            if Path(path) in (store.path(model), store.path(model).relative_to(root)):
                return model
    return find_model(store, user_id, path)
