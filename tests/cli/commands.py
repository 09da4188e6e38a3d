"""What the tests of commands share: where things are, and what a command came to."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[2]
BTC = "binance_futures_btcusdt_l2_trades_config"


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


type Odum = Callable[..., Ran]


def lay_out(folder: Path) -> None:
    """Make a folder that commands can run in."""
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPOSITORY / name, folder / name)


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that run in a folder, this one aside."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            if (entry / "cwd").readlink() == folder:
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
