"""What a request may ask for, which rows its window holds, and what is refused at once."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from tinydays import DAY, NOON, Market, TradeRow, iso, moment, text, variant

from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.errors import BacktestError, ConfigError, DataError
from odum_assets.results.requested import request_record
from odum_assets.results.run import run_backtest
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.utc import DAY_NS, day_of_ns, day_start_ns, iso_ns

NEXT = DAY + timedelta(days=1)
ROWS: list[TradeRow] = [(NOON + second, "buy", "64000.0", "1") for second in range(10)]


def _seconds(run: object) -> list[float]:
    orders = [each for each in run.orders if each["purpose"] is None]  # type: ignore[attr-defined]
    return [(each["timestamp"] - moment(NOON)) / 1e9 for each in orders]


def test_times_and_days() -> None:
    assert day_start_ns(date(1970, 1, 2)) == DAY_NS
    assert day_of_ns(day_start_ns(DAY)) == DAY
    assert day_of_ns(day_start_ns(DAY) - 1) == DAY - timedelta(days=1)
    assert iso_ns(moment(NOON)) == iso(NOON) == "2024-03-05T12:00:00Z"
    assert iso_ns(moment(NOON) + 1) == "2024-03-05T12:00:00.000000001Z"


def test_a_window_inside_the_day_holds_its_start_and_not_its_end(market: Market) -> None:
    market.trades(ROWS)
    run = market.run(start_ns=moment(NOON + 2), end_ns=moment(NOON + 5))
    assert _seconds(run) == [2, 3, 4]
    # The positions are closed when the window ends at the latest.
    assert run.orders[-1]["purpose"] == "close_positions"
    assert moment(NOON + 4) < run.orders[-1]["timestamp"] <= moment(NOON + 5)
    window = run.metadata["window"]
    assert window["start_ns"] == str(moment(NOON + 2))
    assert window["end_ns"] == str(moment(NOON + 5))
    assert (window["first_trade"], window["last_trade"]) == (iso(NOON + 2), iso(NOON + 4))
    assert run.result.run_id.split("_")[2:4] == ["20240305", "12000200"]


def test_each_end_that_is_asked_for_takes_precedence_over_the_configured_one(
    market: Market,
) -> None:
    market.trades(ROWS)
    config = variant(time_window={"start": iso(NOON + 3), "end": iso(NOON + 6)})
    assert _seconds(market.run(config)) == [3, 4, 5]
    assert _seconds(market.run(config, end_ns=moment(NOON + 5))) == [3, 4]
    wider = market.run(config, end_ns=moment(NOON + 8))
    assert _seconds(wider) == [3, 4, 5, 6, 7]
    assert wider.metadata["window"]["end_ns"] == str(moment(NOON + 8))
    disjoint = market.run(config, start_ns=moment(NOON), end_ns=moment(NOON + 2))
    assert _seconds(disjoint) == [0, 1]
    assert disjoint.result.run_id.split("_")[2:4] == ["20240305", "12000000"]


def test_a_run_id_shows_where_the_configured_window_begins(market: Market) -> None:
    market.trades(ROWS)
    config = variant(time_window={"start": iso(NOON + 3), "end": None})
    request = RunRequest(config, (DAY,), DAY.isoformat(), snapshot_mode="trades")
    assert run_id_of(request).split("_")[2:4] == ["20240305", "12000300"]
    assert request_record(request, "x")["start"] == iso(NOON + 3)


def test_a_run_id_shows_the_start_of_the_run(market: Market) -> None:
    market.trades(ROWS)
    config = variant(time_window={"start": iso(NOON + 3), "end": iso(NOON + 9)})
    for run in (market.run(config), market.run(config, end_ns=moment(NOON + 6))):
        assert run.result.run_id.split("_")[2:4] == ["20240305", "12000300"]
        assert json.loads(run.result.fast_path.read_text())["start"] == iso(NOON + 3)
    # The configuration's window may begin on an earlier day.
    wide = variant(time_window={"start": "2024-03-01T06:00:00Z", "end": None})
    assert market.run(wide).result.run_id.split("_")[2:4] == ["20240305", "00000000"]


def test_a_part_of_a_day_does_not_become_the_days_result(market: Market) -> None:
    market.trades(ROWS)
    store, name = ResultStore(market.settings.results_path), variant().name
    market.run(end_ns=moment(NOON + 5))
    assert store.current(name, str(DAY)) is None
    whole = market.run().result.run_id
    market.run(start_ns=moment(NOON + 1))
    market.run(start_ns=moment(NOON + 1), end_ns=moment(NOON + 2))
    current = store.current(name, str(DAY))
    assert current is not None
    assert current.run_id == whole
    # All that the configuration runs of the day is the whole of it, however it is asked for.
    config = variant(time_window={"start": iso(NOON + 3), "end": None})
    for options in ({}, {"start_ns": moment(NOON + 3)}, {"end_ns": moment(0, NEXT)}):
        found = store.current(name, str(DAY))
        run = market.run(config, **options)
        assert found is not None
        assert found.run_id != run.result.run_id
        current = store.current(name, str(DAY))
        assert current is not None
        assert current.run_id == run.result.run_id
    market.run(config, start_ns=moment(NOON + 4))
    assert store.current(name, str(DAY)) == current


def test_bounds_that_cut_nothing_off_are_open() -> None:
    whole = RunRequest(variant(), (DAY, NEXT), "w", moment(0), moment(0, NEXT) + DAY_NS)
    assert whole.bounds() == (None, None)
    inside = RunRequest(variant(), (DAY, NEXT), "w", moment(1), moment(0, NEXT) + DAY_NS - 1)
    assert inside.bounds() == (moment(1), moment(0, NEXT) + DAY_NS - 1)


def test_several_days_are_one_account(market: Market) -> None:
    market.trades([(86_390, "buy", "64000.0", "1"), (86_399, None, "64000.0", "9")])
    market.trades([(1, "sell", "64100.0", "1"), (2, None, "64100.0", "9")], day=NEXT)
    window = market.run(days=(DAY, NEXT))
    assert [text(each["realized_pnl"]) for each in window.fills] == ["0", "100"]
    assert window.summary["account"]["final_balance"] == 1_000_000 + 100 - 32 - 32.05
    assert window.metadata["days"] == [DAY.isoformat(), NEXT.isoformat()]
    second = market.run(days=(NEXT,))
    # A day alone starts from the configured balance, and flat.
    assert second.summary["account"]["starting_balance"] == 1_000_000
    assert text(second.fills[0]["realized_pnl"]) == "0"


def test_progress_is_reported_up_to_the_end(market: Market) -> None:
    market.trades(ROWS)
    seen: list[Progress] = []
    request = RunRequest(variant(), (DAY,), "x", snapshot_mode="trades")
    run_backtest(request, market.settings, seen.append)
    phases = list(dict.fromkeys(each.phase for each in seen))
    assert phases == ["validate", "load", "replay", "finish"]
    replay = [each for each in seen if each.phase == "replay"]
    assert [each.done for each in replay] == sorted(each.done for each in replay)
    assert replay[-1].done == 1.0
    assert seen[-1].orders == 11


def _refused(kind: type[Exception], market: Market, *parts: str, **given: object) -> None:
    with pytest.raises(kind) as caught:
        market.run(**given)  # type: ignore[arg-type]
    for part in parts:
        assert part in str(caught.value)
    assert market.stored() == []


def test_a_day_outside_the_configured_window(market: Market) -> None:
    config = variant(time_window={"start": "2024-03-06T00:00:00Z", "end": None})
    _refused(BacktestError, market, "2024-03-05 lies outside time_window", config=config)


def test_one_end_beyond_the_other_one_of_the_configuration(market: Market) -> None:
    config = variant(time_window={"start": None, "end": iso(NOON)})
    _refused(
        BacktestError,
        market,
        "start 2024-03-05T12:00:01Z is not before time_window.end 2024-03-05T12:00:00Z",
        config=config,
        start_ns=moment(NOON + 1),
    )


def test_a_missing_partition_names_file_and_command(market: Market) -> None:
    market.trades(ROWS)
    _refused(
        DataError,
        market,
        "trades 2024-03-06",
        str(market.raw_file("trades", None, NEXT)),  # type: ignore[arg-type]
        "odum convert binance_futures_btcusdt_l2_trades_config --day 2024-03-06",
        days=(DAY, NEXT),
    )
    _refused(DataError, market, "book_snapshot_5 2024-03-05", snapshot_mode="both")


def test_a_book_mode_without_a_book_path(market: Market) -> None:
    market.trades(ROWS)
    config = variant(data_catalog={"book_snapshot_5_path": None})
    _refused(
        BacktestError,
        market,
        "book_snapshot_5_path is not set",
        config=config,
        snapshot_mode="book",
    )


def test_a_window_without_trades(market: Market) -> None:
    market.trades(ROWS)
    _refused(
        BacktestError,
        market,
        "no trades lie in the window (2024-03-05T12:00:10Z to open)",
        "reach from 2024-03-05T12:00:00Z to 2024-03-05T12:00:09Z",
        start_ns=moment(NOON + 10),
    )


def test_a_window_without_a_book_where_the_book_is_the_market(market: Market) -> None:
    market.trades(ROWS)
    market.books([(NOON, [("63999.9", "1")], [("64000.0", "1")])])
    _refused(
        BacktestError,
        market,
        "NautilusTrader ended the run: No order book data",
        snapshot_mode="book",
        start_ns=moment(NOON + 1),
    )


def test_a_window_that_is_none(market: Market) -> None:
    market.trades(ROWS)
    _refused(BacktestError, market, "is not before end", start_ns=moment(NOON), end_ns=moment(NOON))
    _refused(BacktestError, market, "lies outside", start_ns=moment(0, NEXT) + 1)
    _refused(BacktestError, market, "lies outside", end_ns=moment(0) - 1)


def test_cloud_storage_without_a_bucket_is_refused(market: Market) -> None:
    _refused(ConfigError, market, "no bucket is named", config=variant(data_source="gcs"))


def test_a_results_folder_that_cannot_be_written(market: Market, tmp_path: Path) -> None:
    market.trades(ROWS)
    (tmp_path / "a_file").write_text("in the way")
    market.settings = market.settings.model_copy(
        update={"results_path": tmp_path / "a_file" / "results"}
    )
    with pytest.raises(ResultError, match="cannot be read or written") as caught:
        market.run()
    assert "ODUM_RESULTS_PATH" in str(caught.value)
