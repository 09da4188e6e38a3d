"""The commands as processes: real data, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from commands import BTC, lay_out, processes_in, replays_in
from variables import VARIABLES

SCRIPTS = Path(sys.executable).parent


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, **more}


@pytest.mark.e2e
@pytest.mark.real_data
def test_run_backtest_sends_one_order_per_trade_of_a_real_minute(tmp_path: Path) -> None:
    data = os.environ.get("ODUM_TEST_DATA")
    if not data:
        pytest.skip("ODUM_TEST_DATA does not name the folder of real market data")
    lay_out(tmp_path)
    ran = subprocess.run(
        [
            *(SCRIPTS / "run-backtest", "--instrument", "BTCUSDT", "--dataset", "day-2024-07-18"),
            *("--config", f"configs/{BTC}.json", "--start", "2024-07-18T23:57:00Z"),
            *("--end", "2024-07-18T23:58:00Z", "--fast", "--snapshot_mode", "trades", "--json"),
        ],
        cwd=tmp_path,
        env=environment(UNIFIED_CLOUD_LOCAL_PATH=str(Path(data).absolute())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    raw = pd.read_parquet(
        f"{data}/raw_tick_data/by_date/day-2024-07-18/data_type-trades/"
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
    )
    end = pd.Timestamp("2024-07-18T23:58:00Z").value // 1000
    rows = int((raw["local_timestamp"] < end).sum())
    # One more order closes what is left.
    assert document["summary"]["orders"] == rows + 1
    assert document["summary"]["position"]["side"] == "FLAT"
    assert "Traceback" not in ran.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("command", "sign"),
    [
        (["backtest", BTC, "--day"], signal.SIGINT),
        (["backfill", BTC, "--from"], signal.SIGINT),
        # What a killed `odum backtest` leaves is in tests/torture.
        (["backfill", BTC, "--from"], signal.SIGKILL),
    ],
)
def test_a_stopped_command_stops_everything_and_leaves_nothing_half_written(
    tmp_path: Path, command: list[str], sign: signal.Signals
) -> None:
    lay_out(tmp_path)
    odum, env = SCRIPTS / "odum", environment()
    sample = ["--days", "1", "--trades-per-day", "100000", "--books-per-day", "20000"]
    key = ["--instrument", "BINANCE-FUTURES:PERPETUAL:BTC-USDT"]
    subprocess.run([odum, "data", "generate", *sample, *key], cwd=tmp_path, env=env, check=True)
    to = ["--to", "2024-01-01"] if "--from" in command else []
    process = subprocess.Popen(
        [odum, *command, "2024-01-01", *to, "--fast"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not replays_in(tmp_path):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=30)
    if sign == signal.SIGINT:
        assert process.returncode == 130, errors
        assert "stopped; no partial files were left" in errors
    deadline = time.monotonic() + 60
    while processes_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_in(tmp_path) == []
    # All there may be is the record that says so.
    made = (tmp_path / "data" / "results").rglob("*.json")
    assert {path.parent.name for path in made} <= {"failed"}
