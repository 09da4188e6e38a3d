"""Studies on bars as a user types them: known answers on real files, hostile files, and kills.

The real files are those of the test data: one-minute bars of SPY (labels are ends), daily bars of
Oracle and of Bitcoin.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import Odum, processes_in

SPY, ORCL, BTC = "ARCA:EQUITY:SPY", "NASDAQ:EQUITY:ORCL", "COINBASE:SPOT_PAIR:BTC-USD"
JANUARY = ("--from", "2011-01-03", "--to", "2011-01-31")


@pytest.fixture
def folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder without configurations, whose days begin in 2011."""
    for file in (folder / "configs").iterdir():
        file.unlink()
    monkeypatch.setenv("ODUM_PARTITIONS_START", "2011-01-01")
    return folder


@pytest.fixture(scope="session")
def bars() -> Path:
    place = os.environ.get("ODUM_TEST_DATA")
    if not place:
        pytest.skip("ODUM_TEST_DATA names no folder with real market data")
    return Path(place) / "bars"


def configure(folder: Path, name: str, key: str, step: str = "1m", **sections: Any) -> None:
    label = "start" if step == "1d" else "end"
    document = {
        "kind": "bars",
        "instruments": [{"id": key, "tick_size": 0.01}],
        "bars": {"step": step, "label": label, "warmup_sessions": 0},
        "session": {"preset": "us_equity", "holidays": ["2011-01-17"]},
        "venue": {
            "name": key.partition(":")[0], "base_currency": "USD", "starting_balance": 100_000
        },
        "strategy": {
            "name": "MA_CROSS", "params": {"fast": 20, "slow": 50, "fixed_size": 100}
        },
        **sections,
    }  # fmt: skip
    (folder / "configs" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")


def crossover(fast: int, slow: int, **params: Any) -> dict[str, Any]:
    return {"name": "MA_CROSS", "params": {"fast": fast, "slow": slow, **params}}


def run(odum: Odum, *words: str) -> Any:
    ran = odum(*words, "--json")
    assert ran.code == 0, ran.err
    return ran.json


def backtest(odum: Odum, *words: str) -> Any:
    """Run `odum backtest` and return the one result, with its document as ``stored``."""
    (result,) = run(odum, "backtest", *words)["results"]
    document = json.loads(Path(result["files"]["summary"]).read_text(encoding="utf-8"))
    return result | {"stored": document}


def fills_of(result: Any) -> list[dict[str, Any]]:
    path = Path(result["files"]["report"]) / "fills.parquet"
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


# --- known answers ------------------------------------------------------------------------------


@pytest.mark.real_data
def test_oracle_ends_at_977_30(folder: Path, odum: Odum, bars: Path) -> None:
    file = str(bars / "ORCL_1d_2001.csv")
    run(odum, "data", "import-bars", file, "--instrument", ORCL, "--label", "start")
    configure(
        folder, "orcl", ORCL, "1d",
        strategy=crossover(10, 25, side="long_short", fixed_size=10),
        venue={"name": "NASDAQ", "base_currency": "USD", "starting_balance": 1000},
    )  # fmt: skip
    found = backtest(odum, "orcl", "--day", "2001-06-01", "--no-close-positions")
    assert found["stored"]["summary"]["account"]["final_equity"] == 977.30
    swept = run(odum, "vsweep", "orcl", "--fast", "10", "--slow", "25", "--verify", "1")
    assert swept["best"][0]["final_equity"] == pytest.approx(977.30, abs=1e-9)
    assert swept["verified"] == {"variants": [[10, 25]], "fills": found["fills"]}
    assert odum("results", "verify", "last").code == 0
    shown = odum("results", "show", "last")
    assert shown.code == 0, shown.err
    assert "conservative path of each bar" in shown.out
    assert ORCL in odum("config", "show", "orcl").out


@pytest.mark.real_data
def test_spy_fills_at_the_next_open_and_loses_seven_dollars(
    folder: Path, odum: Odum, bars: Path
) -> None:
    file = str(bars / "SPY_1min_2011-01.parquet")
    run(odum, "data", "import-bars", file, "--instrument", SPY, "--label", "end")
    configure(folder, "spy", SPY)
    month = backtest(odum, "spy", "--window", *JANUARY, "--no-close-positions")
    assert month["fills"] == 175
    assert month["stored"]["summary"]["account"]["final_equity"] == 100_000 - 7.00
    # Decided at these closes, by lengths that happen to cross there.
    hours = {"mode": "rth", "start": "04:00", "end": "20:00", "timezone": "America/New_York"}
    configure(folder, "all", SPY, session=hours, strategy=crossover(1, 2, side="long_short"))
    pairs = [{"strategy.params.fast": fast, "strategy.params.slow": fast + 1} for fast in (1, 101)]
    (folder / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    opens: dict[str, set[Decimal]] = {}
    swept = run(odum, "sweep", "all", "--day", "2011-01-03", "--variants", "pairs.json", "--report")
    for variant in swept["variants"]:
        for fill in fills_of(variant["result"]):
            opens.setdefault(f"{fill['timestamp']:%H:%M}", set()).add(fill["price"])
    assert {name: opens[name] for name in ("15:00", "15:16", "15:30", "15:31")} == {
        "15:00": {Decimal("127.14")}, "15:16": {Decimal("127.16")},
        "15:30": {Decimal("127.20")}, "15:31": {Decimal("127.16")},
    }  # fmt: skip
    # The same day in a process of its own, by itself, and as a window of one session.
    day = backtest(odum, "spy", "--day", "2011-01-05")
    (other,) = run(
        odum, "backfill", "spy", "--from", "2011-01-05", "--to", "2011-01-05", "--force"
    )["days"]
    window = backtest(odum, "spy", "--window", "--from", "2011-01-05", "--to", "2011-01-05")
    assert day["run_id"].startswith("ARC_SPY_20110105_14300000_")
    assert other["run_id"].startswith("ARC_SPY_20110105_14300000_")
    assert day["digest"] == other["digest"] == window["digest"]
    for run_id in (month["run_id"], day["run_id"]):
        assert odum("results", "verify", run_id).code == 0


@pytest.mark.real_data
def test_bitcoin_gains_5_996_78(folder: Path, odum: Odum, bars: Path) -> None:
    file = str(bars / "BTCUSD_1d_coinbase_2014-2018.parquet")
    run(odum, "data", "import-bars", file, "--instrument", BTC, "--label", "start")
    configure(
        folder, "btc", BTC, "1d", session={"mode": "full"},
        instruments=[{"id": BTC, "tick_size": 0.01, "lot_size": 0.00000001}],
        strategy=crossover(20, 50),
    )  # fmt: skip
    days = ("--from", "2014-12-01", "--to", "2018-08-31")
    found = backtest(odum, "btc", "--window", *days, "--no-close-positions")
    assert found["fills"] == 27
    assert found["stored"]["summary"]["account"]["final_equity"] == 100_000 + 5_996.78
    swept = run(odum, "vsweep", "btc", "--fast", "5:25:5", "--slow", "30,50", "--verify", "2")
    assert swept["verified"]["fills"] > 27
    assert odum("results", "verify", found["run_id"]).code == 0


# --- hostile files ------------------------------------------------------------------------------

OPEN = datetime(2011, 1, 3, 14, 31, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
GOOD = (100.0, 101.0, 99.0, 100.5, 10.0)
HOSTILE: dict[str, list[tuple[datetime | None, tuple[Any, ...]]]] = {
    "timestamp_missing": [(None, GOOD)],
    "price_missing": [(OPEN, (None, *GOOD[1:])), (OPEN, (float("nan"), *GOOD[1:]))],
    "price_not_finite": [(OPEN, (100.0, float("inf"), *GOOD[2:]))],
    "price_not_positive": [(OPEN, (100.0, 101.0, -99.0, 100.5, 10.0))],
    "price_too_many_decimals": [(OPEN, (100.001, *GOOD[1:]))],
    "range_not_enclosing": [(OPEN, (100.0, 100.2, 99.0, 100.5, 10.0))],
    "volume_missing": [(OPEN, (*GOOD[:4], None))],
    "volume_not_finite": [(OPEN, (*GOOD[:4], float("-inf")))],
    "volume_negative": [(OPEN, (*GOOD[:4], -1.0))],
    "volume_too_many_decimals": [(OPEN, (*GOOD[:4], 0.5))],
    "off_grid": [(OPEN + timedelta(seconds=7), GOOD)],
    "previous_day": [(OPEN - timedelta(days=1), GOOD)],
    "next_day": [(OPEN + timedelta(days=1), GOOD)],
    "timestamp_outside_day": [(OPEN + timedelta(days=40), GOOD)],
    "time_repeated": [(OPEN + 400 * MINUTE, GOOD), (OPEN + 400 * MINUTE, (*GOOD[:4], 11.0))],
}
"""Rows by the reason for which they are rejected; labels are ends."""


def raw_path(folder: Path, day: str = "2011-01-03") -> Path:
    path = folder / f"data/raw_tick_data/by_date/day-{day}/data_type-bars_1m/{SPY}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def day_of_bars(seed: int = 4, bars: int = 390) -> list[tuple[datetime | None, tuple[Any, ...]]]:
    """Return the good bars of a session, up and down by whole cents."""
    random, close, rows = np.random.default_rng(seed), 10_000, []
    for index in range(bars):
        opened, close = close, close + int(random.integers(-30, 31))
        values = (opened, max(opened, close) + 2, min(opened, close) - 2, close)
        rows.append((OPEN + index * MINUTE, (*(value / 100 for value in values), 100.0)))
    return rows


def write_rows(path: Path, rows: list[tuple[datetime | None, tuple[Any, ...]]]) -> None:
    names = ("open", "high", "low", "close", "volume")
    columns = zip(*(values for _, values in rows), strict=True)
    times = pa.array([moment for moment, _ in rows], pa.timestamp("ns", "UTC"))
    table = {name: pa.array(column, pa.float64()) for name, column in zip(names, columns)}  # noqa: B905
    pq.write_table(pa.table({"timestamp": times, **table}), path)


def rejected(folder: Path) -> dict[str, int]:
    (manifest,) = (folder / "data/catalog/manifests").rglob("2011-01-03*.json")
    counts: dict[str, int] = json.loads(manifest.read_text(encoding="utf-8"))["rejected"]
    return counts


def test_hostile_rows_are_rejected_and_change_no_fill(folder: Path, odum: Odum) -> None:
    configure(folder, "spy", SPY, strategy=crossover(3, 8), quality={"max_reject_ratio": 0.1})
    configure(folder, "strict", SPY, strategy=crossover(3, 8))
    good = day_of_bars()
    write_rows(raw_path(folder), good)
    clean = backtest(odum, "spy", "--day", "2011-01-03")
    assert clean["fills"] > 50
    # Exact repetitions, and the order of a raw file that is free.
    mixed = [*(row for rows in HOSTILE.values() for row in rows), *good, *good[:5]]
    np.random.default_rng(1).shuffle(mixed)  # type: ignore[arg-type]
    write_rows(raw_path(folder), mixed)
    (converted,) = run(odum, "convert", "spy", "--day", "2011-01-03")["partitions"]
    assert rejected(folder) == {reason: len(rows) for reason, rows in HOSTILE.items()}
    assert converted["rows"] == 390
    assert converted["rejected"] == sum(map(len, HOSTILE.values()))
    again = backtest(odum, "spy", "--day", "2011-01-03")
    assert again["digest"] == clean["digest"]
    assert odum("data", "check", "--config", "strict").code == 1
    refused = odum("backtest", "strict", "--day", "2011-01-03")
    assert refused.code == 1
    assert "the catalog is not good enough for a backtest" in refused.err
    assert "max_reject_ratio" in refused.err or "rejected" in refused.err


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "no rows"),
        ([(OPEN + 5 * index * MINUTE, GOOD) for index in range(60)], "has another step|300 s"),
        ([(OPEN + index * MINUTE - timedelta(days=9), GOOD) for index in range(60)],
         "does not hold times of 2011-01-03"),
        ([(OPEN + index * timedelta(seconds=20), GOOD) for index in range(60)], "another step"),
    ],
    ids=["empty", "other step", "other day", "mixed steps"],
)  # fmt: skip
def test_files_that_are_no_bars_of_the_day_are_refused_whole(
    folder: Path, odum: Odum, rows: list[tuple[datetime | None, tuple[Any, ...]]], text: str
) -> None:
    configure(folder, "spy", SPY)
    write_rows(raw_path(folder), rows or day_of_bars(bars=1))
    if not rows:
        path = raw_path(folder)
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    refused = odum("backtest", "spy", "--day", "2011-01-03")
    assert refused.code == 1
    assert re.search(text, refused.err), refused.err
    assert "Traceback" not in refused.err
    assert not list((folder / "data").glob("catalog/data/bars/**/*.parquet"))
    assert not list((folder / "data").glob("results/fast/*"))


# --- kills --------------------------------------------------------------------------------------


def killed(folder: Path, words: tuple[str, ...], happened: Callable[[], bool]) -> None:
    """Start a command and kill all of its processes once something has happened."""
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "odum_assets.cli.main", *words],
            cwd=folder, stdout=printed, stderr=printed, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 120
        while not happened():
            assert process.poll() is None, (folder / "printed").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    # What it started in other groups ends by itself.
    while [line for line in processes_in(folder) if "pytest" not in line]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_killed_leaves_nothing_and_runs_again(folder: Path, odum: Odum) -> None:
    hours = {"mode": "rth", "start": "09:30", "end": "16:00", "timezone": "America/New_York"}
    configure(folder, "spy", SPY, session=hours, strategy=crossover(1, 2, side="long_short"))
    days = ("--from", "2024-01-02", "--to", "2024-01-12")
    words = ("--sessions", "--start", "2024-01-02", "--days", "11", "--instrument", SPY)
    run(odum, "data", "generate", *words)
    catalog, results = folder / "data/catalog", folder / "data/results"

    def manifests() -> list[Path]:
        return sorted(catalog.rglob("manifests/**/20*.json"))

    killed(folder, ("convert", "spy", "--all"), lambda: len(manifests()) > 1)
    for path in manifests():
        document = json.loads(path.read_text(encoding="utf-8"))
        assert len(list((catalog / "data").rglob(f"{path.stem}*.parquet"))) == 1
        assert document["rows_written"] == 390
    done = len(manifests())
    partitions = run(odum, "convert", "spy", "--all")["partitions"]
    assert [item["rows"] for item in partitions] == [390] * len(partitions)
    assert len(partitions) > done
    first = partitions[0]["day"]
    (forced,) = run(odum, "convert", "spy", "--day", first, "--force")["partitions"]
    assert forced["digest"] == partitions[0]["digest"]

    def writes_fills(place: Path) -> bool:
        return any(place.rglob("fill_events.arrow"))

    window = ("backtest", "spy", "--window", *days)
    killed(folder, window, lambda: writes_fills(results / ".staging"))
    assert not list((results / "fast").glob("*"))
    assert run(odum, "results", "list")["results"] == []
    again = backtest(odum, *window[1:])
    assert again["fills"] > 1_000
    assert odum("results", "verify", again["run_id"]).code == 0
    assert backtest(odum, *window[1:])["digest"] == again["digest"]

    vsweep = ("vsweep", "spy", "--fast", "1:9", "--slow", "10:40:5", *days)
    place = results / "vsweeps"
    killed(folder, (*vsweep, "--verify", "20"), lambda: writes_fills(place / ".staging"))
    assert not list(place.glob("*.parquet"))
    swept = run(odum, *vsweep, "--verify", "1")
    table = pq.read_table(swept["path"])
    Path(swept["path"]).unlink()
    assert pq.read_table(run(odum, *vsweep)["path"]).equals(table)
    # What the killed one had begun is gone.
    assert not writes_fills(results)
