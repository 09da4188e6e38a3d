"""What is loaded ahead of a run is all that the run calls."""

import subprocess
import sys
from pathlib import Path

RUN = """
import sys
from pathlib import Path

from numba.core.dispatcher import Dispatcher
from tinydays import NOON, Market, variant

from odum_assets.backtest.compiled import load_compiled


def loaded():
    functions = {
        id(each): each
        for name, module in [*sys.modules.items()]
        if name.startswith("odum_assets.")
        for each in vars(module).values()
        if isinstance(each, Dispatcher)
    }
    return {each.py_func.__qualname__: each.signatures for each in functions.values()}


load_compiled()
before = loaded()
market = Market(Path(sys.argv[1]))
market.trades((NOON + second, "buy", "64000.2", "1") for second in range(1, 9))
bids, asks = [("64000.0", "1"), ("63999.9", "2")], [("64000.1", "1"), ("64000.2", "2")]
market.books([(NOON, bids, asks)])
done = market.run(variant(), mode="fast")
assert done.metadata["witness"]["verdict"] == "equal", done.metadata["witness"]
after = loaded()
assert len(before) > 10, before
late = {name: found for name, found in after.items() if found != before.get(name)}
assert not late, late
"""


def test_a_run_loads_no_compiled_code_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
