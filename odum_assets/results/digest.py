"""The digest of a result: equal for equal orders, fills, positions and balances.

It is a SHA-256 over the columns of the tables, rows in order, without wall-clock times and random
ids (run ids, trade ids and event ids are random; order ids follow from market time). It does not
depend on process, chunk size, mode, or on how the tables are stored.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.run import CompletedRun
from odum_assets.catalog.arrow import Column, flags_of, kernels, text_parts
from odum_assets.results.json_figures import texts

_BATCH_ROWS = 100_000
_THREADS = 2
TABLES: Final = {
    "orders": (
        "timestamp",
        "id",
        "side",
        "type",
        "time_in_force",
        "price",
        "amount",
        "status",
        "filled",
        "reason",
        "ended",
        "parent_id",
        "exec_algorithm",
        "purpose",
    ),
    "fills": (
        "timestamp",
        "order_id",
        "side",
        "price",
        "quantity",
        "commission",
        "liquidity",
        "realized_pnl",
        "balance",
        "position_quantity",
    ),
    "positions": (
        "side",
        "status",
        "opened",
        "closed",
        "quantity",
        "peak_quantity",
        "avg_entry_price",
        "avg_exit_price",
        "realized_pnl",
        "commissions",
        "fills",
    ),
}
"""Columns of each table that the digest is of, in order."""

_OF_BARS = ("instrument", "leg", "role", "trigger_price")
"""Columns that only tables of runs on bars have."""
_BALANCES = ("starting_balance", "final_balance", "realized", "commissions", "funding")


def digest_of(run: CompletedRun) -> str:
    """Return the digest of a run: the known one, else that of the tables in its work folder."""
    if run.digest is not None:
        return run.digest
    return result_digest(run.plan.work, texts(asdict(run.figures.account)))


def result_digest(folder: Path, account: Mapping[str, Any]) -> str:
    """Return the digest of a run's tables and balances.

    Parameters
    ----------
    folder : Path
        Holds orders.parquet, fills.parquet and positions.parquet.
    account : mapping of str to str
        Balances as text.

    Returns
    -------
    str
        64 hex digits.
    """
    hashes: dict[str, dict[str, ColumnHash]] = {}
    for name, columns in TABLES.items():
        # Arrow and the hashes work without Python's lock.
        with (
            ThreadPoolExecutor(_THREADS) as pool,
            pq.ParquetFile(folder / f"{name}.parquet") as file,
        ):
            names = _present(columns, file)
            hashes[name] = {column: ColumnHash() for column in names}
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
                parts = batch.select(names).columns
                for _ in pool.map(ColumnHash.update, hashes[name].values(), parts):
                    pass
    return joined_digest(hashes, account)


def joined_digest(
    hashes: Mapping[str, Mapping[str, "ColumnHash"]], account: Mapping[str, Any]
) -> str:
    """Return the digest of a run from the hashes of its tables' columns, in order."""
    digest = hashlib.sha256()
    for name, columns in hashes.items():
        rows = {value.rows for value in columns.values()}
        digest.update(f"{name} {max(rows)}\n".encode())
        for column, value in columns.items():
            digest.update(f"{column} {value.hexdigest()}\n".encode())
    balances = {name: account[name] for name in _BALANCES}
    digest.update(json.dumps(balances, sort_keys=True).encode())
    return digest.hexdigest()


def _present(columns: tuple[str, ...], file: pq.ParquetFile) -> list[str]:
    return [*columns, *(name for name in _OF_BARS if name in file.schema_arrow.names)]


class ColumnHash:
    """Hash of a column's values; how they are cut into batches does not matter.

    Parameters
    ----------
    like : ColumnHash, optional
        That of a column with as many values, where neither has nulls: which ones are known is
        hashed there.

    Attributes
    ----------
    rows : int
        Values so far.
    """

    def __init__(self, like: "ColumnHash | None" = None) -> None:
        self.rows, self._like = 0, like
        self._known, self._lengths, self._values = (hashlib.sha256() for _ in range(3))

    def update_words(self, words: npt.NDArray[np.uint64]) -> None:
        """Add stored decimals, none of them null, shape (n, 2): the low word of each first."""
        self.rows += len(words)
        if self._like is None:
            self._known.update(np.ones(len(words), np.bool_))
        self._values.update(words)

    def update(self, column: Column) -> None:
        """Add values."""
        self.rows += len(column)
        nulls = column.null_count
        if self._like is None:
            known = flags_of(column.is_valid()) if nulls else np.ones(len(column), np.bool_)
            self._known.update(known)
        kind = column.type
        if pa.types.is_string(kind):
            ends, data = text_parts(kernels.fill_null(column, "") if nulls else column)
            self._lengths.update(np.diff(ends))
            self._values.update(data[ends[0] : ends[-1]])
        elif pa.types.is_decimal(kind):
            filled: Any = kernels.fill_null(column, Decimal(0)) if nulls else column
            words = np.frombuffer(filled.buffers()[1], np.int64).reshape(-1, 2)
            self._values.update(words[filled.offset : filled.offset + len(filled)])
        else:
            plain = kernels.fill_null(column.cast(pa.int64()), 0)
            self._values.update(plain.to_numpy(zero_copy_only=False))

    def hexdigest(self) -> str:
        """Return the hash."""
        parts = ((self._like or self)._known, self._lengths, self._values)
        return hashlib.sha256(b"".join(part.digest() for part in parts)).hexdigest()
