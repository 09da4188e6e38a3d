"""What an ``odum orb`` that fails leaves behind."""

from pathlib import Path

from commands import Odum

WEEKEND = ["--start", "2024-01-06", "--end", "2024-01-07"]
DAY = ["--start", "2024-01-03", "--end", "2024-01-03"]


def test_a_study_that_comes_to_no_run_leaves_no_configuration(folder: Path, odum: Odum) -> None:
    configs = folder / "runs" / "synthetic" / "configs"
    ran = odum("orb", "--symbols", "SPY", *WEEKEND, "--synthetic")
    assert ran.code == 2
    assert "no session from 2024-01-06" in ran.err
    assert list(configs.iterdir()) == []


def test_a_study_whose_run_fails_names_its_configuration_and_one_that_was_there_stays(
    folder: Path, odum: Odum
) -> None:
    before = set((folder / "configs").iterdir())
    raw = folder / "data" / "raw_tick_data" / "by_date" / "day-2024-01-03" / "data_type-bars_1m"
    raw.mkdir(parents=True)
    (raw / "ARCA:EQUITY:SPY.parquet").write_text("damaged")
    (folder / "study.yaml").write_text("bars: {label: end}\n")
    arguments = ["orb", "--symbols", "SPY", *DAY, "--config", "study.yaml"]
    ran = odum(*arguments)
    assert ran.code == 1
    (made,) = set((folder / "configs").iterdir()) - before
    assert "cannot be read as parquet" in ran.err
    assert f"stays, because this run refers to it: configs/{made.name}" in ran.err
    again = odum(*arguments)
    assert again.code == 1
    assert "stays, because" not in again.err
    assert made.exists()
