"""Orders of a file: sent at their times, refused by row, part of a run's identity."""

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostiledays import verdicts, write_hostile_day
from tinydays import DAY, NOON, Market, moment, own_strategy, variant, with_strategy

from odum_assets.backtest import witness
from odum_assets.backtest.strategies.checking import config_problems
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.results.lineage import inputs_now
from odum_assets.results.verify import verify_result

BOOK = ([("64000.0", "1"), ("63999.9", "2")], [("64000.1", "1"), ("64000.2", "2")])


def _config(file: Path, **venue: Any) -> LoadedConfig:
    venue = {"starting_balance": 1e12, **venue}
    data = {"derivative_ticker_path": None}
    return with_strategy(
        {"name": "Research", "orders_file": str(file)}, venue=venue, data_catalog=data
    )


def _orders(*rows: tuple[float, str, float, float | None, str, str | None]) -> pd.DataFrame:
    """Return orders: second of the day, side, size, price, time in force, tag."""
    columns = ["time", "side", "size", "price", "time_in_force", "tag"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["time"] = pd.to_datetime([moment(second) for second in frame["time"]], utc=True)
    return frame


def _day(market: Market) -> None:
    market.trades([(NOON + second, "buy", "64000.1", "1") for second in (1, 3, 9)])
    market.books([(NOON, *BOOK), (NOON + 4, *BOOK), (NOON + 10, *BOOK)])


def _random(
    market: Market, seed: int, count: int, lifetimes: tuple[str, ...] = ("IOC", "FOK", "GTC")
) -> pd.DataFrame:
    """Return orders around the rows of a day, many of them at the very times of rows."""
    draw = np.random.default_rng(seed)
    tables = [
        pq.read_table(path) for path in sorted((market.settings.catalog_path).rglob("*.parquet"))
    ]
    rows = np.concatenate([each["ts_init"].cast(pa.int64()).to_numpy() for each in tables])
    times = np.concatenate([rows, rows + 1, rows - 1, draw.integers(rows.min(), rows.max(), 200)])
    price = np.round(64_000 + draw.integers(-20, 21, count) * 0.1, 1)
    return pd.DataFrame(
        {
            "time": np.sort(draw.choice(times, count)),
            "side": draw.choice(["buy", "sell"], count),
            "size": np.round(draw.integers(1, 5_000, count) * 0.001, 3),
            "price": np.where(draw.random(count) < 0.3, np.nan, price),
            "time_in_force": draw.choice(lifetimes, count),
            "tag": draw.choice(["entry", "exit", None], count),
        }
    )


def test_orders_are_sent_at_their_times(market: Market, tmp_path: Path) -> None:
    _day(market)
    file = tmp_path / "orders.parquet"
    rows = [
        (NOON, "buy", 1.0, None, "IOC", None),
        (NOON + 1, "buy", 0.5, None, "IOC", "entry"),
        (NOON + 2.5, "sell", 2.0, 63999.9, "FOK", None),
        (NOON + 3, "buy", 0.2, 63000.0, "GTC", "deep"),
        (NOON + 3, "sell", 0.1, None, "GTC", None),
        (NOON + 11, "buy", 1.0, None, "IOC", None),
    ]
    _orders(*rows).to_parquet(file)
    config = _config(file)
    theirs, ours = (
        market.run(config, snapshot_mode="book", close_positions=False, engine=engine)
        for engine in ("nautilus", "kernel")
    )
    assert [(round(each[0] - NOON, 6), *each[1:4]) for each in theirs.brief_fills()] == [
        (1, "buy", "64000.1", "0.5"),
        (2.5, "sell", "64000", "1"),
        (2.5, "sell", "63999.9", "1"),
        (3, "sell", "64000", "0.1"),
    ]
    assert [each["purpose"] for each in theirs.orders] == ["entry", None, "deep", None]
    assert theirs.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert theirs.result.digest == ours.result.digest
    assert theirs.summary == ours.summary
    held = theirs.metadata["orders_file"]
    assert (held["orders"], held["before"], held["after"]) == (6, 1, 1)
    assert "2 of the 6 orders" in " ".join(theirs.result.flags)


def test_an_order_that_meets_no_level_ends_at_once(market: Market, tmp_path: Path) -> None:
    """After a trade below it the last snapshot's bid counts, which an L1 book no longer has."""
    market.books([(NOON, [("63999.7", "3")], [("63999.9", "2")]), (NOON + 10, *BOOK)])
    market.trades([(NOON + 1, "sell", "63990", "1"), (NOON + 2, "buy", "63999.6", "2")])
    file = tmp_path / "orders.parquet"
    for lifetime, status in (("IOC", "canceled"), ("FOK", "canceled"), ("GTC", "open")):
        _orders((NOON + 2, "sell", 4.0, 63999.7, lifetime, None)).to_parquet(file)
        config = _config(file, book_type="L1_MBP")
        run = market.run(config, snapshot_mode="both", close_positions=False)
        assert run.statuses() == [status]
        assert run.metadata["witness"] == {"verdict": "equal", "detail": None}


def test_every_event_is_equal_on_a_hostile_day(market: Market, tmp_path: Path) -> None:
    seed = 22
    write_hostile_day(market, variant(), seed)
    files = [tmp_path / "orders.parquet", tmp_path / "taking.parquet"]
    _random(market, seed, 300).to_parquet(files[0], row_group_size=37)
    _random(market, seed, 300, ("IOC", "FOK")).to_parquet(files[1], row_group_size=37)
    configs = [_config(file, book_type=book) for file in files for book in ("L1_MBP", "L2_MBP")]
    for mode, closes in (("trades", True), ("book", True), ("both", True), ("both", False)):
        options = {"snapshot_mode": mode, "close_positions": closes}
        for config, found in verdicts(market, tmp_path / "work", configs, **options):
            assert found.verdict == witness.EQUAL, (options, config.config, found.detail)


def test_events_do_not_depend_on_chunks(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from odum_assets.backtest import order_file

    write_hostile_day(market, variant(), 22)
    file = tmp_path / "orders.parquet"
    _random(market, 22, 300).to_parquet(file, row_group_size=50)
    run = market.run(_config(file), snapshot_mode="both", close_positions=False)
    assert len(run.fills) > 100
    assert verify_result(run.result.run_id, market.settings, chunk_rows=2).equal
    monkeypatch.setattr(order_file, "_BATCH_ROWS", 3)
    assert verify_result(run.result.run_id, market.settings, engine="kernel").equal


def test_a_file_without_orders_sends_none(market: Market, tmp_path: Path) -> None:
    _day(market)
    file = tmp_path / "orders.parquet"
    _orders((NOON + 2, "buy", 1.0, 64000.1, "IOC", None)).iloc[:0].to_parquet(file)
    run = market.run(_config(file))
    assert (run.summary["orders"], run.metadata["orders_file"]["orders"]) == (0, 0)
    assert run.metadata["witness"]["verdict"] == "equal"


def test_a_changed_file_is_another_run(market: Market, tmp_path: Path) -> None:
    _day(market)
    file = tmp_path / "orders.parquet"
    frame = _orders((NOON + 2, "buy", 1.0, 64000.1, "IOC", None))
    frame.to_parquet(file)
    config = _config(file)
    run = market.run(config, snapshot_mode="book")
    inputs = run.metadata["strategy_inputs"]
    assert inputs == {f"orders {file}": run.metadata["orders_file"]["sha256"]}
    assert inputs_now(config, market.settings) == inputs
    frame.assign(size=0.5).to_parquet(file)
    assert inputs_now(config, market.settings) != inputs
    found = verify_result(run.result.run_id, market.settings)
    assert not found.equal
    assert f"orders {file}" in found.changed_inputs
    file.unlink()
    with pytest.raises(BacktestError, match="there is no such file"):
        verify_result(run.result.run_id, market.settings)


def _with(column: str, row: int, value: Any) -> Callable[[pd.DataFrame], Any]:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object).to_list()
        values[row] = value
        return frame.assign(**{column: pd.Series(values)})

    return changed


def _arrow(column: str, values: list[Any], kind: pa.DataType) -> Callable[[pd.DataFrame], Any]:
    def changed(frame: pd.DataFrame) -> pa.Table:
        table = pa.Table.from_pandas(frame)
        place = table.schema.names.index(column)
        return table.set_column(place, column, pa.array(values, kind))

    return changed


REFUSED: dict[str, tuple[Callable[[pd.DataFrame], Any], str]] = {
    "out of order": (lambda frame: frame.iloc[::-1], "row 1: time 2024-03-05T12:00:02Z is before"),
    "time missing": (_with("time", 1, None), "row 1: time is missing"),
    "no time zone": (
        lambda frame: frame.assign(time=frame["time"].dt.tz_localize(None)),
        r"column time is timestamp\[ns\], allowed: timestamps with a time zone",
    ),
    "side missing": (_with("side", 2, None), "row 2: side is missing, allowed: sell, buy"),
    "side": (_with("side", 0, "BUY"), "row 0: side is 'BUY'"),
    "off tick": (
        _with("price", 2, 64000.05),
        "row 2: price 64000.05 is no multiple of 0.1, the smallest step",
    ),
    "off lot": (_with("size", 1, 0.0005), "row 1: size 0.0005 is no multiple of 0.001"),
    "zero": (_with("size", 1, 0.0), "row 1: size 0.0 is zero"),
    "negative price": (_with("price", 0, -1.0), "row 0: price -1.0 is negative"),
    "not a number": (
        _arrow("price", [1.0, float("nan"), 1.0], pa.float64()),
        "row 1: price is missing or not a number",
    ),
    "size missing": (_with("size", 2, None), "row 2: size is missing"),
    "time in force": (_with("time_in_force", 2, "GTD"), "'GTD', allowed: IOC, FOK, GTC"),
    "unknown column": (lambda frame: frame.assign(x=1), "unknown column x; allowed are time, side"),
    "missing column": (lambda frame: frame.drop(columns="price"), "missing column price"),
    "wrong type": (_arrow("size", ["1"] * 3, pa.string()), "column size is string, allowed: num"),
    "tag of results": (_with("tag", 1, "close_positions"), "row 1: tag is one of close_positions"),
    "long tag": (_with("tag", 1, "x" * 101), "row 1: tag is empty or longer than 100"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_by_row(tmp_path: Path, name: str) -> None:
    change, text = REFUSED[name]
    file = tmp_path / "orders.parquet"
    rows = [(NOON + second, "buy", 1.0, 64000.1, "IOC", "t") for second in (1, 2, 3)]
    changed = change(_orders(*rows))
    if isinstance(changed, pa.Table):
        pq.write_table(changed, file)
    else:
        changed.reset_index(drop=True).to_parquet(file)
    (problem,) = config_problems([_config(file)])
    assert str(file) in problem
    assert re.search(text, problem), problem


def test_what_is_no_file_of_orders_is_refused(market: Market, tmp_path: Path) -> None:
    _day(market)
    for content, text in ((None, "there is no such file"), (b"PAR1 no", "cannot be read")):
        file = tmp_path / "orders.parquet"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(BacktestError, match=text):
            market.run(_config(file))
    assert market.stored() == []


def test_numbers_of_any_type_are_taken(market: Market, tmp_path: Path) -> None:
    _day(market)
    file = tmp_path / "orders.parquet"
    frame = _orders(
        (NOON + 2, "buy", 1.0, 64000.1, "IOC", None), (NOON + 2, "buy", 2.0, None, "IOC", None)
    )
    digests = set()
    for change in (
        lambda found: found,
        lambda found: found.assign(time=found["time"].astype("int64")),
        lambda found: found.assign(size=[Decimal("1.0"), Decimal("2.0")]),
        lambda found: found.assign(size=[1, 2], side=found["side"].astype("category")),
        # What a few operations on floats leave behind is noise.
        lambda found: found.assign(price=[64000 + 0.3 - 0.2, None], size=[0.7 + 0.1 + 0.2, 2.0]),
        lambda found: found.drop(columns="tag"),
    ):
        change(frame).to_parquet(file)
        digests.add(market.run(_config(file), snapshot_mode="book", mode="fast").result.digest)
    assert len(digests) == 1


def test_what_else_decides_orders_is_not_allowed_beside_a_file() -> None:
    for section, key in (
        ({"order_type": "MARKET"}, "order_type"),
        ({"orders": [{"side": "buy", "amount": 1}]}, "orders"),
    ):
        with pytest.raises(ValueError, match=rf"{key}: not allowed with strategy.orders_file"):
            with_strategy({"name": "F", "orders_file": "o.parquet", **section})
    with pytest.raises(ValueError, match=r"orders_file: not allowed with strategy\.path"):
        with_strategy({**own_strategy("mine:Mine"), "orders_file": "o.parquet"})
    document = _config(Path("/o.parquet")).config.document()["strategy"]
    assert "order_type" not in document
    assert document["orders_file"] == "/o.parquet"
    assert "orders_file" not in variant().config.document()["strategy"]


def test_a_relative_path_starts_at_the_configuration(market: Market, tmp_path: Path) -> None:
    _day(market)
    (tmp_path / "orders").mkdir()
    _orders((NOON + 2, "buy", 1.0, None, "IOC", None)).to_parquet(tmp_path / "orders/o.parquet")
    config = replace(_config(Path("orders/o.parquet")), path=tmp_path / "config.json")
    run = market.run(config, (DAY,), snapshot_mode="book", close_positions=False)
    assert len(run.fills) == 1
