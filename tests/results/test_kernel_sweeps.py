"""Sweeps by the kernel: rows of figures are those of runs, proofs fail, nothing is left half."""

import itertools
import json
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest
from hostiledays import TICKER, write_hostile_day, write_hostile_funding
from tinydays import DAY, Market, variant

from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.config.variants import grid, make_variants
from odum_assets.errors import BacktestError, ConfigError
from odum_assets.results import kernel_sweep
from odum_assets.results import sweep as sweeps
from odum_assets.results.run import run_backtest
from odum_assets.results.sweep import Kept, run_sweep
from odum_assets.results.variant_files import FACTS, read_variant_file, variant_files
from odum_assets.vectorized.ticks import rows as ticks_rows

VARY = grid(
    {
        "strategy.order_type": ["LIMIT", "MARKET"],
        "execution.latency.insert_ms": [0, 0.05],
        "venue.taker_fee": [0.0005, -0.0001],
        "venue.book_type": ["L1_MBP", "L2_MBP"],
    }
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Return a market with a hostile day, which no test changes."""
    market = Market(tmp_path_factory.mktemp("hostile"))
    config = variant(data_catalog=TICKER)
    write_hostile_day(market, config, 35)
    write_hostile_funding(market, config, 35)
    return market


def _request(**options: Any) -> RunRequest:
    config = variant(venue={"starting_balance": 1e12}, data_catalog=TICKER)
    options = {"mode": "fast", "snapshot_mode": "both", "engine": "kernel", **options}
    return RunRequest(config, (DAY,), DAY.isoformat(), **options)


def _left(market: Market) -> list[str]:
    root = market.settings.results_path
    files = [path for path in root.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(root)) for path in files if "vsweeps" in path.parts)


def test_figures_without_tables_are_those_of_tables(hostile: Market) -> None:
    """Of every kind of order: with what rests, what is listed, and what a simulated fill closes."""
    venue = {"starting_balance": 1e12, "maker_fee": -0.0001}
    listed = [{"side": "sell", "price": None, "amount": 0.5}]
    kinds = itertools.product(
        ("LIMIT", "MARKET"), ("IOC", "GTC"), ("trades", "book"), ("L1_MBP", "L2_MBP"), (True, False)
    )
    seen = set()
    for order, lifetime, mode, book, closes in kinds:
        if (order, lifetime, book, closes) == ("LIMIT", "GTC", "L2_MBP", True):
            continue  # not covered
        strategy = {"order_type": order, "time_in_force": lifetime, "orders": listed}
        config = variant(
            strategy=strategy,
            venue={**venue, "book_type": book},
            data_catalog=TICKER,
            execution={"latency": {"insert_ms": 0 if closes else 0.05}},
        )
        options = {"config": config, "snapshot_mode": mode, "close_positions": closes}
        report, fast = (
            run_backtest(replace(_request(), **options, mode=mode_of), hostile.settings)
            for mode_of in ("report", "fast")
        )
        assert fast.digest == report.digest, options
        assert fast.summary == report.summary
        assert fast.equity_preview == report.equity_preview
        seen.update(fast.summary["orders_by_status"])
    assert {"open", "canceled", "filled"} <= seen


def test_a_row_of_figures_is_a_run(hostile: Market) -> None:
    request = _request()
    variants = make_variants(request.config, VARY)
    steps: list[Progress] = []
    kept = Kept(figures_only=True, verify=2)
    swept = run_sweep(request, variants, hostile.settings, progress=steps.append, kept=kept)
    assert swept.file is not None
    assert swept.file == variant_files(hostile.settings.results_path)[swept.sweep_id]
    table = pq.read_table(swept.file)
    rows = table.to_pylist()
    assert [row["number"] for row in rows] == [*range(1, len(variants) + 1)]
    for each, row in zip(variants, rows, strict=True):
        for engine in ("kernel", "nautilus"):
            run = run_backtest(
                replace(request, config=each.config, engine=engine), hostile.settings
            )
            assert row["digest"] == run.digest, each.label
            assert json.loads(row["summary"]) == run.summary, each.label
        assert row["pnl_breakdown.net"] == run.summary["pnl_breakdown"]["net"]
        assert row["config_hash"] == each.config.content_hash
        assert row["strategy.order_type"] == each.varied["strategy.order_type"]
        assert row["flags"] == run.summary["flags"]
    assert any(json.loads(row["summary"])["pnl_breakdown"]["funding"] for row in rows)
    facts = json.loads(table.schema.metadata[FACTS])
    assert facts == read_variant_file(swept.sweep_id, swept.file).facts
    assert facts["engine"] == "kernel"
    assert [each["digest"] for each in facts["catalog"]]
    assert facts["axes"] == [*variants[0].varied]
    proof = swept.proof
    assert proof is not None
    best = sorted(range(len(rows)), key=lambda index: (-rows[index]["pnl"], index))[:2]
    assert proof.best == tuple(index + 1 for index in best)
    assert len(proof.random) == 2
    assert not {*proof.best} & {*proof.random}
    assert proof.fills > 0
    assert steps[-1].done == 1.0
    assert f"{len(variants)} of {len(variants)} variants" in {step.phase for step in steps}


@pytest.mark.parametrize("slots", [1, 3])
def test_variants_that_go_over_the_day_at_once_are_those_of_runs(
    hostile: Market, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    """In several passes, with samples at other times, and with one that fails on the way."""
    monkeypatch.setattr(kernel_sweep, "_TOGETHER", 3)
    monkeypatch.setattr(ticks_rows, "_BATCH_ROWS", 50)
    request = _request()
    vary = grid(
        {
            "venue.starting_balance": [1e12, 8_000],
            "metrics.equity_interval_secs": [60, 7],
            "venue.taker_fee": [0.0005, 0, -0.0001],
            "strategy.order_type": ["LIMIT", "MARKET"],
        }
    )
    variants = make_variants(request.config, vary)
    kept, steps = Kept(figures_only=True), list[Progress]()
    swept = run_sweep(
        request, variants, hostile.settings, slots=slots, kept=kept, progress=steps.append
    )
    errors = [found.error for found in swept.variants]
    assert 0 < sum(error is None for error in errors) < len(errors)
    for each, found in zip(variants, swept.variants, strict=True):
        alone = replace(request, config=each.config)
        if found.error is None:
            run = run_backtest(alone, hostile.settings)
            assert (found.digest, found.summary) == (run.digest, run.summary), each.label
        else:
            with pytest.raises(BacktestError) as caught:
                run_backtest(alone, hostile.settings)
            assert found.error == str(caught.value), each.label
    shares = [step.done for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_results_and_figures_have_one_digest(hostile: Market) -> None:
    request = _request()
    variants = make_variants(request.config, VARY[:3])
    results = run_sweep(request, variants, hostile.settings, kept=Kept(verify=1))
    figures = run_sweep(request, variants, hostile.settings, kept=Kept(figures_only=True))
    for one, other in zip(results.variants, figures.variants, strict=True):
        assert (one.digest, one.figures, one.flags) == (other.digest, other.figures, other.flags)
        assert one.run_id is not None
        assert other.run_id is None
    assert results.file is None
    assert results.proof is not None
    assert figures.proof is None


@pytest.mark.parametrize("figures_only", [True, False])
def test_a_kernel_that_errs_fails_the_proof(
    hostile: Market, monkeypatch: pytest.MonkeyPatch, figures_only: bool
) -> None:
    from odum_assets.vectorized.ticks import kernel

    real = kernel.match_rows

    def wrong(chunk: Any, state: Any, known: int) -> None:
        real(chunk, state, known)
        # Only the fills of market orders differ.
        if chunk.rules[3]:
            chunk.fills[2, 0] += 1

    monkeypatch.setattr(kernel, "match_rows", wrong)
    request, before = _request(), _left(hostile)
    variants = make_variants(request.config, grid({"strategy.order_type": ["LIMIT", "MARKET"]}))
    with pytest.raises(BacktestError) as caught:
        run_sweep(
            request, variants, hostile.settings, kept=Kept(figures_only=figures_only, verify=2)
        )
    assert "variant 2 (strategy.order_type=MARKET)" in str(caught.value)
    assert "fill 1: NautilusTrader {" in str(caught.value)
    assert _left(hostile) == before


def test_a_digest_that_differs_fails_the_proof(
    hostile: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events may be equal where their counting is wrong."""
    monkeypatch.setattr(sweeps, "digest_of", lambda _: "0" * 64)
    request, before = _request(), _left(hostile)
    variants = make_variants(request.config, VARY[:1])
    with pytest.raises(BacktestError, match=r"variant 1 .*digest is 0000.* events are equal"):
        run_sweep(request, variants, hostile.settings, kept=Kept(figures_only=True, verify=1))
    assert _left(hostile) == before


def test_what_cannot_be_swept_is_refused_by_name(hostile: Market) -> None:
    request, before = _request(), _left(hostile)
    queue = make_variants(request.config, grid({"execution.queue_position": [False, True]}))
    with pytest.raises(ConfigError, match=r"variant 2 \(execution.queue_position=true\): .*kernel"):
        run_sweep(request, queue, hostile.settings)
    for kept, name in ((Kept(figures_only=True), "figures_only"), (Kept(verify=1), "verify")):
        with pytest.raises(ConfigError, match=f"{name}: needs engine kernel, found engine naut"):
            run_sweep(replace(request, engine="nautilus"), queue[:1], hostile.settings, kept=kept)
    poor = make_variants(request.config, grid({"venue.starting_balance": [1e12, 10]}))
    swept = run_sweep(request, poor, hostile.settings, kept=Kept(figures_only=True, verify=2))
    assert swept.variants[0].error is None
    assert "might exceed the free balance" in (swept.variants[1].error or "")
    assert swept.file is not None
    row = pq.read_table(swept.file).to_pylist()[1]
    assert (row["digest"], row["summary"], row["pnl"]) == (None, None, None)
    assert "free balance" in row["error"]
    assert swept.proof is not None
    assert (swept.proof.best, swept.proof.random) == ((1,), ())
    failed = run_sweep(request, poor[1:], hostile.settings, kept=Kept(figures_only=True))
    assert failed.file is None
    assert len(_left(hostile)) == len(before) + 1


PROGRAM = """
import os, signal, sys
from pathlib import Path
import test_kernel_sweeps as tests
from tinydays import Market
from odum_assets.config.variants import grid, make_variants
from odum_assets.results.sweep import Kept, run_sweep

market, request = Market(Path(sys.argv[1])), tests._request()
fees = [index / 100_000 for index in range(40)]
variants = make_variants(request.config, grid({"venue.taker_fee": fees}))

def report(progress):
    if progress.phase.startswith("3 of"):
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))

run_sweep(request, variants, market.settings, progress=report, kept=Kept(figures_only=True))
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_a_sweep_that_is_ended_leaves_nothing_half(hostile: Market, name: str) -> None:
    before = _left(hostile)
    command = [sys.executable, "-c", PROGRAM, str(hostile.settings.results_path.parent), name]
    paths = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=paths)
    assert done.returncode == (-signal.SIGKILL if name == "SIGKILL" else -signal.SIGINT), (
        done.stderr
    )
    assert _left(hostile) == before
    # The next sweep removes what the dead process was working on.
    request = _request()
    run_sweep(
        request,
        make_variants(request.config, VARY[:1]),
        hostile.settings,
        kept=Kept(figures_only=True),
    )
    staging = (hostile.settings.results_path / ".staging").iterdir()
    assert not [path for path in staging if not path.name.startswith(".")]
