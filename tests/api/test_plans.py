"""What a plan knows of its data: parts of days, and raw files that are damaged."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from service import BTC, DAY, Service, lay_out, make_results, serving, settings_of

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import convert_partition, row_counts
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType, local_path
from odum_assets.results.run import run_backtest
from odum_assets.utc import day_start_ns

HALF_PAST_TWELVE = day_start_ns(DAY) + 45_000 * 10**9
"""12:30 of the day."""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    place = tmp_path_factory.mktemp("plans")
    lay_out(place)
    loaded = load_config(place / f"configs/{BTC}.json")
    make_results(place, (BTC, "fast"))
    settings, kind = settings_of(place), DataType.FUNDING
    source = raw_path(loaded, kind, DAY, settings)
    convert_partition(source, loaded.key, instrument_spec(loaded), kind, DAY, settings.catalog_path)
    with serving(place, ODUM_DAGSTER_URL="http://127.0.0.1:9") as found:
        yield found


def _plan(here: Service, **body: Any) -> dict[str, Any]:
    reply = here.post("/api/v1/plan", {"config": BTC, "mode": "fast", **body})
    assert reply.status == 200, reply.data
    found: dict[str, Any] = reply.json
    return found


def test_a_part_of_a_day_has_the_rows_that_its_run_replays(here: Service) -> None:
    whole = _plan(here, day=str(DAY))
    part = _plan(here, day=str(DAY), start="12:30", end="12:40")
    assert (whole["rows_estimated"], part["rows_estimated"]) == (False, False)
    assert [each["rows_read"] for each in whole["partitions"]] == [
        each["rows"] for each in whole["partitions"]
    ]
    # What each partition has is said as before.
    for of_part, of_whole in zip(part["partitions"], whole["partitions"], strict=True):
        assert of_part["rows"] == of_whole["rows"]
        assert 0 < of_part["rows_read"] < of_whole["rows"] / 4
    assert part["rows"] == sum(each["rows_read"] for each in part["partitions"])
    # Seconds follow from rows; they are said to a tenth.
    expected = whole["seconds"] * part["rows"] / whole["rows"]
    assert part["seconds"] == pytest.approx(expected, abs=0.1)
    # A range has the same part of each of its days.
    days = _plan(here, first_day=str(DAY), last_day=str(DAY), start="12:30", end="12:40")
    assert (days["kind"], days["rows"]) == ("days", part["rows"])

    settings = settings_of(here.folder)
    request = RunRequest(load_config(here.folder / f"configs/{BTC}.json"), (DAY,), str(DAY))
    bounds = {"start_ns": HALF_PAST_TWELVE, "end_ns": HALF_PAST_TWELVE + 600 * 10**9}
    done = run_backtest(replace(request, mode="fast", **bounds), settings)
    stored = json.loads((settings.results_path / f"fast/{done.run_id}.json").read_text())
    assert stored["metadata"]["rows_replayed"] == part["rows"]


def test_a_file_that_cannot_be_opened_has_an_estimate(here: Service) -> None:
    (path,) = (here.folder / "data/catalog/data/trades").rglob("*.parquet")
    exact = _plan(here, day=str(DAY), start="12:30", end="12:40")["partitions"]
    hidden = path.rename(path.with_suffix(".away"))
    try:
        plan = _plan(here, day=str(DAY), start="12:30", end="12:40")
    finally:
        hidden.rename(path)
    assert plan["rows_estimated"]
    # Trades of the sample come about evenly.
    known = {each["data_type"]: each["rows_read"] for each in exact}
    found = {each["data_type"]: each["rows_read"] for each in plan["partitions"]}
    assert found["trades"] == pytest.approx(known.pop("trades"), rel=0.25)
    assert {name: found[name] for name in known} == known


@pytest.mark.parametrize("group", [7, 100, 1_000])
def test_rows_in_a_window_are_counted_from_groups(tmp_path: Path, group: int) -> None:
    times = pa.array(sorted([*range(0, 2_000, 3), *range(0, 2_000, 7), 900, 900, 900]), pa.int64())
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": times, "ts_init": times}), path, row_group_size=group)
    for start, end in ((None, None), (0, 1), (900, 901), (899, 1_201), (None, 900), (5_000, None)):
        inside = pc.and_(
            pc.greater_equal(times, -1 if start is None else start),
            pc.less(times, 10_000 if end is None else end),
        )
        assert row_counts.rows_between(path, start, end) == pc.sum(inside).as_py()


def test_a_damaged_raw_file_is_known_before_the_run(here: Service) -> None:
    loaded = load_config(here.folder / f"configs/{BTC}.json")
    path = local_path(raw_path(loaded, DataType.TRADES, DAY, here.settings))
    content = path.read_bytes()
    try:
        # What the catalog has of it is another file's.
        path.write_bytes(content[:-100])
        plan = _plan(here, day=str(DAY))
    finally:
        path.write_bytes(content)
    states = {each["data_type"]: each for each in plan["partitions"]}
    trades = states["trades"]
    assert (trades["state"], trades["state_text"]) == ("!", "raw file unreadable")
    assert (trades["converts"], plan["converts"]) == (False, 0)
    assert any(f"{path}: cannot be read as parquet" in text for text in plan["warnings"])
    assert states["book_snapshot_5"]["state"] == "■"
