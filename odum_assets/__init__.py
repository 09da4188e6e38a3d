"""Odum Assets: raw exchange data in, trustworthy backtest results out, as Dagster assets.

The package offers `load_result`, which is loaded when it is asked for: importing one package never
loads another.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from odum_assets.results.frames import load_result

__all__ = ["load_result"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any attribute
    if name == "load_result":
        from odum_assets.results.frames import load_result

        return load_result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
