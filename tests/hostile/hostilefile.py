"""Writing a hostile raw file, converting it, and holding what came out against what must."""

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from rawcells import DAY

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.definition import definition_folder
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import OdumError
from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.raw.layout import DataType

KEY = parse_instrument_key("BINANCE-FUTURES:PERPETUAL:BTC-USDT")


def spec_with(price_precision: int, size_precision: int) -> InstrumentSpec:
    """Return the instrument with some precisions."""
    margins = Decimal("0.01"), Decimal("0.005")
    return InstrumentSpec(KEY, price_precision, size_precision, Decimal(1), *margins, "USDT")


def examples(count: int) -> Callable[[Any], Any]:
    """Return hypothesis settings for a property: so many examples, always the same ones."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class HostileFile:
    """A raw file, and what must become of it.

    Parameters
    ----------
    table : pa.Table
        What is written.
    spec : InstrumentSpec
        Precisions.
    data_type : DataType
        What it is said to hold.
    rows : list
        Catalog rows in their order.
    rejects : list of (int, str)
        Row numbers and reasons, in the order of the file.
    unchanged : int
        Rows that say nothing new.
    refused : str or None
        Why the file as a whole must be refused: a part of the message. None: by no row being left.
    maybe_refused : bool
        Whether a refusal is right, too.
    options : dict
        How the file is written.
    """

    table: pa.Table
    spec: InstrumentSpec
    data_type: DataType
    rows: list[Any] = field(default_factory=list)
    rejects: list[tuple[int, str]] = field(default_factory=list)
    unchanged: int = 0
    refused: str | None = None
    maybe_refused: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@st.composite
def write_options(draw: st.DrawFn, rows: int) -> dict[str, Any]:
    """Return options of `pq.write_table`."""
    return {
        "row_group_size": draw(st.integers(1, max(rows, 1))),
        "compression": draw(st.sampled_from(["snappy", "zstd", "none", "gzip"])),
        "use_dictionary": draw(st.booleans()),
        "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
        "store_schema": True,
    }


def catalog_files(catalog: Path) -> list[str]:
    """Return every file and link of a catalog but locks: data, manifests, leftovers."""
    return sorted(
        str(path.relative_to(catalog))
        for path in catalog.rglob("*")
        if not path.is_dir() and ".locks" not in path.parts
    )


@contextmanager
def place() -> Any:
    """Make a folder of its own for one example."""
    with tempfile.TemporaryDirectory(prefix="hostile") as folder:
        yield Path(folder)


def convert(
    path: Path, catalog: Path, spec: InstrumentSpec, data_type: DataType, **options: Any
) -> PartitionManifest:
    """Convert with the real thing."""
    return convert_partition(str(path), KEY, spec, data_type, DAY, catalog, **options)


def check(
    made: HostileFile,
    read_back: Callable[[Path], list[Any]],
    also: Callable[[Path, HostileFile], None] | None = None,
) -> None:
    """Convert a hostile file; every row must be where the oracle says, or nothing be written."""
    with place() as folder:
        path, catalog = folder / "raw file.parquet", folder / "catalog"
        pq.write_table(made.table, path, **made.options)
        before = path.read_bytes()
        try:
            manifest = convert(path, catalog, made.spec, made.data_type)
        except OdumError as error:
            text = str(error)
            assert str(path) in text
            assert catalog_files(catalog) == []
            if not made.maybe_refused:
                assert not made.rows or made.refused is not None, text
                assert (made.refused or "has no rows") in text or "can be used" in text
                if made.refused:
                    assert made.refused in text
            return
        assert path.read_bytes() == before
        assert made.refused is None, f"must be refused: {made.refused}"
        counts = Counter(reason for _, reason in made.rejects)
        assert manifest.rejected == dict(counts)
        assert manifest.rows_in == made.table.num_rows
        assert manifest.rows_in == (
            manifest.rows_written + manifest.rows_rejected + manifest.unchanged
        )
        assert manifest.unchanged == made.unchanged
        found = read_back(manifest.data_path(catalog))
        assert found == made.rows
        assert manifest.rows_written == len(found)
        paths = PartitionPaths(catalog, KEY, made.data_type, DAY)
        logged = []
        if made.rejects:
            kept = pq.read_table(paths.rejects, columns=["row", "reason"]).to_pylist()
            logged = [(each["row"], each["reason"]) for each in kept]
        assert logged == made.rejects
        expected = [manifest.data_path(catalog), paths.manifest]
        expected += [paths.rejects] if made.rejects else []
        expected += definition_folder(catalog, KEY).iterdir()
        assert len(expected) == 3 + bool(made.rejects)
        assert catalog_files(catalog) == sorted(str(p.relative_to(catalog)) for p in expected)
        assert convert(path, catalog, made.spec, made.data_type) == manifest
        if also is not None:
            also(catalog, made)
