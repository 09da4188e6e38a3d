"""Pieces that need no service: rows by number and time, forms, shared work, progress."""

import asyncio
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from storedfiles import stored

from odum_assets.api.cache import Cache, file_validator
from odum_assets.api.following import progress_of
from odum_assets.api.media_types import MediaType, preferred_media_type, takes_gzip
from odum_assets.api.problems import ProblemError
from odum_assets.api.single_flight import SingleFlight
from odum_assets.backtest.plan import Progress
from odum_assets.results.converted import converted
from odum_assets.results.documents import TIMELINE
from odum_assets.results.stored_file import ResultError
from odum_assets.results.tables import TIMELINE_KIND, StoredTable


def _timeline(path: Path, rows: int) -> bytes:
    """Write a timeline as earlier versions did, and return its rows as lines."""
    # More than a block, with texts that look like the end of a row or of the array.
    orders = [
        f'{{"ts":"2024-03-05T00:00:{row // 1_000:02d}.{row % 1_000:03d}000001Z","event":"Order",'
        f'"data":{{"id":"O-{row}","side":null,"price":{row}.{row + 1}5,"amount":1.000000000E-7,'
        f'"status":",\\u000a]\\u000a{"x" * (row % 50)}","type":"LIMIT"}}}}'
        for row in range(rows)
    ]
    path.write_text("[\n" + ",\n".join(orders) + ("\n]\n" if rows else "]\n"))
    return "".join(f"{each}\n" for each in orders).encode()


@pytest.mark.parametrize("rows", [0, 1, 2, 2_049, 40_000])
def test_a_timeline_without_its_table_says_the_same(tmp_path: Path, rows: int) -> None:
    lines = _timeline(tmp_path / "timeline.json", rows)
    table = converted(stored(tmp_path / "timeline.json"), TIMELINE)
    found = StoredTable(table, kind=TIMELINE_KIND)
    assert found.count() == rows
    assert b"".join(found.lines(0, rows)) == lines
    for first, limit in ((0, 1), (rows // 2, 3), (rows - 1, 5), (rows, 1)):
        part = lines.splitlines(keepends=True)[max(first, 0) :][:limit]
        assert b"".join(found.lines(max(first, 0), limit)) == b"".join(part)
    prices = [
        row["data"]["price"]
        for batch in found.arrow(0, rows)
        for row in batch.select(["data"]).to_pylist()
    ]
    assert prices == [float(f"{row}.{row + 1}5") for row in range(rows)]
    begin = 1_709_596_800_000_000_001
    for row in (0, 1, rows // 2, rows):
        assert found.between(begin + row * 1_000_000, None).count() == rows - min(row, rows)
        assert found.between(None, begin + row * 1_000_000).count() == min(row, rows)


def test_a_document_is_converted_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "timeline.json"
    _timeline(path, 3)
    first = converted(stored(path), TIMELINE)
    assert converted(stored(path), TIMELINE) is first
    _timeline(path, 4)
    assert StoredTable(converted(stored(path), TIMELINE)).count() == 4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["timeline.json"]


@pytest.mark.parametrize(
    "text", ["", "[", "[]", "[\n{}", "{}\n]\n", "[\n{}\n]", "[\n{}\n]\n", '[\n{"a":1}\n]\n']
)
def test_a_document_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(ResultError, match=r"rows\.json: not a list with a row a line"):
        converted(stored(tmp_path / "rows.json"), TIMELINE)


def test_any_part_of_a_table_is_found(tmp_path: Path) -> None:
    rows = 30_000
    times = pa.array([row // 4 for row in range(rows)], pa.int64()).cast(pa.timestamp("ns", "UTC"))
    status = ["denied" if row % 7 == 0 else "filled" for row in range(rows)]
    table = pa.table({"timestamp": times, "row": range(rows), "status": status})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=9_999)
    whole = StoredTable(stored(tmp_path / "t.parquet"))
    denied = StoredTable(stored(tmp_path / "t.parquet"), ("denied",))
    numbers = list(range(rows))
    refused = numbers[::7]

    def read(part: StoredTable, offset: int, limit: int) -> list[int]:
        found: list[int] = pa.Table.from_batches(part.arrow(offset, limit))["row"].to_pylist()
        return found

    for offset, limit in [(0, 5), (9_998, 3), (8_190, 20_000), (29_999, 9), (30_000, 1), (5, 0)]:
        assert read(whole, offset, limit) == numbers[offset : offset + limit]
        assert read(denied, offset, limit) == refused[offset : offset + limit]
    for start, end in [(None, 10), (3, 9), (2_499, 2_500), (7_000, None), (9, 3), (99_999, None)]:
        fitting = [
            row for row in numbers if row // 4 >= (start or 0) and (end is None or row // 4 < end)
        ]
        part = whole.between(start, end)
        assert (part.count(), read(part, 0, rows)) == (len(fitting), fitting)
        assert read(part, 2, 3) == fitting[2:5]
        assert denied.between(start, end).count() == sum(row % 7 == 0 for row in fitting)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, MediaType.JSON),
        ("*/*", MediaType.JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", MediaType.JSON),
        ("application/json;q=0.1, application/jsonl", MediaType.LINES),
        ("application/vnd.apache.arrow.stream", MediaType.ARROW),
        ("application/json;q=0, application/x-ndjson;q=0.001", MediaType.LINES),
        ("*/*, application/json;q=0.5", MediaType.LINES),
        ("application/json;q=0, */*;q=0.1", MediaType.LINES),
        ("application/x-ndjson, application/json", MediaType.LINES),
    ],
)
def test_the_form_that_is_liked_best(accept: str | None, form: MediaType) -> None:
    assert preferred_media_type(accept, tuple(MediaType)) is form


def test_progress_is_read_as_the_assets_write_it() -> None:
    moment = 1_704_110_418_000_000_000
    found = progress_of(Progress("replay", 0.42, 1_234_567, moment).text)
    assert found is not None
    assert (found["phase"], found["done"], found["orders"]) == ("replay", 0.42, 1_234_567)
    assert found["market_time"] == "12:00:18"
    rows = progress_of("50,000 of 200,000 rows")
    assert rows is not None
    assert (rows["phase"], rows["done"], rows["rows"]) == ("convert", 0.25, 50_000)
    assert progress_of("1 of 2 book_snapshot_5 rows") is not None
    assert progress_of(Progress("finish", 1.0).text) is not None
    assert progress_of("Funding is not charged") is None


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, False),
        ("gzip", True),
        ("gzip;q=0", False),
        ("br, *", True),
        ("identity, deflate", False),
        ("*;q=0", False),
    ],
)
def test_packed_only_where_it_is_taken(header: str | None, taken: bool) -> None:
    assert takes_gzip(header) is taken


def test_who_asks_during_work_shares_the_next_turn() -> None:
    begun, may_end, turns = threading.Event(), threading.Event(), []

    def work() -> int:
        turns.append(1)
        begun.set()
        assert may_end.wait(20)
        return len(turns)

    async def ask() -> list[int]:
        flight = SingleFlight()
        first = asyncio.create_task(flight.get("key", work))
        await asyncio.to_thread(begun.wait, 20)
        later = [asyncio.create_task(flight.get("key", work)) for _ in range(50)]
        await asyncio.sleep(0)
        later.pop().cancel()
        may_end.set()
        return [await first, *await asyncio.gather(*later)]

    assert asyncio.run(ask()) == [1] + [2] * 49


def test_work_that_fails_fails_for_all_and_is_tried_again() -> None:
    turns = []

    def work() -> int:
        turns.append(1)
        if len(turns) == 1:
            raise ProblemError(409, "once", "once")
        return len(turns)

    async def ask() -> list[int | BaseException]:
        flight = SingleFlight()
        both = [flight.get("key", work) for _ in range(2)]
        return [
            *await asyncio.gather(*both, return_exceptions=True),
            await flight.get("key", work),
        ]

    first, second, third = asyncio.run(ask())
    assert isinstance(first, ProblemError)
    assert second is first
    assert third == 2


def test_what_is_made_of_a_file_is_made_again_when_it_changes(tmp_path: Path) -> None:
    cache = Cache(most_bytes=6)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text(path.name)
    made = []

    def read(path: Path) -> str:
        def make() -> bytes:
            made.append(path.name)
            return path.read_bytes()

        return cache.get(path, file_validator(path), make).decode()

    assert [read(paths[0]), read(paths[0])] == ["a", "a"]
    paths[0].write_text("other")
    assert read(paths[0]) == "other"
    assert [read(paths[1]), read(paths[0]), read(paths[2]), read(paths[0])] == [
        "b",
        "other",
        "c",
        "other",
    ]
    assert read(paths[1]) == "b"
    assert made == ["a", "a", "b", "c", "b"]


def test_threads_that_ask_at_once_wait_for_one_that_makes_it() -> None:
    cache, made, going = Cache(), [], threading.Event()

    def make() -> bytes:
        made.append(threading.get_ident())
        assert going.wait(30)
        return b"made"

    found: list[bytes] = []
    askers = [
        threading.Thread(target=lambda: found.append(cache.get_once("key", 1, make)))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    # Another key waits for nobody.
    assert cache.get_once("other", 1, lambda: b"other") == b"other"
    going.set()
    for asker in askers:
        asker.join(30)
    assert (found, len(made)) == ([b"made"] * 8, 1)
    assert cache.get_once("key", 2, lambda: b"anew") == b"anew"
    with pytest.raises(ValueError, match="not made"):
        cache.get_once("third", 1, _fail)
    assert cache.get_once("third", 1, lambda: b"third") == b"third"


def _fail() -> bytes:
    raise ValueError("not made")
