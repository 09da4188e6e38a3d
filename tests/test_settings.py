from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError
from variables import VARIABLES

from odum_assets.errors import ConfigError
from odum_assets.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_defaults_lie_below_the_current_folder(folder: Path) -> None:
    settings = load_settings()

    assert settings.raw_root == str(folder / "data")
    assert settings.catalog_path == folder / "data" / "catalog"
    assert settings.results_path == folder / "data" / "results"
    assert settings.configs_path == folder / "configs"
    assert settings.use_parquet is True
    assert settings.use_direct_gcs is False
    assert settings.partitions_start == date(2017, 1, 1)
    assert settings.model_fields_set == set()


def test_relative_paths_do_not_follow_a_later_change_of_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_CATALOG_PATH", "x/../catalog")
    settings = load_settings()
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")

    assert settings.catalog_path == folder / "catalog"


def test_every_variable_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "raw")
    monkeypatch.setenv("DATA_CATALOG_PATH", "/catalog")
    monkeypatch.setenv("ODUM_RESULTS_PATH", "results")
    monkeypatch.setenv("ODUM_CONFIGS_PATH", "c")
    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_PARQUET", "TRUE")
    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS", "1")
    monkeypatch.setenv("ODUM_PARTITIONS_START", "2024-01-01")

    assert load_settings() == Settings(
        raw_root=str(folder / "raw"),
        catalog_path=Path("/catalog"),
        results_path=folder / "results",
        configs_path=folder / "c",
        use_parquet=True,
        use_direct_gcs=True,
        partitions_start=date(2024, 1, 1),
    )


def test_a_raw_root_may_be_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "gs://bucket/raw/")

    assert load_settings().raw_root == "gs://bucket/raw"


def test_an_empty_variable_counts_as_unset(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "")

    assert load_settings().raw_root == str(folder / "data")


def test_an_argument_wins_over_the_process_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "/process")

    assert Settings(raw_root="/argument").raw_root == "/argument"


def test_all_unusable_values_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_PARQUET", "no")
    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS", "maybe")
    monkeypatch.setenv("ODUM_PARTITIONS_START", "1.1.2017")
    monkeypatch.setenv("DATA_CATALOG_PATH", "ftp://host/catalog")
    with pytest.raises(ConfigError) as caught:
        load_settings()

    assert set(str(caught.value).splitlines()) == {
        "environment variable UNIFIED_CLOUD_SERVICES_USE_PARQUET: found 'no', allowed true: "
        "parquet is the only format there is",
        "environment variable UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS: found 'maybe', allowed true, "
        "1, yes, on, false, 0, no, off",
        "environment variable ODUM_PARTITIONS_START: found '1.1.2017', allowed a day such as "
        "2017-01-01",
        "environment variable DATA_CATALOG_PATH: found 'ftp://host/catalog', allowed a folder "
        "or gs://bucket/prefix, s3://bucket/prefix",
    }


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.raw_root = "/other"  # type: ignore[misc]
