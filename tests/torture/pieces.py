"""One piece of work in a process of its own: ``python pieces.py NAME ...`` in a project's folder.

It says ``ready`` when everything is imported, waits for a line, works, and says how many steps it
took: changes of files below ``data``. With ``KILL_AT_STEP=n`` in its environment it kills itself
right before the n-th of them, so that every gap between two changes can be tried. With
``FILE_LIMIT=n`` it lets no file grow beyond n bytes.
"""

import json
import os
import resource
import signal
import sys
from datetime import date
from pathlib import Path
from typing import Any

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import convert_partition
from odum_assets.config import catalog_root, instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType
from odum_assets.results.run import run_backtest
from odum_assets.results.store import ResultStore
from odum_assets.results.tearsheet import write_tearsheet
from odum_assets.results.ticks import export_ticks
from odum_assets.settings import load_settings

CONFIG = "binance_futures_btcusdt_l2_trades_config"
DAY = date(2024, 1, 1)

_CHANGES = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "shutil.rmtree",
    "shutil.move",
    "shutil.copyfile",
}


class Steps:
    """Count what changes files below a folder, and kill the process before a chosen change."""

    def __init__(self, folder: Path, last: int | None) -> None:
        self.count = 0
        self._folder = str(folder)
        self._last = last

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event not in _CHANGES:
            return
        paths = [os.fsdecode(each) for each in arguments if isinstance(each, str | os.PathLike)]
        if not any(self._folder in path for path in paths):
            return
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def convert(data_type: str, force: str = "") -> None:
    """Convert the day, one type of data or ``all``, if need be or in any case."""
    settings, loaded = load_settings(), load_config(Path(f"configs/{CONFIG}.json"))
    for each in ("trades", "book_snapshot_5") if data_type == "all" else (data_type,):
        convert_partition(
            raw_path(loaded, each, DAY, settings),
            loaded.key,
            instrument_spec(loaded),
            DataType(each),
            DAY,
            catalog_root(loaded, settings),
            force=bool(force),
        )


def backtest(mode: Any) -> None:
    """Run the day."""
    loaded = load_config(Path(f"configs/{CONFIG}.json"))
    request = RunRequest(loaded, (DAY,), str(DAY), mode=mode)
    run_backtest(request, load_settings())


def ticks() -> None:
    """Export the ticks of the day's latest result."""
    settings, loaded = load_settings(), load_config(Path(f"configs/{CONFIG}.json"))
    entry = ResultStore(settings.results_path).current(CONFIG, str(DAY))
    assert entry is not None
    export_ticks(entry.run_id, settings, catalog_root(loaded, settings))


def tearsheet() -> None:
    """Draw the tearsheet of the day's latest result."""
    settings = load_settings()
    entry = ResultStore(settings.results_path).current(CONFIG, str(DAY))
    assert entry is not None
    write_tearsheet(entry.run_id, settings)


def publish(document: str, report: str) -> None:
    """Store a prepared result; `report` is a folder, or empty in fast mode."""
    store = ResultStore(load_settings().results_path)
    content = json.loads(Path(document).read_text(encoding="utf-8"))
    store.publish(content, Path(report) if report else None)


PIECES = {
    "convert": convert,
    "backtest": backtest,
    "ticks": ticks,
    "tearsheet": tearsheet,
    "publish": publish,
}


def main() -> None:
    """Run the piece that the command line names."""
    chosen = os.environ.get("KILL_AT_STEP")
    steps = Steps(Path.cwd() / "data", int(chosen) if chosen else None)
    if limit := os.environ.get("FILE_LIMIT"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    print("ready", flush=True)
    sys.stdin.readline()
    sys.addaudithook(steps)
    PIECES[sys.argv[1]](*sys.argv[2:])
    print(steps.count, flush=True)


if __name__ == "__main__":
    main()
