"""How long a backfill takes on three workers, as a ratio of the time that one worker takes.

``PYTHONPATH=tests/registry python tests/cluster/throughput.py --days 8``. Beside wall time it
prints processor time, and how much of the machine other programs had meanwhile: where that differs
between the two backfills, the ratio of their wall times says little.
"""

import argparse
import datetime as dt
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from localcluster import BUCKET, REPO, Cluster, cluster
from test_lost_workers import Runs

from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample

CONFIG: Final = "binance_futures_btcusdt_l2_trades_config"
SLUG: Final = "binance_futures_perpetual_btc_usdt"
FIRST_DAY: Final = dt.date(2024, 1, 1)
_ENDS_WITHIN_S: Final = 6_000.0
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def _children() -> tuple[dict[int, list[int]], dict[int, float]]:
    """Return the children of each process, and the processor time (s) it has used."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                children[int(fields[1])].append(int(entry.name))
                # Its own time, and that of its children that have ended.
                used[int(entry.name)] = sum(map(int, fields[11:15])) * _TICK_S
    return children, used


def descendants(root: int) -> list[int]:
    """Return the processes that a process has started, and those that these have started."""
    children, _ = _children()
    found, waiting = [], [root]
    while waiting:
        waiting += (below := children[waiting.pop()])
        found += below
    return found


def processor_seconds(roots: Iterable[int]) -> float:
    """Return the processor time (s) of processes and of all that they have started."""
    _, used = _children()
    return sum(used.get(each, 0) for root in roots for each in (root, *descendants(root)))


def machine_seconds() -> float:
    """Return the processor time (s) of all programs since the machine started."""
    user, nice, system, _, _, *interrupts = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    )
    return (user + nice + system + sum(interrupts[:2])) * _TICK_S


@dataclass(frozen=True)
class Measured:
    """A backfill on some workers: wall time and processor time in seconds."""

    workers: int
    days: int
    wall: float
    of_workers: float
    of_cluster: float
    of_others: float
    run_wall: float
    replay_wall: float

    def __str__(self) -> str:
        """Return the figures in a few lines."""
        cores = os.cpu_count() or 1
        beside = self.run_wall / self.replay_wall - 1
        return (
            f"{self.workers} worker(s), {self.days} days: {self.wall:.0f} s\n"
            f"  processor time: workers {self.of_workers:.0f} s "
            f"({self.of_workers / self.days:.2f} s a run), server, PostgreSQL, Redis and bucket "
            f"{self.of_cluster - self.of_workers:.0f} s\n"
            f"  of {cores} cores in use: {self.of_cluster / self.wall:.2f} by this, "
            f"{self.of_others / self.wall:.2f} by other programs\n"
            f"  wall time of a run (median): {self.run_wall:.2f} s, of its replay "
            f"{self.replay_wall:.2f} s, all else beside it {beside:.1f} times the replay"
        )


def measure(workers: int, configs: Path, raw: Path, days: int) -> Measured:
    """Return what a backfill takes, from its launch to its end, on workers just started."""
    with cluster(workers, configs, raw) as running:
        runs = Runs(running)
        names = [str(FIRST_DAY + dt.timedelta(days=number)) for number in range(days)]

        def processors() -> tuple[float, float, float]:
            pids = {name: process.pid for name, process in running.processes.items()}
            return (
                processor_seconds(pids[name] for name in running.names),
                processor_seconds(pids.values()),
                machine_seconds(),
            )

        before, started = processors(), time.monotonic()
        launched = runs.backfill(CONFIG, SLUG, names)
        end = running.wait_for("end", lambda: runs.end_of(launched), _ENDS_WITHIN_S)
        wall = time.monotonic() - started
        of_workers, of_cluster, of_all = (
            after - then for after, then in zip(processors(), before, strict=True)
        )
        if end != "COMPLETED_SUCCESS":
            raise SystemExit(f"the backfill on {workers} workers ended with {end}")
        return Measured(
            workers, days, wall, of_workers, of_cluster, of_all - of_cluster, *_walls(running)
        )


def _walls(running: Cluster) -> tuple[float, float]:
    """Return the median wall time of runs, and of their replays."""
    found = running.query(
        "{ runsOrError { ... on Runs { results { status startTime endTime } } } }"
    )["runsOrError"]["results"]
    assert {run["status"] for run in found} == {"SUCCESS"}
    return (
        median(run["endTime"] - run["startTime"] for run in found),
        median(each["metadata"]["resources"]["replay_secs"] for each in _summaries(running)),
    )


def _summaries(running: Cluster) -> list[dict[str, Any]]:
    import requests

    bucket = f"{running.shared_environment()['STORAGE_EMULATOR_HOST']}/storage/v1/b/{BUCKET}/o"
    listing = requests.get(bucket, {"prefix": "results/fast/"}, timeout=30).json()["items"]
    return [requests.get(item["mediaLink"], timeout=30).json() for item in listing]


def main() -> None:
    """Measure one and three workers over the same days and print the figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("--trades", type=int, default=2_000, help="trades of a day, and books")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        configs, raw = Path(folder) / "configs", Path(folder) / "raw"
        configs.mkdir()
        (configs / f"{CONFIG}.json").write_bytes((REPO / f"configs/{CONFIG}.json").read_bytes())
        spec = SampleSpec(
            keys=DEFAULT_KEYS,
            start=FIRST_DAY,
            days=given.days,
            trades_per_day=given.trades,
            books_per_day=given.trades,
            hours=(10, 12),
        )
        write_sample(str(raw), spec)
        one = measure(1, configs, raw, given.days)
        print(one, flush=True)
        three = measure(3, configs, raw, given.days)
        print(three)
        print(f"3 workers are {one.wall / three.wall:.2f} times as fast as 1")


if __name__ == "__main__":
    main()
