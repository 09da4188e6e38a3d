"""What a strategy prints and logs, kept in files of bounded size while the run goes on.

What belongs here: the stream that standard output and error become, the log of strategies, and
reading what was kept. What does not: where it goes when the run has ended (``results``).

The first and the last part of a long output are kept. Every line is in a file as soon as it is
written, so that a process that dies leaves its last words.
"""

import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from odum_assets.backtest.request import LogLevel
from odum_assets.utc import iso_ns

LOG: Final = "worker.log"
"""File in a run's work folder that holds what its process printed last."""

_PART_BYTES = 512 * 1024
_LEFT_OUT = "\n[... output in between is not kept ...]\n"

_market_time: Callable[[], int] | None = None
"""The clock of the strategy that logged last; a process replays one run."""


def keep_output(log: Path | None, level: LogLevel) -> None:
    """Keep what this process prints and logs from now on.

    Parameters
    ----------
    log : Path or None
        File that standard output and error go to already; None for a process that has a terminal.
    level : {"DEBUG", "INFO", "WARNING", "ERROR"}
        Lowest level of log messages.
    """
    if log is not None:
        sys.stdout = sys.stderr = _BoundedOutput(log)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)


def captured_output(work: Path) -> bytes:
    """Return what was kept in a run's work folder, its beginning and its end; empty without any."""
    log = work / LOG
    first, before = _first(log), _before(log)
    parts = [_bounded(path) for path in (first, before, log)]
    if _cut(log).exists():
        parts.insert(1, _LEFT_OUT.encode())
    return b"".join(parts)


class StrategyLog:
    """The log of a strategy, by the names of NautilusTrader's; messages have the market time.

    Parameters
    ----------
    name : str
        The strategy.
    clock : Clock
        Its clock.
    """

    def __init__(self, name: str, clock: Any) -> None:  # noqa: ANN401 - Nautilus' clock
        global _market_time  # noqa: PLW0603 - formatters of other loggers ask for it
        _market_time = clock.timestamp_ns
        self._logger = logging.getLogger(name)

    def trace(self, message: object, _color: object = None) -> None:
        """Log at the level DEBUG."""
        self._logger.debug("%s", message)

    debug = trace

    def info(self, message: object, _color: object = None) -> None:
        """Log at the level INFO."""
        self._logger.info("%s", message)

    def warning(self, message: object, _color: object = None) -> None:
        """Log at the level WARNING."""
        self._logger.warning("%s", message)

    def error(self, message: object, _color: object = None) -> None:
        """Log at the level ERROR."""
        self._logger.error("%s", message)

    critical = error

    def exception(self, message: object = "", _color: object = None) -> None:
        """Log at the level ERROR, with the exception that is being handled."""
        self._logger.exception("%s", message)

    def flush(self) -> None:
        """Do nothing: every message is written at once."""


class _Formatter(logging.Formatter):
    """Lines with the market time, once there is one."""

    def format(self, record: logging.LogRecord) -> str:
        text = f"[{record.levelname}] {record.name}: {super().format(record)}"
        return text if _market_time is None else f"{iso_ns(_market_time())} {text}"


class _BoundedOutput(io.TextIOBase):
    """Standard output and error of a process, in files of bounded size.

    The first file stays; of those after it the last two do. The descriptors 1 and 2 follow, so that
    what is printed by other than Python code goes the same way.

    Parameters
    ----------
    log : Path
        File that the descriptors lead to.
    """

    encoding = "utf-8"

    def __init__(self, log: Path) -> None:
        self._log = log
        self._size = log.stat().st_size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "backslashreplace")
        for start in range(0, len(data), _PART_BYTES):
            self._write(data[start : start + _PART_BYTES])
        return len(text)

    def _write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > _PART_BYTES:
            self._rotate()
        os.write(1, data)
        self._size += len(data)

    def _rotate(self) -> None:
        first, before = _first(self._log), _before(self._log)
        if not first.exists():
            self._log.rename(first)
        else:
            if before.exists():
                _cut(self._log).touch()
            self._log.rename(before)
        with self._log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        self._size = 0


def _first(log: Path) -> Path:
    return log.with_suffix(".first")


def _before(log: Path) -> Path:
    return log.with_suffix(".before")


def _cut(log: Path) -> Path:
    return log.with_suffix(".cut")


def _bounded(path: Path) -> bytes:
    """Return a file; the end of one that other than Python code made too large."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 2 * _PART_BYTES, 0))
            return file.read()
    except FileNotFoundError:
        return b""
