"""Whether strategies can be built: asked of a process of its own, which imports them.

What belongs here: the question and the answer. What does not: how a class is found (``loading``)
and its parameters are read (``params``). A service that imported strategies itself would know an
edited file by its old content, and go down with one that ends its process.
"""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Self

from pydantic import BaseModel

from odum_assets.backtest.child import ask_waiting
from odum_assets.backtest.order_file import order_file_problem
from odum_assets.backtest.parent_watchdog import end_with_parent
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
    answer = _answer(write_json(strategies), timeout_s)
    if answer.texts is not None:
        return answer.texts
    return [f"strategy.path {path}: {answer.why}" for path, _ in strategies]


class _Answer(BaseModel):
    """What is wrong with strategies, or why a process that imported them did not say."""

    texts: list[str] | None = None
    why: str = ""

    @classmethod
    def of(cls, written: bytes, code: int, printed: bytes) -> Self:
        """Return what a process wrote, or the last line that it printed before it ended."""
        try:
            return cls(texts=json.loads(written))
        except ValueError:
            lines = printed.decode(errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
            return cls(why=f"importing it ended the process (exit code {code}: {last})")


def _answer(strategies: str, timeout_s: float) -> _Answer:
    """Ask the process that was started for a run, which has loaded much; else one of its own."""
    try:
        waiting = ask_waiting(strategies, timeout_s)
        if waiting is not None:
            return _Answer.model_validate_json(waiting)
        process = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            input=strategies.encode(),
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except (TimeoutError, subprocess.TimeoutExpired):
        return _Answer(why=f"importing it took longer than {timeout_s:g} s")
    return _Answer.of(process.stdout, process.returncode, process.stderr)


def forked_answer(strategies: str) -> str:
    """Return in one line what a process says of strategies that is forked off this one.

    NautilusTrader is loaded here already; what importing them does, it does there.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as printed:
        pid = os.fork()
        if pid == 0:
            _answer_and_end(strategies, writing, printed.fileno())
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            written = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        printed.seek(0)
        return _Answer.of(written, code, printed.read()).model_dump_json()


def _answer_and_end(strategies: str, answer: int, printed: int) -> NoReturn:
    code = 1
    try:
        end_with_parent(os.getppid())
        for descriptor in (1, 2):
            os.dup2(printed, descriptor)
        os.write(answer, _texts(strategies).encode())
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            os.write(2, end.code.encode())
    except BaseException:  # noqa: BLE001 - as at the end of any process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _texts(strategies: str) -> str:
    return write_json([_problem(path, params) for path, params in read_json(strategies)])


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
    strategies = sys.stdin.read()
    # What a module prints is not the answer.
    answer = os.dup(1)
    os.dup2(2, 1)
    os.write(answer, _texts(strategies).encode())


if __name__ == "__main__":
    main()
