"""Rows of a stored JSON array with one object a line, found by number or by time.

The arrays are those of `odum_assets.results.json_rows.write_array`. Where their lines begin is read
once for a file, and kept for every so-many-th line only: any page of millions of rows is then a
seek away.
"""

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from odum_assets.api.problems import ProblemError
from odum_assets.results.stored_file import StoredFile

_BLOCK: Final = 1 << 18
_STRIDE: Final = 2_048
_OPENING: Final = b"[\n"
_ENDING: Final = b"]\n"


@dataclass(frozen=True, slots=True)
class JsonRows:
    """A file of rows.

    Parameters
    ----------
    file : StoredFile
        The file.
    count : int
        Number of rows.
    """

    file: StoredFile
    count: int
    _marks: npt.NDArray[np.int64]
    _end: int

    def lines(self, first: int, last: int) -> Iterator[bytes]:
        """Yield rows from `first` up to `last` (excluded), many at a time, each with a newline."""
        with open_binary(self.file) as file:
            left = self._offset(file, last) - file.seek(self._offset(file, first))
            rest = b""
            while left > 0 and (block := file.read(min(_BLOCK, left))):
                left -= len(block)
                whole, newline, rest = (rest + block).rpartition(b"\n")
                if newline:
                    # A newline inside a text is escaped: a comma before one ends a row for sure.
                    yield (whole + newline).replace(b",\n", b"\n")

    def first_at(self, moment: Callable[[bytes], int], bound: int) -> int:
        """Return the first row whose moment is not before a bound; rows are in order of time."""
        with open_binary(self.file) as file:

            def at(mark: int) -> int:
                file.seek(int(self._marks[mark]))
                return moment(file.readline())

            mark = bisect_left(range(len(self._marks)), bound, key=at)
            if mark == 0:
                return 0
            before = (mark - 1) * _STRIDE
            file.seek(int(self._marks[mark - 1]))
            near = [file.readline() for _ in range(min(_STRIDE, self.count - before))]
            return before + bisect_left(near, bound, key=moment)

    def _offset(self, file: BinaryIO, row: int) -> int:
        if row >= self.count:
            return self._end
        file.seek(int(self._marks[row // _STRIDE]))
        for _ in range(row % _STRIDE):
            file.readline()
        return file.tell()


def open_binary(stored: StoredFile) -> BinaryIO:
    """Open a stored file for reading."""
    return os.fdopen(stored.open(), "rb")


def json_rows(stored: StoredFile) -> JsonRows:
    """Return the rows of a file.

    Raises
    ------
    ProblemError
        If it is not written as it should be.
    """
    stat = stored.stat()
    return _read(stored, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=128)
def _read(stored: StoredFile, _mtime_ns: int, size: int) -> JsonRows:
    marks: list[npt.NDArray[np.int64]] = []
    seen, at, tail = 0, 0, b""
    with open_binary(stored) as file:
        is_array = file.read(len(_OPENING)) == _OPENING
        file.seek(0)
        while block := file.read(_BLOCK):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
            # The first newline stands before row 0.
            marks.append(ends[-seen % _STRIDE :: _STRIDE] + at + 1)
            seen, at, tail = seen + len(ends), at + len(block), (tail + block)[-len(_ENDING) :]
    if not is_array or at != size or tail != _ENDING:
        raise ProblemError(
            409, "damaged-report", f"{stored.path.name} is not a list with a row a line"
        )
    count = seen - 2
    found = np.concatenate(marks)[: -(-count // _STRIDE)].astype(np.int64)
    return JsonRows(stored, count, found, size - len(_ENDING))
