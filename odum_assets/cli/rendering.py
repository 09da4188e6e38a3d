"""Output: figures as text, tables, and which stream they go to.

Progress, notes and warnings go to stderr, results to stdout. With ``--json`` stdout holds one JSON
document and nothing else.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odum_assets.storage.addresses import location_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UNKNOWN = "n/a"
_PIPE_WIDTH = 120
_UNFOLDED = 1_000
_WHOLE = frozenset({"run id", "day", "time range"})
_CENTS = frozenset({"USDT", "USDC", "USD", "EUR", "BUSD"})


class Output:
    """Write for a person or, with ``--json``, for a program.

    Parameters
    ----------
    as_json : bool
        Whether stdout is for a program.
    """

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.is_shared = False
        """Whether another process writes to the terminal, too."""
        self._warned: set[str] = set()
        self.err = _console(sys.stderr)
        self.out = _console(sys.stdout)

    @property
    def is_live(self) -> bool:
        """Return whether a progress display makes sense."""
        return self.err.is_terminal and not self.as_json and not self.is_shared

    def show(self, *parts: object) -> None:
        """Print tables, panels or lines on stdout, unless it is for a program."""
        if not self.as_json:
            for part in parts:
                self.out.print(part, highlight=False)

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines of a text as they are, none cut or wrapped."""
        if not self.as_json:
            for text in texts:
                self.out.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def facts(self, title: str | None, rows: Iterable[tuple[str, str]]) -> None:
        """Print names and values, one per line; values may hold markup and are never cut."""
        if self.as_json:
            return
        pairs = list(rows)
        if title is not None:
            self.out.print(f"[bold]{title}[/]")
        width = max((len(name) for name, _ in pairs), default=0)
        for name, value in pairs:
            self.out.print(f"  [dim]{name:<{width}}[/]  {value}", soft_wrap=True)

    def info(self, text: str) -> None:
        """Print a remark on stderr, unless stdout is for a program."""
        if self.as_json:
            return
        self.err.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning on stderr; the same one once."""
        if text in self._warned:
            return
        self._warned.add(text)
        self.err.print(f"! {text}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    def data(self, value: object) -> None:
        """Print a JSON document on stdout, if it is for a program."""
        if self.as_json:
            print_json(value)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show a spinner while work is in progress."""
        if not self.is_live:
            yield
            return
        with self.err.status(text):
            yield


def print_json(value: object) -> None:
    """Print a JSON document; paths, days and decimals become texts and numbers."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def print_error(text: str, hint: str = "", *, label: str = "error: ") -> None:
    """Print an error on stderr."""
    console = _console(sys.stderr)
    console.print(f"{label}{text}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if hint:
        console.print(hint, style="dim", markup=False, highlight=False, soft_wrap=True)


# --- figures ------------------------------------------------------------------------------------


def count(value: int | float | None) -> str:
    """Return a whole number with separators."""
    return UNKNOWN if value is None else f"{int(value):,}"


def plural(value: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def amount(
    value: float | None, currency: str | None = None, *, sign: bool = False, is_named: bool = True
) -> str:
    """Return an amount of money: cents for dollars, more digits for coins.

    The currency follows it, unless it stands elsewhere (`is_named` is False).
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    digits = 2 if currency is None or currency in _CENTS else 8
    # A loss of a tenth of a cent is not "-0.00".
    value = 0 if round(value, digits) == 0 else value
    text = f"{value:+,.{digits}f}" if sign and value else f"{value:,.{digits}f}"
    return f"{text} {currency}" if currency is not None and is_named else text


def number(value: float | None, digits: int = 2) -> str:
    """Return a plain figure such as a ratio."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def quantity(value: float | None) -> str:
    """Return a size with the digits that it has."""
    if value is None:
        return UNKNOWN
    text = f"{Decimal(str(value)):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(value: float | None) -> str:
    """Return a price, which may be an average with more digits than anybody reads."""
    return UNKNOWN if value is None else quantity(float(f"{value:.9g}"))


def percent(value: float | None, *, sign: bool = True, digits: int = 2) -> str:
    """Return a figure that is in percent already."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    value = 0.0 if round(value, digits) == 0 else value
    return f"{value:{'+' if sign and value else ''}.{digits}f}%"


def size(value: int | None) -> str:
    """Return bytes in a unit for people."""
    if value is None:
        return UNKNOWN
    if value < 1000:
        return f"{value} B"
    scaled = float(value)
    for unit in ("kB", "MB", "GB", "TB"):
        scaled /= 1000
        if scaled < 999.95 or unit == "TB":
            break
    return f"{scaled:.1f} {unit}"


def moment(ns: int | None) -> str:
    """Return nanoseconds since 1970 as a time of day in UTC."""
    if ns is None:
        return ""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def colored(text: str, value: float | None) -> "str":
    """Return the text green for a gain and red for a loss."""
    if value is None or value == 0:
        return text
    return f"[green]{text}[/]" if value > 0 else f"[red]{text}[/]"


def escaped(text: object) -> str:
    """Return a text that Rich prints as it is."""
    from rich.markup import escape

    return escape(str(text))


def display_path(path: str | Path) -> str:
    """Return a path, from the current folder if it is below it; of a copy, the address."""
    return local_path(path if "://" in str(path) else location_of(Path(path)))


def local_path(path: str | Path) -> str:
    """Return a path, from the current folder if it is below it, also inside a local copy."""
    text = str(path)
    if "://" in text:
        return text
    try:
        return str(Path(text).relative_to(Path.cwd()))
    except ValueError:
        return text


# --- tables -------------------------------------------------------------------------------------


def instrument_row(keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return the fact that names the instruments of a run or of a configuration."""
    return [("instrument" if len(keys) == 1 else "instruments", ", ".join(keys))]


def table(title: str | None, columns: Sequence[str], *, right: Iterable[str] = ()) -> "Table":
    """Return an empty table.

    Parameters
    ----------
    title : str or None
        Heading.
    columns : sequence of str
        Names of the columns.
    right : iterable of str
        Columns of numbers, set flush right.
    """
    from rich import box
    from rich.table import Table

    new = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    numeric = set(right)
    for column in columns:
        if column in numeric:
            new.add_column(column, justify="right", no_wrap=True)
        else:
            new.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    return new


def fitted(
    output: Output,
    make: Callable[[list[str]], "Table"],
    rows: Sequence[Mapping[str, str]],
    left_out: Sequence[str],
) -> "Table":
    """Return a table with as many columns as the terminal is wide enough for.

    Parameters
    ----------
    output : Output
        Where it is shown.
    make : callable
        Returns an empty table with these columns.
    rows : sequence of mapping
        Cells by column, one row at least; the first one's order counts.
    left_out : sequence of str
        Columns that a narrow terminal does not show, the least important one first; ``--json`` has
        all.
    """
    # What no row has is no column.
    columns = [name for name in rows[0] if any(row[name] for row in rows)]

    def filled(names: list[str]) -> "Table":
        rich_table = make(names)
        for row in rows:
            rich_table.add_row(*(row[name] for name in names))
        return rich_table

    fitting = filled([name for name in columns if name not in left_out])
    kept = {*columns} - {*left_out}
    for name in reversed(left_out):
        wider = filled([column for column in columns if column in kept or column == name])
        if name in columns and width_of(output, wider) <= output.out.width:
            kept.add(name)
            fitting = wider
    return fitting


def width_of(output: Output, rich_table: "Table") -> int:
    """Return how many characters a table needs so that nothing of it is folded."""
    # Unfolded: left to itself, Rich would cut figures.
    wide = output.out.options.update(max_width=_UNFOLDED)
    return output.out.measure(rich_table, options=wide).maximum


def _console(stream: Any) -> "Console":  # noqa: ANN401 - a text stream
    from rich.console import Console

    # Width of a pipe: for a person who reads it later, not the 80 columns of no terminal.
    wide = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=stream, width=wide, highlight=False, emoji=False)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    return str(value)
