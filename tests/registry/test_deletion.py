"""Deleted runs: files and rows go together, whatever happens in between."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from resultfiles import stored
from tinydays import Market

from odum_assets.registry import deletion
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import RegistryError, reading, result_store
from odum_assets.registry.deletion import delete_run, files_of_runs
from odum_assets.registry.models import RUNS
from odum_assets.registry.register import opened, register_run
from odum_assets.results.annotating import annotate
from odum_assets.results.annotations import Annotations
from odum_assets.results.deletion import mark_deleted
from odum_assets.results.store import ResultError
from odum_assets.settings import Settings

pytestmark = pytest.mark.usefixtures("registry")


def _known(settings: Settings) -> set[str]:
    with opened(settings) as engine, reading(engine) as connection:
        return set(connection.execute(sa.select(RUNS.c.run_id)).scalars())


def _fill(settings: Settings, sample: Path, count: int = 3) -> list[str]:
    names = [each["run_id"] for each in stored(sample, settings.results_path, count)]
    for name in names:
        register_run(settings, name)
        report = settings.results_path / "report" / name
        report.mkdir(parents=True)
        (report / "orders.json").write_text("[]")
        ticks = settings.results_path / "tickdata"
        ticks.mkdir(exist_ok=True)
        for kind in ("json", "parquet"):
            (ticks / f"{name}.{kind}").write_text("x")
        annotate(result_store(settings), name, lambda _: Annotations(("baseline",), "a note"))
    return names


def _left(settings: Settings, name: str) -> list[Path]:
    return [path for path in settings.results_path.rglob("*") if name in path.name]


def test_everything_of_a_run_goes_and_nothing_of_the_others(
    settings: Settings, sample: Path
) -> None:
    gone, *kept = _fill(settings, sample)
    before = {name: _left(settings, name) for name in kept}
    (planned,) = files_of_runs(settings, [gone])
    assert {path.parent.name for path in planned.paths} == {
        "annotations",
        "fast",
        "report",
        "tickdata",
    }
    assert planned.size == sum(
        path.stat().st_size
        for each in planned.paths
        for path in ([each] if each.is_file() else each.iterdir())
    )
    delete_run(settings, gone)
    assert _left(settings, gone) == []
    assert {name: _left(settings, name) for name in kept} == before
    assert _known(settings) == {*kept}
    assert check_registry(settings).problems == []
    with pytest.raises(ResultError, match="no run"):
        delete_run(settings, gone)


def test_a_registry_that_cannot_be_written_leaves_everything(
    settings: Settings, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *_ = _fill(settings, sample)
    before = _left(settings, name)

    def refuse(*_: object) -> None:
        raise RegistryError("locked")

    monkeypatch.setattr(deletion, "remove_row", refuse)
    with pytest.raises(RegistryError, match="locked"):
        delete_run(settings, name)
    assert _left(settings, name) == before
    assert name in _known(settings)


def test_a_deletion_that_died_is_finished_by_who_opens_the_registry_next(
    settings: Settings, sample: Path
) -> None:
    name, *kept = _fill(settings, sample)
    # As a process leaves it that is killed after the first step.
    mark_deleted(result_store(settings), name)
    assert [each.run_id for each in result_store(settings).entries()] == [*reversed(kept)]
    assert any("deleted in part" in text for text in check_registry(settings).problems)
    assert _known(settings) == {*kept}
    assert _left(settings, name) == []
    assert check_registry(settings).problems == []


def test_the_latest_run_of_a_partition_that_is_deleted_is_no_longer_named(
    settings: Settings, market: Market
) -> None:
    own = settings.model_copy(update={"results_path": market.settings.results_path})
    outcome = market.run(mode="report").result
    store = result_store(own)
    config, partition = outcome.metadata["config_name"], outcome.metadata["partition"]
    current = store.current(config, partition)
    assert current is not None
    assert current.run_id == outcome.run_id
    delete_run(own, outcome.run_id)
    assert not store.pointer_path(config, partition).exists()
    assert _left(own, outcome.run_id) == []
