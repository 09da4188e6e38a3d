"""Send long replies piece by piece, so that a client that does not read holds one piece.

What belongs here: when a piece goes out, and what is given up while none can. What does not: what
the pieces are (`media_types`, `tables`), and when a client is disconnected (`server`).
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
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


_CROWDED_STALL_S: Final = 0.02
"""The same where others wait for their turn."""

_MAX_BUILDING: Final = 8
"""Replies that are made at once; each holds some megabytes meanwhile."""

_TURN: Final = 16
"""Pieces after which a reply gives way to others that wait."""


class Releasable(Protocol):
    """What holds files and memory between pieces."""

    def release(self) -> None:
        """Give them up; the next piece takes them again."""


class ReadOn[T]:
    """Rows in pieces, read on from where they were after their file was closed.

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

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._pieces is None:
            if self._begun and self._left <= 0:
                raise StopIteration
            self._pieces = self._cut_all(self._read(self._offset, self._left))
        piece, rows = next(self._pieces)
        self._begun = True
        self._offset += rows
        self._left -= rows
        return piece

    def release(self) -> None:
        """Close the file and drop the block that is being cut."""
        self._pieces = None

    def _cut_all(self, blocks: Iterator[T]) -> Iterator[tuple[T, int]]:
        for block in blocks:
            yield from self._cut(block)


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
        turn = _Turn(_building())
        try:
            while (piece := await self._next_piece(turn)) is not None:
                message = _part(piece, more=True)
                del piece
                if not await _is_sent(send, message, turn.stall_s):
                    self._give_way(turn)
                    await send(message)
                elif turn.is_over:
                    self._give_way(turn)
            await send(_part(b"", more=False))
        finally:
            self._give_way(turn)

    async def _next_piece(self, turn: "_Turn") -> bytes | None:
        await turn.begin()
        return await anyio.to_thread.run_sync(next, self._pieces, None)

    def _give_way(self, turn: "_Turn") -> None:
        """Close files and drop memory for others, until the next piece is due."""
        for source in self._sources:
            source.release()
        turn.end()


class _Turn:
    """The right of a reply to have its files open, given to a number of replies at a time."""

    def __init__(self, places: anyio.CapacityLimiter) -> None:
        self._places = places
        self._has_slot = False
        self._pieces = 0

    async def begin(self) -> None:
        """Wait for a place, unless it has one."""
        if not self._has_slot:
            await self._places.acquire_on_behalf_of(self)
            self._has_slot, self._pieces = True, 0
        self._pieces += 1

    def end(self) -> None:
        """Leave the place to others."""
        if self._has_slot:
            self._places.release_on_behalf_of(self)
            self._has_slot = False

    @property
    def is_over(self) -> bool:
        """Return whether others wait that had no turn yet."""
        return self._pieces >= _TURN and self._is_crowded

    @property
    def stall_s(self) -> float:
        """Return how long a client may not read before others come first."""
        return _CROWDED_STALL_S if self._is_crowded else _STALL_S

    @property
    def _is_crowded(self) -> bool:
        return self._places.statistics().tasks_waiting > 0


_BUILDING: Final = RunVar[anyio.CapacityLimiter]("_BUILDING")


def _building() -> anyio.CapacityLimiter:
    """Return the places of this event loop for replies that are made."""
    try:
        return _BUILDING.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_MAX_BUILDING)
        _BUILDING.set(limiter)
        return limiter


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
                last = first + PIECE
                if not await _is_sent(send, _part(body[first:last], more=last < len(body))):
                    # The application ends, and with it what it keeps of the body.
                    rest = await anyio.to_thread.run_sync(_filed, body, first)
                    return

        await self._app(scope, receive, cut)
        if rest is not None:
            async for piece in _read(rest):
                await send(_part(piece, more=True))
            await send(_part(b"", more=False))


async def _is_sent(send: Send, message: Message, within_s: float = _STALL_S) -> bool:
    """Send a message; give up after a while, with nothing of it sent, where there is no room."""
    with anyio.move_on_after(within_s) as scope:
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
