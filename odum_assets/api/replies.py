"""Replies that a client may have already, and replies that are streams.

What belongs here: ETags, pages, headers. What does not: where rows come from (`tables`), how they
are spelled (`media_types`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from odum_assets.api.media_types import (
    MediaType,
    arrow_stream,
    csv_stream,
    gzipped,
    json_page,
    packed,
    preferred_media_type,
    takes_gzip,
)
from odum_assets.api.preconditions import Preconditions, tag_of, tag_of_files
from odum_assets.api.sending import PiecewiseResponse, Releasable
from odum_assets.api.tables import batch_pieces, line_pieces
from odum_assets.results.stored_file import StoredFile, path_of
from odum_assets.results.tables import StoredTable

DEFAULT_ROWS = 1_000
"""Rows of a JSON page for which no limit was given."""


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a table: from `offset`, up to `limit`; None is all that follow."""

    offset: int
    limit: int | None

    def size(self, total: int) -> int:
        """Return the number of rows on it."""
        left = max(total - self.offset, 0)
        return left if self.limit is None else min(left, self.limit)

    def pagination(self, total: int) -> dict[str, Any]:
        """Return what a reply says of it."""
        has_more = self.offset + self.size(total) < total
        return {"total": total, "limit": self.limit, "offset": self.offset, "has_more": has_more}


def table_reply(
    request: Request,
    table: StoredTable,
    name: str,
    page: Page,
    extra: dict[str, Any] | None = None,
    form: MediaType | None = None,
) -> Response:
    """Send a page of a table in the form that the request asks for.

    Parameters
    ----------
    request : Request
        Says form (Accept), compression (Accept-Encoding) and what it has (If-None-Match).
    table : StoredTable
        The rows.
    name : str
        Name of the rows in the JSON form.
    page : Page
        Which rows. Without a limit, JSON has `DEFAULT_ROWS` rows and the other forms all.
    extra : dict, optional
        Further content of the JSON form.
    form : MediaType, optional
        In place of what the request's Accept prefers.
    """
    form = form or preferred_media_type(request.headers.get("accept"), tuple(MediaType))
    if form is MediaType.JSON and page.limit is None:
        page = Page(page.offset, DEFAULT_ROWS)
    reply = Streamed(request, (table.path,), form, (request.url.path, request.url.query))
    if reply.known is not None:
        return reply.known
    total = table.count()
    rows = page.size(total)
    reply.headers["X-Total-Count"] = str(total)
    if page.offset + rows < total:
        reply.headers["Link"] = next_link(request, page.offset + rows, page.limit)
    if form is MediaType.ARROW:
        batches = batch_pieces(table, page.offset, rows)
        return reply.of(arrow_stream(batches), batches)
    if form is MediaType.CSV:
        batches = batch_pieces(table, page.offset, rows)
        return reply.of(csv_stream(batches), batches)
    lines = line_pieces(table, page.offset, rows)
    if form is MediaType.LINES:
        return reply.of(lines, lines)
    return reply.of(
        json_page({}, {name: lines}, {**page.pagination(total), **(extra or {})}), lines
    )


class Streamed:
    """A reply that is made chunk by chunk, unless the other side has it already.

    Parameters
    ----------
    request : Request
        The request.
    files : tuple[Path, ...]
        Files that the reply is made of.
    form : MediaType
        What it is sent as.
    parts : tuple
        What else makes it another reply.
    """

    def __init__(
        self, request: Request, files: tuple[Path, ...], form: MediaType, parts: tuple[object, ...]
    ) -> None:
        self._form = form
        self._packed = takes_gzip(request.headers.get("accept-encoding"))
        tag = tag_of_files(files, form, self._packed, *parts)
        self.headers = {
            "ETag": tag,
            "Vary": "Accept, Accept-Encoding",
            "Cache-Control": "no-cache",
        }
        self.known = not_modified(request, tag, self.headers)

    def of(self, chunks: Iterator[bytes], *sources: Releasable) -> Response:
        """Send chunks as they are made, packed if the other side can take that.

        They are made and packed in the thread pool: the event loop only sends. Their sources are
        released while the other side does not read.
        """
        if self._packed:
            self.headers["Content-Encoding"] = "gzip"
            chunks = gzipped(chunks)
        return PiecewiseResponse(chunks, sources, self._form.value, self.headers)


class StoredFileResponse(FileResponse):
    """A file of a result, sent from what was looked at whatever its name leads to meanwhile.

    Parameters
    ----------
    file : StoredFile
        The file; it must be there.
    media_type, filename : str
        What it is, and what the other side saves it as.
    headers : dict
        More headers.
    """

    def __init__(
        self, file: StoredFile, media_type: str, filename: str, headers: dict[str, str]
    ) -> None:
        self._descriptor = file.open()
        super().__init__(
            path_of(self._descriptor, file.path),
            headers=headers,
            media_type=media_type,
            filename=filename,
            stat_result=os.fstat(self._descriptor),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close it however that ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


def json_reply(
    request: Request,
    body: bytes,
    headers: dict[str, str] | None = None,
    tag: str | None = None,
    *,
    is_packable: bool = False,
) -> Response:
    """Send JSON that is there, with an ETag; packed if it may be and the other side takes that."""
    tag = tag_of(body) if tag is None else tag
    headers = {**(headers or {}), "Cache-Control": "no-cache"}
    if is_packable:
        headers["Vary"] = "Accept-Encoding"
        if takes_gzip(request.headers.get("accept-encoding")):
            headers["Content-Encoding"] = "gzip"
            tag = f'{tag[:-1]}-gzip"'
    headers["ETag"] = tag
    known = not_modified(request, tag, headers)
    if known is not None:
        return known
    content = packed(body) if "Content-Encoding" in headers else body
    return Response(content, media_type=MediaType.JSON.value, headers=headers)


def next_link(request: Request, offset: int, limit: int | None) -> str:
    """Return the header that leads to the page after this one."""
    size = {} if limit is None else {"limit": limit}
    following = request.url.include_query_params(offset=offset, **size)
    return f'<{following.path}?{following.query}>; rel="next"'


def not_modified(request: Request, tag: str, headers: dict[str, str]) -> Response | None:
    """Return the reply to who has what this ETag stands for; None for others.

    Raises
    ------
    ProblemError
        If the request asks for another representation by If-Match (412).
    """
    known = Preconditions.of(request.headers, is_reading=True).answers_known(tag)
    return Response(status_code=304, headers=headers) if known else None
