"""The OpenAPI document: FastAPI's, with problems in place of its own errors, and with the token."""

from typing import Any, Final

from odum_assets.api import problems

_PROBLEM: Final = {"$ref": "#/components/responses/Problem"}
_OPEN_PATHS: Final = ("/api/health", "/api/session")

TAGS: Final = [
    {"name": "status", "description": "Whether the service runs and can read the data."},
    {"name": "results", "description": "Stored results, as the earlier system served them."},
    {"name": "runs", "description": "Runs: start, follow, cancel, show, compare."},
    {"name": "data", "description": "Raw days, and whether they suffice for a run."},
    {"name": "configurations", "description": "Run configurations."},
    {"name": "models", "description": "Trained models of users."},
    {"name": "choices", "description": "Venues, instruments, execution algorithms."},
]


def completed(schema: dict[str, Any], *, with_token: bool) -> dict[str, Any]:
    """Return a document that tells of errors and of the token, too.

    Parameters
    ----------
    schema : dict
        FastAPI's document; it is changed.
    with_token : bool
        Whether requests need the token.
    """
    components = schema["components"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    components["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
    components["responses"] = {
        "Problem": {
            "description": "What is wrong, where, why, and what to do (RFC 9457).",
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            parameters = operation.get("parameters", [])
            responses = operation["responses"]
            responses.pop("422", None)
            if parameters or "requestBody" in operation:
                responses["422"] = _PROBLEM
            if any(
                parameter["name"] == "run_id" or parameter["in"] == "path"
                for parameter in parameters
            ):
                responses["404"] = _PROBLEM
            if "requestBody" in operation:
                responses["413"] = _PROBLEM
            if with_token and path not in _OPEN_PATHS:
                responses["401"] = _PROBLEM
                operation["security"] = [{"token": []}]
            responses["default"] = _PROBLEM
    if with_token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return schema
