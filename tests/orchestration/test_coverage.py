"""The calendar against each partition looked at by itself."""

from datetime import timedelta
from pathlib import Path

import pytest
from graphtools import BTC_KEY, BTC_SLUG, FIRST_DAY

from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, raw_path
from odum_assets.orchestration.coverage import CoverageReader
from odum_assets.orchestration.launch import Graph
from odum_assets.orchestration.partition_state import State, describe_partition
from odum_assets.orchestration.project import Project
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample

DAYS = [FIRST_DAY + timedelta(days=index) for index in range(10)]
NAMES = (
    "current stale new kept missing damaged device encoded damaged_and_gone linked".split()  # noqa: SIM905
)


@pytest.fixture
def project(folder: Path, graph: Graph) -> Project:
    """A project with ten days of BTC: each in another state."""
    spec = SampleSpec(
        keys=(BTC_KEY,),
        start=FIRST_DAY,
        days=len(DAYS),
        trades_per_day=50,
        books_per_day=50,
        hours=(10, 11),
    )
    write_sample(folder / "data", spec)
    project = graph.project
    loaded = next(config for config in project.configs if str(config.key) == BTC_KEY)
    days = dict(zip(NAMES, DAYS, strict=True))

    def raw(name: str) -> Path:
        path = raw_path(loaded, DataType.TRADES, days[name], project.settings)
        return Path(path)

    for name, day in days.items():
        if name not in ("new", "missing"):
            convert_partition(
                str(raw(name)),
                loaded.key,
                instrument_spec(loaded),
                DataType.TRADES,
                day,
                project.settings.catalog_path,
            )
    manifests = project.settings.catalog_path / "manifests" / BTC_SLUG / "trades"
    raw("stale").touch()
    for name in ("kept", "missing", "device", "damaged_and_gone"):
        raw(name).unlink()
    raw("device").mkdir()
    for name in ("damaged", "damaged_and_gone"):
        (manifests / f"{days[name]}.json").write_text('{"manifest_version": 3')
    encoded = raw("encoded")
    encoded.rename(encoded.with_name(encoded.name.replace(":", "%3A")))
    linked = manifests / f"{days['linked']}.json"
    linked.rename(manifests / "kept_elsewhere.txt")
    linked.symlink_to(manifests / "kept_elsewhere.txt")
    return project


def test_every_cell_is_what_its_partition_is(project: Project) -> None:
    reader = CoverageReader()
    days = [DAYS[0] - timedelta(days=1), *DAYS]
    for _ in ("first", "again"):
        cells = reader.read(project, project.sources, days)
        for source, row in zip(project.sources, cells, strict=True):
            for day, cell in zip(days, row, strict=True):
                part = describe_partition(project, source, day)
                rows = None if part.manifest is None else part.manifest.rows_written
                assert (cell.state, cell.rows) == (part.state, rows), (source, day)
                assert (cell.problem is None) == (not part.problems)
        trades = next(
            row
            for source, row in zip(project.sources, cells, strict=True)
            if source.key.slug == BTC_SLUG and source.data_type is DataType.TRADES
        )
        assert "".join(cell.state.symbol for cell in trades) == "·■◪□▨·◪!■·■"
        # The hours of the sample are a part of the day.
        assert [cell.checked for cell in trades[1:4]] == ["warned", "warned", None]


def test_a_changed_manifest_is_read_again(project: Project) -> None:
    reader, day = CoverageReader(), DAYS[0]
    sources = [source for source in project.sources if source.key.slug == BTC_SLUG]
    before = reader.read(project, sources, [day])
    path = Path(raw_path(sources[0].loaded, DataType.TRADES, day, project.settings))
    path.touch()
    assert reader.read(project, sources, [day])[0][0].state is State.STALE
    convert_partition(
        str(path),
        sources[0].key,
        instrument_spec(sources[0].loaded),
        DataType.TRADES,
        day,
        project.settings.catalog_path,
    )
    after = reader.read(project, sources, [day])
    assert after == before
