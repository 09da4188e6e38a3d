"""The note of a run: text, tags and star, in a file beside its result."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from odum_assets.api.preconditions import Preconditions, tag_of
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import json_reply
from odum_assets.api.routes.annotations import known_run_id
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import ServiceHere
from odum_assets.results.annotating import LONGEST_NOTE, MOST_TAGS, TAG, annotate
from odum_assets.results.annotations import Annotations, read_annotations

router = APIRouter(prefix="/api/v1", tags=["results"])


class Note(BaseModel):
    """What people say of a run."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=LONGEST_NOTE)
    tags: list[Annotated[str, StringConstraints(pattern=f"^{TAG}$")]] = Field(
        default=[], max_length=MOST_TAGS, examples=[["baseline"]]
    )
    star: bool = False


@router.get("/runs/{run_id}/note", response_model=Note, responses=KNOWN)
def get_note(service: ServiceHere, request: Request, run_id: str) -> Response:
    """Return text, tags and star of a run; the ETag is needed to replace them."""
    name = known_run_id(service, run_id)
    return json_reply(
        request, _body(read_annotations(service.store.file("annotations", f"{name}.json")))
    )


@router.put("/runs/{run_id}/note", response_model=Note)
def put_note(
    service: ServiceHere,
    request: Request,
    run_id: str,
    note: Note,
    if_match: Annotated[  # noqa: ARG001 - for the document; all of its lines are read below
        str | None, Header(description="ETag of the note that it replaces.")
    ] = None,
) -> Response:
    """Replace text, tags and star of a run: 412 if somebody changed them meanwhile.

    Without If-Match a run that has none of them gets them, and others are refused (428).
    """
    conditions = Preconditions.of(request.headers)
    name = known_run_id(service, run_id)

    def change(before: Annotations) -> Annotations:
        tag = tag_of(_body(before))
        if conditions.failed(tag):
            raise ProblemError(
                412, "changed", f"the note of {name} has changed; read it again", {"ETag": tag}
            )
        if conditions.if_match is None and before != Annotations():
            raise ProblemError(
                428, "etag-needed", f"{name} has a note; send its ETag as If-Match to replace it"
            )
        return Annotations(tuple(note.tags), note.text, note.star)

    body = _body(annotate(service.store, name, change))
    headers = {"ETag": tag_of(body)}
    return Response(body, media_type="application/json", headers=headers)


def _body(annotations: Annotations) -> bytes:
    note = Note(text=annotations.note, tags=list(annotations.tags), star=annotations.star)
    return note.model_dump_json().encode()
