"""Run configurations: list, read, write."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field

from odum_assets.api import config_files
from odum_assets.api.exact_bodies import ExactRoute
from odum_assets.api.preconditions import Preconditions
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import not_modified
from odum_assets.api.service import ServiceHere
from odum_assets.config.problems import Problem, value_and_allowed
from odum_assets.config.schema import json_schema

router = APIRouter(prefix="/api/configs", tags=["configurations"], route_class=ExactRoute)


class ListedConfig(BaseModel):
    """A run configuration in a list."""

    name: str
    file: str
    valid: bool
    instrument: str | None
    hash: str | None = Field(description="Content hash; results carry it.")
    problems: list[str]
    notes: list[str] = Field(
        default=[], description="What the file leaves open or spells as the earlier system did."
    )


class Configs(BaseModel):
    """Run configurations."""

    configs: list[ListedConfig]
    problems: list[str] = Field(description="Where configurations contradict each other.")


class ConfigUpload(BaseModel):
    """A configuration to store."""

    name: str = Field(description="Small letters, digits and _.", examples=["my_config"])
    config: dict[str, Any] = Field(description="Its content; see `odum config schema`.")


class SavedConfig(BaseModel):
    """A configuration that was stored."""

    status: str = Field(examples=["saved"])
    name: str
    path: str = Field(description="Its file in the folder of configurations.")
    hash: str
    etag: str


class ConfigCandidate(BaseModel):
    """A configuration that is being written."""

    name: str | None = Field(
        default=None,
        description="Its name: it must agree with the other configurations of the folder then.",
    )
    config: dict[str, Any]


class ConfigProblem(BaseModel):
    """One thing that is wrong."""

    path: str = Field(description="Where, as in the file.", examples=["strategy.orders[0].price"])
    found: str | None = Field(description="What is there; null for a missing key.")
    allowed: str = Field(description="What is allowed.")
    text: str = Field(description="The whole message.")


class ConfigValidity(BaseModel):
    """Whether a configuration can be used."""

    valid: bool
    hash: str | None = Field(description="Content hash of a valid one.")
    instrument: str | None
    problems: list[ConfigProblem]
    notes: list[str] = Field(description="What the file leaves open or spells as of old.")


@router.get("")
def list_configs(service: ServiceHere) -> Configs:
    """List configurations, with what is wrong with those that cannot be used."""
    files, problems = service.configs()
    return Configs(
        configs=[
            ListedConfig(
                name=file.path.stem,
                file=file.path.name,
                valid=not file.problems,
                instrument=None if file.loaded is None else str(file.loaded.key),
                hash=None if file.loaded is None else file.loaded.content_hash,
                problems=list(file.problems),
                notes=[] if file.loaded is None else list(file.loaded.notes),
            )
            for file in files
        ],
        problems=problems,
    )


@router.get("/schema")
def get_config_schema() -> dict[str, Any]:
    """Return the JSON Schema of configurations: of either kind, with defaults and help."""
    return json_schema()


@router.post("/validate")
def validate_config(service: ServiceHere, candidate: ConfigCandidate) -> ConfigValidity:
    """Say what is wrong with a configuration as it is written; nothing is stored."""
    loaded, problems = config_files.check(service.settings, candidate.name, candidate.config)
    return ConfigValidity(
        valid=not problems,
        hash=None if loaded is None else loaded.content_hash,
        instrument=None if loaded is None else str(loaded.key),
        problems=[_problem(problem) for problem in problems],
        notes=[] if loaded is None else list(loaded.notes),
    )


@router.get("/{name}", response_model=dict[str, Any], responses={304: {"description": "Known"}})
def get_config(service: ServiceHere, name: str, request: Request) -> Response:
    """Return the content of a configuration as it is stored; its ETag is needed to replace it."""
    content, tag = config_files.read(service.settings.configs_path, name)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = not_modified(request, tag, headers)
    if known is not None:
        return known
    try:
        is_object = isinstance(json.loads(content.decode("utf-8-sig")), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise ProblemError(409, "damaged-config", f"{name} is not a JSON object")
    return Response(
        content.removeprefix(b"\xef\xbb\xbf"), media_type="application/json", headers=headers
    )


@router.delete("/{name}", status_code=204)
def delete_config(
    service: ServiceHere,
    name: str,
    request: Request,
    if_match: Annotated[  # noqa: ARG001 - for the document; all of its lines are read below
        str | None, Header(description="ETag of the configuration.")
    ] = None,
) -> None:
    """Delete a configuration, none unseen; its results stay, with their copy of it."""
    conditions = Preconditions.of(request.headers)
    config_files.delete(service.settings.configs_path, name, conditions)


@router.post("", status_code=201, responses={200: {"model": SavedConfig}})
def save_config(
    service: ServiceHere,
    upload: ConfigUpload,
    request: Request,
    response: Response,
    if_match: Annotated[  # noqa: ARG001 - for the document; all of its lines are read below
        str | None, Header(description="ETag of the configuration that it replaces.")
    ] = None,
    if_none_match: Annotated[  # noqa: ARG001
        str | None, Header(description="*: only if there is none of this name yet.")
    ] = None,
) -> SavedConfig:
    """Store a configuration: only a valid one, whole, and none in place of an unseen one.

    It may reach no further than its sender: paths below the configured roots, built-in strategies,
    and what the operator allows besides. The next launch has Dagster load it.
    """
    conditions = Preconditions.of(request.headers)
    loaded, tag, is_new = config_files.write(
        service.settings, upload.name, upload.config, conditions
    )
    response.status_code = 201 if is_new else 200
    response.headers["ETag"] = tag
    response.headers["Location"] = f"/api/configs/{loaded.name}"
    return SavedConfig(
        status="saved",
        name=loaded.name,
        path=loaded.path.name,
        hash=loaded.content_hash,
        etag=tag,
    )


def _problem(problem: Problem) -> ConfigProblem:
    present, allowed = value_and_allowed(problem)
    return ConfigProblem(path=problem.path, found=present, allowed=allowed, text=problem.text)
