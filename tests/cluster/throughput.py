"""How long a backfill takes on three workers, as a ratio of the time that one worker takes.

``PYTHONPATH=tests/registry python tests/cluster/throughput.py --days 20``; nothing else should run
on the machine meanwhile.
"""

import argparse
import datetime as dt
import tempfile
import time
from pathlib import Path

from localcluster import REPO, cluster
from test_lost_workers import Runs

from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample

CONFIG = "binance_futures_btcusdt_l2_trades_config"
SLUG = "binance_futures_perpetual_btc_usdt"
FIRST_DAY = dt.date(2024, 1, 1)
_ENDS_WITHIN_S = 6_000.0


def seconds_of_backfill(workers: int, configs: Path, raw: Path, days: int) -> float:
    """Return the time (s) from the launch of a backfill to its end, on workers just started."""
    with cluster(workers, configs, raw) as running:
        runs = Runs(running)
        names = [str(FIRST_DAY + dt.timedelta(days=number)) for number in range(days)]
        started = time.monotonic()
        launched = runs.backfill(CONFIG, SLUG, names)
        end = running.wait_for("end", lambda: runs.end_of(launched), _ENDS_WITHIN_S)
        took = time.monotonic() - started
        if end != "COMPLETED_SUCCESS":
            raise SystemExit(f"the backfill on {workers} workers ended with {end}")
        return took


def main() -> None:
    """Measure one and three workers over the same days and print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--days", type=int, default=20)
    days = parser.parse_args().days
    with tempfile.TemporaryDirectory() as folder:
        configs, raw = Path(folder) / "configs", Path(folder) / "raw"
        configs.mkdir()
        (configs / f"{CONFIG}.json").write_bytes((REPO / f"configs/{CONFIG}.json").read_bytes())
        spec = SampleSpec(
            keys=DEFAULT_KEYS,
            start=FIRST_DAY,
            days=days,
            trades_per_day=2_000,
            books_per_day=2_000,
            hours=(10, 12),
        )
        write_sample(str(raw), spec)
        one = seconds_of_backfill(1, configs, raw, days)
        print(f"1 worker: {one:.0f} s for {days} days", flush=True)
        three = seconds_of_backfill(3, configs, raw, days)
        print(f"3 workers: {three:.0f} s, {one / three:.2f} times as fast", flush=True)


if __name__ == "__main__":
    main()
