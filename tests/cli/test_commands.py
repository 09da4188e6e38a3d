"""Commands on sample data, in this process: what they make, print and return."""

import json
from pathlib import Path

import pandas as pd
import pytest
from commands import BTC, REPOSITORY, Odum

from odum_assets.cli import run_backtest


def newest(odum: Odum) -> str:
    return str(odum("results", "list", "--json").json["results"][0]["run_id"])


# --- data ---------------------------------------------------------------------------------------


def test_generate_writes_what_it_says_and_never_replaces_unasked(folder: Path, odum: Odum) -> None:
    ask = ["data", "generate", "--days", "1", "--trades-per-day", "50", "--books-per-day", "90"]
    first = odum(*ask, "--json")
    assert first.code == 0
    files = first.json["files"]
    assert len(files) == 6
    assert all(Path(each["path"]).is_relative_to(folder / "data") for each in files)
    again = odum(*ask)
    assert again.code == 1
    assert "6 of the files already exist" in again.err
    assert odum(*ask, "--overwrite", "--json").json == first.json


@pytest.mark.usefixtures("folder")
def test_list_names_days_without_a_configuration(odum: Odum) -> None:
    assert "There are no raw data" in odum("data", "list").out
    key = "BINANCE:SPOT_PAIR:SOL-USDT"
    few = ["--days", "1", "--trades-per-day", "50", "--books-per-day", "90"]
    assert odum("data", "generate", "--instrument", key, *few).code == 0
    states = {each["state"] for each in odum("data", "list", "--json").json["files"]}
    assert states == {"in no config"}


@pytest.mark.usefixtures("folder")
def test_an_empty_folder_of_results_says_how_to_get_one(odum: Odum) -> None:
    assert "There are no results in data/results. Run one: odum backtest" in (
        odum("results", "list").out
    )


@pytest.mark.usefixtures("project")
def test_results_that_no_filter_matches_are_not_said_to_be_absent(odum: Odum) -> None:
    assert odum("backtest", BTC, "--day", "2024-01-01", "--fast").code == 0
    assert "No result in data/results matches." in odum("results", "list", "--partition", "x").out


@pytest.mark.usefixtures("folder")
def test_one_valid_configuration_is_counted_as_one(odum: Odum) -> None:
    assert "1 configuration is valid." in odum("config", "validate", BTC).out


@pytest.mark.usefixtures("project")
def test_list_and_check_tell_the_state_of_converted_days(odum: Odum) -> None:
    files = odum("data", "list", "--json").json["files"]
    states = {(each["data_type"], each["state"]) for each in files}
    assert ("trades", "up to date") in states
    assert ("book_snapshot_5", "up to date") in states
    checked = odum("data", "check", "--json")
    failed = [each for each in checked.json["checks"] if not each["passed"]]
    assert checked.code == (1 if failed else 0)
    assert checked.json["passed"] is (failed == [])


def test_a_touched_raw_file_is_stale_and_converting_it_again_keeps_its_digest(
    project: Path, odum: Odum
) -> None:
    ask = ["convert", BTC, "--day", "2024-01-02", "--data-type", "trades", "--json"]
    assert odum(*ask).code == 0
    before = odum(*ask).json["partitions"][0]
    assert before["state"] == "up to date"
    raw = next(project.glob("data/raw_tick_data/by_date/day-2024-01-02/data_type-trades/*"))
    raw.touch()
    listed = odum("data", "list", "--day", "2024-01-02", "--json").json["files"]
    assert {"stale"} == {each["state"] for each in listed if each["data_type"] == "trades"}
    after = odum(*ask).json["partitions"][0]
    assert (after["state"], after["digest"]) == ("converted", before["digest"])


@pytest.mark.usefixtures("project")
def test_very_many_files_are_listed_by_their_days(
    odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = odum("data", "list").out
    assert every.count("up to date") == 6
    monkeypatch.setattr("odum_assets.cli.data._LONG_LIST", 5)
    spans = odum("data", "list").out
    assert spans.count("up to date") == 3
    for line in spans.splitlines():
        if "up to date" in line:
            assert line.split()[1:4] == ["2", "2024-01-01", "2024-01-02"]
    assert "Every file by itself" in spans
    assert "Every file by itself" not in every


# --- convert ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_convert_by_instrument_as_error_messages_suggest(odum: Odum) -> None:
    key = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
    ran = odum(
        "convert", "--instrument", key, "--data-type", "trades", "--day", "2024-01-01", "--force"
    )
    assert ran.code == 0, ran.err
    assert "converted" in ran.out


@pytest.mark.usefixtures("project")
def test_convert_of_a_day_without_files_fails_and_names_them(odum: Odum) -> None:
    ran = odum("convert", f"{BTC}.json", "--day", "2024-03-01", "--json")
    assert ran.code == 1
    assert {each["data_type"]: each["state"] for each in ran.json["partitions"]} == {
        "trades": "failed",
        "book_snapshot_5": "failed",
        # Runs use it where it is there.
        "derivative_ticker": "no raw file",
    }
    assert "day-2024-03-01/data_type-trades/BINANCE-FUTURES" in ran.err
    assert "Traceback" not in ran.err


def test_convert_of_a_day_that_lacks_what_it_may_lack(project: Path, odum: Odum) -> None:
    (path,) = project.glob("**/day-2024-01-01/data_type-derivative_ticker/BINANCE-FUTURES*BTC*")
    away = path.rename(path.with_suffix(".away"))
    try:
        again = ("convert", BTC, "--day", "2024-01-01", "--force")
        ran = odum(*again, "--json")
        asked = odum(*again, "--data-type", "derivative_ticker")
    finally:
        away.rename(path)
    assert ran.code == 0, ran.err
    states = {each["data_type"]: each["state"] for each in ran.json["partitions"]}
    # Another test may have converted it before.
    assert states.pop("derivative_ticker") in ("no raw file", "raw file gone")
    assert {*states.values()} == {"converted"}
    # What is asked for by its name is needed.
    assert (asked.code, "there is no raw derivative_ticker file" in asked.err) == (1, True)


# --- backtests and results ----------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_a_day_is_run_and_its_result_can_be_shown_and_verified(odum: Odum) -> None:
    ran = odum("backtest", f"configs/{BTC}.json", "--day", "2024-01-01", "--fast", "--json")
    assert ran.code == 0, ran.err
    result = ran.json["results"][0]
    assert result["partition"] == "2024-01-01"
    assert Path(result["files"]["summary"]).is_file()
    shown = odum("results", "show", result["run_id"])
    assert shown.out.index("Days are not covered whole") < shown.out.index("Profit and loss")
    # What holds for every run of the configuration is no warning.
    assert "funding" in shown.out.partition("Simulated")[2]
    verified = odum("results", "verify", result["run_id"], "--json")
    assert (verified.code, verified.json["equal"]) == (0, True)


@pytest.mark.usefixtures("project")
def test_a_changed_record_does_not_verify(odum: Odum) -> None:
    result = odum("backtest", BTC, "--day", "2024-01-02", "--fast", "--json").json["results"][0]
    path = Path(result["files"]["summary"])
    document = json.loads(path.read_text())
    document["metadata"]["digest"] = "0" * 64
    path.write_text(json.dumps(document))
    ran = odum("results", "verify", result["run_id"])
    assert ran.code == 1
    assert "different" in ran.out
    path.unlink()


@pytest.mark.usefixtures("project")
def test_a_window_over_midnight_is_one_account(odum: Odum) -> None:
    ran = odum(
        *("--instrument", "btc-usdt.binance-futures", "--config", BTC, "--json"),
        *("--start", "2024-01-01T12:30:00Z", "--end", "2024-01-02T12:30:00Z", "--export_ticks"),
        program=run_backtest.main,
    )
    assert ran.code == 0, ran.err
    assert ran.json["metadata"]["days"] == ["2024-01-01", "2024-01-02"]
    assert {"summary", "report", "tearsheet", "ticks"} == ran.json["files"].keys()


@pytest.mark.usefixtures("project")
def test_results_are_filtered_sorted_and_compared(odum: Odum) -> None:
    found = odum("results", "list", "--partition", "2024-01-01", "--sort", "pnl", "--json").json
    pnls = [each["pnl"] for each in found["results"]]
    assert pnls == sorted(pnls, reverse=True)
    assert odum("results", "list", "--limit", "1", "--json").json["total"] >= 2
    days = odum("results", "list", "--sort", "partition", "--json").json["results"]
    one = next(each["run_id"] for each in days if each["partition"] == "2024-01-01")
    two = next(each["run_id"] for each in days if each["partition"] == "2024-01-02")
    ran = odum("results", "compare", one, two, "--json")
    assert ran.json["inputs"]["partition"] == ["2024-01-01", "2024-01-02"]
    assert ran.json["config"] == {}
    assert max(map(len, odum("results", "list").out.splitlines())) <= 80


@pytest.mark.usefixtures("project")
def test_a_backfill_names_days_without_data_and_fails_with_those_it_must_run(odum: Odum) -> None:
    span = ["backfill", BTC, "--from", "2024-01-02", "--to", "2024-01-03", "--fast", "--json"]
    span.append("--force")
    ran = odum(*span)
    states = {each["partition"]: each["state"] for each in ran.json["days"]}
    assert (ran.code, states) == (0, {"2024-01-02": "done", "2024-01-03": "no data"})
    forced = odum(*span, "--all-days")
    states = {each["partition"]: each["state"] for each in forced.json["days"]}
    assert (forced.code, states) == (1, {"2024-01-02": "done", "2024-01-03": "failed"})


# --- configurations -----------------------------------------------------------------------------


def test_validate_shows_every_problem_of_every_file(folder: Path, odum: Odum) -> None:
    assert odum("config", "validate").code == 0
    for name, fee in (("one", 2), ("two", 3)):
        content = json.loads((folder / f"configs/{BTC}.json").read_text())
        content["venue"]["maker_fee"] = fee
        content["surprise"] = True
        (folder / f"configs/{name}.json").write_text(json.dumps(content))
    ran = odum("config", "validate", "--json")
    assert (ran.code, ran.json["valid"], len(ran.json["problems"])) == (1, False, 4)


@pytest.mark.usefixtures("folder")
def test_schema_is_the_shipped_file(odum: Odum) -> None:
    shipped = (REPOSITORY / "configs" / "run_config.schema.json").read_text()
    assert odum("config", "schema").out == shipped


def test_show_fills_in_defaults_and_paths(folder: Path, odum: Odum) -> None:
    shown = odum("config", "show", BTC, "--json").json
    assert shown["raw"]["trades"].startswith(str(folder / "data" / "raw_tick_data"))
    assert shown["config"]["quality"]["max_gap_secs"] is not None
    assert BTC in odum("config", "show", BTC).out


# --- usage --------------------------------------------------------------------------------------

RUN = ["--config", BTC, "--start", "2024-01-01T12:00:00Z", "--end", "2024-01-01T12:30:00Z"]
TWAP = ["--exec-algorithm", "TWAP", "--exec-algorithm-params"]
MISUSED = [
    (["convert", "binance_futures_btcusd_l2", "--all"], "did you mean binance_futures_btcusdt"),
    (["convert", BTC], "give the days"),
    (["convert", "--all"], "either a CONFIG or --instrument"),
    (["convert", BTC, "--day", "18 July"], "is not a valid day"),
    (["convert", BTC, "--from", "2024-01-02", "--to", "2024-01-01"], "before --from"),
    (["backtest", BTC, "--day", "2024-01-01", "--fast", "--report"], "exclude each other"),
    (["backtest", BTC], "open time_window"),
    (["backtest", BTC, "--window"], "needs both ends"),
    (
        ["backtest", BTC, "--day", "2024-01-01", "--exec-algorithm-params", "{}x"],
        "is not valid JSON",
    ),
    (
        ["backtest", BTC, "--day", "2024-01-01", *TWAP, '{"horizon": 2}'],
        'did you mean "horizon_secs"',
    ),
    (["backtest", BTC, "--day", "2024-01-01", "--start", "noon"], "allowed a time such as"),
    (["backtest", "elsewhere/some.json", "--day", "2024-01-01"], "no such file"),
    (["results", "show", "BNF"], "begins or ends with 'BNF'"),
    (["results", "compare", "BNF"], "two run ids"),
    (["data", "generate", "--days", "0"], "SampleSpec.days"),
    (["results", "lst"], "Did you mean"),
    (["convert", BTC, "--speed", "9"], "No such option"),
]


@pytest.mark.parametrize(("arguments", "text"), MISUSED, ids=lambda each: " ".join(each)[:40])
@pytest.mark.usefixtures("folder")
def test_misuse_ends_with_2_and_says_what_is_meant(
    arguments: list[str], text: str, odum: Odum
) -> None:
    ran = odum(*arguments)
    assert ran.code == 2
    assert text in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--instrument", "ETHUSDT", *RUN], "does not match"),
        (["--instrument", "BTCUSDT", *RUN, "--dataset", "day-2024-01-02"], "day-2024-01-01"),
        (["--instrument", "BTCUSDT", *RUN, "--fast", "--report"], "exclude each other"),
        (["--instrument", "BTCUSDT", *RUN, "--fast", "--export_ticks"], "needs --report"),
        (["--instrument", "BTCUSDT", *RUN, "--data_source", "gcs"], "no bucket is named"),
        (["--instrument", "BTCUSDT", *RUN, "--exec_algorithm", "POV"], "POV"),
        (["--instrument", "BTCUSDT", *RUN[:4], "--end", "2023-01-01T00:00:00Z"], "before end"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_misuse_of_run_backtest(arguments: list[str], text: str, odum: Odum) -> None:
    ran = odum(*arguments, program=run_backtest.main)
    assert ran.code == 2
    assert text in ran.err


def test_the_demo_leaves_real_data_alone(
    folder: Path, odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = folder / "real" / "raw_tick_data" / "by_date" / "day-2024-07-18"
    real.mkdir(parents=True)
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", str(folder / "real"))
    ran = odum("demo")
    assert ran.code == 1
    assert "no sample data are written there" in ran.err
    assert list((folder / "real").rglob("*.parquet")) == []


@pytest.mark.parametrize("order", [(BTC, "lenient"), ("lenient", BTC)])
def test_a_command_ends_the_same_way_when_it_is_repeated(
    folder: Path, odum: Odum, order: tuple[str, str]
) -> None:
    """Two configurations share a partition with many rejects; one of them allows that."""
    content = json.loads((folder / f"configs/{BTC}.json").read_text())
    content["quality"] = {"max_reject_ratio": 0.5}
    (folder / "configs/lenient.json").write_text(json.dumps(content))
    sample = ["--instrument", "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "--days", "1"]
    small = ["--trades-per-day", "300", "--books-per-day", "3600", "--hours", "12-13"]
    assert odum("data", "generate", *sample, *small).code == 0
    (raw,) = folder.glob("data/raw_tick_data/by_date/day-2024-01-01/data_type-trades/*")
    table = pd.read_parquet(raw)
    table.loc[: len(table) // 10, "price"] = None
    table.to_parquet(raw)
    for name in order:
        ran = [odum("backtest", name, "--day", "2024-01-01", "--fast") for _ in range(2)]
        assert {each.code for each in ran} == {0 if name == "lenient" else 1}
        if name == BTC:
            assert all("the catalog is not good enough" in each.err for each in ran)
    check = odum("data", "check", "--json").json["checks"]
    (rejects,) = (each for each in check if each["blocking"])
    refused = rejects["text"].partition("exceeded for ")[2]
    assert BTC in refused
    assert "lenient" not in refused
