"""The project that is tortured: raw days in several editions, and what an undisturbed run gives."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from commands import lay_out
from killing import Work, results_tree, tree
from pieces import DAY

from odum_assets.raw.sample import SampleSpec, write_sample

KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
DATA_TYPES = ("trades", "book_snapshot_5")
EDITIONS = ("first", "second", "other prices", "with rejects")
"""Deliveries of the day: the second has other times (the catalog file gets another name), the third
the times of the first (the same name), the last rows that are rejected."""

_MTIME_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Ground:
    """A prepared project that is copied for each test, and what is right in it.

    Parameters
    ----------
    template : Path
        Configurations and Dagster's files; no data.
    editions : dict
        By edition: the folder with its raw files.
    catalogs : dict
        By edition: the undisturbed catalog.
    results : dict
        By mode: the undisturbed result's files, as `results_tree` gives them.
    views : set
        What a backtest leaves in the catalog besides: the folder of views, empty.
    expected : dict
        What the watcher allows.
    seconds : dict
        How long the pieces take undisturbed.
    """

    template: Path
    editions: dict[str, Path]
    catalogs: dict[str, dict[str, str]]
    results: dict[str, dict[str, str]]
    views: set[tuple[str, str]]
    expected: dict[str, Any]
    seconds: dict[str, float]

    def copy(self, folder: Path, edition: str = "first") -> Path:
        """Return a new project with the raw files of an edition."""
        shutil.copytree(self.template, folder)
        self.deliver(folder, edition)
        return folder

    def deliver(self, project: Path, edition: str) -> None:
        """Put an edition's raw files in place, each whole."""
        for data_type in DATA_TYPES:
            path = raw_file(project, data_type)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".delivered")
            shutil.copy2(self.editions[edition] / f"{data_type}.parquet", part)
            part.replace(path)

    def wrong_in_catalog(self, project: Path, edition: str) -> set[tuple[str, str]]:
        """Return in what the catalog differs from an undisturbed one: nothing, if all is well.

        Compared: every byte of every file, manifests too, and the names of all folders and locks.
        """
        found = set(tree(project / "data/catalog").items())
        return (found ^ set(self.catalogs[edition].items())) - self.views


def raw_file(project: Path, data_type: str) -> Path:
    return project / f"data/raw_tick_data/by_date/day-{DAY}/data_type-{data_type}/{KEY}.parquet"


def make_ground(folder: Path, trades: int, books: int) -> Ground:
    """Make the editions, and convert and run them undisturbed."""
    template = folder / "template"
    template.mkdir(parents=True)
    lay_out(template)
    editions = {edition: folder / "editions" / edition for edition in EDITIONS}
    for seed, edition in enumerate(EDITIONS[:2]):
        _sample(editions[edition], seed + 1, trades, books)
    for edition in EDITIONS[2:]:
        shutil.copytree(editions["first"], editions[edition])
    _change(editions["other prices"] / "trades.parquet", lambda rows: pc.add(rows["price"], 10.0))
    _change(
        editions["with rejects"] / "trades.parquet",
        lambda rows: pc.if_else(
            pc.less(pc.random(len(rows), initializer=7), 0.3), -1.0, rows["price"]
        ),
    )
    seconds: dict[str, float] = {}
    catalogs: dict[str, dict[str, str]] = {}
    results: dict[str, dict[str, str]] = {}
    files: set[str] = set()
    ground = Ground(template, editions, catalogs, results, set(), {}, seconds)
    for edition in EDITIONS:
        project = ground.copy(folder / "undisturbed" / edition, edition)
        if edition == "first":
            for data_type in DATA_TYPES:
                work = Work.piece(project, "convert", data_type)
                seconds[data_type] = work.go().require().took
        else:
            Work.piece(project, "convert", "all").go().require()
        catalogs[edition] = tree(project / "data/catalog")
        files |= {
            content for name, content in catalogs[edition].items() if name.startswith("data/")
        }
    project = folder / "undisturbed" / "first"
    for mode in ("fast", "report"):
        shutil.rmtree(project / "data/results", ignore_errors=True)
        seconds[mode] = Work.piece(project, "backtest", mode).go().require().took
        seconds["ticks"] = Work.piece(project, "ticks").go().require().took
        (results[mode],) = results_tree(project / "data/results")
    views = tree(project / "data/catalog").items() - catalogs["first"].items()
    ground.views.update(views)
    digests = [_digest(path) for path in project.glob("data/results/fast/*.json")]
    ticks = [results["report"]["tickdata/RUN.json"]]
    ground.expected.update(files=sorted(files - {"folder"}), digests=digests, ticks=ticks)
    return ground


def _digest(path: Path) -> str:
    found: str = json.loads(path.read_text())["metadata"]["digest"]
    return found


def _sample(folder: Path, seed: int, trades: int, books: int) -> None:
    spec = SampleSpec(
        keys=(KEY,),
        start=DAY,
        days=1,
        trades_per_day=trades,
        books_per_day=books,
        seed=seed,
    )
    place = folder / "made"
    write_sample(place, spec)
    for data_type in DATA_TYPES:
        made = place / f"raw_tick_data/by_date/day-{DAY}/data_type-{data_type}/{KEY}.parquet"
        made.replace(folder / f"{data_type}.parquet")
        os.utime(folder / f"{data_type}.parquet", ns=(_MTIME_NS + seed, _MTIME_NS + seed))
    shutil.rmtree(place)


def _change(path: Path, prices: Any) -> None:
    """Write a raw file again with other prices."""
    rows = pq.read_table(path)
    index = rows.schema.get_field_index("price")
    table = rows.set_column(index, "price", prices(rows).cast(pa.float64()))
    pq.write_table(table, path)
    stamp = _MTIME_NS + path.stat().st_size
    os.utime(path, ns=(stamp, stamp))
