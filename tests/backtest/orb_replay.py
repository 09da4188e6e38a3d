"""The opening-range breakout on NautilusTrader in this process, without files."""

from decimal import Decimal
from typing import Any

from bar_replay import replayed
from orbdays import EQUITY, TICK

from odum_assets.backtest.bar_market import BarFeeModel
from odum_assets.backtest.strategies.orb import OpeningRangeBreakout
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.orb.params import OrbParams
from odum_assets.bars.series import BarSeries
from odum_assets.bars.strategy import BarSetup

FEES = FeeRule("per_contract", Decimal("0.01"), 2)


def run(
    series: list[BarSeries],
    params: OrbParams,
    path: str = "conservative",
    firsts: list[int] | None = None,
    **options: Any,
) -> tuple[OpeningRangeBreakout, Any]:
    """Run the strategy on NautilusTrader; bars before the first ones are for indicators."""
    firsts = firsts or [0] * len(series)
    strategies: list[OpeningRangeBreakout] = []

    def handler(broker: Any) -> Any:
        host = broker._host
        if not strategies:
            setups = [
                BarSetup(
                    item.instrument, one, host, item, first, EQUITY.assign(item.close_time), EQUITY,
                    path, TICK, 1, FEES, params,
                )
                for item, one, first in zip(series, host.brokers, firsts, strict=True)
            ]  # fmt: skip
            strategies.append(OpeningRangeBreakout(setups))
        return strategies[0].handlers[host.brokers.index(broker)]

    replay = [
        item.between(int(item.close_time[first]) - 1, int(item.close_time[-1]))
        for item, first in zip(series, firsts, strict=True)
    ]
    host = replayed(replay, handler, path, fees=BarFeeModel(FEES, "USD"), **options)
    return strategies[0], host
