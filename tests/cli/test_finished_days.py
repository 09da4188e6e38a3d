"""Finished days are left alone, missing ones are passed over, and logs say how far a run is."""

import json
from pathlib import Path

import pytest
from commands import BTC, Odum

RANGE = ["--from", "2024-01-01", "--to", "2024-01-03"]


def _states(ran: object) -> dict[str, str]:
    return {each["partition"]: each["state"] for each in ran.json["days"]}  # type: ignore[attr-defined]


def test_a_backfill_leaves_finished_days_alone_unless_asked(project: Path, odum: Odum) -> None:
    ran = odum("backfill", BTC, *RANGE, "--fast", "--json")
    assert ran.code == 0
    assert _states(ran) == {
        "2024-01-01": "finished",
        "2024-01-02": "finished",
        "2024-01-03": "no data",
    }
    known = {each["partition"]: each["run_id"] for each in ran.json["days"]}
    assert len(list((project / "data/results/fast").iterdir())) == 2
    # What decides a result decides whether it is finished: its data, its configuration, its mode.
    config = project / "configs" / f"{BTC}.json"
    content = json.loads(config.read_text())
    content["venue"]["taker_fee"] = 0.001
    config.write_text(json.dumps(content))
    first_day = ["--from", "2024-01-01", "--to", "2024-01-01", "--fast", "--json"]
    changed = odum("backfill", BTC, *first_day)
    assert _states(changed) == {"2024-01-01": "done"}
    assert changed.json["days"][0]["run_id"] != known["2024-01-01"]
    again = odum("backfill", BTC, *first_day)
    assert _states(again) == {"2024-01-01": "finished"}
    forced = odum("backfill", BTC, *first_day, "--force")
    assert _states(forced) == {"2024-01-01": "done"}


@pytest.mark.usefixtures("project")
def test_a_touched_raw_file_or_another_mode_is_not_finished(project: Path, odum: Odum) -> None:
    raw = next(project.glob("data/raw_tick_data/by_date/day-2024-01-02/data_type-trades/*"))
    raw.touch()
    day = ["--from", "2024-01-02", "--to", "2024-01-02"]
    assert _states(odum("backfill", BTC, *day, "--fast", "--json")) == {"2024-01-02": "done"}
    assert _states(odum("backfill", BTC, *day, "--fast", "--json")) == {"2024-01-02": "finished"}
    assert _states(odum("backfill", BTC, *day, "--json")) == {"2024-01-02": "done"}


@pytest.mark.usefixtures("project")
def test_a_backtest_of_several_days_passes_over_a_missing_one(odum: Odum) -> None:
    days = ["--from", "2023-12-31", "--to", "2024-01-01"]
    ran = odum("backtest", BTC, *days, "--fast", "--json")
    assert ran.code == 0
    assert _states(ran) == {"2023-12-31": "no data", "2024-01-01": "done"}
    assert [each["partition"] for each in ran.json["results"]] == ["2024-01-01"]
    shown = odum("backtest", BTC, *days, "--fast")
    assert "no data" in shown.out
    assert "1 done, 1 no data" in shown.out
    assert "day-2023-12-31" in shown.err
    nothing = odum("backtest", BTC, "--from", "2023-12-30", "--to", "2023-12-31", "--fast")
    assert nothing.code == 1
