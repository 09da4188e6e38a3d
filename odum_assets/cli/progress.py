"""What a person sees while a run goes on: its step, how far it is, and for how long already.

On a terminal these are bars; elsewhere a line every few seconds, so that a log can be watched.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from odum_assets.cli.rendering import Output, duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from odum_assets.backtest.plan import Progress as RunProgress
    from odum_assets.orchestration.progress import StepProgress


_LINE_INTERVAL_S = 5.0


class StatusLines:
    """Print where work stands every few seconds, where there is no terminal.

    Parameters
    ----------
    output : Output
        Where to; nothing is printed on a terminal, or where stdout is for a program.
    describe : callable
        Returns the line; empty for none.
    interval_secs : float
        Seconds between two lines.
    """

    def __init__(
        self,
        output: Output,
        describe: Callable[[], str],
        interval_secs: float = _LINE_INTERVAL_S,
    ) -> None:
        self._output, self._describe = output, describe
        self._interval_secs = interval_secs
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start printing."""
        if not (self._output.is_live or self._output.as_json):
            self._thread = threading.Thread(target=self._print, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop printing."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _print(self) -> None:
        while not self._ended.wait(self._interval_secs):
            if line := self._describe():
                self._output.info(line)


class Display:
    """Show how far a run is.

    Parameters
    ----------
    output : Output
        Where to show it.
    title : str
        What is being done.
    """

    def __init__(self, output: Output, title: str) -> None:
        self._progress: Progress | None = None
        self._title = title
        self._task: TaskID | None = None
        self._state: dict[str, Any] = {"description": title}
        self._started = time.monotonic()
        self._lines = StatusLines(output, self._line)
        if output.is_live:
            self._progress = _bars(output)

    def __enter__(self) -> Self:
        """Start showing."""
        self._lines.__enter__()
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the display."""
        self._lines.__exit__()
        if self._progress is not None:
            self._progress.stop()

    def step(self, name: str) -> None:
        """Show that the next step begins."""
        description = name if name == self._title else f"{self._title}  {name}"
        self._update(total=None, completed=0, description=description, detail="")

    def progress(self, progress: "StepProgress | RunProgress") -> None:
        """Show how far a step or a backtest is."""
        self._update(total=1.0, completed=progress.done, detail=progress.text)

    def files(self, done: int, total: int) -> None:
        """Show how many files are written."""
        self._update(total=total, completed=done, detail=f"{done} of {total} files")

    def _line(self) -> str:
        state, spent = self._state, duration(time.monotonic() - self._started)
        total, done = state.get("total"), state.get("completed", 0)
        # A text without a count has its share.
        share = f"{100 * done / total:.0f} %" if total else ""
        how_far = state.get("detail") or share
        return "  ".join(filter(None, [state["description"], how_far, spent]))

    def _update(self, **values: Any) -> None:  # noqa: ANN401 - Rich's fields
        self._state = {**self._state, **values}
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, **values)


def _bars(output: Output) -> "Progress":
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[detail]}", style="dim", markup=False),
        TimeElapsedColumn(),
        console=output.err,
        transient=True,
    )
