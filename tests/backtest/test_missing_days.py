"""Windows with missing days, and days that are not covered whole: run, named, or refused."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tinydays import DAY, NOON, Market, Outcome, TradeRow, moment, variant

from odum_assets.backtest.request import WINDOW, RunRequest, name_days
from odum_assets.errors import BacktestError, DataError
from odum_assets.raw.layout import DataType
from odum_assets.results.run import run_backtest
from odum_assets.results.ticks import export_ticks
from odum_assets.results.verify import verify_result
from odum_assets.utc import DAY_NS

DAYS = tuple(DAY + timedelta(days=index) for index in range(3))
ASKED = {"start_ns": moment(0, DAYS[0]), "end_ns": moment(0, DAYS[2]) + DAY_NS}
WHOLE: list[TradeRow] = [(second, "buy", "64000.0", "1") for second in (60, NOON, 86_340)]


def _window(market: Market, there: tuple[date, ...], **options: Any) -> Outcome:
    for day in there:
        market.trades(WHOLE, day=day)
    return market.run(days=there, partition=WINDOW, **{**ASKED, **options})


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_missing_day_is_named_wherever_it_is(market: Market, place: int) -> None:
    there = tuple(day for day in DAYS if day != DAYS[place])
    run = _window(market, there)
    assert run.summary["missing_days"] == run.metadata["missing_days"] == [str(DAYS[place])]
    flag = f"The catalog lacks 1 of 3 days of the window: {DAYS[place]}."
    assert [each for each in run.result.flags if "lacks" in each] == [flag]
    window = run.metadata["window"]
    asked = {"start_ns": str(ASKED["start_ns"]), "end_ns": str(ASKED["end_ns"])}
    assert {name: window[name] for name in asked} == asked
    assert run.metadata["days"] == [str(day) for day in there]
    # One order per trade, and the one that closes.
    assert run.summary["orders"] == 7
    assert verify_result(run.result.run_id, market.settings).equal


def test_a_whole_window_lacks_nothing_and_keeps_what_was_asked(market: Market) -> None:
    run = _window(market, DAYS)
    assert run.summary["missing_days"] == []
    assert not any("lacks" in each or "covered" in each for each in run.result.flags)
    assert run.metadata["window"]["start_ns"] == str(ASKED["start_ns"])
    assert run.metadata["window"]["end_ns"] == str(ASKED["end_ns"])
    # The same rows without the bounds: nothing but the record of the window differs.
    open_ended = market.run(days=DAYS, partition=WINDOW)
    assert open_ended.result.digest == run.result.digest
    assert open_ended.metadata["window"]["start_ns"] is None


def test_days_before_the_configured_window_are_not_missing(market: Market) -> None:
    """What the configuration cuts off is no part of the window, unless it is asked for."""
    config = variant(time_window={"start": f"{DAYS[1]}T00:00:00Z", "end": None})
    asked = _window(market, DAYS[2:], config=config)
    assert asked.summary["missing_days"] == [str(DAYS[0]), str(DAYS[1])]
    run = _window(market, DAYS[2:], config=config, start_ns=moment(0, DAYS[1]))
    assert run.summary["missing_days"] == [str(DAYS[1])]
    assert run.metadata["window"]["start_ns"] == str(moment(0, DAYS[1]))


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_missing_days_are_refused_when_that_is_asked(market: Market, place: int) -> None:
    there = tuple(day for day in DAYS if day != DAYS[place])
    with pytest.raises(DataError) as caught:
        _window(market, there, refuse_missing_days=True)
    assert f"lacks trades of {DAYS[place]}, and missing_days is refuse" in str(caught.value)
    assert market.stored() == []


def test_a_day_is_no_window(market: Market) -> None:
    market.trades(WHOLE)
    for bounds in ({"start_ns": moment(-1)}, {"end_ns": moment(0, DAYS[1]) + 1}):
        with pytest.raises(BacktestError, match="lies outside"):
            market.run(**bounds)


def test_many_missing_days_are_counted() -> None:
    days = [DAY + timedelta(days=index) for index in range(23)]
    assert name_days(days).endswith("2024-03-24 and 3 more days")
    asked = RunRequest(variant(), (days[0], days[22]), WINDOW)
    assert asked.missing_days == tuple(days[1:22])
    assert replace(asked, days=(days[3],)).missing_days == ()


CUT: list[TradeRow] = [(second, "buy", "64000.0", "1") for second in (5, 60, 420)]


def test_a_day_cut_after_seven_minutes_is_named(market: Market) -> None:
    market.trades(CUT)
    run = market.run()
    assert run.metadata["partial_days"] == [
        {
            "data_type": "trades",
            "day": str(DAY),
            "first": f"{DAY}T00:00:05Z",
            "last": f"{DAY}T00:07:00Z",
            "starts_late_s": 5.0,
            "ends_early_s": 85_980.0,
        }
    ]
    (flag,) = [each for each in run.result.flags if "covered" in each]
    assert flag == (f"Days are not covered whole: trades from {DAY}T00:00:05Z to {DAY}T00:07:00Z.")


def test_only_the_edges_inside_the_window_count(market: Market) -> None:
    market.trades(CUT)
    inside = market.run(end_ns=moment(600))
    assert inside.metadata["partial_days"] == []
    beyond = market.run(start_ns=moment(60), end_ns=moment(3600))
    (partial,) = beyond.metadata["partial_days"]
    assert (partial["starts_late_s"], partial["ends_early_s"]) == (0.0, 3180.0)
    patient = variant(quality={"max_edge_gap_secs": 3180})
    assert market.run(patient, end_ns=moment(3600)).metadata["partial_days"] == []


def test_a_window_of_whole_days_has_no_edge_inside(market: Market) -> None:
    market.trades(WHOLE, day=DAYS[0])
    market.trades(CUT, day=DAYS[1])
    run = market.run(days=DAYS[:2], partition=WINDOW)
    assert [each["day"] for each in run.metadata["partial_days"]] == [str(DAYS[1])]


def test_a_run_of_the_library_says_so_as_well(market: Market) -> None:
    market.trades(WHOLE)
    request = RunRequest(variant(), (DAY,), WINDOW, **ASKED, snapshot_mode="trades")
    result = run_backtest(request, market.settings)
    assert result.metadata["missing_days"] == [str(day) for day in DAYS[1:]]


def test_a_trade_that_two_days_hold_is_traded_once(market: Market) -> None:
    """The last trade of a day, sent again after midnight with another time of arrival."""
    next_day = DAYS[1]
    market.trades([(NOON, "buy", "64000.0", "1"), (86_399, "buy", "64000.0", "2")], day=DAY)
    again = moment(86_399) // 1000
    table = pa.table(
        {
            "timestamp": [again, moment(60, next_day) // 1000],
            "local_timestamp": [moment(1, next_day) // 1000, moment(60, next_day) // 1000],
            "id": ["1001", "1002"],
            "side": ["buy", "buy"],
            "price": [64000.0, 64000.0],
            "amount": [2.0, 1.0],
        }
    )
    path = market.raw_file(DataType.TRADES, day=next_day)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    market.convert(variant(), DataType.TRADES, next_day)
    alone = market.run(days=(next_day,))
    assert [each["amount"] for each in alone.orders if each["purpose"] is None] == [2, 1]

    run = market.run(days=(DAY, next_day), partition=WINDOW)

    assert [each["amount"] for each in run.orders if each["purpose"] is None] == [1, 2, 1]
    assert run.metadata["rows_repeated"] == {"trades": 1}
    assert run.metadata["rows_replayed"] == 3
    flag = "Rows that two neighboring days hold were replayed once: 1 of trades."
    assert flag in run.result.flags
    ticks = export_ticks(run.result.run_id, market.settings, market.settings.catalog_path)
    assert ticks.rows == 3
    assert verify_result(run.result.run_id, market.settings).equal
