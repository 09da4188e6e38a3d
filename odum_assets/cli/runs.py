"""One backtest from a command: convert what is missing, run the asset, find the stored result."""

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from odum_assets.cli.errors import UsageError, WorkError
from odum_assets.cli.partitions import to_convert
from odum_assets.cli.session import Key, Session, failure_text
from odum_assets.errors import ConfigError

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.config import LoadedConfig
    from odum_assets.orchestration.launch import LaunchResult
    from odum_assets.results.store import ResultEntry


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person chose for a run; the same as the run config of the assets.

    Parameters
    ----------
    mode : str
        ``fast`` or ``report``.
    snapshot_mode : str
        ``trades``, ``book``, ``both``, or ``auto``.
    close_positions : bool
        Whether positions are closed at the end.
    algorithm : str or None
        Execution algorithm, None for the configuration's.
    params : dict[str, float]
        Its parameters.
    start, end : str or None
        Window.
    export_ticks : bool
        Whether ticks are exported.
    missing_days : str or None
        Of a window: ``warn`` or ``refuse``, None for the configuration's.
    """

    mode: str = "report"
    snapshot_mode: str = "auto"
    close_positions: bool = True
    algorithm: str | None = None
    params: dict[str, float] = field(default_factory=dict)
    start: str | None = None
    end: str | None = None
    export_ticks: bool = False
    missing_days: str | None = None

    def run_config(self) -> dict[str, object]:
        """Return the run config of a result asset."""
        return {
            "mode": self.mode,
            "snapshot_mode": self.snapshot_mode,
            "close_positions": self.close_positions,
            "exec_algorithm": self.algorithm or "CONFIG",
            "exec_algorithm_params": self.params,
            **{
                name: value
                for name, value in (("start", self.start), ("end", self.end))
                if value is not None
            },
        }

    def window_config(self) -> dict[str, object]:
        """Return the run config of a window."""
        return {
            **self.run_config(),
            "export_ticks": self.export_ticks,
            "missing_days": self.missing_days or "CONFIG",
        }


def day_steps(options: RunOptions) -> tuple[str, ...]:
    """Return the assets of a configuration that a day's run makes besides catalog partitions."""
    steps = ["result"]
    if options.mode == "report":
        steps.append("report")
    if options.export_ticks:
        steps.append("ticks")
    return tuple(steps)


def run_day(
    session: Session, loaded: "LoadedConfig", day: date, options: RunOptions
) -> "ResultEntry":
    """Run one day as its partition of the result asset, in one Dagster run with its inputs.

    Raises
    ------
    UsageError
        If the options cannot be used; nothing is started then.
    WorkError
        If anything of it failed.
    """
    from odum_assets.orchestration.partition_state import sources_for

    check_day(loaded, day, options)
    sources = sources_for(session.graph.project, loaded, options.snapshot_mode)
    keys: list[Key] = [
        tuple(each.source.catalog_key.path) for each in to_convert(session, sources, day)
    ]
    result_key: Key = ("backtest", loaded.name, "result")
    keys += [("backtest", loaded.name, step) for step in day_steps(options)]
    config = {result_key: options.run_config()}
    result = session.run(str(day), keys, day.isoformat(), config)
    tell_warnings(session.output, result)
    return _stored(session, result, result_key)


def run_window(session: Session, loaded: "LoadedConfig", options: RunOptions) -> "ResultEntry":
    """Run a window as one continuous account; its job converts the days that it needs.

    Raises
    ------
    UsageError
        If the options cannot be used; nothing is started then.
    WorkError
        If the run failed.
    """
    _check_window(loaded, options)
    key: Key = ("backtest", loaded.name, "window")
    result = session.run("window", [key], None, {key: options.window_config()})
    tell_warnings(session.output, result)
    return _stored(session, result, key)


def check_day(loaded: "LoadedConfig", day: date, options: RunOptions) -> None:
    """Refuse options that no run of a day can be made of.

    Raises
    ------
    UsageError
        If a time or the execution algorithm cannot be used.
    """
    from odum_assets.orchestration.run_config import ResultConfig

    try:
        ResultConfig.model_validate(options.run_config()).day_request(loaded, day)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _check_window(loaded: "LoadedConfig", options: RunOptions) -> None:
    from odum_assets.orchestration.run_config import WindowConfig

    try:
        chosen = WindowConfig.model_validate(options.window_config())
        chosen.request(loaded, (), "window", chosen.bounds(loaded))
    except ConfigError as error:
        raise UsageError(str(error)) from None


def tell_warnings(output: "Output", result: "LaunchResult") -> None:
    """Print the checks of catalog partitions that warned; a result says its own in its flags."""
    for key, text in result.warnings:
        if key.startswith("catalog/"):
            output.warn(f"{key}: {text}")


def _stored(session: Session, result: "LaunchResult", key: Key) -> "ResultEntry":
    from odum_assets.results.store import ResultStore

    made = result.materializations.get("/".join(key))
    if made is None:
        raise WorkError(failure_text(result))
    entry = ResultStore(session.settings.results_path).entry(str(made["run_id"]))
    if not result.success:
        raise WorkError(f"{failure_text(result)}\nThe result itself is stored: {entry.run_id}")
    return entry
