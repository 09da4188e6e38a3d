"""The strategies on bars by the names that a configuration gives them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from odum_assets.errors import BacktestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from odum_assets.bars.strategy import BarStrategy
    from odum_assets.config import BarsConfig
    from odum_assets.settings import Settings

BAR_STRATEGIES = {
    "ORB": "odum_assets.backtest.strategies.orb:OpeningRangeBreakout",
    "MA_CROSS": "odum_assets.backtest.strategies.ma_cross:MovingAverageCrossover",
    "ML_SIGNALS": "odum_assets.backtest.strategies.ml_signals:ModelSignals",
}
"""Import path of each strategy, by name."""

SWEPT = {"MA_CROSS": ("fast", "slow"), "ML_SIGNALS": ("threshold",)}
"""The strategies that a vectorized sweep runs, with the parameters that each variant has."""

SIZING = ("side", "fixed_size", "percent_size")
"""Parameters that these strategies have in common; a sweep may vary them, too."""


def bar_strategy_path(name: str) -> str:
    """Return the import path of a strategy.

    Raises
    ------
    BacktestError
        If there is none of this name; nothing else runs in its place.
    """
    path = BAR_STRATEGIES.get(name)
    if path is None:
        raise BacktestError(
            f"strategy.name: found {name}, allowed {', '.join(sorted(BAR_STRATEGIES))}"
        )
    return path


def load_bar_strategy(name: str) -> type[BarStrategy]:
    """Return the class of a strategy; errors as of `bar_strategy_path`."""
    module, _, attribute = bar_strategy_path(name).partition(":")
    strategy: type[BarStrategy] = getattr(importlib.import_module(module), attribute)
    return strategy


def check_bar_strategy(config: BarsConfig) -> None:
    """Refuse a configuration whose strategy or parameters cannot be used.

    Raises
    ------
    BacktestError
        If the strategy is not known, or a parameter of an instrument is not allowed.
    """
    name = config.strategy.name
    kind = load_bar_strategy(name)
    for item in config.instruments:
        bar_strategy_params(kind, config.strategy.params_of(item.id), name)


def strategy_inputs(config: BarsConfig, settings: Settings) -> dict[str, str]:
    """Return the SHA-256 of what the strategy of a configuration reads beside bars, by name.

    Raises
    ------
    OdumError
        If it cannot be read.
    """
    name = config.strategy.name
    kind = load_bar_strategy(name)
    inputs: dict[str, str] = {}
    for item in config.instruments:
        params = bar_strategy_params(kind, config.strategy.params_of(item.id), name)
        inputs |= kind.inputs(params, settings)
    return inputs


def bar_strategy_params(strategy: type[BarStrategy], values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401
    """Return validated parameters; one that is missing, unknown or not allowed is refused."""
    from odum_assets.backtest.strategies.params import strategy_params

    return strategy_params(strategy, values, name)
