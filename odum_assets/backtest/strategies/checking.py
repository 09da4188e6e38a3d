"""Whether strategies can be built: asked of a process of its own, which imports them.

What belongs here: the question and the answer. What does not: how a class is found (``loading``)
and its parameters are read (``params``). A service that imported strategies itself would know an
edited file by its old content, and go down with one that ends its process.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from odum_assets.backtest.order_file import order_file_problem
from odum_assets.config import BarsConfig, LoadedConfig
from odum_assets.config.exact_json import read_json, write_json

_TIMEOUT_S = 120


def config_problems(configs: Sequence[LoadedConfig]) -> list[str]:
    """Return why the strategies of configurations cannot be run, a text for each.

    Those on bars are our own and are checked here, as are files of orders.
    """
    own = {
        loaded.name: (loaded.ticks.strategy.path, loaded.ticks.strategy.params)
        for loaded in configs
        if loaded.bars is None and loaded.ticks.strategy.path is not None
    }
    asked = [(path, params) for path, params in own.values() if path is not None]
    problems = dict(zip(own, strategy_problems(asked), strict=True))
    for loaded in configs:
        if loaded.bars is not None:
            problems[loaded.name] = _bar_problem(loaded.bars)
        elif loaded.ticks.strategy.orders_file is not None:
            problems[loaded.name] = order_file_problem(loaded)
    return [problems.get(loaded.name, "") for loaded in configs]


def _bar_problem(config: BarsConfig) -> str:
    from odum_assets.backtest.bar_strategies import check_bar_strategy
    from odum_assets.errors import BacktestError

    try:
        check_bar_strategy(config)
    except BacktestError as error:
        return str(error)
    return ""


def strategy_problems(
    strategies: Sequence[tuple[str, Mapping[str, Any]]], timeout_s: float = _TIMEOUT_S
) -> list[str]:
    """Return why strategies cannot be run, a text for each; empty where one can.

    Parameters
    ----------
    strategies : sequence of (str, mapping)
        Import path ``package.module:Class`` and parameters as JSON values.
    timeout_s : float
        Seconds that the imports may take.
    """
    if not strategies:
        return []
    try:
        process = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            input=write_json(strategies).encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
        answer = read_json(process.stdout.decode())
    except subprocess.TimeoutExpired:
        why = f"importing it took longer than {timeout_s:g} s"
    except ValueError:
        lines = process.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        why = f"importing it ended the process (exit code {process.returncode}: {last})"
    else:
        return [str(text) for text in answer]
    return [f"strategy.path {path}: {why}" for path, _ in strategies]


def _problem(path: str, params: Mapping[str, Any]) -> str:
    from odum_assets.backtest.strategies.loading import load_strategy_class
    from odum_assets.backtest.strategies.params import strategy_params
    from odum_assets.errors import BacktestError

    try:
        strategy_params(load_strategy_class(path), params, path)
    except BacktestError as error:
        return str(error)
    return ""


def main() -> None:
    """Read strategies from stdin, and write their problems to stdout."""
    strategies = read_json(sys.stdin.read())
    # What a module prints is not the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    texts = [_problem(path, params) for path, params in strategies]
    os.write(answer, write_json(texts).encode())


if __name__ == "__main__":
    main()
