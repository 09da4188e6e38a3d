"""The adapter of yfinance on frames as its documentation has them; the service is not asked."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from odum_assets.errors import DataError
from odum_assets.raw.imports.fetch import FetchedBars, FetchError, YahooBars, key_of
from odum_assets.raw.imports.run import ImportRequest, import_bars
from odum_assets.raw.imports.source import TableBars

ABOUT = {
    "symbol": "SPY",
    "exchangeName": "PCX",
    "exchangeTimezoneName": "America/New_York",
    "instrumentType": "ETF",
    "priceHint": 2,
}


def _frame(times: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a frame of ``Ticker.history(auto_adjust=False, actions=False)``."""
    # Yahoo sends 32-bit prices.
    prices = np.float32(470.12) + np.arange(len(times), dtype=np.float32)
    return pd.DataFrame(
        {
            "Open": prices.astype(float),
            "High": (prices + np.float32(1)).astype(float),
            "Low": (prices - np.float32(1)).astype(float),
            "Close": prices.astype(float),
            "Adj Close": prices.astype(float) * 0.98,
            "Volume": np.arange(len(times), dtype=np.int64) + 5,
        },
        index=times,
    )


def _daily() -> pd.DataFrame:
    times = pd.DatetimeIndex(
        ["2024-03-08", "2024-03-11", "2024-03-12"], tz="America/New_York", name="Date"
    )
    return _frame(times)


def test_daily_frames_become_bars_of_their_dates(tmp_path: Path) -> None:
    fetched = YahooBars.read("SPY", _daily(), ABOUT, "1d")
    key = key_of("SPY", fetched)
    assert key == "ARCA:EQUITY:SPY"
    request = ImportRequest(key, "start", fetched.timezone, "1d")
    result = import_bars(TableBars("SPY", [fetched.table]), request, str(tmp_path))
    rows = pq.read_table(result.files[0].path).to_pylist()
    assert [row["Date"] for row in rows] == [date(2024, 3, 8), date(2024, 3, 11), date(2024, 3, 12)]
    assert [row["close"] for row in rows] == [470.12, 471.12, 472.12]
    assert [row["volume"] for row in rows] == [5, 6, 7]


def test_minute_frames_become_bars_that_start_at_their_times(tmp_path: Path) -> None:
    times = pd.date_range("2024-03-11 09:30", periods=5, freq="1min", tz="America/New_York")
    fetched = YahooBars.read("SPY", _frame(times.rename("Datetime")), ABOUT, "1m")
    request = ImportRequest("ARCA:EQUITY:SPY", "start", fetched.timezone, "1m")
    result = import_bars(TableBars("SPY", [fetched.table]), request, str(tmp_path))
    assert (result.first, result.last) == ("2024-03-11T13:30:00Z", "2024-03-11T13:34:00Z")


def test_a_bar_that_is_not_over_is_left_out() -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    times = pd.DatetimeIndex([now - timedelta(minutes=2), now - timedelta(minutes=1), now])
    fetched = YahooBars.read("SPY", _frame(times), ABOUT, "1m")
    assert fetched.table.num_rows == 2


def test_missing_values_are_rejected_by_the_import(tmp_path: Path) -> None:
    frame = _daily()
    frame.loc[frame.index[1], "Open"] = np.nan
    fetched = YahooBars.read("SPY", frame, ABOUT, "1d")
    request = ImportRequest("ARCA:EQUITY:SPY", "start", fetched.timezone, "1d")
    with pytest.raises(DataError, match="1 price missing or not a number"):
        import_bars(TableBars("SPY from yahoo", [fetched.table]), request, str(tmp_path))


def test_an_empty_frame_is_an_error() -> None:
    with pytest.raises(FetchError, match="XYZ: Yahoo has no bars of 1d"):
        YahooBars.read("XYZ", _daily().iloc[:0], ABOUT, "1d")


def test_a_venue_that_is_not_known_asks_for_the_key() -> None:
    fetched = YahooBars.read("SAP.DE", _daily(), {**ABOUT, "exchangeName": "GER"}, "1d")
    with pytest.raises(DataError, match=r"name it as SAP\.DE=VENUE:TYPE:SYMBOL"):
        key_of("SAP.DE", fetched)
    brk = FetchedBars(fetched.table, "NYSE", "America/New_York")
    assert key_of("BRK-B", brk) == "NYSE:EQUITY:BRK.B"


def test_the_library_is_called_for_whole_days_without_adjustment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yfinance = pytest.importorskip("yfinance")
    calls: list[dict[str, Any]] = []

    def history(_ticker: Any, **given: Any) -> pd.DataFrame:
        calls.append(given)
        return _daily()

    monkeypatch.setattr(yfinance.Ticker, "history", history)
    monkeypatch.setattr(yfinance.Ticker, "get_history_metadata", lambda _ticker: ABOUT)
    fetched = YahooBars().fetch("SPY", date(2024, 3, 8), date(2024, 3, 12), "1d")
    assert fetched.table.num_rows == 3
    assert calls == [
        {
            "start": date(2024, 3, 8),
            "end": date(2024, 3, 13),
            "interval": "1d",
            "auto_adjust": False,
            "actions": False,
            "prepost": False,
        }
    ]


def test_what_the_library_raises_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    yfinance = pytest.importorskip("yfinance")

    def history(_ticker: Any, **_given: Any) -> pd.DataFrame:
        raise yfinance.exceptions.YFRateLimitError

    monkeypatch.setattr(yfinance.Ticker, "history", history)
    with pytest.raises(FetchError, match=r"SPY: Yahoo sent no bars \(Too Many Requests"):
        YahooBars().fetch("SPY", date(2024, 3, 8), date(2024, 3, 12), "1d")
