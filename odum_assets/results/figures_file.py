"""The figures of a sweep's variants in one file: a row per variant, and what the sweep was of.

What belongs here: making the table, and reading a part of it. What does not: running variants
(``sweep``), finding stored files (``variant_files``).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.config.variants import value_text
from odum_assets.results.stored_file import ResultError
from odum_assets.results.variant_files import VariantFile

if TYPE_CHECKING:
    from odum_assets.results.sweep import VariantResult

KIND: Final = "ticks"
"""``kind`` of the facts of such a file."""

_VARIANT: Final = ("number", "config_hash", "digest", "flags", "error", "summary")
_OF_ONE_RUN: Final = (
    *("digest", "mode", "config_hash", "witness", "sweep", "reconciliation", "resources"),
    *("run_id", "strategy_sha256", "strategy_modules"),
)


def figures_table(variants: Sequence["VariantResult"], hashes: Sequence[str]) -> pa.Table:
    """Return variants as a table.

    Parameters
    ----------
    variants : sequence of VariantResult
        With summaries, None for those that failed.
    hashes : sequence of str
        The content hash of each variant's configuration.

    Returns
    -------
    pa.Table
        ``number`` from 1, a column of text per path that varies, ``config_hash``, ``digest``,
        ``flags``, ``error``, every single figure of the summary under its dotted name, and
        ``summary``, all of it as JSON.
    """
    paths = list(dict.fromkeys(path for variant in variants for path in variant.varied))
    figures = [_flat(variant.summary or {}) for variant in variants]
    names = list(dict.fromkeys(name for figure in figures for name in figure))
    columns: dict[str, Any] = {"number": pa.array(range(1, len(variants) + 1), pa.int64())}
    for path in paths:
        values = [variant.varied.get(path) for variant in variants]
        written = [None if value is None else value_text(value) for value in values]
        columns[path] = pa.array(written, pa.string())
    texts = pa.list_(pa.string())
    columns |= {
        "config_hash": pa.array(hashes, pa.string()),
        "digest": pa.array([variant.digest for variant in variants], pa.string()),
        "flags": pa.array([list(variant.flags) for variant in variants], texts),
        "error": pa.array([variant.error for variant in variants], pa.string()),
    }
    columns |= {name: pa.array([figure.get(name) for figure in figures]) for name in names}
    documents = [
        None if variant.summary is None else json.dumps(variant.summary) for variant in variants
    ]
    columns["summary"] = pa.array(documents, pa.string())
    return pa.table(columns)


def _flat(section: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the single values of a summary by dotted name."""
    flat: dict[str, Any] = {}
    for name, value in section.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        elif not isinstance(value, list):
            flat[f"{before}{name}"] = value
    return flat


def sweep_facts(
    metadata: dict[str, Any], variants: Sequence["VariantResult"], own: dict[str, Any]
) -> dict[str, Any]:
    """Return what a sweep is of, as a JSON document.

    Parameters
    ----------
    metadata : dict[str, Any]
        Provenance of one of its runs; what all of them share is kept.
    variants : sequence of VariantResult
        Its variants.
    own : dict[str, Any]
        Facts of the sweep itself, such as ``id`` and ``currency``.
    """
    digests = "".join(variant.digest or "failed" for variant in variants)
    return {
        **{name: value for name, value in metadata.items() if name not in _OF_ONE_RUN},
        "kind": KIND,
        "config": metadata["config_name"],
        "instrument": metadata["instrument_key"],
        "axes": list(dict.fromkeys(path for variant in variants for path in variant.varied)),
        "variants": len(variants),
        "failed": sum(variant.error is not None for variant in variants),
        "digest": hashlib.sha256(digests.encode()).hexdigest(),
        **own,
    }


def read_figures(file: VariantFile) -> list[dict[str, Any]]:
    """Return the variants of a file: ``number``, ``varied``, ``flags``, ``error``, ``summary``.

    Raises
    ------
    ResultError
        If the file cannot be read.
    """
    axes: list[str] = file.facts["axes"]
    try:
        table = pq.read_table(file.path, columns=[*_VARIANT, *axes])
        rows = table.to_pylist()
        return [
            {
                **{name: row[name] for name in _VARIANT if name != "summary"},
                "varied": {axis: row[axis] for axis in axes if row[axis] is not None},
                "summary": None if row["summary"] is None else json.loads(row["summary"]),
            }
            for row in rows
        ]
    except (OSError, ValueError, KeyError) as error:
        raise ResultError(f"{file.path}: cannot be read ({error})") from error
