"""Finding a strategy class by its import path and validating its parameters."""

import hashlib
import importlib
import sys
from pathlib import Path

from pydantic import BaseModel, ValidationError

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
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise BacktestError(
            f"strategy.path {path}: module {module_name} cannot be imported from {here} "
            f"({type(error).__name__}: {error})"
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, OdumStrategy)):
        raise BacktestError(
            f"strategy.path {path}: {module_name} has no class {class_name} that derives from "
            "odum_assets.backtest.strategies.base.OdumStrategy"
        )
    return found


def strategy_params(
    strategy: type[OdumStrategy], params: dict[str, object], path: str
) -> BaseModel:
    """Validate the parameters of a strategy.

    Raises
    ------
    BacktestError
        If a parameter is missing, unknown or not allowed; all of them are named.
    """
    try:
        return strategy.Params.model_validate(params)
    except ValidationError as error:
        lines = [
            f"  strategy.params.{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False)
        ]
        raise BacktestError(f"parameters of {path} cannot be used:\n" + "\n".join(lines)) from None


def source_fingerprint(strategy: type[OdumStrategy]) -> str | None:
    """Return the SHA-256 of the file that defines the class, None when there is none."""
    file = getattr(sys.modules.get(strategy.__module__), "__file__", None)
    return None if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
