"""The days of a backfill: what becomes of each, while they run and afterwards."""

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.orchestration.backfill import BackfillEvent
    from odum_assets.orchestration.launch import LaunchResult
    from odum_assets.orchestration.planner import Plan
    from odum_assets.results.store import ResultEntry

_LIVE_ROWS = 20


@dataclass(slots=True)
class DayWork:
    """What becomes of one day of one configuration.

    Parameters
    ----------
    config : str
        Name of the configuration.
    day : str
        The partition.
    plan : Plan or None
        What is run; None for a day that is refused.
    refusal : str
        Why it is refused.
    state : str
        waiting, running, done, failed, no data; finished: its result was there already.
    step : str
        What is being made.
    started, seconds : float
        Clock at the start, and how long it took.
    result : LaunchResult or None
        How it ended.
    stored : ResultEntry or None
        The result that was there already.
    """

    config: str
    day: str
    plan: "Plan | None" = None
    refusal: str = ""
    state: str = "waiting"
    step: str = ""
    started: float = 0.0
    seconds: float = 0.0
    result: "LaunchResult | None" = field(default=None, repr=False)
    stored: "ResultEntry | None" = field(default=None, repr=False)

    @property
    def figures(self) -> dict[str, Any]:
        """Return the metadata of the result, empty when there is none."""
        if self.stored is not None:
            return _stored_figures(self.stored)
        key = f"backtest/{self.config}/result"
        return {} if self.result is None else self.result.materializations.get(key, {})

    @property
    def error(self) -> str:
        """Return why it failed."""
        if self.result is None or self.state != "failed":
            return self.refusal if self.state == "failed" else ""
        return "\n".join(f"{key}: {text}" for key, text in self.result.failures) or "not finished"

    def take(self, event: "BackfillEvent") -> None:
        """Take an event of the backfill."""
        from odum_assets.cli.session import last_part

        if event.kind == "started":
            self.state, self.started = "running", time.monotonic()
        elif event.kind == "step":
            self.step = last_part(event.step)
        else:
            self.result = event.result
            self.seconds = time.monotonic() - self.started
            self.state = "done" if event.result is not None and event.result.success else "failed"


def _stored_figures(entry: "ResultEntry") -> dict[str, Any]:
    """Return of a stored result what the metadata of a run's result has."""
    summary = entry.summary()
    return {
        "run_id": entry.run_id,
        "pnl": summary["pnl"],
        "currency": summary["account"]["currency"],
        "orders": summary["orders"],
        "fills": summary["fills"],
        "max_drawdown_pct": summary["drawdown"]["max_drawdown_pct"],
        "digest": entry.digest,
        "warnings": summary["flags"] or None,
    }


class Board:
    """Show days while they run: a table on a terminal, elsewhere a line every few seconds."""

    def __init__(self, output: "Output", works: list[DayWork]) -> None:
        from odum_assets.cli.progress import StatusLines

        self._output, self._works = output, works
        self._live: Any = None
        self._lines = StatusLines(output, lambda: _status_line(works))

    def __enter__(self) -> "Board":
        """Start showing."""
        self._lines.__enter__()
        if self._output.is_live:
            from rich.live import Live

            self._live = Live(
                console=self._output.err,
                get_renderable=lambda: _board(self._works),
                refresh_per_second=4,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the table."""
        self._lines.__exit__()
        if self._live is not None:
            self._live.stop()

    def update(self, work: DayWork) -> None:
        """Show that something happened."""
        if self._live is None and work.state in ("done", "failed") and not self._output.as_json:
            self._output.info(f"{work.config} {work.day}: {work.state} in {work.seconds:.1f} s")


def _status_line(works: list[DayWork]) -> str:
    over = sum(work.state in ("done", "failed") for work in works)
    total = sum(work.plan is not None for work in works)
    running = [
        f"{work.config} {work.day} {work.step}".rstrip()
        for work in works
        if work.state == "running"
    ]
    return f"{over} of {total} days; {', '.join(running)}" if running else ""


_STYLES = {"done": "green", "failed": "bold red", "running": "cyan", "no data": "yellow"}


def _board(works: list[DayWork]) -> Any:  # noqa: ANN401 - a Rich table
    from odum_assets.cli.rendering import duration, table

    over = sum(work.state in ("done", "failed") for work in works)
    total = sum(work.plan is not None for work in works)
    rows = table(f"{over} of {total} days", ["configuration", "day", "", "step", "time"])
    active = [work for work in works if work.state in ("running", "failed")]
    others = [work for work in works if work.state in ("waiting", "done")]
    visible = works if len(works) <= _LIVE_ROWS else [*active, *others][:_LIVE_ROWS]
    for work in visible:
        running = work.state == "running"
        spent = time.monotonic() - work.started if running else work.seconds
        state = f"[{_STYLES.get(work.state, 'dim')}]{work.state}[/]"
        step = work.step if running else ""
        rows.add_row(work.config, work.day, state, step, duration(spent) if spent else "")
    return rows


def show(output: "Output", works: list[DayWork]) -> None:
    """Print what became of the days, and why some failed."""
    from odum_assets.cli.rendering import escaped, fitted, table, width_of

    for name in dict.fromkeys(work.config for work in works):
        group = [work for work in works if work.config == name]
        currency = next((work.figures["currency"] for work in group if work.figures), None)
        title = name if currency is None else f"{name} ({currency})"
        make = partial(table, title, right=("orders", "PnL", "drawdown"))
        left_out = ("orders", "drawdown", "PnL")
        layout = fitted(output, make, [_cells(work) for work in group], left_out)
        if width_of(output, layout) > output.out.width:
            # Commands take the end of an id, too.
            layout = fitted(output, make, [_cells(work, 6) for work in group], left_out)
        output.show(layout)
    for work in works:
        if work.error:
            output.err.print(
                f"[bold red]{work.config} {work.day} failed:[/] {escaped(work.error)}",
                soft_wrap=True,
            )
    without = [work for work in works if work.state == "no data"]
    if without:
        more = f" (and {len(without) - 1} more days)" if len(without) > 1 else ""
        output.info(f"{without[0].day}{more}: {without[0].refusal}")
    states = [work.state for work in works]
    parts = [
        f"{states.count(state)} {state}" for state in ("done", "finished", "failed", "no data")
    ]
    output.show(", ".join(part for part in parts if not part.startswith("0 ")))


def _cells(work: DayWork, digits: int = 0) -> dict[str, str]:
    """Return the cells of a day, of its run id only the last digits (0: all)."""
    from odum_assets.cli.rendering import amount, colored, count, percent

    state = f"[{_STYLES.get(work.state, 'dim')}]{work.state}[/]"
    names = ("id ends with" if digits else "run id", "orders", "PnL", "drawdown", "")
    figures = work.figures
    if not figures:
        return {"day": work.day, "state": state, **dict.fromkeys(names, "")}
    pnl = figures.get("pnl")
    values = (
        str(figures["run_id"])[-digits:],
        count(figures.get("orders")),
        colored(amount(pnl, sign=True), pnl),
        percent(figures.get("max_drawdown_pct"), sign=False),
        "[yellow]![/]" if figures.get("warnings") else "",
    )
    return {"day": work.day, "state": state, **dict(zip(names, values, strict=True))}


def record(work: DayWork) -> dict[str, Any]:
    """Return what became of a day for programs."""
    figures = work.figures
    names = ("run_id", "pnl", "currency", "orders", "fills", "max_drawdown_pct", "digest")
    return {
        "config": work.config,
        "partition": work.day,
        "state": work.state,
        "seconds": round(work.seconds, 3),
        **{name: figures.get(name) for name in names},
        "error": work.error or None,
        "warnings": []
        if work.result is None
        else [list(warning) for warning in work.result.warnings],
        "dagster_run_id": None if work.result is None else work.result.dagster_run_id,
    }
