"""Pieces that need no service: documents by lines, progress, the list of results."""

import json
import shutil
from pathlib import Path

import pytest

from odum_assets.api.following import progress_of
from odum_assets.api.results_index import ResultsIndex
from odum_assets.api.tables import DocumentTable, Form, chosen_form
from odum_assets.backtest.plan import Progress
from odum_assets.results.store import ResultStore


@pytest.mark.parametrize("rows", [0, 1, 2, 40_000])
def test_any_part_of_a_document_is_found(tmp_path: Path, rows: int) -> None:
    # Longer than a block of a megabyte, with texts that look like the end of a line or the array.
    objects = [{"row": row, "text": ",\n]\n" + "x" * (row % 50)} for row in range(rows)]
    path = tmp_path / "rows.json"
    text = ",\n".join(map(json.dumps, objects))
    path.write_text(f"[\n{text}\n]\n" if rows else "[\n]\n")
    table = DocumentTable(path)
    assert table.count() == rows
    for offset in {0, 1, rows // 2, rows - 1, rows, rows + 5} - {-1}:
        for limit in (1, 3, rows, rows * 2 + 1):
            lines = b"".join(table.lines(offset, limit)).splitlines()
            assert [json.loads(line) for line in lines] == objects[offset : offset + limit]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.JSON),
        ("*/*", Form.JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", Form.JSON),
        ("application/json;q=0.1, application/jsonl", Form.LINES),
        ("application/vnd.apache.arrow.stream", Form.ARROW),
        ("application/json;q=0, application/x-ndjson;q=0.001", Form.LINES),
    ],
)
def test_the_form_that_is_liked_best(accept: str | None, form: Form) -> None:
    assert chosen_form(accept, tuple(Form)) is form


def test_progress_is_read_as_the_assets_write_it() -> None:
    moment = 1_704_110_418_000_000_000
    found = progress_of(Progress("replay", 0.42, 1_234_567, moment).text)
    assert found is not None
    assert (found["phase"], found["done"], found["orders"]) == ("replay", 0.42, 1_234_567)
    assert found["market_time"] == "12:00:18"
    rows = progress_of("50,000 of 200,000 rows")
    assert rows is not None
    assert (rows["phase"], rows["done"], rows["rows"]) == ("convert", 0.25, 50_000)
    assert progress_of(Progress("finish", 1.0).text) is not None
    assert progress_of("Funding is not charged") is None


def test_the_list_follows_the_files(project: Path, tmp_path: Path) -> None:
    shutil.copytree(project / "data/results/fast", tmp_path / "fast")
    index = ResultsIndex(ResultStore(tmp_path))
    first = index.listing()
    assert len(first.results) == 3
    assert index.listing() is first
    path = tmp_path / "fast" / f"{first.results[0].run_id}.json"
    path.write_text("{")
    (tmp_path / "fast/stray.json").write_text("{}")
    damaged = index.listing()
    assert [each.run_id for each in damaged.results] == [each.run_id for each in first.results[1:]]
    assert len(damaged.damaged) == 2
    path.unlink()
    (tmp_path / "fast/stray.json").unlink()
    assert index.listing().damaged == ()
