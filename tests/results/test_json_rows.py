"""JSON made by Arrow says what json.dumps says."""

import decimal
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odum_assets.results.json_rows import (
    json_objects,
    lines_of,
    nested,
    quoted_integers,
    write_array,
)

D = Decimal
_WIDE = decimal.Context(prec=60)
_SPECIAL = ['"', "\\", '\\"', "\x00", "\n\r\t", "\x1f", "\u2028", "é😀", "null", "", "\x7f"]
_TEXTS = st.none() | st.sampled_from(_SPECIAL) | st.text(max_size=20)
_DECIMALS = st.none() | st.integers(-(10**37), 10**37).map(lambda n: D(n).scaleb(-16, _WIDE))
_INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1)
_ROWS = st.lists(st.tuples(_TEXTS, _DECIMALS, _INTEGERS), max_size=20)


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=D, parse_int=D)


@given(_ROWS)
@example([(None, None, None)])
@example([("a", D("1E-16"), 0), ('"', D("-0.0000001"), -1), (None, D(0), None)])
def test_rows_are_what_json_dumps_writes(rows: list[tuple[Any, Any, Any]]) -> None:
    texts = pa.array([row[0] for row in rows], pa.string())
    decimals = pa.array([row[1] for row in rows], pa.decimal128(38, 16))
    integers = pa.array([row[2] for row in rows], pa.int64())
    objects = json_objects(
        [
            ("text", texts),
            ("same", texts.dictionary_encode()),
            ("decimal", decimals),
            ("integer", integers),
            ("quoted", quoted_integers(integers)),
            ("inside", nested([("text", texts), ("decimal", decimals)])),
        ]
    )
    expected = [
        {
            "text": text,
            "same": text,
            "decimal": None if number is None else D(number),
            "integer": None if integer is None else D(integer),
            "quoted": None if integer is None else str(integer),
            "inside": {"text": text, "decimal": None if number is None else D(number)},
        }
        for text, number, integer in rows
    ]
    texts_made: list[Any] = objects.to_pylist()
    assert [_exact(each) for each in texts_made] == expected
    # The same text as json.dumps, but for what needs no escape.
    for (text, _, _), each in zip(rows, texts_made, strict=True):
        start = each.removeprefix('{"text":')
        assert json.loads(json.dumps(text)) == json.JSONDecoder().raw_decode(start)[0]


@pytest.mark.parametrize(
    ("number", "text"),
    [("1.50", "1.5"), ("100", "100"), ("0", "0"), ("-0.1", "-0.1"), ("64000.1", "64000.1")],
)
def test_decimals_have_the_digits_they_need(number: str, text: str) -> None:
    column = pa.array([D(number)], pa.decimal128(38, 16))
    assert json_objects([("n", column)]).to_pylist() == [f'{{"n":{text}}}']


def test_times_are_iso_texts_with_nanoseconds() -> None:
    column = pa.array([1_709_640_000_000_000_001, None], pa.int64()).cast(
        pa.timestamp("ns", tz="UTC")
    )
    assert json_objects([("t", column)]).to_pylist() == [
        '{"t":"2024-03-05T12:00:00.000000001Z"}',
        '{"t":null}',
    ]


@given(st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=4))
def test_an_array_is_the_same_for_all_batches(batches: list[list[int]]) -> None:
    import tempfile

    numbers = [each for batch in batches for each in batch]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "array.json"
        made = (json_objects([("n", pa.array(batch, pa.int64()))]) for batch in batches)
        assert write_array(path, made) == len(numbers)
        lines = path.read_text().splitlines()
    assert json.loads("".join(lines)) == [{"n": each} for each in numbers]
    assert len(lines) == len(numbers) + 2


def test_lines_of_a_slice_hold_only_the_slice() -> None:
    texts = pa.array(["a", "bb", "ccc", "dddd"]).slice(1, 2)
    assert bytes(lines_of(texts, ";")) == b"bb;ccc;"
    assert bytes(lines_of(pa.array([], pa.string()), ";")) == b""
