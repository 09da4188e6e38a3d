"""Noting what callbacks raise: NautilusTrader logs an exception in a callback and goes on.

A strategy that breaks at its first trade would otherwise end as a run without orders, well and
wrong. What belongs here: wrapping the callbacks of strategies, execution algorithms and actors, and
the ones they give to their clocks, and giving them a log that is kept. What does not: recording
orders (``recorder``).
"""

import functools
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from odum_assets.backtest.output import StrategyLog
from odum_assets.errors import BacktestError

_NO_TERMINAL = (
    "A debugger needs the terminal: run it with odum backtest ... --foreground (q in the debugger "
    "ends the run like this, too)."
)


class Failures:
    """The first exception that a callback of a run raised."""

    def __init__(self) -> None:
        self._first: str | None = None

    def note(self, owner: str, callback: str, error: BaseException) -> None:
        """Remember an exception, if it is the first."""
        if self._first is not None:
            return
        # The first frame is the wrapper's own.
        frames = traceback.extract_tb(error.__traceback__)[1:]
        places = [f"  {frame.filename}, line {frame.lineno}, in {frame.name}" for frame in frames]
        what = f"{owner} raised {type(error).__name__} in {callback}: {error}"
        hint = [_NO_TERMINAL] if type(error).__name__ == "BdbQuit" else []
        self._first = "\n".join([what, *places, *hint])

    def __bool__(self) -> bool:
        return self._first is not None

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Raise at the end of the context what was noted in it.

        Raises
        ------
        BacktestError
            If a callback raised; it names the exception and where it came from.
        """
        try:
            yield
        except Exception as error:
            if self._first is not None:
                raise BacktestError(self._first) from error
            raise
        if self._first is not None:
            raise BacktestError(self._first)


def guarded[T: type](kind: T, failures: Failures) -> T:
    """Return a subclass whose callbacks are noted in `failures` when they raise.

    Parameters
    ----------
    kind : type
        A strategy, execution algorithm or actor.
    failures : Failures
        Where exceptions are noted before Nautilus sees them.
    """

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any) -> Any:  # noqa: ANN401 - Nautilus passes events by position
            try:
                return function(*args)
            except BaseException as error:
                callback = getattr(function, "__name__", "a callback")
                failures.note(kind.__name__, callback, error)
                raise

        return call

    callbacks: dict[str, Any] = {
        name: wrap(getattr(kind, name))
        for name in dir(kind)
        if (name.startswith("on_") or name == "__init__")
        and inspect.isfunction(getattr(kind, name))
    }
    clock = property(lambda self: WrappedClock(super(subclass, self).clock, wrap))
    log = property(lambda self: StrategyLog(kind.__name__, super(subclass, self).clock))
    subclass: Any = type(kind.__name__, (kind,), {**callbacks, "clock": clock, "log": log})
    subclass.__module__, subclass.__qualname__ = kind.__module__, kind.__qualname__
    return subclass  # type: ignore[no-any-return]


class WrappedClock:
    """A clock whose timers call wrapped callbacks.

    Parameters
    ----------
    clock : Clock
        NautilusTrader's, or another wrapped one.
    wrap : Callable
        Returns what is called in place of a callback.
    """

    def __init__(self, clock: Any, wrap: Callable[..., Any]) -> None:  # noqa: ANN401
        self._clock = clock
        self._wrap = wrap

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        attribute = getattr(self._clock, name)
        if not name.startswith(("set_", "register_")):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            return attribute(
                *(self._wrap(arg) if callable(arg) else arg for arg in args),
                **{
                    key: self._wrap(value) if callable(value) else value
                    for key, value in kwargs.items()
                },
            )

        return call
