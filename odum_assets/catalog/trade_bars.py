"""Bars of the catalog's trades, read as if they were a raw file of bars."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.bars.aggregation import aggregate
from odum_assets.catalog.fixed_point import DECIMAL, column_ticks, units_column
from odum_assets.catalog.times import DayWindow
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentSpec
from odum_assets.raw.layout import DataType
from odum_assets.raw.schemas import BAR_COLUMNS, RawSchema


class TradeBars:
    """Give the rows of bars that trades come to, as `raw.reading.RawReader` gives those of a file.

    Parameters
    ----------
    path : Path
        The data file of a partition of trades.
    data_type : DataType
        Which bars.
    spec : InstrumentSpec
        Precisions of the trades.
    window : DayWindow
        The day of the partition.
    step : int
        Length of a bar, ns.

    Raises
    ------
    DataError
        If the file cannot be read, or holds more decimals than the precisions.
    """

    def __init__(
        self, path: Path, data_type: DataType, spec: InstrumentSpec, window: DayWindow, step: int
    ) -> None:
        self.schema = RawSchema(
            data_type, "trades", "timestamp", None, {name: name for name in BAR_COLUMNS}
        )
        try:
            trades = pq.read_table(path, columns=["price", "size", "ts_init"], use_threads=False)
            table = trades.combine_chunks()
            prices, sizes = (
                column_ticks(table[name].combine_chunks(), precision)
                for name, precision in (
                    ("price", spec.price_precision),
                    ("size", spec.size_precision),
                )
            )
        except (OSError, pa.ArrowException) as error:
            raise DataError(
                f"{path}: its trades cannot be aggregated ({error}). Convert them again with "
                "`odum convert --force`."
            ) from error
        times = table["ts_init"].combine_chunks().view(pa.int64()).to_numpy()
        bars = aggregate(times, prices, sizes, step, window.day_start)
        columns: dict[str, Any] = {"timestamp": pa.array(bars.open_time, pa.timestamp("ns", "UTC"))}
        for name in BAR_COLUMNS:
            precision = spec.size_precision if name == "volume" else spec.price_precision
            columns[name] = units_column(getattr(bars, name).tolist(), precision, DECIMAL)
        self._table = pa.table(columns)
        self.rows: int = self._table.num_rows
        self.column_names: list[str] = self._table.column_names

    def batches(
        self, batch_rows: int, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, at most `batch_rows` at a time."""
        table = self._table if columns is None else self._table.select(columns)
        yield from table.to_batches(max_chunksize=batch_rows)

    def arrow_type(self, column: str) -> pa.DataType:
        """Return the type of a column."""
        kind: pa.DataType = self._table.schema.field(column).type
        return kind
