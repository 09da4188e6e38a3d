"""Send long replies piece by piece, so that a client that does not read holds one piece.

What belongs here: when a piece goes out, and what is given up while none can. What does not: what
the pieces are (`forms`, `tables`), and when a client is disconnected (`server`).
"""

import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import BinaryIO, Final, Protocol, cast

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PIECE: Final = 64 * 1024
"""Bytes that are sent at once, about."""

_STALL_S: Final = 1.0
"""Seconds without room for a piece after which memory and files of the rest are given up."""


_MOST_OPEN: Final = 16
"""Files of rows that stay open between two pieces."""

_READERS: Final = 8
"""Threads that make pieces; each needs some megabytes meanwhile."""


class Releasable(Protocol):
    """What holds files and memory between pieces."""

    def release(self) -> None:
        """Give them up; the next piece takes them again."""


class ReadOn[T]:
    """Rows in pieces, read on from where they were after their file was closed.

    Only the sources that were read last keep their file open (`_MOST_OPEN`).

    Parameters
    ----------
    read : callable
        Yields blocks of rows from an offset on, up to a number of rows.
    cut : callable
        Yields the pieces of a block, each with its number of rows.
    offset, limit : int
        Which rows.
    """

    def __init__(
        self,
        read: Callable[[int, int], Iterator[T]],
        cut: Callable[[T], Iterator[tuple[T, int]]],
        offset: int,
        limit: int,
    ) -> None:
        self._read = read
        self._cut = cut
        self._offset = offset
        self._left = limit
        self._begun = False
        self._pieces: Iterator[tuple[T, int]] | None = None
        self._busy = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._busy:
            if self._pieces is None:
                if self._begun and self._left <= 0:
                    raise StopIteration
                self._pieces = self._cut_all(self._read(self._offset, self._left))
            _OPEN.use(self)
            try:
                piece, rows = next(self._pieces)
            except BaseException:
                _OPEN.forget(self)
                raise
            self._begun = True
            self._offset += rows
            self._left -= rows
            return piece

    def release(self) -> None:
        """Close the file and drop the block that is being cut, unless it is read just now."""
        if self._busy.acquire(blocking=False):
            try:
                self._pieces = None
                _OPEN.forget(self)
            finally:
                self._busy.release()

    def _cut_all(self, blocks: Iterator[T]) -> Iterator[tuple[T, int]]:
        for block in blocks:
            yield from self._cut(block)


class _Open:
    """The sources whose files are open, the one that was read last at the end.

    Parameters
    ----------
    most : int
        How many may be open, besides those that are read just now.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._sources: dict[Releasable, None] = {}

    def use(self, source: Releasable) -> None:
        """Know a source as open; have the ones that were not read for longest close theirs."""
        with self._lock:
            self._sources.pop(source, None)
            self._sources[source] = None
            longest = [*islice(self._sources, max(len(self._sources) - self._most, 0))]
        for each in longest:
            each.release()

    def forget(self, source: Releasable) -> None:
        """Know a source as closed."""
        with self._lock:
            self._sources.pop(source, None)


_OPEN: Final = _Open(_MOST_OPEN)


class PiecewiseResponse(StreamingResponse):
    """A reply whose sources give up what they hold while the client does not read.

    Parameters
    ----------
    pieces : Iterator[bytes]
        The reply; made in threads, one piece at a time.
    sources : sequence of Releasable
        What the pieces are made of.
    media_type : str
        Media type.
    headers : mapping
        Headers.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        sources: Sequence[Releasable],
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__((), media_type=media_type, headers=headers)
        self._pieces = pieces
        self._sources = sources

    async def stream_response(self, send: Send) -> None:
        """Send the pieces, each when the one before is on its way."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            while (piece := await self._next_piece()) is not None:
                message = _part(piece, more=True)
                del piece
                if not await _is_sent(send, message):
                    self._release()
                    await send(message)
            await send(_part(b"", more=False))
        finally:
            self._release()

    async def _next_piece(self) -> bytes | None:
        return await anyio.to_thread.run_sync(next, self._pieces, None, limiter=_reading())

    def _release(self) -> None:
        for source in self._sources:
            source.release()


class LargeBodies:
    """Cut bodies that are there as a whole; what a client does not read waits in a file.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and send its reply."""
        rest: BinaryIO | None = None

        async def cut(message: Message) -> None:
            nonlocal rest
            body = message.get("body", b"")
            if len(body) <= PIECE or message.get("more_body"):
                await send(message)
                return
            for first in range(0, len(body), PIECE):
                if not await _is_sent(send, _part(body[first : first + PIECE], more=True)):
                    # The application ends, and with it what it keeps of the body.
                    rest = await anyio.to_thread.run_sync(_filed, body, first)
                    return
            await send(_part(b"", more=False))

        await self._app(scope, receive, cut)
        if rest is not None:
            async for piece in _read(rest):
                await send(_part(piece, more=True))
            await send(_part(b"", more=False))


_LIMITER: Final = RunVar[anyio.CapacityLimiter]("_LIMITER")


def _reading() -> anyio.CapacityLimiter:
    """Return the threads of this event loop that make pieces."""
    try:
        return _LIMITER.get()
    except LookupError:
        found = anyio.CapacityLimiter(_READERS)
        _LIMITER.set(found)
        return found


async def _is_sent(send: Send, message: Message) -> bool:
    """Send a message; give up after a while, with nothing of it sent, where there is no room."""
    with anyio.move_on_after(_STALL_S) as scope:
        await send(message)
    return not scope.cancelled_caught


def _part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _filed(body: bytes, first: int) -> BinaryIO:
    file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - `_read` closes it
    file.write(memoryview(body)[first:])
    file.seek(0)
    return file


async def _read(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while piece := await anyio.to_thread.run_sync(file.read, PIECE):
            yield piece
