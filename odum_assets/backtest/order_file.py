"""Files of orders: held as they are while a run reads them, checked row by row.

What belongs here: the format of ``strategy.orders_file``, what is wrong with a file, which of its
orders a run sends. What does not: sending them (``strategies.order_replay``, ``kernel_match``).
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from odum_assets.catalog.arrow import flags_of
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import MAX_PRICE, MAX_SIZE, Problem, to_ticks
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.utc import iso_ns

type Ints = NDArray[np.int64]
type Columns = dict[str, Any]

NO_PRICE: Final = -(2**62)
"""Price of a market order; that of the kernel."""

LIFETIMES: Final = ("IOC", "FOK", "GTC")

_SIDES: Final = ("sell", "buy")
_REQUIRED: Final = ("time", "side", "size", "price", "time_in_force")
_COLUMNS: Final = (*_REQUIRED, "tag")
_RESERVED: Final = ("close_positions", "simulated_close")
_LONGEST_TAG: Final = 100
_BATCH_ROWS: Final = 65_536
_BLOCK: Final = 1 << 20


class OrderRows(NamedTuple):
    """Orders in order of time.

    Parameters
    ----------
    ts : int64 array, shape (n,)
        Times (ns since 1970).
    side : int64 array, shape (n,)
        1 buys, -1 sells.
    price : int64 array, shape (n,)
        In ticks; `NO_PRICE` for market orders.
    size : int64 array, shape (n,)
        In lots.
    lifetime : int64 array, shape (n,)
        Place in `LIFETIMES`.
    tag : pa.Array of string
        n tags, null for none.
    """

    ts: Ints
    side: Ints
    price: Ints
    size: Ints
    lifetime: Ints
    tag: Any

    def cut(self, first: int, stop: int) -> "OrderRows":
        """Return some of the orders."""
        return OrderRows(*(column[first:stop] for column in self))


class HeldOrders(BaseModel):
    """A file of orders as a run reads it.

    Parameters
    ----------
    path : Path
        A copy that nobody changes.
    named : str
        The file as the configuration names it.
    sha256 : str
        Hash of its bytes.
    orders : int
        Orders in it.
    before, after : int
        Those that are not sent: before the first trade of the window, and from its end on.
    bounds : tuple[int, int]
        Orders that are sent (ns): first, and first excluded.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    named: str
    sha256: str
    orders: int
    before: int
    after: int
    bounds: tuple[int, int]

    @property
    def inputs(self) -> dict[str, str]:
        """Return the hash by the name that the provenance has for it."""
        return {_input_name(self.named): self.sha256}

    def rows(self, digits: tuple[int, int]) -> Iterator[OrderRows]:
        """Yield the orders that are sent, thousands at a time, none of them empty."""
        for rows in order_rows(self.path, self.named, digits):
            first, stop = np.searchsorted(rows.ts, self.bounds)
            if first < stop:
                yield rows.cut(int(first), int(stop))


@dataclass(frozen=True, slots=True)
class _Copy:
    """A copied file, its hash, and the times of its orders."""

    path: Path
    sha256: str
    times: Ints


class OrderFiles:
    """Copies of files of orders, each made and checked once.

    Parameters
    ----------
    folder : Path
        An existing folder for the copies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._copies: dict[tuple[Path, tuple[int, int]], _Copy] = {}

    def held(self, config: LoadedConfig, bounds: tuple[int, int]) -> HeldOrders | None:
        """Return the file of a configuration, None if it names none.

        Parameters
        ----------
        config : LoadedConfig
            The configuration.
        bounds : tuple[int, int]
            Times (ns) of orders that are sent: first, and first excluded.

        Raises
        ------
        BacktestError
            If the file cannot be read, or an order in it is not allowed.
        """
        source = orders_path(config)
        if source is None:
            return None
        digits, named = _digits(config), str(config.ticks.strategy.orders_file)
        copy = self._copies.get((source, digits))
        if copy is None:
            path = self._folder / f"orders-{len(self._copies)}.parquet"
            sha256 = _read(source, path)
            times = [rows.ts for rows in order_rows(path, str(source), digits)]
            copy = _Copy(path, sha256, np.concatenate([np.zeros(0, np.int64), *times]))
            self._copies[source, digits] = copy
        before, until = np.searchsorted(copy.times, bounds)
        return HeldOrders(
            path=copy.path,
            named=named,
            sha256=copy.sha256,
            orders=len(copy.times),
            before=int(before),
            after=len(copy.times) - int(until),
            bounds=bounds,
        )


def orders_path(config: LoadedConfig) -> Path | None:
    """Return where a configuration's file of orders lies, None if it names none."""
    named = None if config.bars is not None else config.ticks.strategy.orders_file
    return None if named is None else config.path.absolute().parent / named


def order_inputs(config: LoadedConfig) -> dict[str, str]:
    """Return the hash of a configuration's file of orders as it is now, by its name.

    Raises
    ------
    BacktestError
        If it cannot be read.
    """
    path = orders_path(config)
    if path is None:
        return {}
    return {_input_name(str(config.ticks.strategy.orders_file)): _read(path)}


def order_file_problem(config: LoadedConfig) -> str:
    """Return why a configuration's file of orders cannot be used; empty if it can or names none."""
    path = orders_path(config)
    try:
        if path is not None:
            for _ in order_rows(path, str(path), _digits(config)):
                pass
    except BacktestError as error:
        return str(error)
    return ""


def order_rows(path: Path, name: str, digits: tuple[int, int]) -> Iterator[OrderRows]:
    """Yield the orders of a file, thousands at a time.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        What it is called in messages.
    digits : tuple[int, int]
        Decimals of prices and of sizes.

    Raises
    ------
    BacktestError
        If it cannot be read, or an order in it is not allowed; the message names file, column, and
        row, counted from 0.
    """
    name = f"strategy.orders_file {name}"
    try:
        if not path.is_file():
            raise BacktestError(f"{name}: there is no such file")
        with pq.ParquetFile(path) as file:
            _check_columns(name, file.schema_arrow)
            row, last = 0, None
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                reader = _Reader(name, row, digits)
                rows = reader.rows({name: batch[name] for name in batch.schema.names}, last)
                row += len(rows.ts)
                if len(rows.ts):
                    last = int(rows.ts[-1])
                    yield rows
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise BacktestError(f"{name}: it cannot be read as parquet ({reason})") from error


def _check_columns(name: str, schema: pa.Schema) -> None:
    names = schema.names
    for problem, columns in (
        ("unknown column", [name for name in names if name not in _COLUMNS]),
        ("missing column", [known for known in _REQUIRED if known not in names]),
        ("column that comes twice:", [known for known in _COLUMNS if names.count(known) > 1]),
    ):
        if columns:
            raise BacktestError(
                f"{name}: {problem} {', '.join(columns)}; allowed are {', '.join(_REQUIRED)} and "
                "tag, which may be missing"
            )
    for column, (allowed, is_allowed) in _TYPES.items():
        kind = schema.field(column).type if column in names else pa.null()
        # A column of nulls alone: a price or a tag, and every column of a file without rows.
        if not (pa.types.is_null(kind) or is_allowed(kind)):
            raise BacktestError(f"{name}: column {column} is {kind}, allowed: {allowed}")


def _is_time(kind: pa.DataType) -> bool:
    return pa.types.is_int64(kind) or (pa.types.is_timestamp(kind) and kind.tz is not None)


def _is_number(kind: pa.DataType) -> bool:
    is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    return is_number or pa.types.is_decimal128(kind) or pa.types.is_decimal256(kind)


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(inner) or pa.types.is_large_string(inner)


_TYPES: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "time": ("timestamps with a time zone, or int64 nanoseconds since 1970 (UTC)", _is_time),
    "side": ("text", _is_text),
    "size": ("numbers", _is_number),
    "price": ("numbers", _is_number),
    "time_in_force": ("text", _is_text),
    "tag": ("text", _is_text),
}

_NUMBER_PROBLEMS: Final = {
    Problem.MISSING: "is missing or not a number",
    Problem.NOT_FINITE: "is not finite",
    Problem.NEGATIVE: "is negative",
    Problem.ZERO: "is zero",
    Problem.TOO_LARGE: "is too large",
}


class _Reader:
    """Some rows of a file, taken apart column by column.

    Parameters
    ----------
    name : str
        What the file is called in messages.
    first : int
        Number of the first row.
    digits : tuple[int, int]
        Decimals of prices and of sizes.
    """

    def __init__(self, name: str, first: int, digits: tuple[int, int]) -> None:
        self._name = name
        self._first = first
        self._digits = digits

    def rows(self, columns: Columns, last: int | None) -> OrderRows:
        """Return the rows; `last` is the time of the row before them."""
        ts = self._times(columns["time"], last)
        return OrderRows(
            ts,
            2 * self._codes(columns, "side", _SIDES) - 1,
            self._prices(columns["price"]),
            self._ticks(columns["size"], "size", 1),
            self._codes(columns, "time_in_force", LIFETIMES),
            self._tags(columns.get("tag"), len(ts)),
        )

    def _refuse(self, bad: Any, column: str, why: str) -> None:  # noqa: ANN401 - a column of flags
        """Refuse the first row that is bad."""
        flags = bad if isinstance(bad, np.ndarray) else flags_of(bad)
        if flags.any():
            row = self._first + int(np.argmax(flags))
            raise BacktestError(f"{self._name}, row {row}: {column} {why}")

    def _times(self, column: Any, last: int | None) -> Ints:  # noqa: ANN401 - an Arrow column
        self._refuse(pc.is_null(column), "time", "is missing")
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns", "UTC"))
        ts: Ints = column.cast(pa.int64()).to_numpy()
        before = np.concatenate([ts[:1] if last is None else [last], ts[:-1]])
        early = ts < before
        if early.any():
            at = int(np.argmax(early))
            self._refuse(
                early,
                "time",
                f"{iso_ns(int(ts[at]))} is before that of the row before "
                f"({iso_ns(int(before[at]))}); sort the file by time",
            )
        return ts

    def _codes(self, columns: Columns, name: str, allowed: tuple[str, ...]) -> Ints:
        column = columns[name].cast(pa.string())
        codes = pc.index_in(column, value_set=pa.array(allowed))
        bad = flags_of(pc.is_null(codes))
        if bad.any():
            value = column[int(np.argmax(bad))].as_py()
            text = "is missing" if value is None else f"is {value!r}"
            self._refuse(bad, name, f"{text}, allowed: {', '.join(allowed)}")
        numbers: Ints = codes.to_numpy().astype(np.int64)
        return numbers

    def _prices(self, column: Any) -> Ints:  # noqa: ANN401 - an Arrow column
        prices = np.full(len(column), NO_PRICE, np.int64)
        if not pa.types.is_null(column.type):
            is_limit = flags_of(pc.is_valid(column))
            prices[is_limit] = self._ticks(column, "price", 0)[is_limit]
        return prices

    def _ticks(self, column: Any, name: str, place: int) -> Ints:  # noqa: ANN401 - an Arrow column
        limit, precision = (MAX_PRICE, MAX_SIZE)[place], self._digits[place]
        if pa.types.is_null(column.type):
            column = column.cast(pa.float64())
        ticks = to_ticks(column, precision, limit)
        if ticks.problems is not None:
            problems = ticks.problems
            if name == "price":
                problems = np.where(flags_of(pc.is_null(column)), Problem.NONE, problems)
            if problems.any():
                at = int(np.argmax(problems != Problem.NONE))
                value = column[at].as_py()
                self._refuse(problems != Problem.NONE, name, _why(value, problems[at], precision))
        return ticks.values

    def _tags(self, column: Any, count: int) -> Any:  # noqa: ANN401 - Arrow columns
        if column is None:
            return pa.nulls(count, pa.string())
        tags = column.cast(pa.string())
        length = pc.fill_null(pc.utf8_length(tags), 1)
        bad = pc.or_(pc.equal(length, 0), pc.greater(length, _LONGEST_TAG))
        self._refuse(bad, "tag", f"is empty or longer than {_LONGEST_TAG} characters")
        reserved = pc.is_in(tags, value_set=pa.array(_RESERVED))
        self._refuse(reserved, "tag", f"is one of {', '.join(_RESERVED)}, which results use")
        return tags


def _why(value: object, problem: int, precision: int) -> str:
    """Return what is wrong with a number."""
    text = "" if value is None or (isinstance(value, float) and math.isnan(value)) else f"{value} "
    if problem != Problem.TOO_MANY_DECIMALS:
        return f"{text}{_NUMBER_PROBLEMS[Problem(problem)]}"
    unit = f"{10.0**-precision:.{precision}f}"
    return f"{text}is no multiple of {unit}, the smallest step of the instrument; round it"


def _digits(config: LoadedConfig) -> tuple[int, int]:
    instrument = config.ticks.instrument
    return instrument.price_precision, instrument.size_precision


def _input_name(named: str) -> str:
    return f"orders {named}"


def _read(source: Path, target: Path | None = None) -> str:
    """Return the SHA-256 of a file, and copy what was hashed."""
    digest = hashlib.sha256()
    try:
        if not source.is_file():
            raise BacktestError(f"strategy.orders_file {source}: there is no such file")
        with source.open("rb") as stream:
            if target is None:
                return hashlib.file_digest(stream, "sha256").hexdigest()
            with target.open("wb") as copy:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                    copy.write(block)
    except OSError as error:
        raise BacktestError(
            f"strategy.orders_file {source}: it cannot be read ({error.strerror})"
        ) from error
    return digest.hexdigest()
