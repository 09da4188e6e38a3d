"""What people do with stored runs: tags, notes, deleting."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service, ServiceHere
from odum_assets.registry.deletion import delete_run, files_of_runs
from odum_assets.results.annotating import LONGEST_NOTE, MOST_TAGS, TAG, annotate
from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.run_id import is_run_id

router = APIRouter(prefix="/api", tags=["results"])

_Tag = Annotated[str, StringConstraints(pattern=f"^{TAG}$")]


class NewAnnotations(BaseModel):
    """The tags and the note of a run, in place of those that it has."""

    model_config = ConfigDict(extra="forbid")

    tags: list[_Tag] = Field(default=[], max_length=MOST_TAGS, examples=[["baseline"]])
    note: str = Field(default="", max_length=LONGEST_NOTE)


class RunAnnotations(BaseModel):
    """The tags and the note of a run."""

    run_id: str
    tags: list[str]
    note: str


class DeletedRun(BaseModel):
    """A run that was deleted, or would be."""

    run_id: str
    deleted: bool
    size_bytes: int = Field(description="Size of its files.")
    files: list[str] = Field(description="Files and folders, below the folder of results.")


@router.get("/v1/runs/{run_id}/annotations")
def get_annotations(service: ServiceHere, run_id: str) -> RunAnnotations:
    """Return the tags and the note of a run."""
    name = known_run_id(service, run_id)
    annotations = read_annotations(service.store.file("annotations", f"{name}.json"))
    return RunAnnotations(run_id=name, tags=list(annotations.tags), note=annotations.note)


@router.put("/v1/runs/{run_id}/annotations")
def put_annotations(service: ServiceHere, run_id: str, new: NewAnnotations) -> RunAnnotations:
    """Set the tags and the note of a run; they are kept in a file beside its result."""
    name = known_run_id(service, run_id)
    after = annotate(
        service.store,
        name,
        lambda before: Annotations(tuple(new.tags), new.note, before.star),
    )
    return RunAnnotations(run_id=name, tags=list(after.tags), note=after.note)


@router.delete("/backtest/results/{run_id}")
def delete_result(
    service: ServiceHere,
    run_id: str,
    dry_run: Annotated[bool, Query(description="Only tell what would be deleted.")] = False,
) -> DeletedRun:
    """Delete a result, or the record of a run without one: files, tags, note, registry row.

    Takes whole run ids only. A run that has not ended is refused.
    """
    if not is_run_id(run_id):
        raise ProblemError(
            404, "unknown-result", f"{run_id[:80]} is not a run id; deleting takes whole ones only"
        )
    name = known_run_id(service, run_id)
    (files,) = files_of_runs(service.settings, [name])
    if not dry_run:
        delete_run(service.settings, name)
    root = service.store.root
    return DeletedRun(
        run_id=name,
        deleted=not dry_run,
        size_bytes=files.size,
        files=[str(path.relative_to(root)) for path in files.paths],
    )


def known_run_id(service: Service, text: str) -> str:
    """Return the id of a stored run, with a result or without.

    Raises
    ------
    ProblemError
        If there is none (404), or several fit (409).
    """
    name = service.registry.name_of(text)
    if not is_run_id(name) or not service.store.is_known(name):
        raise ProblemError(
            404, "unknown-run", f"there is no stored run {text[:80]}; see GET /api/v1/runs"
        )
    return name
