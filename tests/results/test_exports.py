"""Exports of a stored run: its ticks."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from resultday import ROWS
from tinydays import DAY, NOON, Market, Outcome, moment

from odum_assets.catalog import times as times_
from odum_assets.raw.layout import DataType
from odum_assets.results.store import ResultError
from odum_assets.results.ticks import export_ticks

D = Decimal


def _expected(market: Market, start: int, end: int) -> list[dict[str, object]]:
    raw = pd.read_parquet(market.raw_file(DataType.TRADES)).sort_values(
        "local_timestamp", kind="stable"
    )
    sides = {"buy": "BUY", "sell": "SELL"}
    return [
        {
            "ts_event": str(row["timestamp"] * 1000),
            "ts_init": str(row["local_timestamp"] * 1000),
            "instrument_id": "BTC-USDT-PERP.BINANCE_FUTURES",
            "price": round(D(row["price"]), 1),
            "size": round(D(row["amount"]), 3),
            "aggressor_side": sides.get(row["side"] or "", "NO_AGGRESSOR"),
            "trade_id": row["id"],
        }
        for row in raw.to_dict("records")
        if start <= row["local_timestamp"] * 1000 < end
    ]


def _read(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        path.read_text(), parse_float=Decimal, parse_int=Decimal
    )
    return found


def test_ticks_are_the_raw_rows_of_the_whole_day(shared: Market, report: Outcome) -> None:
    seen: list[tuple[int, int]] = []
    done = export_ticks(
        report.result.run_id,
        shared.settings,
        shared.settings.catalog_path,
        lambda rows, total: seen.append((rows, total)),
    )
    assert done.rows == len(ROWS)
    assert done.path == shared.settings.results_path / f"tickdata/{report.result.run_id}.json"
    assert _read(done.path) == _expected(shared, 0, 2**62)
    assert seen[-1] == (len(ROWS), len(ROWS))


def test_ticks_of_a_window_start_with_it_and_end_before_its_end(market: Market) -> None:
    start, end = moment(NOON + 2), moment(NOON + 65)
    run = market.run(start_ns=start, end_ns=end)
    done = export_ticks(run.result.run_id, market.settings, market.settings.catalog_path)
    assert done.rows == 3
    assert _read(done.path) == _expected(market, start, end)


def test_ticks_of_several_days_follow_each_other(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = DAY + timedelta(days=1)
    # Arrived before midnight, and still of the next day's file, as earlier versions converted it.
    in_span, hour = times_.in_span, 3600 * 10**9
    monkeypatch.setattr(
        times_, "in_span", lambda raw, unit, *span: in_span(raw, unit, span[0] - hour, span[1])
    )
    market.trades([(-1.0, "buy", "64000.0", "1"), (5, "buy", "64000.0", "1")], day=later)
    market.trades([*ROWS, (86_399.5, "sell", "64000.0", "1")])
    run = market.run(days=(DAY, later))
    done = export_ticks(run.result.run_id, market.settings, market.settings.catalog_path)
    times = [int(str(each["ts_init"])) for each in _read(done.path)]
    assert times == sorted(times)
    assert done.rows == len(ROWS) + 3
    assert run.summary["orders"] >= len(ROWS) - 1 + 3


def test_ticks_of_a_catalog_that_has_changed_are_refused(market: Market) -> None:
    run = market.run()
    catalog = market.settings.catalog_path
    market.trades(ROWS[:-1])
    with pytest.raises(ResultError, match="has changed in the catalog since the run"):
        export_ticks(run.result.run_id, market.settings, catalog)
    with pytest.raises(ResultError, match="is gone from the catalog"):
        export_ticks(run.result.run_id, market.settings, catalog.with_name("other"))
    assert not any("tickdata" in each for each in market.stored())
