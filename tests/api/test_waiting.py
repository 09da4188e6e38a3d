"""Calls that wait for others, and replies that wait for their reader: who holds what meanwhile."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from storedfiles import stored

from odum_assets.api.capacity import Capacity, StorageCapacity, go_on
from odum_assets.api.launching import KeyLocks, LaunchLimit
from odum_assets.api.problems import ProblemError
from odum_assets.api.sending import PIECE, LargeBodies, PiecewiseResponse
from odum_assets.api.tables import batch_pieces, line_pieces
from odum_assets.results.tables import StoredTable

ROWS = 30_000


def _table(folder: Path) -> Path:
    path = folder / "t.parquet"
    times = pa.array([row // 4 for row in range(ROWS)], pa.int64()).cast(pa.timestamp("ns", "UTC"))
    status = ["denied" if row % 7 == 0 else "filled" for row in range(ROWS)]
    table = pa.table({"timestamp": times, "row": range(ROWS), "status": status})
    pq.write_table(table, path, row_group_size=9_999)
    return path


@pytest.mark.parametrize("statuses", [(), ("denied",), ("nothing",)])
@pytest.mark.parametrize(
    ("offset", "limit"), [(0, ROWS), (9_998, 12_345), (3, 1), (ROWS, 5), (0, 0)]
)
def test_rows_go_on_where_they_were_when_their_file_was_closed(
    tmp_path: Path, statuses: tuple[str, ...], offset: int, limit: int
) -> None:
    table = StoredTable(stored(_table(tmp_path)), statuses)
    limit = min(limit, max(table.count() - offset, 0))
    whole = b"".join(table.lines(offset, limit))
    lines, found = line_pieces(table, offset, limit), []
    for number, piece in enumerate(lines):
        assert len(piece) <= PIECE
        found.append(piece)
        if number % 3 == 0:
            lines.release()
    assert b"".join(found) == whole
    assert whole.count(b"\n") == limit

    batches, parts = batch_pieces(table, offset, limit), []
    for batch in batches:
        parts.append(batch)
        batches.release()
    assert parts[0].schema == pq.read_schema(table.path)
    assert pa.Table.from_batches(parts) == pa.Table.from_batches(table.arrow(offset, limit))


class Client:
    """The other side of a reply: it takes some messages, then none until it reads again."""

    def __init__(self, takes: int) -> None:
        self.messages: list[Any] = []
        self.reads = asyncio.Event()
        self._takes = takes

    async def send(self, message: Any) -> None:
        if len(self.messages) >= self._takes:
            await self.reads.wait()
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(each.get("body", b"") for each in self.messages)


async def _receive() -> Any:
    await asyncio.sleep(3_600)


async def _until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not is_so():
            await asyncio.sleep(0.05)


def test_the_source_of_a_reply_is_released_while_nobody_reads() -> None:
    class Source:
        def __init__(self) -> None:
            self.released = 0

        def release(self) -> None:
            self.released += 1

    async def run() -> None:
        source, client = Source(), Client(takes=3)
        pieces = [bytes([number]) * 10 for number in range(9)]
        reply = PiecewiseResponse(iter(pieces), [source], "text/plain", {})
        task = asyncio.create_task(reply({"type": "http"}, _receive, client.send))
        await _until(lambda: source.released == 1)
        assert len(client.messages) == 3
        client.reads.set()
        await task
        assert client.body == b"".join(pieces)

    asyncio.run(run())


@pytest.mark.parametrize("size", [0, 10, PIECE, PIECE + 1, 5 * PIECE + 7])
def test_a_large_body_waits_outside_of_the_application(size: int) -> None:
    """What the application holds is free before the client reads on."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]

    async def run() -> None:
        ended = asyncio.Event()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            ended.set()

        client = Client(takes=3)
        task = asyncio.create_task(LargeBodies(app)({"type": "http"}, _receive, client.send))
        await asyncio.wait_for(ended.wait(), 20)
        client.reads.set()
        await task
        assert client.body == body
        more = [each.get("more_body", False) for each in client.messages[1:]]
        assert more == [True] * (len(more) - 1) + [False]
        assert all(len(each.get("body", b"")) <= PIECE for each in client.messages)

    asyncio.run(run())


def test_calls_that_hang_take_the_threads_of_their_kind_only() -> None:
    may_end = threading.Event()

    async def run() -> None:
        stuck, other = Capacity("stuck", 2, 0.5, waiting=3), Capacity("other", 2, 20)
        calls = [stuck.run(may_end.wait, 30) for _ in range(8)]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        statuses = sorted(each.status for each in ended if isinstance(each, ProblemError))
        # Two had a thread, three waited for one, three more found no place to wait.
        assert statuses == [503] * 6 + [504] * 2
        assert threading.active_count() < 10
        # Their threads are taken until they return.
        with pytest.raises(ProblemError) as refused:
            await stuck.run(int)
        assert refused.value.status == 503
        assert await other.run(lambda: 5) == 5
        may_end.set()
        await _until(lambda: not stuck._free.locked())
        assert await stuck.run(lambda: 6) == 6

    asyncio.run(run())


def test_a_call_raises_what_it_raises_and_may_be_left() -> None:
    left = threading.Event()

    def steps() -> None:
        try:
            while True:
                go_on()
        except ProblemError:
            left.set()
            raise

    async def run() -> None:
        capacity = Capacity("calls", 1, 20)
        with pytest.raises(ZeroDivisionError):
            await capacity.run(lambda: 1 // 0)
        task = asyncio.create_task(capacity.run(steps))
        await asyncio.sleep(0.1)
        task.cancel()
        # Who asked has gone away: the thread ends at its next step, and is free again.
        await _until(left.is_set)
        assert await capacity.run(lambda: 7) == 7

    asyncio.run(run())


def test_each_host_has_a_capacity_of_its_own() -> None:
    storage = StorageCapacity()
    assert storage.of(["/data", "file:///data"]) is storage.local
    first = storage.of(["ftp://user:secret@host:21/raw", "/data"])
    assert first is storage.of(["ftp://host:21/other"])
    assert first is not storage.of(["s3://bucket/raw"])
    assert "secret" not in first._name
    many = {storage.of([f"s3://bucket-{number}/x"]) for number in range(1_000)}
    assert len(many) < 40


def test_a_key_waits_for_itself_only() -> None:
    async def run() -> None:
        locks, order = KeyLocks(), []
        async with locks.hold("a"):

            async def later() -> None:
                async with locks.hold("a"):
                    order.append("a")

            waiting = asyncio.create_task(later())
            given_up = asyncio.create_task(later())
            await asyncio.sleep(0)
            given_up.cancel()
            async with locks.hold("b"):
                order.append("b")
        await waiting
        assert order == ["b", "a"]
        assert locks._locks == {}

    asyncio.run(run())


def test_what_is_given_back_can_be_launched_again() -> None:
    limit = LaunchLimit(1)
    for _ in range(3):
        limit.take()
        limit.give_back()
    limit.take()
    with pytest.raises(ProblemError):
        limit.take()


def test_only_so_many_replies_have_their_files_open(tmp_path: Path) -> None:
    table = StoredTable(stored(_table(tmp_path)))
    whole, most = b"".join(table.lines(0, ROWS)), []

    def opened() -> int:
        return sum(_leads_to(each, table.path) for each in Path("/proc/self/fd").iterdir())

    async def run() -> None:
        clients = [Client(takes=4) for _ in range(40)]
        replies = []
        for client in clients:
            lines = line_pieces(table, 0, ROWS)
            reply = PiecewiseResponse(lines, [lines], "text/plain", {})
            replies.append(asyncio.create_task(reply({"type": "http"}, _receive, client.send)))

        def is_stalled() -> bool:
            most.append(opened())
            return all(len(each.messages) == 4 for each in clients) and most[-1] == 0

        await _until(is_stalled)
        for client in clients:
            client.reads.set()
        await asyncio.gather(*replies)
        assert [client.body == whole for client in clients] == [True] * len(clients)

    asyncio.run(run())
    # Eight replies, each with the descriptor that was checked and the one that Arrow reads by.
    assert 0 < max(most) <= 2 * 8
    assert opened() == 0


def _leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except OSError:
        return False
