"""A year of one-minute bars in regular hours through the opening-range breakout."""

import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import Measurements
from orb_replay import run
from orbmarket import random_bars, weekdays

from odum_assets.bars.orb.params import parse_params

SESSIONS = 252
LIMIT_SECS = 8


@pytest.mark.timeout(600)
def test_a_year_of_minutes(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    series = random_bars(weekdays(date(2023, 1, 2), SESSIONS), np.random.default_rng(1))
    assert len(series) == 98_280
    params = parse_params({})
    # Imports and what is compiled at first use are no part of it.
    run([series.between(0, int(series.close_time[800]))], params)
    wall, processor = time.perf_counter(), time.process_time()
    strategy, _ = run([series], params, balance=100_000, chunk_bars=8_000)
    replayed = time.process_time() - processor
    strategy.finish(tmp_path)
    total, spent = time.perf_counter() - wall, time.process_time() - processor
    measurements.add(
        "Opening-range breakout on a year of one-minute bars",
        bars=f"{len(series):,}",
        trades=len(strategy.machines[0].trades),
        wall=f"{total:.1f} s",
        processor_time=f"{spent:.1f} s",
        of_it_files=f"{spent - replayed:.1f} s",
        limit=f"{LIMIT_SECS} s",
    )
    benchmark.pedantic(lambda: None, rounds=1)
    # Processor time: other work on the machine does not count.
    assert spent <= LIMIT_SECS
