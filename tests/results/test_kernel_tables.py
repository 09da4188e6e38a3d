"""A report by the kernel is that of a journal: the same rows, the same bytes of documents."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostiledays import write_hostile_day
from tinydays import DAY, INVERSE, LINEAR, NOON, Market, kinds, variant, with_strategy

from odum_assets.backtest import tables
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import completed_run
from odum_assets.config import LoadedConfig
from odum_assets.results import json_rows, kernel_tables, timeline
from odum_assets.results.run import run_backtest, store_result
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultStore

_TABLES = ("orders", "fills", "positions", "equity", "timeline")
_DOCUMENTS = ("orders.json", "timeline.json")


def _journal_report(request: RunRequest, market: Market) -> tuple[Path, str]:
    """Return the report and the digest of a run whose events go into a journal first."""
    store = ResultStore(market.settings.results_path)
    with completed_run(request, market.settings, store.workspace()) as run:
        found = store_result(run, market.settings, None, run_id_of(request))
    assert found.report_path is not None
    return found.report_path, found.digest


def _compare(
    market: Market, config: LoadedConfig, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> pa.Table:
    """Compare both reports, the kernel's written by small parts; return the orders."""
    request = RunRequest(config, (DAY,), DAY.isoformat(), engine="kernel", **options)
    journal, digest = _journal_report(request, market)
    with monkeypatch.context() as patch:
        patch.setattr(json_rows, "WORTH_LOADING", 0)
        patch.setattr(kernel_tables, "_BATCH_ROWS", 7)
        patch.setattr(timeline, "_BATCH_ROWS", 4)
        patch.setattr(tables, "_GROUP_ROWS", 5)
        found = run_backtest(request, market.settings)
    assert found.digest == digest
    report = found.report_path
    assert report is not None
    assert sorted(path.name for path in report.iterdir()) == sorted(
        path.name for path in journal.iterdir()
    )
    for name in _TABLES:
        ours, theirs = (pq.read_table(each / f"{name}.parquet") for each in (report, journal))
        assert ours.schema.equals(theirs.schema, check_metadata=True), name
        assert ours.equals(theirs), (name, options)
    for name in _DOCUMENTS:
        assert (report / name).read_bytes() == (journal / name).read_bytes(), (name, options)
    return pq.read_table(report / "orders.parquet")


def _span(market: Market) -> tuple[int, int]:
    """Return the first and the last time of the day's rows."""
    times = np.concatenate(
        [
            pq.read_table(path, columns=["ts_init"])["ts_init"].cast(pa.int64()).to_numpy()
            for path in market.settings.catalog_path.rglob("*.parquet")
        ]
    )
    # The instrument has a time, too.
    times = times[times > 0]
    return int(times.min()), int(times.max())


@pytest.mark.parametrize(("seed", "name"), [(20, LINEAR), (21, LINEAR), (33, INVERSE)])
def test_every_kind_of_order(
    market: Market, monkeypatch: pytest.MonkeyPatch, seed: int, name: str
) -> None:
    precise = {"instrument": {"size_precision": 3, "price_precision": 1}} if name == INVERSE else {}
    write_hostile_day(market, variant(name, **precise), seed)
    statuses: set[str] = set()
    for config in kinds(name, venue={"maker_fee": -0.0001}, **precise):
        ticks = config.ticks
        # Limit orders that rest, with L2 and closing, are not covered.
        rests = ticks.strategy.time_in_force == "GTC" and ticks.venue.book_type == "L2_MBP"
        options = {"snapshot_mode": "both", "close_positions": not rests}
        orders = _compare(market, config, monkeypatch, **options)
        statuses |= {*orders["status"].to_pylist(), *orders["purpose"].to_pylist()}
    assert {"filled", "canceled", "open", "close_positions"} <= statuses


def test_orders_of_a_file_with_any_tags(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_hostile_day(market, variant(), 22)
    draw = np.random.default_rng(5)
    span = _span(market)
    count = 200
    tags = ['say "no"', "back\\slash", "línea\n😀", "\x01", "x" * 100, None, "entry"]
    file = tmp_path / "orders.parquet"
    pd.DataFrame(
        {
            "time": np.sort(draw.integers(*span, count)),
            "side": draw.choice(["buy", "sell"], count),
            "size": np.round(draw.integers(1, 5_000, count) * 0.001, 3),
            "price": np.where(
                draw.random(count) < 0.3,
                np.nan,
                np.round(64_000 + draw.integers(-20, 21, count) * 0.1, 1),
            ),
            "time_in_force": draw.choice(["IOC", "FOK", "GTC"], count),
            "tag": draw.choice(np.array(tags, object), count),
        }
    ).to_parquet(file, row_group_size=37)
    config = with_strategy(
        {"name": "Research", "orders_file": str(file)},
        venue={"starting_balance": 1e12},
        data_catalog={"derivative_ticker_path": None},
    )
    orders = _compare(market, config, monkeypatch, snapshot_mode="both", close_positions=False)
    assert set(orders["purpose"].to_pylist()) == set(tags)
    filled = orders["filled"].to_numpy(zero_copy_only=False)
    amount = orders["amount"].to_numpy(zero_copy_only=False)
    assert ((filled > 0) & (filled < amount)).any()


def test_what_the_book_does_not_take_is_closed_at_the_last_price(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.trades([(NOON + at, "buy", "64000.1", "2") for at in range(9)])
    market.books([(NOON - 1, [("64000.0", "0.3")], [("64000.1", "1")])])
    config = variant(venue={"starting_balance": 1e9})
    orders = _compare(market, config, monkeypatch, snapshot_mode="both")
    assert orders["purpose"].to_pylist()[-2:] == ["close_positions", "simulated_close"]


def test_no_order_at_all(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market.trades([(NOON, None, "64000.1", "2"), (NOON + 1, None, "64000.1", "2")])
    orders = _compare(market, variant(), monkeypatch, snapshot_mode="trades")
    assert orders.num_rows == 0
