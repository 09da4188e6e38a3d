"""Configurations of the earlier system through the commands: validated, migrated, run."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import BTC, Odum

from odum_assets.cli.run_backtest import main as run_backtest

KEY = "BINANCE:SPOT:BTC-USDT"
FOLDER = "raw_tick_data/by_date/day-2023-05-23"
NOTES = [
    "strategy: not in the file: one order for each trade row, a limit order at the row's side, "
    "price and size",
    "venue.maker_fee: not in the file: 0.0002 of the value, as in earlier versions",
    "venue.taker_fee: not in the file: 0.0004 of the value, as in earlier versions",
    "data_catalog: day-2023-05-23 in the paths is day-*: a run reads the files of its own days",
]
FEW = ("--trades-per-day", "2000", "--books-per-day", "2000")


@pytest.fixture
def earlier(folder: Path) -> Path:
    """A spot configuration as the earlier system had them, alone in the folder."""
    for file in (folder / "configs").glob("*_*.json"):
        file.unlink()
    document: dict[str, Any] = {
        "instrument": {"id": KEY, "price_precision": 2, "size_precision": 3},
        "venue": {
            "name": "BINANCE",
            "oms_type": "NETTING",
            "account_type": "MARGIN",
            "base_currency": "USDT",
            "starting_balance": 1000000,
        },
        "data_catalog": {
            "trades_path": f"data/{FOLDER}/data_type-trades/{KEY}.parquet",
            "book_snapshot_5_path": f"data/{FOLDER}/data_type-book_snapshot_5/{KEY}.parquet",
        },
        "time_window": {"start": "2023-05-23T02:00:00Z", "end": "2023-05-23T02:10:00Z"},
        "environment": {
            "UNIFIED_CLOUD_LOCAL_PATH": "data",
            "UNIFIED_CLOUD_SERVICES_USE_PARQUET": True,
        },
    }
    path = folder / "configs" / "earlier.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.usefixtures("earlier")
def test_it_runs_on_files_of_its_names_and_says_what_it_means(folder: Path, odum: Odum) -> None:
    made = odum("data", "generate", "--config", "earlier", "--hours", "1-4", *FEW, "--json").json
    assert {file["day"] for file in made["files"]} == {"2023-05-23"}
    # As the earlier system named them.
    for file in made["files"]:
        path = Path(file["path"])
        path.rename(path.with_name(f"{KEY}.parquet"))

    asked = ("--instrument", "BTCUSDT", "--config", "earlier.json", "--fast")
    times = ("--start", "2023-05-23T03:00:00Z", "--end", "2023-05-23T03:30:00Z")
    ran = odum(*asked, *times, "--json", program=run_backtest)
    assert ran.code == 0, ran.err
    document = ran.json
    # Beside time_window: what is asked for takes precedence.
    assert (document["start"], document["end"]) == (times[1], times[3])
    assert document["run_id"].split("_")[2:4] == ["20230523", "03000000"]
    assert document["summary"]["orders"] > 10
    assert document["metadata"]["config_notes"] == NOTES
    shown = odum("results", "show", document["run_id"])
    assert shown.out.count("not in the file: one order for each trade row") == 1
    # Finer sizes would have been rejected.
    manifest = next((folder / "data/catalog/manifests").rglob("*trades*/*.json"))
    assert json.loads(manifest.read_text())["rejected"] == {}


def test_a_migrated_file_has_the_same_hash(folder: Path, earlier: Path, odum: Odum) -> None:
    before = odum("config", "validate", "earlier", "--json").json["configs"]
    assert before[0]["notes"] == NOTES
    text = earlier.read_text()
    copy = folder / "configs" / "today.json"
    assert odum("config", "migrate", str(earlier), "--out", str(copy)).code == 0
    assert earlier.read_text() == text
    changed = odum("config", "migrate", str(earlier), "--json").json
    assert changed["written"]
    assert "environment.UNIFIED_CLOUD_SERVICES_USE_PARQUET" in {
        change["key"] for change in changed["changes"]
    }
    assert earlier.read_text() == copy.read_text()
    after = odum("config", "validate", "--json").json["configs"]
    assert [(config["hash"], config["notes"]) for config in after] == [(before[0]["hash"], [])] * 2
    again = odum("config", "migrate", str(earlier))
    assert "has today's spelling; nothing was changed" in " ".join(again.out.split())
    assert [path.name for path in (folder / "configs").glob(".*")] == []


def test_a_file_that_is_wrong_is_not_migrated(earlier: Path, odum: Odum) -> None:
    document = json.loads(earlier.read_text())
    document["time_window"]["end"] = "2023-05-25T00:00:00Z"
    earlier.write_text(json.dumps(document))
    text = earlier.read_text()
    ran = odum("config", "migrate", str(earlier))
    assert ran.code == 1
    assert "allowed day-* for the day" in ran.err
    assert earlier.read_text() == text
    assert odum("config", "migrate", "nothing.json").code == 2


def test_samples_go_where_the_configuration_reads(folder: Path, odum: Odum) -> None:
    ran = odum("data", "generate", "--config", BTC, "--instrument", "OKX:PERPETUAL:BTC-USDT")
    assert (ran.code, "leave out --instrument" in ran.err) == (2, True)
    path = folder / "configs" / f"{BTC}.json"
    document = json.loads(path.read_text())
    document["data_catalog"]["trades_path"] = "elsewhere/day-*/"
    path.write_text(json.dumps(document))
    ran = odum("data", "generate", "--config", BTC)
    assert (ran.code, "reads elsewhere/day-*/" in ran.err) == (2, True)


def test_a_strategy_that_cannot_be_built_is_not_valid(folder: Path, odum: Odum) -> None:
    path = folder / "configs" / "own.json"
    document = json.loads((folder / "configs" / f"{BTC}.json").read_text())
    document["strategy"] = {"name": "Own", "path": "none_such:Own"}
    path.write_text(json.dumps(document))
    ran = odum("config", "validate", "own", BTC, "--json")
    assert ran.code == 1
    assert [config["name"] for config in ran.json["configs"]] == [BTC]
    assert ran.json["problems"][0].startswith(f"{path}: strategy.path none_such:Own: module")
    run = odum(
        "backtest", "own", "--start", "2024-01-01T10:00:00Z", "--end", "2024-01-01T11:00:00Z"
    )
    assert run.code == 1  # the raw files are looked for first
    assert not (folder / "data" / "results").exists()
