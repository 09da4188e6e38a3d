"""Addresses of raw data that cannot be used are named, whatever their driver raises."""

import datetime as dt
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from odum_assets.errors import DataError
from odum_assets.raw.fingerprint import NoRawFileError, stat_source
from odum_assets.raw.layout import BY_DATE, list_days, list_raw_files
from odum_assets.raw.reading import fetch_source
from odum_assets.storage.stores import open_store

UNUSABLE = {
    # Neither driver is a dependency of this package.
    "abfs://bucket/data": "the driver for abfs:// is not installed",
    "oss://bucket/data": "the driver for oss:// is not installed",
    "nosuch://bucket/data": "Protocol not known: nosuch",
}


class Moody(MemoryFileSystem):  # type: ignore[misc]
    """A store whose driver raises an error of its own library."""

    protocol = "moody"

    class DeniedError(Exception):
        """Neither an `OSError` nor a `ValueError`."""

    def ls(self, *_: Any, **__: Any) -> Any:
        raise self.DeniedError("403 Forbidden\nlong explanation")

    info = ls
    get_file = ls


fsspec.register_implementation("moody", Moody, clobber=True)


@pytest.mark.parametrize("address", UNUSABLE)
def test_an_address_without_a_driver_is_named(address: str, tmp_path: Path) -> None:
    for use in (
        lambda: open_store(address),
        lambda: list_days(address),
        lambda: list_raw_files(address),
        lambda: stat_source(f"{address}/x.parquet"),
        lambda: fetch_source(f"{address}/x.parquet", tmp_path / "staged"),
    ):
        with pytest.raises(DataError) as caught:
            use()
        assert str(caught.value).startswith(address)
        assert UNUSABLE[address] in str(caught.value)
        assert not isinstance(caught.value, NoRawFileError)


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"), [("gs", "gcsfs", "gcp"), ("s3", "s3fs", "s3")]
)
def test_a_driver_that_is_missing_is_named_as_this_package_s_extra(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str, extra: str
) -> None:
    def lacking(*_: object, **__: object) -> None:
        raise ImportError(f"Install {driver} to access it")

    monkeypatch.setattr("fsspec.core.url_to_fs", lacking)
    remedy = rf"^{scheme}://b: .*{driver}.*pip install 'odum-assets\[{extra}\]'"
    with pytest.raises(DataError, match=remedy):
        open_store(f"{scheme}://b")


def test_a_driver_s_own_errors_are_named(tmp_path: Path) -> None:
    for use in (
        lambda: list_days("moody://b"),
        lambda: stat_source("moody://b/x.parquet"),
        lambda: fetch_source("moody://b/x.parquet", tmp_path / "staged"),
    ):
        with pytest.raises(DataError, match=r"^moody://b.*\(DeniedError: 403 Forbidden\)\. Check"):
            use()


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoRawFileError):
        stat_source(str(tmp_path / "none.parquet"))
    with pytest.raises(NoRawFileError):
        stat_source("memory://none/none.parquet")
    assert list_days(str(tmp_path / "none")) == []


def test_one_day_that_cannot_be_read_is_one_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in ("2024-01-01", "2024-01-02", "2024-01-03"):
        folder = tmp_path / BY_DATE / f"day-{day}" / "data_type-trades"
        folder.mkdir(parents=True)
        (folder / "K.parquet").touch()
    scanned = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("day-2024-01-02"):
            raise PermissionError(13, "Permission denied", path)
        return scanned(path)

    monkeypatch.setattr(os, "scandir", scandir)
    problems: list[str] = []
    found = list_raw_files(str(tmp_path), problems=problems)
    assert [each.day for each in found] == [dt.date(2024, 1, 1), dt.date(2024, 1, 3)]
    assert problems == [
        f"{tmp_path}/{BY_DATE}/day-2024-01-02: cannot be read (Permission denied). "
        "Check path and permissions."
    ]
    with pytest.raises(DataError, match="Permission denied"):
        list_raw_files(str(tmp_path))
