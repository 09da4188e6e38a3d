"""A stored result as pandas frames, to compute with.

The tables hold exact decimals. Frames have float64 by default, each the one nearest to the decimal;
``exact=True`` keeps `Decimal` objects. Results of every version can be loaded.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.results.annotations import Annotations
from odum_assets.results.converted import converted
from odum_assets.results.references import find_run_id
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.results.stored_file import StoredFile
from odum_assets.results.tables import floats
from odum_assets.results.ticks import TICKS
from odum_assets.results.timeline import TIMELINE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """A stored result; its tables are read when they are asked for, and kept.

    Parameters
    ----------
    entry : ResultEntry
        What is stored.
    store : ResultStore
        Where.
    exact : bool
        Whether numbers are `Decimal` objects in place of floats.
    """

    entry: ResultEntry
    store: ResultStore = field(repr=False)
    exact: bool = False

    @property
    def run_id(self) -> str:
        """Return the run id."""
        return self.entry.run_id

    @property
    def summary(self) -> dict[str, Any]:
        """Return the figures, as in ``summary.json``."""
        return self.entry.summary()

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what the result was made of: configuration, data, versions."""
        return self.entry.metadata()

    @property
    def annotations(self) -> Annotations:
        """Return the tags and the note that people gave it."""
        return self.entry.annotations()

    @cached_property
    def orders(self) -> "pd.DataFrame":
        """Return every order with its final status, in order of creation."""
        return self._report("orders")

    @cached_property
    def fills(self) -> "pd.DataFrame":
        """Return the fills in order of time, with cash and signed position after each."""
        return self._report("fills", index="timestamp")

    @cached_property
    def positions(self) -> "pd.DataFrame":
        """Return the round trips by their end, then what is open."""
        return self._report("positions")

    @cached_property
    def equity(self) -> "pd.DataFrame":
        """Return the account marked to the market at every sample."""
        return self._report("equity", index="timestamp")

    @cached_property
    def timeline(self) -> "pd.DataFrame":
        """Return orders, fills and refusals in order of time; null is what an event lacks."""
        table = _documented(self._existing("timeline.parquet", "timeline.json"), TIMELINE).flatten()
        names = [name.removeprefix("data.") for name in table.column_names]
        return self._frame(table.rename_columns(names), "ts")

    @cached_property
    def ticks(self) -> "pd.DataFrame":
        """Return the trades that the run replayed, by arrival.

        Raises
        ------
        ResultError
            If they were not exported.
        """
        document = self.store.file("tickdata", f"{self.run_id}.json")
        if not document.is_there():
            raise ResultError(
                f"{self.run_id}: its ticks were not exported; run the backtest again with "
                "--export-ticks"
            )
        return self._frame(_documented(document, TICKS))

    def _report(self, name: str, index: str | None = None) -> "pd.DataFrame":
        file = self._existing(f"{name}.parquet")
        with file.opened() as path:
            return self._frame(pq.read_table(path), index)

    def _existing(self, *names: str) -> StoredFile:
        """Return the first file of the report that exists.

        Raises
        ------
        ResultError
            If there is none; it says how to get one.
        """
        files = [self.entry.report_file(name) for name in names]
        for file in files:
            if file.is_there():
                return file
        why = (
            "it ran in fast mode, which keeps the summary only"
            if self.entry.report_path is None
            else f"{files[0].path} does not exist"
        )
        raise ResultError(f"{self.run_id}: {why}; run the backtest again")

    def _frame(self, table: pa.Table, index: str | None = None) -> "pd.DataFrame":
        if not self.exact:
            columns = [floats(column) for column in table.columns]
            table = pa.Table.from_arrays(columns, names=table.column_names)
        # The types that pandas' own reader takes from the schema do not apply here.
        frame = table.replace_schema_metadata(None).to_pandas()
        return frame if index is None else frame.set_index(index)


def load_result(
    run_id: str, *, exact: bool = False, results_path: Path | str | None = None
) -> Result:
    """Return a stored result: figures, and tables as pandas frames.

    Parameters
    ----------
    run_id : str
        A run id, its first or last characters, or ``last`` for the newest result.
    exact : bool, default False
        Whether numbers are `Decimal` objects in place of float64.
    results_path : Path or str, optional
        Folder of the results; by default that of the commands (``ODUM_RESULTS_PATH``, or
        ``data/results`` in the current folder).

    Raises
    ------
    ResultError
        If there is no such result, several fit, or it cannot be read.

    Examples
    --------
    >>> result = load_result("last")
    >>> result.equity.portfolio_value.pct_change().std()
    """
    if results_path is None:
        from odum_assets.settings import load_settings

        results_path = load_settings().results_path
    store = ResultStore(Path(results_path))
    return Result(store.entry(find_run_id(store, run_id)), store, exact)


def _documented(file: StoredFile, schema: pa.Schema) -> pa.Table:
    """Return the table of a document, or the one beside it."""
    *folders, name = file.parts
    beside = file.at(*folders, f"{name.rsplit('.', 1)[0]}.parquet")
    source = beside if beside.is_there() else converted(file, schema)
    with source.opened() as path:
        return pq.read_table(path)
