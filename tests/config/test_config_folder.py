"""One configuration that cannot be used stops its own runs only, and is named."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from configfiles import BTC, CONFIGS, shipped, write_config

from odum_assets.config import ConfigFolder, read_folder
from odum_assets.errors import ConfigError
from odum_assets.settings import Settings

ETH = "binance_futures_ethusdt_l2_trades_config"
HALF = b'{"instrument": '


def changed(folder: Path, name: str, **sections: Any) -> Path:
    return write_config(folder, name, shipped(), **sections)


def names(folder: ConfigFolder) -> tuple[list[str], list[str]]:
    return [each.name for each in folder.configs], [each.name for each in folder.refused]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The configurations of BTC and ETH."""
    for name in (BTC, ETH):
        shutil.copy(CONFIGS / f"{name}.json", tmp_path)
    return tmp_path


@pytest.fixture
def settings(folder: Path) -> Settings:
    return Settings(configs_path=folder)


def _broken_link(path: Path) -> None:
    path.symlink_to(path.parent / "nothing")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half": (lambda path: path.write_bytes(HALF), "not JSON at line 1"),
    "empty": (lambda path: path.write_bytes(b""), "not JSON at line 1"),
    "list": (lambda path: path.write_text("[[1]]"), "allowed one JSON object"),
    "deep": (lambda path: path.write_bytes(b'{"a":' * 100_000), "nested too deeply"),
    "zeros": (lambda path: path.write_bytes(bytes(4096)), "not JSON at line 1"),
    "folder": (Path.mkdir, "a folder or a device, not a file"),
    "link": (_broken_link, "cannot be read: No such file"),
    "pipe": (os.mkfifo, "a folder or a device, not a file"),
    "latin": (lambda path: path.write_bytes(b'{"a": "\xff"}'), "not UTF-8"),
    "digits": (lambda path: path.write_bytes(b'{"a": ' + b"9" * 9000 + b"}"), "not valid"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_used(
    folder: Path, settings: Settings, damage: str
) -> None:
    damaged = folder / f"aaa_{damage}.json"
    make, why = DAMAGES[damage]
    make(damaged)
    found = read_folder(settings)

    assert names(found) == ([BTC, ETH], [damaged.stem])
    (refused,) = found.refused
    assert refused.path == damaged
    assert str(refused).startswith(f"{damaged}: ")
    assert why in str(refused)


def test_a_name_that_is_no_text_is_printable(folder: Path, settings: Settings) -> None:
    (folder / os.fsdecode(b"\xff\xfe.json")).write_text("{}")
    found = read_folder(settings)
    assert [each.name for each in found.configs] == [BTC, ETH]
    assert all(line.isprintable() for line in found.refused[0].problems)


@pytest.mark.parametrize("name", ["aaa_gcs", "zzz_gcs"])
def test_one_that_reads_from_elsewhere_is_alone_refused(
    folder: Path, settings: Settings, name: str
) -> None:
    path = changed(folder, name, data_source="gcs")
    found = read_folder(settings)
    assert names(found) == ([BTC, ETH], [name])
    assert str(found.refused[0]).startswith(f'{path}: data_source is "gcs"')


@pytest.mark.parametrize("name", ["aaa", "zzz"])
@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("instrument", "price_precision", 2),
        ("data_catalog", "parquet_root", "/catalog"),
        ("environment", "UNIFIED_CLOUD_LOCAL_PATH", "/raw"),
    ],
)
def test_who_contradicts_most_of_an_instrument_is_alone_refused(
    folder: Path, settings: Settings, name: str, section: str, key: str, value: object
) -> None:
    changed(folder, "second")
    odd = changed(folder, name, **{section: {key: value}})
    found = read_folder(settings)

    assert names(found) == ([BTC, ETH, "second"], [name])
    assert str(found.refused[0]).startswith(f"{odd}: {section}.{key}: found {value}, but {folder}")


@pytest.mark.parametrize("name", ["aaa", "zzz"])
def test_of_two_the_one_that_was_changed_last_is_left_out(
    folder: Path, settings: Settings, name: str
) -> None:
    new = changed(folder, name, instrument={"price_precision": 2})
    os.utime(folder / f"{BTC}.json", ns=(1, 1))
    found = read_folder(settings)
    assert names(found) == ([BTC, ETH], [name])
    assert "they share its data, so make them agree" in str(found.refused[0])
    # The other way round: who has just edited the old file has edited the wrong one.
    os.utime(new, ns=(0, 0))
    assert names(read_folder(settings)) == (sorted([ETH, name]), [BTC])


def test_three_that_all_contradict_each_other_leave_the_oldest(
    folder: Path, settings: Settings
) -> None:
    for age, (name, sections) in enumerate(
        {
            "one": {"instrument": {"price_precision": 2, "size_precision": 4}},
            "two": {"instrument": {"price_precision": 3}, "data_catalog": {"parquet_root": "c"}},
        }.items()
    ):
        os.utime(changed(folder, name, **sections), ns=(age, age))
    assert names(read_folder(settings)) == ([ETH, "one"], [BTC, "two"])


def test_what_the_process_says_contradicts_nothing(folder: Path) -> None:
    changed(folder, "second", environment={"UNIFIED_CLOUD_LOCAL_PATH": "/raw"})
    changed(folder, "third", environment={"DATA_CATALOG_PATH": "/catalog"})
    changed(folder, "fourth", data_catalog={"parquet_root": "/other"})
    given = Settings(configs_path=folder, raw_root=str(folder), catalog_path=folder)
    assert read_folder(given).refused == ()
    assert len(read_folder(Settings(configs_path=folder)).refused) == 3


def test_what_is_not_said_contradicts_nothing(folder: Path, settings: Settings) -> None:
    document = json.loads((folder / f"{BTC}.json").read_text())
    del document["data_catalog"]["book_snapshot_5_path"]
    (folder / "trades_only.json").write_text(json.dumps(document))
    assert names(read_folder(settings)) == ([BTC, ETH, "trades_only"], [])


def test_two_spellings_of_one_instrument_are_refused(folder: Path, settings: Settings) -> None:
    for name, suffix in (("one", ""), ("two", "@LIN")):
        file = f"raw_tick_data/by_date/day-*/t/OKX:PERPETUAL:BTC-USDT{suffix}.parquet"
        changed(
            folder,
            name,
            instrument={"id": "BTC-USDT.OKX"},
            venue={"name": "OKX"},
            data_catalog={
                "trades_path": file,
                "book_snapshot_5_path": None,
                "derivative_ticker_path": None,
            },
        )
    os.utime(folder / "one.json", ns=(1, 1))
    found = read_folder(settings)
    assert names(found) == ([BTC, ETH, "one"], ["two"])
    assert "would both be stored as BTC-USDT-PERP.OKX" in str(found.refused[0])


def test_a_folder_that_is_not_there_or_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(ConfigError, match="no such folder of run configurations"):
            read_folder(Settings(configs_path=tmp_path / name))
