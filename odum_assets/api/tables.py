"""Large tables over HTTP: pages or all of it, as JSON, JSON lines or Arrow, batch by batch.

What belongs here: reading a stored table from any row, and the forms it is sent in. What does not:
which tables there are (the routes). Nothing here holds more than one batch.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.json as pj
import pyarrow.parquet as pq
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from odum_assets.api.problems import ProblemError
from odum_assets.results.json_rows import json_objects, lines_of

_BATCH_ROWS: Final = 16_384
_BLOCK: Final = 1 << 20


class Form(StrEnum):
    """Forms of a table, each its media type."""

    JSON = "application/json"
    LINES = "application/x-ndjson"
    ARROW = "application/vnd.apache.arrow.stream"


class Table(Protocol):
    """Rows in a fixed order."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that it is read from."""

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return the forms that it can be sent in."""

    def count(self) -> int:
        """Return the number of rows."""

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON objects, each with a newline, many at a time."""

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches, at least one (perhaps empty)."""


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A parquet file, or those rows of it that a filter keeps.

    Parameters
    ----------
    path : Path
        The file.
    keep : pyarrow.dataset.Expression, optional
        Rows to keep; all by default.
    """

    path: Path
    keep: ds.Expression | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return all forms."""
        return tuple(Form)

    def count(self) -> int:
        """Return the number of rows."""
        if self.keep is None:
            return int(pq.read_metadata(self.path).num_rows)
        return int(ds.dataset(self.path).count_rows(filter=self.keep))

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON lines."""
        for batch in self.arrow(offset, limit):
            if batch.num_rows:
                names = batch.schema.names
                objects = json_objects([(name, batch[name]) for name in names])
                yield bytes(lines_of(objects, "\n"))

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches."""
        skip, left = offset, limit
        batches, before = self._from(offset)
        skip -= before
        empty = True
        for batch in batches:
            if skip >= batch.num_rows:
                skip -= batch.num_rows
                continue
            part = batch.slice(skip, left)
            skip, left, empty = 0, left - part.num_rows, False
            yield part
            if not left:
                break
        if empty:
            yield pa.RecordBatch.from_pylist([], schema=pq.read_schema(self.path))

    def _from(self, offset: int) -> tuple[Iterator[pa.RecordBatch], int]:
        """Return batches, and how many rows stand before the first of them."""
        if self.keep is not None:
            scanner = ds.dataset(self.path).scanner(
                filter=self.keep, batch_size=_BATCH_ROWS, batch_readahead=1, fragment_readahead=1
            )
            return iter(scanner.to_batches()), 0
        return self._groups(offset)

    def _groups(self, offset: int) -> tuple[Iterator[pa.RecordBatch], int]:
        file = pq.ParquetFile(self.path)
        before, first = 0, 0
        while first < file.num_row_groups:
            rows = file.metadata.row_group(first).num_rows
            if before + rows > offset:
                break
            before, first = before + rows, first + 1
        groups = list(range(first, file.num_row_groups))

        def batches() -> Iterator[pa.RecordBatch]:
            with file:
                if groups:
                    yield from file.iter_batches(batch_size=_BATCH_ROWS, row_groups=groups)

        return batches(), before


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """A JSON array with one object a line, as `results.json_rows.write_array` writes it.

    Parameters
    ----------
    path : Path
        The file.
    schema : pyarrow.Schema, optional
        Columns, where the objects are flat; without one there is no Arrow form.
    """

    path: Path
    schema: pa.Schema | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the file."""
        return (self.path,)

    @property
    def forms(self) -> tuple[Form, ...]:
        """Return the forms that the objects allow."""
        return (Form.JSON, Form.LINES) if self.schema is None else tuple(Form)

    def count(self) -> int:
        """Return the number of objects."""
        stat = self.path.stat()
        return _count_lines(self.path, stat.st_mtime_ns, stat.st_size) - 2

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield objects as JSON lines."""
        skip, left, rest = offset + 1, limit, b""
        with self.path.open("rb") as file:
            while left and (block := file.read(_BLOCK)):
                if skip:
                    newlines = block.count(b"\n")
                    if newlines < skip:
                        skip -= newlines
                        continue
                    block, skip = block[_end_of_line(block, skip) :], 0
                block = rest + block
                end = block.rfind(b"\n") + 1
                whole, rest = block[:end], block[end:]
                if whole.endswith(b"\n]\n") or whole == b"]\n":
                    whole = whole[:-2]
                rows = whole.count(b"\n")
                if rows > left:
                    whole, rows = whole[: _end_of_line(whole, left)], left
                left -= rows
                if whole:
                    # A newline inside a text is escaped: this is the end of a line for sure.
                    yield whole.replace(b",\n", b"\n")

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield objects as record batches."""
        schema = self.schema
        if schema is None:
            raise ProblemError(406, "not-acceptable", "this is not a table of flat rows")
        options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        empty = True
        for lines in self.lines(offset, limit):
            table = pj.read_json(io.BytesIO(lines), parse_options=options)
            for batch in table.combine_chunks().to_batches():
                empty = False
                yield batch
        if empty:
            yield pa.RecordBatch.from_pylist([], schema=schema)


@lru_cache(maxsize=256)
def _count_lines(path: Path, _mtime_ns: int, _size: int) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


def _end_of_line(block: bytes, number: int) -> int:
    at = 0
    for _ in range(number):
        at = block.index(b"\n", at) + 1
    return at


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a table: from `offset`, up to `limit`; None is all that follow."""

    offset: int
    limit: int | None

    def size(self, total: int) -> int:
        """Return the number of rows on it."""
        left = max(total - self.offset, 0)
        return left if self.limit is None else min(left, self.limit)


def table_reply(
    request: Request,
    table: Table,
    name: str,
    page: Page,
    default_limit: int,
    extra: dict[str, Any] | None = None,
) -> Response:
    """Send a page of a table in the form that the request asks for.

    Parameters
    ----------
    request : Request
        Says form (Accept), compression (Accept-Encoding) and what it has (If-None-Match).
    table : Table
        The rows.
    name : str
        Name of the rows in the JSON form.
    page : Page
        Which rows. Without a limit, JSON has `default_limit` rows and the other forms all.
    default_limit : int
        Rows of a JSON page.
    extra : dict, optional
        Further content of the JSON form.
    """
    form = chosen_form(request.headers.get("accept"), table.forms)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if form is Form.JSON and page.limit is None:
        page = Page(page.offset, default_limit)
    tag = tag_of(table.files, name, page.offset, page.limit, form, packed)
    headers = {"ETag": tag, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-cache"}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    total = table.count()
    rows = page.size(total)
    headers["X-Total-Count"] = str(total)
    if page.offset + rows < total:
        following = request.url.include_query_params(
            offset=page.offset + rows, **({} if page.limit is None else {"limit": page.limit})
        )
        headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    if form is Form.ARROW:
        chunks = arrow_stream(table.arrow(page.offset, rows))
    elif form is Form.LINES:
        chunks = table.lines(page.offset, rows)
    else:
        chunks = json_page(
            {},
            {name: table.lines(page.offset, rows)},
            {
                "total": total,
                "limit": page.limit,
                "offset": page.offset,
                "has_more": page.offset + rows < total,
                **(extra or {}),
            },
        )
    return streamed(chunks, form, headers, packed=packed)


def streamed(
    chunks: Iterator[bytes], form: Form, headers: dict[str, str], *, packed: bool
) -> Response:
    """Send chunks as they are made, packed if the other side can take that.

    They are made and packed in the thread pool: the event loop only sends.
    """
    if packed:
        headers["Content-Encoding"] = "gzip"
        chunks = _gzipped(chunks)
    return StreamingResponse(chunks, media_type=form.value, headers=headers)


def json_page(
    head: dict[str, Any], arrays: dict[str, Iterator[bytes]], tail: dict[str, Any]
) -> Iterator[bytes]:
    """Yield one JSON object: its first members, arrays of rows, its last members."""
    comma = b"{"
    for name, value in head.items():
        yield comma + _member(name, value)
        comma = b","
    for name, lines in arrays.items():
        yield comma + json.dumps(name).encode() + b":["
        first = True
        for block in lines:
            yield (b"" if first else b",\n") + block[:-1].replace(b"\n", b",\n")
            first = False
        yield b"]"
        comma = b","
    for name, value in tail.items():
        yield comma + _member(name, value)
        comma = b","
    yield b"}\n"


def _member(name: str, value: object) -> bytes:
    return f"{json.dumps(name)}:{json.dumps(value, allow_nan=False)}".encode()


def arrow_stream(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield record batches as an Arrow IPC stream."""
    sink = io.BytesIO()
    writer = None
    for batch in batches:
        if writer is None:
            writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        yield _taken(sink)
    if writer is not None:
        writer.close()
        yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    found = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return found


def _gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()


def chosen_form(accept: str | None, forms: tuple[Form, ...]) -> Form:
    """Return the form that an Accept header likes best; JSON where it does not mind.

    Raises
    ------
    ProblemError
        If it takes none of them.
    """
    wishes = []
    for place, part in enumerate((accept or "*/*").split(",")):
        media, *parameters = (each.strip().lower() for each in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            liked = float(weight)
        except ValueError:
            liked = 0.0
        wishes.append((-liked, place, media))
    for liked, _, media in sorted(wishes):
        if not liked:
            continue
        for form in forms:
            family = form.value.partition("/")[0]
            aliases = {"application/jsonl", "application/jsonlines"} if form is Form.LINES else ()
            if media in (form.value, f"{family}/*", "*/*") or media in aliases:
                return form
    raise ProblemError(
        406, "not-acceptable", f"this can be had as {', '.join(forms)}; say which with Accept"
    )


def tag_of(files: tuple[Path, ...], *parts: object) -> str:
    """Return an ETag of the files that a reply is made of, and of how it is made."""
    stats = [file.stat() for file in files]
    text = repr([*((str(f), s.st_mtime_ns, s.st_size) for f, s in zip(files, stats, strict=True))])
    return f'"{hashlib.sha256((text + repr(parts)).encode()).hexdigest()[:32]}"'


def is_known(request: Request, tag: str) -> bool:
    """Return whether the other side has a reply with this ETag already."""
    known = request.headers.get("if-none-match", "")
    return known == "*" or tag in [each.strip().removeprefix("W/") for each in known.split(",")]
