"""A sweep takes a slot of the pool for each of its processes, and never waits for one."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_SLUG, FIRST_DAY, REPO

from odum_assets.orchestration.launch import Graph, open_instance
from odum_assets.orchestration.pool_slots import claimed_slots

POOL = "backtest"
DAY = FIRST_DAY.isoformat()
SLOW = """
import time

from odum_assets.backtest.strategies.base import OdumStrategy


class Slow(OdumStrategy):
    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        time.sleep(0.02)
"""
RUN = """
import json, sys
from odum_assets.orchestration.launch import load_graph, materialize, open_instance
from odum_assets.settings import Settings

keys, config = json.loads(sys.argv[1]), json.loads(sys.argv[2])
graph = load_graph(Settings(raw_root="data"))
with open_instance() as instance:
    done = materialize(
        instance, graph, keys, sys.argv[3], config={tuple(keys[-1]): config} if config else None
    )
assert done.success, done.failures
"""


def runs_of(graph: Graph, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    job = graph.definitions.resolve_job_def(f"{BTC}_day")
    return [instance.create_run_for_job(job) for _ in range(2)]


def claim(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    return instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "step").is_claimed


def test_processes_take_what_the_pool_has_left(graph: Graph, folder: Path) -> None:
    assert folder == Path.cwd()
    with open_instance() as instance:
        log = instance.event_log_storage
        log.set_concurrency_slots(POOL, 3)
        own, other = runs_of(graph, instance)
        assert claim(instance, own)
        with claimed_slots(instance, own, POOL, "sweep", 4) as adjust:
            assert adjust(9) == 3
            # The other one waits in the queue of the pool.
            assert not claim(instance, other)
            assert adjust(9) == 3
            # Two variants are left: what the third process held goes to who waits.
            assert adjust(2) == 2
            assert claim(instance, other)
            assert adjust(9) == 2
            log.free_concurrency_slots_for_run(other.run_id)
            assert adjust(9) == 3
        assert [each.step_key for each in log.get_concurrency_info(POOL).claimed_slots] == ["step"]
        # A full pool leaves the slot that the step holds.
        assert claim(instance, other)
        log.set_concurrency_slots(POOL, 2)
        with claimed_slots(instance, own, POOL, "sweep", 4) as adjust:
            assert adjust(9) == 1
            assert adjust(0) == 1


def test_a_pool_without_a_limit_limits_nothing(graph: Graph, instance: dg.DagsterInstance) -> None:
    own, _ = runs_of(graph, instance)
    with claimed_slots(instance, own, POOL, "sweep", 4) as adjust:
        assert [adjust(9), adjust(3), adjust(1)] == [4, 3, 1]


def processes(word: str, folder: Path) -> int:
    found = 0
    for place in Path("/proc").iterdir():
        try:
            words = (place / "cmdline").read_bytes().decode().replace("\0", " ")
            is_here = place.name.isdecimal() and (place / "cwd").readlink() == folder
        except OSError:
            continue
        found += is_here and f"odum_assets.backtest.{word} " in words
    return found


@pytest.mark.timeout(280)
def test_a_sweep_and_a_run_share_a_pool_of_two(sample: Path) -> None:
    shutil.copy(REPO / "dagster.yaml", sample)
    (sample / "slow.py").write_text(SLOW)
    with open_instance() as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 2)
    catalog = [["catalog", BTC_SLUG, "trades"], ["catalog", BTC_SLUG, "book_depths"]]
    strategy = {"name": "Slow", "path": "slow:Slow"}
    variants = [{"strategy": strategy, "venue.leverage": each} for each in range(1, 7)]

    def start(keys: list[list[str]], config: dict[str, object]) -> "subprocess.Popen[bytes]":
        arguments = [json.dumps(keys), json.dumps(config), DAY]
        return subprocess.Popen([sys.executable, "-c", RUN, *arguments], cwd=sample)

    assert start(catalog, {}).wait() == 0
    sweep_config = {"mode": "fast", "variants": variants, "slots": 4}
    sweep = start([["backtest", BTC, "sweep"]], sweep_config)
    others: list[subprocess.Popen[bytes]] = []
    most, most_variants = 0, 0
    try:
        while sweep.poll() is None:
            # The process that was started, and the one that has the rows; the rest are variants.
            swept = max(processes("sweep_worker", sample) - 2, 0)
            single = processes("worker", sample)
            most, most_variants = max(most, swept + single), max(most_variants, swept)
            if swept and not others:
                others.append(start([["backtest", BTC, "result"]], {"mode": "fast"}))
            time.sleep(0.05)
        assert [each.wait(120) for each in (sweep, *others)] == [0, 0]
    finally:
        for each in (sweep, *others):
            each.kill()
    assert most == 2
    assert most_variants == 2
    with open_instance() as instance:
        assert instance.event_log_storage.get_concurrency_info(POOL).claimed_slots == []
