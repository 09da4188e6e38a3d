"""Replies that are worked out from whole tables: at most two at once, each question once.

What belongs here: who works them out, keeping them, ETags, compression. What does not: what is
worked out (``results``).
"""

from collections.abc import Callable, Hashable

from fastapi import Request
from fastapi.responses import Response

from odum_assets.api.media_types import MediaType, packed, takes_gzip
from odum_assets.api.preconditions import tag_of
from odum_assets.api.replies import not_modified
from odum_assets.api.service import Service


async def aggregated(
    service: Service,
    request: Request,
    key: tuple[Hashable, ...],
    validator: Hashable,
    make: Callable[[], bytes],
) -> Response:
    """Send a JSON body that is worked out once until what it is made of changes.

    Parameters
    ----------
    service : Service
        Keeps bodies, and works them out.
    request : Request
        Says what it has (If-None-Match) and takes (Accept-Encoding).
    key : tuple
        Names the body.
    validator : hashable
        Equal as long as the body is valid.
    make : callable
        Works it out; called in a thread.
    """
    is_packed = takes_gzip(request.headers.get("accept-encoding"))
    tag = tag_of(repr((key, validator, is_packed)).encode())
    headers = {"ETag": tag, "Vary": "Accept-Encoding", "Cache-Control": "no-cache"}
    known = not_modified(request, tag, headers)
    if known is not None:
        return known

    def work() -> bytes:
        body = service.cache.get(key, validator, make)
        return packed(body) if is_packed else body

    body = await service.single_flight.get(
        (*key, validator, is_packed), work, service.aggregations.run
    )
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type=MediaType.JSON.value, headers=headers)
