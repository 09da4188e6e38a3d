"""Reading a raw parquet file batch by batch, with errors that name it.

A file behind a URL is first copied next to where it is needed; a local file is read in place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from odum_assets.errors import DataError
from odum_assets.raw.fingerprint import FileStat, NoRawFileError, stat_source
from odum_assets.raw.layout import DataType, is_url, local_path
from odum_assets.raw.schemas import RawSchema, recognize
from odum_assets.storage.stores import open_store, store_errors


class RawReader:
    """Read the columns of a raw file that have a role.

    Parameters
    ----------
    source : str
        Where the file came from, for messages.
    path : Path
        The local file with its bytes.
    data_type : DataType
        What it is expected to hold.

    Raises
    ------
    DataError
        If the file is no parquet file, is damaged, or has not the columns of its type.
    """

    def __init__(self, source: str, path: Path, data_type: DataType) -> None:
        self._source = source
        self._path = path
        with _parquet_errors(source), pq.ParquetFile(path) as file:
            self.rows: int = file.metadata.num_rows
            self._schema: pa.Schema = file.schema_arrow
        self.schema: RawSchema = recognize(self._schema, data_type, source)

    def batches(
        self, batch_rows: int, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows in file order, at most `batch_rows` at a time.

        Parameters
        ----------
        batch_rows : int
            Upper bound of a batch; batches may be smaller.
        columns : list of str, optional
            Only these; all with a role by default. Repeating texts come as dictionaries.
        """
        wanted = self.schema.columns if columns is None else columns
        as_dictionary = [name for name in self.schema.text_columns if name in wanted]
        with (
            _parquet_errors(self._source),
            pq.ParquetFile(
                self._path, read_dictionary=as_dictionary, pre_buffer=False, buffer_size=1 << 20
            ) as file,
        ):
            for batch in file.iter_batches(batch_rows, columns=wanted):
                for name in as_dictionary:
                    _check_indices(batch.column(name))
                yield batch

    @property
    def column_names(self) -> list[str]:
        """Return the names of all columns."""
        names: list[str] = self._schema.names
        return names

    def arrow_type(self, column: str) -> pa.DataType:
        """Return the type that the file states for a column."""
        kind: pa.DataType = self._schema.field(column).type
        return kind


def _check_indices(column: Any) -> None:  # noqa: ANN401 - the stubs do not know dictionaries
    """Raise if a damaged page points outside its dictionary, which Arrow does not check."""
    if pa.types.is_dictionary(column.type):
        bounds: Any = compute.min_max(column.indices).as_py()
        lowest, highest = bounds["min"], bounds["max"]
        if highest is not None and not 0 <= lowest <= highest < len(column.dictionary):
            raise pa.ArrowInvalid("a value points outside the dictionary of its column")


def fetch_source(source: str, staged: Path) -> Path:
    """Return a local path with the bytes of `source`, copied to `staged` when it is a URL."""
    if not is_url(source):
        return local_path(source)
    fs, path = open_store(source)
    try:
        with store_errors(source):
            fs.get_file(path, str(staged))
    except FileNotFoundError as error:
        raise NoRawFileError(source) from error
    return staged


def check_unchanged(source: str, before: FileStat) -> None:
    """Raise `DataError` if the raw file's stat is not what it was before it was read."""
    if stat_source(source) != before:
        raise DataError(
            f"{source}: the raw file changed while it was read; nothing was written. "
            "Run the conversion again when its delivery is complete."
        )


@contextmanager
def _parquet_errors(source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NoRawFileError(source) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{source}: cannot be read as parquet, it is damaged or not a parquet file ({reason}). "
            "Fetch the raw file again."
        ) from error
