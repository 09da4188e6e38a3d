"""Finding a strategy class by its import path."""

import importlib
import sys
from pathlib import Path

from odum_assets.backtest.strategies.base import OdumStrategy
from odum_assets.errors import BacktestError


def load_strategy_class(path: str) -> type[OdumStrategy]:
    """Import ``package.module:Class``; modules in the current folder count.

    Parameters
    ----------
    path : str
        Import path.

    Returns
    -------
    type[OdumStrategy]
        The class.

    Raises
    ------
    BacktestError
        If it cannot be imported, or is no subclass of `OdumStrategy`.
    """
    module_name, _, class_name = path.partition(":")
    here = import_from_here()
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        name = module_name.removesuffix(".py")
        if name != module_name:
            raise BacktestError(
                f"strategy.path {path}: name the module, not its file: {name}:{class_name}"
            ) from error
        raise BacktestError(
            f"strategy.path {path}: module {module_name} cannot be imported from {here} "
            f"({type(error).__name__}: {error})"
        ) from error
    strategy_class = getattr(module, class_name, None)
    if not (isinstance(strategy_class, type) and issubclass(strategy_class, OdumStrategy)):
        raise BacktestError(
            f"strategy.path {path}: {module_name} has no class {class_name} that derives from "
            "odum_assets.backtest.strategies.base.OdumStrategy"
        )
    return strategy_class


def import_from_here() -> str:
    """Have modules in the current folder count, and return it."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    return here
