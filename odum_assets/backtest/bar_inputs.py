"""The data of a run on bars, held as they are, and its plan."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.bar_strategies import (
    bar_strategy_params,
    bar_strategy_path,
    load_bar_strategy,
)
from odum_assets.backtest.request import RunRequest, check_request
from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import OUTSIDE, SessionRules
from odum_assets.catalog import PartitionManifest, PartitionRequest, catalog_view, read_manifest
from odum_assets.catalog.bar_reader import bars_of
from odum_assets.catalog.publish import sweep_staging
from odum_assets.config import BarsConfig
from odum_assets.errors import BacktestError
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings
from odum_assets.storage.scratch import scratch_folder

_FIRST_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class BarInputs:
    """The data of a request on bars, and a folder to work in.

    Parameters
    ----------
    request : RunRequest
        The request with its effective window.
    work : Path
        Work folder.
    manifests : list[PartitionManifest]
        Partitions that are read, of all instruments.
    rules : SessionRules
        The sessions.
    bars : tuple[tuple[BarSeries, int32 array], ...]
        Of each instrument the bars inside of sessions and the date of each one's session, those
        that warm indicators up first.
    first_bars : tuple[int, ...]
        Index of the first traded bar of each instrument.
    warmup_missing : dict[str, int]
        Sessions of warm-up that an instrument lacks, by its id; only where some are missing.
    """

    request: RunRequest
    work: Path
    manifests: list[PartitionManifest]
    rules: SessionRules
    bars: tuple[tuple[BarSeries, NDArray[np.int32]], ...]
    first_bars: tuple[int, ...]
    warmup_missing: dict[str, int]

    @property
    def traded(self) -> list[BarSeries]:
        """Return the bars that are traded, of each instrument."""
        return [
            series.after(first)
            for (series, _), first in zip(self.bars, self.first_bars, strict=True)
        ]

    @property
    def rows(self) -> int:
        """Return the number of bars that are traded."""
        return sum(map(len, self.traded))

    @property
    def repeated(self) -> dict[str, int]:
        """Return rows that two partitions hold: none, a bar lies in one."""
        return {}


@contextmanager
def bar_inputs(
    request: RunRequest, settings: Settings, workspace: AbstractContextManager[Path]
) -> Iterator[BarInputs]:
    """Check a request on bars and hold its data; the folders live as long as the context.

    Parameters
    ----------
    request : RunRequest
        What is run.
    settings : Settings
        Where everything lies.
    workspace : context manager of Path
        Makes the work folder; entered once the request is checked.

    Raises
    ------
    OdumError
        If the request cannot be served, or no bars of an instrument lie in its window.
    """
    config = _bars_config(request)
    root = check_request(request, settings)
    request = request.normalized()
    calendar = BarCalendar.of(config)
    traded = request.sessions
    warmup = calendar.rules.before(traded[0], config.bars.warmup_sessions)
    data_type = DataType(config.bars.data_type)
    sweep_staging(root)
    with workspace as work, scratch_folder(root / ".views") as view:
        manifests, bars, firsts, missing = [], [], [], {}
        for key, item in zip(config.keys, config.instruments, strict=True):
            days = _days(calendar, root, key, data_type, warmup, traded)
            here = catalog_view(root, [PartitionRequest(key, data_type, days)], view)
            series, sessions, first = _select(
                bars_of(here, view), calendar.rules, warmup, traded, request
            )
            if first == len(series):
                raise BacktestError(
                    f"no bars of {item.id} lie in the window; choose a window inside the data (see "
                    "odum data list)"
                )
            lacking = len(warmup) - len(np.unique(sessions[:first]))
            if lacking:
                missing[item.id] = lacking
            manifests += here
            bars.append((series, sessions))
            firsts.append(first)
        yield BarInputs(
            request, work, manifests, calendar.rules, tuple(bars), tuple(firsts), missing
        )


def bar_plan_of(inputs: BarInputs, settings: Settings, *, chunk_rows: int | None = None) -> BarPlan:
    """Return the plan of a request over its inputs, and write what it reads into the work folder.

    Raises
    ------
    OdumError
        If the strategy cannot prepare what it reads beside bars.
    """
    request, traded = inputs.request, inputs.traded
    plan = BarPlan(
        config=_bars_config(request),
        close_positions=request.close_positions,
        days=request.sessions,
        first_bars=inputs.first_bars,
        first_close_ns=min(int(series.close_time[0]) for series in traded),
        last_close_ns=max(int(series.close_time[-1]) for series in traded),
        work=inputs.work,
        log_level=request.log_level,
        chunk_rows=chunk_rows,
    )
    for number, (series, sessions) in enumerate(inputs.bars):
        plan.write_bars(number, series, sessions)
    return plan.model_copy(update={"strategy_inputs": _prepared(plan, inputs, settings)})


def _prepared(plan: BarPlan, inputs: BarInputs, settings: Settings) -> dict[str, str]:
    name = plan.config.strategy.name
    kind = load_bar_strategy(name)
    read: dict[str, str] = {}
    for number, (item, (series, _)) in enumerate(
        zip(plan.config.instruments, inputs.bars, strict=True)
    ):
        params = bar_strategy_params(kind, plan.config.strategy.params_of(item.id), name)
        read |= kind.prepare(params, series, settings, plan.prepared(number))
    return read


def _bars_config(request: RunRequest) -> BarsConfig:
    config = request.config.required_bars
    bar_strategy_path(config.strategy.name)
    inverse = [item.id for item in config.instruments if item.key.is_inverse]
    if inverse:
        raise BacktestError(
            f"{request.config.path}: {', '.join(inverse)} is an inverse contract, which runs on "
            "bars do not know; use a linear one, or ticks"
        )
    return config


def _days(
    calendar: BarCalendar,
    root: Path,
    key: InstrumentKey,
    data_type: DataType,
    warmup: list[date],
    traded: tuple[date, ...],
) -> tuple[date, ...]:
    """Return the partitions to read: all of the traded sessions, of those before what there is."""
    needed = calendar.catalog_days(traded)
    earlier = [
        day
        for day in calendar.catalog_days(warmup)
        if day not in needed and read_manifest(root, key, data_type, day) is not None
    ]
    return tuple(sorted([*earlier, *needed]))


def _select(
    series: BarSeries,
    rules: SessionRules,
    warmup: list[date],
    traded: tuple[date, ...],
    request: RunRequest,
) -> tuple[BarSeries, NDArray[np.int32], int]:
    """Take the bars of sessions, those of warm-up first; return how many these are, too."""
    sessions = rules.assign(series.close_time)
    start, end = request.bounds()
    inside = np.isin(sessions, _ordinals(traded))
    if start is not None:
        inside &= series.close_time > start
    if end is not None:
        inside &= series.close_time <= end
    before = np.isin(sessions, _ordinals(warmup)) & (sessions != OUTSIDE)
    kept = inside | before
    return series.where(kept), sessions[kept], int(before.sum())


def _ordinals(days: tuple[date, ...] | list[date]) -> list[int]:
    return [day.toordinal() - _FIRST_DAY for day in days]
