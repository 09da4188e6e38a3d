"""`/graphql`: reading requests, their limits, and errors as GraphQL has them.

A body is JSON, or a form with one file (the GraphQL multipart request specification). There is no
GET: a mutation must not start from a link. A batch of documents is refused.
"""

import json
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from graphql import FieldNode, GraphQLError, GraphQLSyntaxError, Visitor, parse, visit
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from odum_assets.api.graphql.spelling import MAX_TOKENS, snake_case_document, snake_case_values
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service
from odum_assets.errors import OdumError, RequestError

if TYPE_CHECKING:
    import strawberry

MAX_ALIASES: Final = 15
"""Aliases of a document: each may be a run of its own."""

_INSTALL: Final = "GraphQL needs an extra: run make install, or pip install 'odum-assets[graphql]'"
_LOG: Final = logging.getLogger("odum_assets.api")


def graphql_routes(service: Service) -> list[Route]:
    """Return the endpoint and its schema; without the extra both answer how to install it."""
    if find_spec("strawberry") is None:
        return [
            Route("/graphql", _not_installed, methods=["GET", "POST"]),
            Route("/graphql/sdl", _not_installed),
        ]
    from odum_assets.api.graphql.schema import build_schema

    schema = build_schema()
    sdl = schema.as_str() + "\n"

    async def execute(request: Request) -> Response:
        return await _execute(schema, service, request)

    async def show(_: Request) -> Response:
        return PlainTextResponse(sdl)

    return [
        Route("/graphql", execute, methods=["POST"], include_in_schema=False),
        Route("/graphql/sdl", show, include_in_schema=False),
    ]


async def _not_installed(_: Request) -> Response:
    raise ProblemError(501, "not-installed", _INSTALL)


async def _execute(schema: "strawberry.Schema", service: Service, request: Request) -> Response:
    from odum_assets.api.graphql.schema import Context

    asked = await _operation(request, service.options.max_body)
    document, name = asked.get("query"), asked.get("operationName")
    variables = {} if asked.get("variables") is None else asked["variables"]
    if not isinstance(document, str) or not isinstance(variables, dict):
        raise ProblemError(
            400, "invalid-request", "give query, a document, and variables, an object"
        )
    if name is not None and not isinstance(name, str):
        raise ProblemError(400, "invalid-request", "operationName: allowed a name")
    try:
        document = _checked(document)
    except GraphQLError as error:
        return _reply(None, [error])
    result = await schema.execute(
        document,
        # The names of variables are the client's own.
        {key: snake_case_values(value) for key, value in variables.items()},
        Context(service, request),
        operation_name=name,
    )
    return _reply(result.data, result.errors or [], request)


def _checked(document: str) -> str:
    """Return a document in the spelling of the schema.

    Raises
    ------
    GraphQLError
        If it is none, or has too many tokens, levels or aliases.
    """
    try:
        counted = _Aliases()
        visit(parse(document, max_tokens=MAX_TOKENS), counted)
        if counted.number > MAX_ALIASES:
            raise GraphQLError(f"{counted.number} aliases; allowed are {MAX_ALIASES}")
        return snake_case_document(document)
    except RecursionError:
        raise GraphQLError("the document has too many levels") from None


class _Aliases(Visitor):
    """Count aliases, as the client wrote them."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.number += node.alias is not None


async def _operation(request: Request, max_body: int) -> dict[str, Any]:
    """Return document and variables of a request, files in their places."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _with_file(request)
    if kind != "application/json":
        raise ProblemError(
            415, "unsupported-media-type", "send application/json, or multipart/form-data"
        )
    body = await request.body()
    if len(body) > max_body:
        raise ProblemError(
            413, "body-too-large", f"a document of up to {max_body:,} bytes is accepted"
        )
    return _object("the body", body)


async def _with_file(request: Request) -> dict[str, Any]:
    form = await request.form(max_files=1, max_fields=2)
    operation = _object("operations", form.get("operations"))
    for name, paths in _object("map", form.get("map")).items():
        file = form.get(name)
        if not isinstance(file, UploadFile) or not isinstance(paths, list):
            raise ProblemError(400, "invalid-request", f"map: there is no file {name[:80]!r}")
        for path in paths:
            _put(operation, str(path), file)
    return operation


def _put(operation: dict[str, Any], path: str, file: UploadFile) -> None:
    """Put a file where a path such as ``variables.file`` points to, which must be null."""
    *way, last = path.split(".")
    node: Any = operation
    for part in way:
        node = node.get(part) if isinstance(node, dict) else None
    if not isinstance(node, dict) or node.get(last, ...) is not None:
        raise ProblemError(400, "invalid-request", f"map: {path[:80]} is no null in operations")
    node[last] = file


def _object(what: str, text: object) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str | bytes) else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ProblemError(400, "invalid-request", f"{what}: allowed one JSON object")
    return value


def _reply(data: Any, errors: list[GraphQLError], request: Request | None = None) -> Response:  # noqa: ANN401
    content: dict[str, Any] = {"data": data}
    if errors:
        content["errors"] = [_described(error, request) for error in errors]
    return JSONResponse(content)


def _described(error: GraphQLError, request: Request | None) -> dict[str, Any]:
    """Return an error for the client; what it cannot know anything of is only logged."""
    original = error.original_error
    message = error.message
    extensions: dict[str, Any]
    match original:
        case None | GraphQLError():
            code = "syntax-error" if isinstance(error, GraphQLSyntaxError) else "invalid-document"
            extensions = {"code": code}
        case ProblemError():
            extensions = {"code": original.kind, "status": original.status}
            message = original.detail
        case ValidationError() | RequestValidationError():
            extensions = {"code": "invalid-request", "status": 422}
            message = "; ".join(
                f"{'.'.join(map(str, item['loc']))}: {item['msg'].removeprefix('Value error, ')}"
                for item in original.errors()
            )
        case RequestError():
            extensions, message = {"code": original.code}, str(original)
        case OdumError():
            extensions, message = {"code": "cannot-be-done"}, str(original)
        case _:
            request_id = "" if request is None else request.scope.get("odum_request_id", "")
            _LOG.error("request %s failed", request_id, exc_info=original)
            extensions = {"code": "internal-server-error"}
            message = f"the service failed; see its log for request {request_id}"
    return {**error.formatted, "message": message, "extensions": extensions}
