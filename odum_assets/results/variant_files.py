"""The stored files of sweeps that keep figures only: what each is of, and those of its variants.

What belongs here: finding, writing and reading them. What does not: making their tables
(``bar_sweep``, ``figures_file``).
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.errors import DataError
from odum_assets.results.run_id import is_sweep_id
from odum_assets.results.stored_file import ResultError
from odum_assets.storage.files import sync

FOLDER: Final = "vsweeps"
"""Folder of vectorized sweeps in the results path."""

FACTS: Final = b"odum.vsweep"
"""Key of what a sweep is of in the metadata of its file."""

_AXES: Final = ("fast", "slow")
"""Columns of what varies in files of versions that do not say it."""

_NAME: Final = re.compile(r".+_([0-9a-f]{12})")
_FIGURES: Final = {
    "return_pct": ("total_return", 0.01),
    "cagr_pct": ("cagr", 0.01),
    "sharpe": ("sharpe_ratio", 1),
    "max_drawdown_pct": ("max_drawdown", 0.01),
    "trades": ("total_trades", 1),
    "win_rate": ("win_rate", 0.01),
    "profit_factor": ("profit_factor", 1),
    "fees": ("commissions", 1),
    "fills": ("fills", 1),
    "final_equity": ("final_value", 1),
}
"""Columns by the registry's name of the figure, and what makes a fraction of a percentage."""

FIGURES: Final = tuple(name for name, _ in _FIGURES.values())
"""Names of the figures, as the registry has them."""


@dataclass(frozen=True, slots=True)
class VariantFile:
    """A stored vectorized sweep.

    Parameters
    ----------
    id : str
        The sweep's id, 12 hex digits.
    path : Path
        Its file.
    facts : dict[str, Any]
        What it is of: config, instrument, sessions, number of variants.
    """

    id: str
    path: Path
    facts: dict[str, Any]

    @property
    def axes(self) -> list[str]:
        """Return the columns of what varies."""
        return list(self.facts.get("axes", _AXES))


def variant_files(results_path: Path) -> dict[str, Path]:
    """Return the files of vectorized sweeps by the ids of these, in order of their names."""
    files = {}
    for path in sorted((results_path / FOLDER).glob("*.parquet")):
        match = _NAME.fullmatch(path.stem)
        if is_sweep_id(path.stem):
            files[path.stem] = path
        elif match is not None:
            files[match[1]] = path
    return files


def write_variants(
    table: pa.Table, facts: dict[str, Any], path: Path, scratch: Path | None = None
) -> None:
    """Write the variants of a sweep, whole or not at all; what it is of goes into the metadata.

    Parameters
    ----------
    table : pa.Table
        A row per variant.
    facts : dict[str, Any]
        What the sweep is of.
    path : Path
        The file.
    scratch : Path, optional
        Where it lies until it is whole, on the same disk; beside the file by default.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    text = json.dumps(facts, sort_keys=True).encode()
    hidden = f".{path.name}.{os.getpid()}.tmp"
    unfinished = path.with_name(hidden) if scratch is None else scratch / hidden
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table.replace_schema_metadata({FACTS: text}), unfinished)
            sync(unfinished)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_variant_file(sweep_id: str, path: Path) -> VariantFile:
    """Return what a file is of.

    Raises
    ------
    ResultError
        If it cannot be read; it is named.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
        facts = json.loads(metadata[FACTS])
        if not isinstance(facts["variants"], int):
            raise TypeError("variants must be a number")
        return VariantFile(sweep_id, path, facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultError(
            f"{path}: no vectorized sweep can be read ({type(error).__name__}: {error}); move it "
            "away"
        ) from error


def read_variants(file: VariantFile) -> list[dict[str, Any]]:
    """Return the variants of a sweep as ``number``, their axes and figures, in the stored order.

    Raises
    ------
    ResultError
        If the file cannot be read, or lacks a figure.
    """
    try:
        rows = pq.read_table(file.path, columns=[*file.axes, *_FIGURES]).to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{file.path}: cannot be read ({error})") from error
    try:
        return [
            {
                "number": number,
                "varied": {axis: row[axis] for axis in file.axes},
                "figures": {
                    name: None if row[column] is None else row[column] * factor
                    for column, (name, factor) in _FIGURES.items()
                },
            }
            for number, row in enumerate(rows, 1)
        ]
    except KeyError as error:
        raise ResultError(f"{file.path}: there is no column {error}") from error


def axis_values(file: VariantFile) -> dict[str, list[Any]]:
    """Return the values of each axis, in order."""
    import pyarrow.compute as pc

    table = pq.read_table(file.path, columns=file.axes)
    values_by_axis = {axis: pc.unique(table[axis]).to_pylist() for axis in file.axes}
    return {
        axis: sorted(value for value in values if value is not None)
        for axis, values in values_by_axis.items()
    }
