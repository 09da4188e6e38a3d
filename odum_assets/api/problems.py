"""Errors as problem details (RFC 9457): one shape for everything that goes wrong."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from odum_assets.config.problems import MOST_PROBLEMS, shortened
from odum_assets.errors import InvalidRequestError, OdumError, RequestError

MEDIA_TYPE = "application/problem+json"


class InvalidField(BaseModel):
    """One part of a request that cannot be used."""

    place: str = Field(description="Where: query.limit, body.start...", examples=["query.limit"])
    detail: str = Field(description="What is allowed.")


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str = Field(description="Kind of problem.", examples=["urn:odum:problem:unknown-result"])
    title: str = Field(description="The kind in words.")
    status: int = Field(description="HTTP status.", examples=[404])
    detail: str = Field(description="What, where, why, and what to do.")
    instance: str = Field(description="Path of the request.")
    request_id: str = Field(description="Id of the request, as in the log of the service.")
    errors: list[InvalidField] = Field(default=[], description="Parts that cannot be used.")


class ProblemError(HTTPException):
    """Answer a request with a problem.

    Parameters
    ----------
    status : int
        HTTP status.
    kind : str
        Short name of the kind, such as ``unknown-result``.
    detail : str
        A message for a person.
    headers : mapping, optional
        Headers of the reply.
    errors : sequence of InvalidField
        Parts of the request that cannot be used.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[InvalidField] = (),
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind = kind
        self.errors = list(errors)

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self.status_code

    def __str__(self) -> str:
        return self.detail


def problem_body(
    path: str,
    request_id: str,
    status: int,
    kind: str,
    detail: str,
    errors: list[InvalidField] | None = None,
) -> dict[str, Any]:
    """Return the content of a problem."""
    return Problem(
        type=f"urn:odum:problem:{kind}",
        title=kind.replace("-", " ").capitalize(),
        status=status,
        detail=detail,
        instance=path,
        request_id=request_id,
        errors=errors or [],
    ).model_dump()


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Answer every error of an application with a problem.

    Parameters
    ----------
    app : FastAPI
        The application.
    routers : iterable of APIRouter
        What it is made of.
    """
    # The front of `odum dev` has problems, too, and no registry: it does without its libraries.
    from odum_assets.registry.database import RegistryError
    from odum_assets.registry.queries import QueryError

    app.state.routes = [
        route for router in routers for route in router.routes if isinstance(route, APIRoute)
    ]
    app.add_exception_handler(OdumError, _on_odum_error)
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RegistryError, _on_registry_error)
    app.add_exception_handler(QueryError, _on_query_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


def _reply(
    request: Request,
    status: int,
    kind: str,
    detail: str,
    *,
    errors: list[InvalidField] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    request_id = request.scope.get("odum_request_id", "")
    body = problem_body(request.url.path, request_id, status, kind, detail, errors)
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


async def _on_odum_error(request: Request, error: Exception) -> JSONResponse:
    """Answer with a person's message: data, configurations or results are not as they must be."""
    return _reply(request, 409, "cannot-be-done", str(error))


async def _on_request_error(request: Request, error: Exception) -> JSONResponse:
    """Answer that a run is refused: by what was asked for (422), or by its data (409)."""
    assert isinstance(error, RequestError)  # noqa: S101 - installed for it alone
    status = 422 if isinstance(error, InvalidRequestError) else 409
    advice = "\nSee POST /api/backtest/check-data" if error.code == "missing-data" else ""
    return _reply(request, status, error.code, f"{error}{advice}")


async def _on_registry_error(request: Request, error: Exception) -> JSONResponse:
    """Answer that there is no list without the database; its password is not in the message."""
    headers = {"Retry-After": "5"}
    return _reply(request, 503, "registry-unavailable", str(error), headers=headers)


async def _on_query_error(request: Request, error: Exception) -> JSONResponse:
    return _reply(request, 422, "invalid-request", str(error))


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    details = error.errors()
    errors = [
        InvalidField(
            place=shortened(".".join(map(str, item["loc"]))),
            detail=item["msg"].removeprefix("Value error, "),
        )
        for item in details[:MOST_PROBLEMS]
    ]
    detail = "; ".join(f"{error.place}: {error.detail}" for error in errors)
    if len(details) > len(errors):
        detail += f"; and {len(details) - len(errors):,} more"
    return _reply(request, 422, "invalid-request", detail, errors=errors)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    status = error.status_code
    if isinstance(error, ProblemError):
        return _reply(
            request, status, error.kind, error.detail, errors=error.errors, headers=error.headers
        )
    detail = {
        404: f"there is nothing at {request.url.path}; see /docs",
        405: f"{request.method} is not possible at {request.url.path}; see /docs",
    }.get(status, str(error.detail))
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    headers = dict(error.headers or {})
    if status == 405:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    return _reply(request, status, kind, detail, headers=headers)


def _allowed(request: Request) -> str:
    """Return the methods of all routes that a path fits; the error names those of one only.

    A path that routes name as it is fits no others: ``/results/fast`` is no ``/results/{run_id}``.
    """
    path = request.scope["path"]
    fitting = [route for route in request.app.state.routes if route.path_regex.fullmatch(path)]
    literal = [route for route in fitting if route.path == path]
    return ", ".join(sorted(set().union(*(route.methods for route in literal or fitting))))
