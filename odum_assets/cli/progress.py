"""What a person sees while a run goes on: its step, how far it is, and for how long already."""

from typing import TYPE_CHECKING, Any, Self

from odum_assets.cli.rendering import Output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from odum_assets.backtest.plan import Progress as RunProgress
    from odum_assets.orchestration.progress import StepProgress


class Display:
    """Show a run on the terminal; do nothing where there is none.

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
        if output.is_live:
            self._progress = _bars(output)

    def __enter__(self) -> Self:
        """Start showing."""
        if self._progress is not None:
            self._progress.start()
            self._task = self._progress.add_task(self._title, total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the display."""
        if self._progress is not None:
            self._progress.stop()

    def step(self, name: str) -> None:
        """Show that the next step begins."""
        self._update(total=None, completed=0, description=f"{self._title}  {name}", detail="")

    def progress(self, progress: "StepProgress | RunProgress") -> None:
        """Show how far a step or a backtest is."""
        self._update(total=1.0, completed=progress.done, detail=progress.text)

    def files(self, done: int, total: int) -> None:
        """Show how many files are written."""
        self._update(total=total, completed=done, detail=f"{done} of {total} files")

    def _update(self, **values: Any) -> None:  # noqa: ANN401 - Rich's fields
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
