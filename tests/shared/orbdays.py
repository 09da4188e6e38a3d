"""Days drawn by hand for the opening-range breakout, in ticks of a cent, on the plain simulator."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from bar_simulator import BarSimulator

from odum_assets.bars.broker import BarHandler
from odum_assets.bars.orb.governance import AccountGovernance
from odum_assets.bars.orb.machine import OrbMachine
from odum_assets.bars.orb.params import OrbParams, parse_params
from odum_assets.bars.orb.study import prepare_study
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules

MINUTE = 60_000_000_000
TICK = Decimal("0.01")
EQUITY = SessionRules("rth", time(9, 30), time(16), "America/New_York")
MONDAY = date(2024, 3, 4)
TUESDAY = date(2024, 3, 5)

type Bar = tuple[int, int, int, int] | tuple[int, int, int, int, int]
"""Open, high, low, close in ticks, and maybe a volume."""

RANGE: list[Bar] = [(10_050, 10_100, 10_000, 10_050)] * 5
"""An opening range of five minutes from 100.00 to 101.00: triggers 101.10 and 99.90, stops 99.95
and 101.05, so that one R is 115 ticks."""

INSIDE: Bar = (10_050, 10_060, 10_040, 10_050)

PLAIN: dict[str, Any] = {
    "orb": {"base_minutes": 5, "adaptive": False, "enable_validity_filter": False},
    "scoring": {"enabled": False},
}
"""Parameters under which every session is traded and every breakout entered."""


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


def plain(**over: Any) -> OrbParams:
    return parse_params(merged(PLAIN, over))


def draw(
    days: Mapping[date, Iterable[Bar | None]], rules: SessionRules = EQUITY, minutes: int = 1
) -> BarSeries:
    """Draw sessions; None leaves a bar out."""
    times, rows = [], []
    for day, bars in days.items():
        bounds = rules.bounds(day)
        assert bounds is not None
        for number, bar in enumerate(bars, 1):
            if bar is not None:
                times.append(bounds[0] + number * minutes * MINUTE)
                rows.append((*bar, 1_000)[:5])
    columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return BarSeries(
        "ARCA:EQUITY:SPY", minutes * MINUTE, TICK, 0, np.array(times, dtype=np.int64), *columns
    )


def trade(
    series: BarSeries,
    params: OrbParams,
    rules: SessionRules = EQUITY,
    path: str = "conservative",
    account: AccountGovernance | None = None,
    **options: Any,
) -> OrbMachine:
    study = prepare_study(series, rules, params)
    account = account or AccountGovernance(params.governance)
    simulator = BarSimulator(series, path)
    machine = OrbMachine(study, params, simulator, account, path, **options)  # type: ignore[arg-type]
    simulator.run(lambda _: pruned(simulator, machine))
    machine.finish()
    return machine


class _Pruned:
    """A handler under which the simulator forgets legs that are done: it looks at each of them."""

    def __init__(self, simulator: BarSimulator, handler: BarHandler) -> None:
        self._legs, self._handler, self.on_fill = simulator.legs, handler, handler.on_fill

    def on_bar(self, index: int) -> None:
        self._handler.on_bar(index)
        for name in [name for name, leg in self._legs.items() if leg.state == "done"]:
            del self._legs[name]


def pruned(simulator: BarSimulator, handler: BarHandler) -> BarHandler:
    return _Pruned(simulator, handler)


def summary(machine: OrbMachine) -> list[tuple[Any, ...]]:
    """Return side, entry, exit reason and the exits of each trade."""
    return [
        (
            item.side,
            round(item.entry_price),
            item.exit_reason,
            [leg.exit.price for leg in item.legs.values() if leg.exit],
        )
        for item in machine.trades
    ]


def at(day: date, clock: str, zone: str = "America/New_York") -> int:
    hours, minutes = map(int, clock.split(":"))
    local = datetime.combine(day, time(hours, minutes), ZoneInfo(zone))
    return int(local.timestamp()) * 1_000_000_000


def shifted(series: BarSeries, bars: int) -> BarSeries:
    """Return the series as if each bar were labeled some bars later."""
    return replace(series, close_time=series.close_time + bars * series.step)


def flat(count: int, price: int = 10_050) -> list[Bar]:
    return [(price, price, price, price)] * count
