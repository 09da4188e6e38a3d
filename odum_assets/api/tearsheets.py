"""Tearsheets as pages to open, for the links of the Dagster UI: in the service and `odum dev`."""

from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from odum_assets.api.problems import ProblemError

if TYPE_CHECKING:
    from odum_assets.results.store import ResultStore

PATH: Final = "/api/backtest/results/{run_id}/tearsheet"
"""Where a tearsheet is; links of the UI name it, whose origin is the same."""

PAGE_HEADERS: Final = {
    # It has no scripts; whatever lies in its place must not act in the name of the service.
    "Content-Security-Policy": "sandbox allow-popups; default-src 'none'; img-src data:; "
    "style-src 'unsafe-inline'",
    "Cache-Control": "no-cache",
}
"""Headers of pages that are made of results."""


def tearsheet_page(store: "ResultStore", run_id: str) -> Response:
    """Return the tearsheet of a result.

    Raises
    ------
    ProblemError
        If there is none.
    """
    from odum_assets.results.run_id import is_run_id

    file = store.file("report", run_id, "tearsheet.html")
    if not is_run_id(run_id) or not file.is_there():
        raise ProblemError(
            404,
            "no-tearsheet",
            f"there is no tearsheet of {run_id[:80]}; runs in report mode have one",
        )
    return Response(file.read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


def tearsheet_route() -> Route:
    """Return the route of the tearsheets for an application without a service."""

    def page(request: Request) -> Response:
        from odum_assets.registry.database import result_store
        from odum_assets.settings import load_settings

        return tearsheet_page(result_store(load_settings()), request.path_params["run_id"])

    return Route(PATH, page)
