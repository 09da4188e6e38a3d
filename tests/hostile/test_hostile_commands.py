"""Hostile files through the real commands and through Dagster: exit codes and messages only."""

import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostileproject import BTC, DAY, Project

from odum_assets.orchestration.launch import load_graph, materialize
from odum_assets.settings import load_settings

TRADES = ("catalog", "binance_futures_perpetual_btc_usdt", "trades")


def _spoiled(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path, Path], None]:
    def write(good: Path, path: Path) -> None:
        pq.write_table(change(pq.read_table(good)), path)

    return write


def _on_day(table: pa.Table, day: date) -> pa.Table:
    """Return trades moved to another day."""
    shift = (day - DAY).days * 86_400 * 10**6
    for name in ("timestamp", "local_timestamp"):
        index = table.schema.get_field_index(name)
        moved = [value + shift for value in table[name].to_pylist()]
        table = table.set_column(index, name, pa.array(moved, pa.int64()))
    return table


def _without_prices(table: pa.Table) -> pa.Table:
    infinite = pa.array([float("inf")] * table.num_rows)
    return table.set_column(table.schema.get_field_index("price"), "price", infinite)


HOSTILE: dict[str, Callable[[Path, Path], object]] = {
    "cannot be read as parquet": lambda good, path: path.write_bytes(good.read_bytes()[:-100]),
    "missing price": _spoiled(lambda table: table.drop_columns(["price"])),
    "has no rows": _spoiled(lambda table: table.slice(0, 0)),
    "(price_not_finite ": _spoiled(
        lambda table: _without_prices(_on_day(table, DAY + timedelta(days=4)))
    ),
}


def test_every_hostile_day_is_named_and_the_good_one_converted(project: Project) -> None:
    project.sample()
    good = project.raw()
    days = {cause: DAY + timedelta(days=1 + number) for number, cause in enumerate(HOSTILE)}
    for cause, make in HOSTILE.items():
        path = project.raw(day=days[cause])
        path.parent.mkdir(parents=True)
        make(good, path)

    code, printed = project.odum("convert", BTC, "--data-type", "trades", "--all")

    assert code == 1
    for cause, day in days.items():
        lines = [line for line in printed.splitlines() if line.startswith(f"error: {day}")]
        assert len(lines) == 1, day
        assert str(project.raw(day=day)) in lines[0]
        assert cause in lines[0]
    kept = [name for name in project.files("data/catalog") if not name.startswith(".")]
    folders = [name.split("/")[:2] for name in kept]
    assert folders == [
        ["data", "crypto_perpetual"],
        ["data", "trades"],
        ["manifests", "binance_futures_perpetual_btc_usdt"],
    ]
    assert all(DAY.isoformat() in name for name in kept[1:])

    bad = days["(price_not_finite "]
    run = ("backtest", BTC, "--fast", "--snapshot-mode", "trades", "--day")
    code, printed = project.odum(*run, str(bad))
    assert code == 1
    assert "(price_not_finite " in printed
    # No result, and a record of why.
    results = [name for name in project.files("data/results") if not name.startswith((".", "reg"))]
    assert [name.split("/")[0] for name in results] == ["failed"]
    assert "price_not_finite" in (project.root / "data/results" / results[0]).read_text()
    code, printed = project.odum("data", "check")
    assert code in (0, 1)
    assert "1 partition checked" in printed

    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(instance, load_graph(load_settings()), [TRADES], str(bad))
    assert not result.success
    ((_, text),) = result.failures
    assert "(price_not_finite " in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[1, 2]", "allowed one JSON object"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "nested too deeply"),
        (b'{"instrument": NaN, "venue": 1e99999999999999999999}', "which is not valid JSON"),
        (b'{"\\ud800": "\\ud800"}', "allowed valid Unicode"),
        (b'{"a\\u001b[31m": "\\u202e"}', "unknown key"),
    ],
)
def test_hostile_configurations_are_reported(project: Project, content: bytes, cause: str) -> None:
    path = project.root / "configs" / "hostile.json"
    path.write_bytes(content)
    code, printed = project.odum("config", "validate")
    assert code == 1
    assert "hostile.json: " in printed
    assert cause in printed
    assert "\x1b[31m:" not in printed
    code, printed = project.odum("backtest", "hostile", "--day", str(DAY))
    assert code == 1
    assert cause in printed


def test_arguments_that_are_no_text_are_usage_errors(project: Project) -> None:
    strange = os.fsdecode(b"\xff\xfe")
    assert project.odum("config", "validate", strange)[0] == 2
    assert project.odum("backtest", f"{strange}/x.json", "--day", str(DAY))[0] == 2
    assert project.odum("results", "show", strange)[0] == 2
    assert project.odum("config", "validate", "a\x00b")[0] == 2
    (project.root / "configs" / f"{strange}.json").write_text("{}")
    assert project.odum("config", "validate")[0] == 1
