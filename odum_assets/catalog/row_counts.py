"""How many rows of a data file lie in a window; only the row groups at its edges are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import times_of


def rows_between(path: Path, start: int | None, end: int | None) -> int:
    """Return how many rows of a data file arrive in a window (ns), `end` exclusive.

    Raises
    ------
    OSError, pyarrow.ArrowInvalid
        If the file cannot be read.
    """
    rows = 0
    with pq.ParquetFile(path) as file:
        metadata: Any = file.metadata
        # Columns of a file are leaves: an array of a book has several.
        column = metadata.schema.names.index("ts_init")
        for index in range(file.num_row_groups):
            group = metadata.row_group(index)
            statistics = group.column(column).statistics
            if statistics is not None and statistics.has_min_max:
                first, last = statistics.min_raw, statistics.max_raw
                if (start is not None and last < start) or (end is not None and first >= end):
                    continue
                if (start is None or first >= start) and (end is None or last < end):
                    rows += group.num_rows
                    continue
            times = times_of(file.read_row_group(index, columns=["ts_init"])["ts_init"])
            low = 0 if start is None else int(np.searchsorted(times, start))
            high = len(times) if end is None else int(np.searchsorted(times, end))
            rows += max(high - low, 0)
    return rows
