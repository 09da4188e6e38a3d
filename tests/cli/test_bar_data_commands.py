"""Bars into a project by command: imported, fetched, generated."""

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from commands import Odum

HEAD = "Date,Open,High,Low,Close,Volume,Adj Close\n"
ROWS = (
    "2001-12-31,14.1,14.23,13.8,13.81,29814500,13.5\n"
    "2001-12-28,14.06,14.36,14.01,14.06,24619200,13.75\n"
)
IMPORT = ("--instrument", "NASDAQ:EQUITY:ORCL", "--label", "start")


def test_a_file_is_imported_and_described(folder: Path, odum: Odum) -> None:
    (folder / "orcl.csv").write_text(HEAD + ROWS + "2001-12-27,14,13,15,14,5,1\n", encoding="utf-8")
    refused = odum("data", "import-bars", "orcl.csv", *IMPORT, "--step", "1d")
    assert refused.code == 1
    assert "1 of 3 rows are no bars, allowed 1.0%; nothing was written" in refused.err
    assert "row 3: high or low does not enclose open and close" in refused.err
    words = ("orcl.csv", *IMPORT, "--step", "1d", "--max-reject-ratio", "0.5")
    imported = odum("data", "import-bars", *words)
    assert imported.code == 0
    assert "2 of 1d, from 2001-12-28 to 2001-12-31" in imported.out
    assert "columns Adj Close" in imported.out
    assert "1 row rejected: high or low does not enclose open and close" in imported.err
    again = odum("data", "import-bars", *words, "--json").json
    assert [file["state"] for file in again["files"]] == ["unchanged"]
    assert "year-2001/data_type-bars_1d/NASDAQ:EQUITY:ORCL.parquet" in again["files"][0]["path"]


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_imported_is_refused_in_words(odum: Odum) -> None:
    nothing = odum("data", "import-bars", "none.csv", *IMPORT)
    assert (nothing.code, "none.csv: cannot be read" in nothing.err) == (1, True)
    missing = odum("data", "import-bars", "none.csv", "--instrument", "NASDAQ:EQUITY:ORCL")
    assert (missing.code, "label" in missing.err) == (2, True)


@pytest.mark.usefixtures("folder")
def test_symbols_are_fetched_one_after_the_other(
    odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    yfinance = pytest.importorskip("yfinance")
    venues = {"SPY": "PCX", "QQQ": "NMS", "ODD": "???"}

    def history(_ticker: Any, **_given: Any) -> pd.DataFrame:
        index = pd.DatetimeIndex(["2024-01-02", "2024-01-03"], tz="America/New_York", name="Date")
        prices = {name: [470.12, 471.5] for name in ("Open", "High", "Low", "Close", "Adj Close")}
        return pd.DataFrame({**prices, "Volume": [5, 6]}, index=index)

    def about(ticker: Any) -> dict[str, Any]:
        zone = "America/New_York"
        return {"exchangeName": venues[ticker.ticker], "exchangeTimezoneName": zone, "priceHint": 2}

    monkeypatch.setattr(yfinance.Ticker, "history", history)
    monkeypatch.setattr(yfinance.Ticker, "get_history_metadata", about)
    days = ("--start", "2024-01-02", "--end", "2024-01-03")
    fetched = odum("data", "fetch", "--source", "yahoo", "--symbols", "SPY", "QQQ", *days, "--json")
    assert [item["instrument"] for item in fetched.json["imports"]] == [
        "ARCA:EQUITY:SPY",
        "NASDAQ:EQUITY:QQQ",
    ]
    for item in fetched.json["imports"]:
        rows = pq.read_table(item["files"][0]["path"]).to_pylist()
        assert [row["Date"] for row in rows] == [date(2024, 1, 2), date(2024, 1, 3)]
    unknown = odum("data", "fetch", "--symbols", "ODD", *days)
    assert (unknown.code, "name it as ODD=VENUE:TYPE:SYMBOL" in unknown.err) == (1, True)
    named = odum("data", "fetch", "--symbols", "ODD=NYSE:EQUITY:ODD", *days)
    assert named.code == 0
    backwards = odum(
        "data", "fetch", "--symbols", "SPY", "--start", "2024-01-03", "--end", "2024-01-02"
    )
    assert (backwards.code, "is before --start" in backwards.err) == (2, True)


@pytest.mark.usefixtures("folder")
def test_sessions_are_generated_into_the_raw_layout(odum: Odum) -> None:
    words = ("data", "generate", "--sessions", "--start", "2024-07-02", "--days", "4", "--json")
    generated = odum(*words, "--set", "regime=choppy").json
    assert [item["bars"] for item in generated["imports"]] == [390 + 210 + 390] * 2
    assert generated["session"]["early_closes"]["2024-07-03"] == "13:00"
    again = odum(*words, "--set", "regime=choppy").json
    assert {file["state"] for item in again["imports"] for file in item["files"]} == {"unchanged"}
    other = odum(*words, "--set", "regime=trend_up")
    assert (other.code, "--overwrite" in other.err + other.out) == (1, True)
    wrong = odum("data", "generate", "--sessions", "--set", "regim=choppy")
    assert (wrong.code, "did you mean regime?" in wrong.err) == (2, True)


def test_daily_bars_are_generated_as_csv_that_can_be_imported(folder: Path, odum: Odum) -> None:
    words = ("data", "generate", "--ohlcv", "--set", "n_days=400", "--set", "sigma=0.02")
    generated = odum(*words, "--set", "ma_crossover_pairs=5/20,20/50", "--json").json
    assert [(item["fast"], item["slow"]) for item in generated["crossovers"]] == [(5, 20), (20, 50)]
    assert all(min(item["up"], item["down"]) > 0 for item in generated["crossovers"])
    path = folder / "mock_backtest_data.csv"
    assert path.read_text(encoding="utf-8").startswith(
        "Date,Open,High,Low,Close,Volume\n2020-01-01,"
    )
    assert odum(*words).code == 1, "it is there already"
    imported = odum("data", "import-bars", str(path), *IMPORT, "--json").json
    assert (imported["bars"], imported["step"]) == (400, "1d")
    wrong = odum("data", "generate", "--ohlcv", "--out", "x.csv", "--set", "sigma=wide")
    assert (wrong.code, "'wide' is not a value of sigma" in wrong.err) == (2, True)
