"""Runs by a part of their id, their time range and what they were asked for besides."""

from pathlib import Path
from typing import Any

import pytest
from tinydays import DAY, Market, Outcome

from odum_assets.results.annotating import annotate
from odum_assets.results.annotations import Annotations
from odum_assets.results.listing import algorithm, overrides, time_range
from odum_assets.results.references import AmbiguousRunError, find_run_id, match_run_id
from odum_assets.results.store import ResultError, ResultStore

IDS = ["BNF_BTC_20240101_00000000_99a518_6fbef1", "BNF_BTC_20240102_00000000_99a518_eb592d"]


def test_begin_and_end_of_an_id_in_any_case() -> None:
    assert match_run_id("6FBEF1", IDS) == IDS[0]
    assert match_run_id("bnf_btc_20240102", IDS) == IDS[1]
    assert match_run_id(IDS[1], IDS) == IDS[1]
    # Neither the middle of an id nor two characters name a run.
    for text in ("99a518", "f1", "", "%", "nothing"):
        assert match_run_id(text, IDS) == text


def test_what_fits_several_names_them() -> None:
    with pytest.raises(AmbiguousRunError) as caught:
        match_run_id("BNF", IDS)
    assert all(name in str(caught.value) for name in IDS)


def test_last_is_the_newest_and_failed_runs_count_where_asked(market: Market) -> None:
    store = ResultStore(market.settings.results_path)
    with pytest.raises(ResultError, match="no results"):
        find_run_id(store, "last")
    first = market.run(mode="fast").result
    second = market.run(mode="fast").result
    assert find_run_id(store, "last") == second.run_id
    failed = store.failed_path(IDS[0])
    failed.parent.mkdir()
    failed.write_text("{}")
    assert find_run_id(store, "6fbef1") == "6fbef1"
    assert find_run_id(store, "6fbef1", failed=True) == IDS[0]
    assert find_run_id(store, first.run_id[-6:]) == first.run_id


def _window(start: int | None, end: int | None, *days: str) -> dict[str, Any]:
    texts = (None if each is None else str(each) for each in (start, end))
    window = dict(zip(("start_ns", "end_ns"), texts, strict=True))
    return {"metadata": {"days": list(days), "partition": "window", "window": window}}


MINUTE = 60 * 10**9
DAY_START = 1_704_067_200 * 10**9
"""2024-01-01."""


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (_window(None, None, "2024-01-01"), "2024-01-01"),
        (_window(None, None, "2024-01-01", "2024-01-03"), "2024-01-01 to 2024-01-03"),
        (_window(DAY_START, DAY_START + 1440 * MINUTE, "2024-01-01"), "2024-01-01"),
        (
            _window(DAY_START + 720 * MINUTE, DAY_START + 750 * MINUTE, "2024-01-01"),
            "2024-01-01 12:00 to 12:30",
        ),
        (_window(None, DAY_START + 90 * MINUTE, "2024-01-01"), "2024-01-01 00:00 to 01:30"),
        (
            _window(DAY_START + MINUTE // 8, None, "2024-01-01"),
            "2024-01-01 00:00:07.5 to 24:00",
        ),
        (
            _window(DAY_START + 1439 * MINUTE, DAY_START + 1441 * MINUTE, "2024-01-01"),
            "2024-01-01 23:59 to 2024-01-02 00:01",
        ),
        (
            {
                "start": "2024-01-01T12:00:00.25Z",
                "end": None,
                "metadata": {"days": ["2024-01-01"], "partition": "2024-01-01"},
            },
            "2024-01-01 12:00:00.25 to 24:00",
        ),
        (
            {"start": None, "end": None, "metadata": {"days": [], "partition": "window"}},
            "window",
        ),
    ],
)
def test_a_time_range_is_as_short_as_it_can_be(document: dict[str, Any], text: str) -> None:
    assert time_range(document) == text


def test_what_was_asked_for_besides_the_configuration_is_named(report: Outcome) -> None:
    store = ResultStore(report.result.fast_path.parents[1])
    entry = store.entry(report.result.run_id)
    # The fixture runs on the book alone; its configuration has trades and books.
    assert overrides(entry.metadata()) == {"snapshot_mode": "book"}
    assert algorithm(entry.metadata()) == "NORMAL"
    assert time_range(entry.document) == DAY.isoformat()
    changed = {
        **entry.metadata(),
        "exec_algorithm": {"type": "TWAP", "params": {}},
        "close_positions": False,
        "sweep": {"varied": {"strategy.params.window": 50}},
    }
    assert overrides(changed) == {
        "exec_algorithm": "TWAP",
        "snapshot_mode": "book",
        "close_positions": False,
        "window": 50,
    }


def test_annotations_are_kept_checked_and_removed(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    (tmp_path / "fast").mkdir()
    store.fast_path(IDS[0]).write_text("{}")
    after = annotate(store, IDS[0], lambda _: Annotations(("paper", "a", "a"), "  two\nlines "))
    assert after == Annotations(("a", "paper"), "two\nlines")
    for tags, note in ((("no spaces",), ""), (("x" * 65,), ""), ((), "x" * 10_001)):
        with pytest.raises(ResultError):
            annotate(store, IDS[0], lambda _, new=(tags, note): Annotations(*new))
    assert annotate(store, IDS[0], lambda before: before) == after
    annotate(store, IDS[0], lambda _: Annotations())
    assert not store.annotations_path(IDS[0]).exists()
    with pytest.raises(ResultError, match="no run"):
        annotate(store, IDS[1], lambda before: before)
