"""Compiled JSON is byte for byte the JSON made by Arrow."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.results import json_rows
from odum_assets.results.json_rows import Rows, nested, write_rows

D = Decimal
_TIME = pa.timestamp("ns", tz="UTC")
_LIMIT = 10**38 - 1
_UNITS = (
    st.integers(-_LIMIT, _LIMIT)
    | st.integers(-(10**12), 10**12)
    # Few digits at any place, and what lies beside them.
    | st.builds(
        lambda number, power, beside: max(-_LIMIT, min(_LIMIT, number * 10**power + beside)),
        st.integers(-999, 999),
        st.integers(0, 36),
        st.integers(-1, 1),
    )
    # Around words of 64 bits.
    | st.builds(
        lambda high, low: (high << 64) + low, st.integers(-(2**62), 2**62), st.integers(-2, 2)
    )
)
_DECIMALS = st.none() | _UNITS.filter(lambda units: abs(units) <= _LIMIT)
_TIMES = st.none() | st.integers(-(2**63), 2**63 - 1)
_TEXTS = (
    st.none()
    | st.text(max_size=12)
    | st.sampled_from(
        ['"', "\\", 'a\\"b', "\x00\x1f\n", "é😀\u2028", "\x7f", "", "null", "x" * 5000]
    )
)
_ROW = st.tuples(st.integers(0, 2), _TEXTS, _DECIMALS, _TIMES, st.none() | st.floats())


def _decimals(units: list[int | None]) -> Any:
    raw = b"".join((number or 0).to_bytes(16, "little", signed=True) for number in units)
    filled = pa.Array.from_buffers(DECIMAL, len(units), [None, pa.py_buffer(raw)])
    known = pa.array([number is not None for number in units])
    return pa.compute.if_else(known, filled, pa.scalar(None, DECIMAL))


def _columns(rows: list[tuple[Any, ...]]) -> list[tuple[str, Any]]:
    """Return fields of all types, as parts of longer columns."""
    rows = [(0, '"', 7, 7, 7.5), *rows, (0, "end", None, None, None)]
    texts, units, times, floats = ([row[at] for row in rows] for at in (1, 2, 3, 4))
    columns = {
        "text": pa.array(texts, pa.string()),
        "coded": pa.array(texts, pa.string()).dictionary_encode(),
        "number": _decimals(units),
        "ts": pa.array(times, pa.int64()).cast(_TIME),
        "float": pa.array(floats, pa.float64()),
        "none": pa.nulls(len(rows), pa.string()),
    }
    return [(name, column[1:-1]) for name, column in columns.items()]


def _batch(rows: list[tuple[Any, ...]]) -> list[Rows]:
    """Return rows of three kinds, each with its own fields."""
    batch = []
    for kind in range(3):
        places = np.array([at for at, row in enumerate(rows) if row[0] == kind], np.int64)
        fields = _columns([rows[at] for at in places.tolist()])
        if kind == 1:
            fields = [("event", "Fill"), ("data", nested(fields[::-1])), *fields[:1]]
        elif kind == 2:
            fields = [fields[3], ("in", nested([("in", nested(fields[:2]))]))]
        batch.append(Rows(fields, places))
    return batch


def _written(folder: Path, batches: list[list[tuple[Any, ...]]], kernel: Any) -> bytes:
    path = folder / "rows.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "_kernel", lambda: kernel)
        count = write_rows(path, map(_batch, batches), json_rows.WORTH_LOADING)
    assert count == sum(map(len, batches))
    return path.read_bytes()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(_ROW, max_size=8), max_size=3))
@example([])
@example([[(0, None, None, None, None)], [], [(2, "a", 0, 0, 0.0), (1, "b", 1, 1, 1.0)]])
@example(
    [
        [(kind, "a", 10**at + off, 0, 1.5) for at in range(38) for off in (-1, 0, 1)]
        for kind in (0, 1)
    ]
)
@example([[(1, text, -(10**at), 86_400 * 10**9 - at, 1e16)] for at, text in enumerate('"\\\n')])
def test_both_write_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[Any, ...]]]
) -> None:
    from odum_assets.results import json_kernel

    folder = tmp_path_factory.getbasetemp()
    compiled = _written(folder, batches, json_kernel)
    assert compiled == _written(folder, batches, None)
    assert len(compiled.splitlines()) == 2 + sum(map(len, batches))


def test_many_rows_and_one_long_text(tmp_path: Path) -> None:
    """Rows of several blocks, one of which takes more than a block is large."""
    from odum_assets.results import json_kernel

    rows = [(at % 3, f"tag {at}", at * 10**12, at, at / 7) for at in range(20_000)]
    rows[7_777] = (0, 'a "long" one ' * 300_000, 1, 1, 1.0)
    compiled = _written(tmp_path, [rows, rows[:5]], json_kernel)
    assert compiled == _written(tmp_path, [rows, rows[:5]], None)
    assert len(compiled.splitlines()) == 2 + 20_005


def test_few_rows_load_no_compiled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError

    monkeypatch.setattr(json_rows, "_kernel", refuse)
    rows = Rows([("number", _decimals([15 * 10**15]))], np.arange(1))
    assert write_rows(tmp_path / "rows.json", [[rows]], json_rows.WORTH_LOADING - 1) == 1
    assert json.loads((tmp_path / "rows.json").read_text()) == [{"number": 1.5}]
