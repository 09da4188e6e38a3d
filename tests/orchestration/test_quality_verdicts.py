"""Verdicts of the checks, from manifests and summaries written out here."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from graphtools import BTC, REPO

from odum_assets.catalog.manifest import FileRecord, PartitionManifest, SourceRecord
from odum_assets.config import LoadedConfig, load_config
from odum_assets.orchestration.checks import (
    CATALOG_CHECKS,
    RESULT_CHECKS,
    WHOLE_DAY,
    WINDOW_CHECKS,
    Verdict,
    check_result,
    evaluate_partition,
)
from odum_assets.raw.layout import DataType

NS = 1_000_000_000
MIDNIGHT_NS = 1_721_260_800 * NS
"""2024-07-18T00:00:00Z."""
QUALITY: dict[str, Any] = {
    "latency": {"min_ms": 1.0, "median_ms": 2.0, "max_ms": 3.0, "negative_rows": 0},
    "gaps": {"max_s": 300.0, "over_10s": 1, "over_60s": 1, "largest": []},
    "duplicate_ids": 0,
}
GOOD = PartitionManifest(
    key="BINANCE-FUTURES:PERPETUAL:BTC-USDT",
    nautilus_id="BTC-USDT-PERP.BINANCE_FUTURES",
    data_type=DataType.TRADES,
    day=date(2024, 7, 18),
    source=SourceRecord("/raw.parquet", 1, 1, "00"),
    rows_in=1000,
    rows_written=990,
    rejected={"price_missing": 10},
    unchanged=0,
    unknown_sides=9,
    first_ts_init=MIDNIGHT_NS + 300 * NS,
    last_ts_init=MIDNIGHT_NS + 86_100 * NS,
    first_ts_event=0,
    last_ts_event=1,
    sorted_source=True,
    time_units={},
    price_precision=1,
    size_precision=3,
    quality=QUALITY,
    file=FileRecord("x.parquet", 1, "00"),
    digest="00",
    converter_version=1,
    versions={},
)


@pytest.fixture(scope="module")
def config() -> LoadedConfig:
    return load_config(REPO / "configs" / f"{BTC}.json")


def _with(tmp_path: Path, name: str, **quality: object) -> LoadedConfig:
    content = json.loads((REPO / "configs" / f"{BTC}.json").read_text())
    content["quality"] = quality
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(content))
    return load_config(path)


def _failed(manifest: PartitionManifest, config: LoadedConfig) -> dict[str, Verdict]:
    judged = evaluate_partition(manifest, [config])
    return {each.check.name: each.verdict for each in judged if not each.verdict.passed}


def test_figures_exactly_at_their_limits_pass(config: LoadedConfig) -> None:
    assert _failed(GOOD, config) == {}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"rejected": {"price_missing": 11}}, "rejects"),
        ({"unknown_sides": 10}, "unknown_sides"),
        ({"quality": {**QUALITY, "duplicate_ids": 1}}, "duplicate_ids"),
        ({"quality": {**QUALITY, "gaps": {**QUALITY["gaps"], "max_s": 300.000001}}}, "gaps"),
        (
            {"quality": {**QUALITY, "latency": {**QUALITY["latency"], "negative_rows": 50}}},
            "clock_skew",
        ),
        ({"first_ts_init": MIDNIGHT_NS + 300 * NS + 1}, "day_covered"),
        ({"last_ts_init": MIDNIGHT_NS + 86_100 * NS - 1}, "day_covered"),
    ],
)
def test_a_figure_above_its_limit_fails_its_check_alone(
    config: LoadedConfig, change: dict[str, Any], check: str
) -> None:
    assert set(_failed(replace(GOOD, **change), config)) == {check}


def test_locked_books_count_like_crossed_ones(config: LoadedConfig) -> None:
    quality = {**QUALITY, "crossed_books": 5, "locked_books": 5}
    book = replace(GOOD, data_type=DataType.BOOK, unknown_sides=None, quality=quality)
    found = _failed(book, config)["crossed_books"]
    assert "5 crossed and 5 locked of 990 books" in found.text


def test_a_partition_of_one_row_has_no_gap(config: LoadedConfig) -> None:
    quality = {**QUALITY, "gaps": {**QUALITY["gaps"], "max_s": None}}
    assert "gaps" not in _failed(replace(GOOD, quality=quality), config)


def test_configurations_whose_threshold_is_exceeded_are_named(
    config: LoadedConfig, tmp_path: Path
) -> None:
    strict = _with(tmp_path, "strict", max_reject_ratio=0.001)
    stricter = _with(tmp_path, "stricter", max_reject_ratio=0)
    found = {each.check.name: each for each in evaluate_partition(GOOD, [config, strict, stricter])}
    rejects = found["rejects"]
    assert not rejects.verdict.passed
    assert "allowed share 0 (quality.max_reject_ratio)" in rejects.verdict.text
    assert rejects.verdict.text.endswith("; exceeded for strict, stricter; runs are refused")
    assert rejects.refused == ("strict", "stricter")
    assert check_result(rejects.check, rejects.verdict).severity is dg.AssetCheckSeverity.WARN


def test_a_delivery_that_was_cut_off_warns_or_refuses_as_configured(
    config: LoadedConfig, tmp_path: Path
) -> None:
    cut = replace(GOOD, last_ts_init=MIDNIGHT_NS + 400 * NS)
    refusing = _with(tmp_path, "refusing", partial_days="refuse")
    patient = _with(tmp_path, "patient", max_edge_gap_secs=86_000, partial_days="refuse")
    found = {}
    for configs in ([config], [refusing], [config, refusing, patient], [patient]):
        (judged,) = (
            each for each in evaluate_partition(cut, configs) if each.check.name == "day_covered"
        )
        found[tuple(each.name for each in configs)] = (judged.verdict.passed, judged.refused)
    assert found == {
        (BTC,): (False, ()),
        ("refusing",): (False, ("refusing",)),
        (BTC, "refusing", "patient"): (False, ("refusing",)),
        ("patient",): (True, ()),
    }
    text = _failed(cut, config)["day_covered"].text
    assert "first row 300.0 s after the day begins, last row 86,000.0 s before it ends" in text


def test_what_a_funding_file_covers_is_not_what_was_written_of_it(config: LoadedConfig) -> None:
    """Rates are written where they change: the last change may be hours before the last row."""
    ends = {"first": str(MIDNIGHT_NS), "last": str(MIDNIGHT_NS + 86_399 * NS)}
    funding = replace(GOOD, data_type=DataType.FUNDING, last_ts_init=MIDNIGHT_NS + 400 * NS)
    assert "day_covered" not in _failed(funding, config)  # of an earlier version: not known
    whole = replace(funding, quality={**QUALITY, "covered": ends})
    assert "day_covered" not in _failed(whole, config)
    cut = replace(whole, quality={**QUALITY, "covered": {**ends, "last": ends["first"]}})
    assert "day_covered" in _failed(cut, config)


def test_a_part_of_a_day_is_told_from_a_whole_one() -> None:
    verdicts = [check_result(WHOLE_DAY, WHOLE_DAY.evaluate(whole)) for whole in (True, False)]
    assert [verdict.passed for verdict in verdicts] == [True, False]
    assert verdicts[1].severity is dg.AssetCheckSeverity.WARN


def test_only_rejects_refuse_a_backtest_by_default(config: LoadedConfig) -> None:
    checks = [check for checks in CATALOG_CHECKS.values() for check in checks]
    assert {check.name for check in checks if check.refuses(config)} == {"rejects"}
    # One configuration's threshold must not hold back the runs of another.
    assert not any(check.blocking for check in checks)


SUMMARY: dict[str, Any] = {
    "account": {"currency": "USDT"},
    "refusals": {},
    "position": {"side": "FLAT", "quantity": 0.0, "open_positions": 0, "unrealized_pnl": 0.0},
}
METADATA: dict[str, Any] = {
    "reconciliation": {
        "balance_change": "-3.5",
        "engine_difference": "0.00000001",
        "engine_tolerance": "0.00000001",
    },
    "config": {"risk": {"throttling_per_sec": None}},
    "close_positions": True,
}


def _result_failures(**change: object) -> dict[str, Verdict]:
    summary = {name: change.get(name, value) for name, value in SUMMARY.items()}
    metadata = {name: change.get(name, value) for name, value in METADATA.items()}
    verdicts = {check.name: check.evaluate(summary, metadata) for check in RESULT_CHECKS}
    return {name: verdict for name, verdict in verdicts.items() if not verdict.passed}


def test_a_clean_result_passes() -> None:
    assert _result_failures() == {}


def test_an_engine_account_beyond_rounding_fails() -> None:
    off = {**METADATA["reconciliation"], "engine_difference": "-0.00000002"}
    assert set(_result_failures(reconciliation=off)) == {"accounts_reconcile"}


def test_denials_by_a_rate_limit_fail_only_when_nobody_set_one() -> None:
    refusals = {"Exceeded MAX_ORDER_SUBMIT_RATE": 3}
    assert set(_result_failures(refusals=refusals)) == {"no_throttle_denials"}
    configured = {"risk": {"throttling_per_sec": 10}}
    assert _result_failures(refusals=refusals, config=configured) == {}


def test_an_open_position_says_why_it_is_open() -> None:
    position = {"side": "LONG", "quantity": 1.5, "open_positions": 1, "unrealized_pnl": 2.0}
    found = _result_failures(position=position, close_positions=False)
    assert (
        "LONG 1.5 still open at the end (closing was turned off)" in found["positions_closed"].text
    )


def test_a_window_that_lacks_days_warns() -> None:
    (check,) = set(WINDOW_CHECKS) - set(RESULT_CHECKS)
    metadata = {"days": ["2024-07-18", "2024-07-20"]}
    whole = check.evaluate({"missing_days": []}, metadata)
    lacking = check.evaluate({"missing_days": ["2024-07-19"]}, metadata)
    assert (check.name, check.blocking, whole.passed) == ("days_complete", False, True)
    assert not lacking.passed
    assert lacking.text == "2 of 3 days of the window are in the catalog; missing: 2024-07-19"
