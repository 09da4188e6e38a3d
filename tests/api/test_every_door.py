"""Every way to start a run ends alike: in Dagster, in the registry, in the files, for who asked."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from doors import IN_A_TERMINAL, Command, Door, Doors, Outcome, replaying_parent
from live import KEY, Live, started_in
from service import BTC, free_port, lay_out

from odum_assets.instruments.keys import parse_instrument_key
from odum_assets.orchestration.names import catalog_key
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample

pytestmark = pytest.mark.timeout(1_800)

_STRATEGIES = '''
import os
import time
from pathlib import Path

from pydantic import BaseModel

from odum_assets.backtest.strategies.base import OdumStrategy


class File(BaseModel):
    file: str


class Watches(OdumStrategy):
    """Subscribe and do nothing."""

    Params = File

    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)


class Raises(Watches):
    def on_trade(self, trade):
        raise ValueError("this strategy fails on purpose")


class Waits(Watches):
    """Wait at the first trade, the first time that it runs, until a file says go."""

    def on_start(self):
        super().on_start()
        name = Path(self.params.file)
        self.go = name.with_suffix(".go")
        started = name.with_suffix(".started")
        self.waits = not started.exists()
        if self.waits:
            name.with_suffix(".tmp").write_text(str(os.getpid()))
            name.with_suffix(".tmp").replace(started)

    def on_trade(self, trade):
        while self.waits and not self.go.exists():
            time.sleep(0.05)
'''


type Outcomes = dict[tuple[Door, "Situation"], Outcome | AssertionError]
"""What became of the run of each cell, or what was seen in place of an end."""


class Situation(StrEnum):
    """What becomes of a run."""

    FINE = "fine"
    RAW_MISSING = "raw_missing"
    RAW_DAMAGED = "raw_damaged"
    QUALITY_LOW = "quality_low"
    RAISES = "raises"
    CANCELED_QUEUED = "canceled_queued"
    CANCELED_RUNNING = "canceled_running"
    KILLED = "killed"
    WINDOW = "window"
    REEXECUTED = "reexecuted"


GOOD, MISSING, DAMAGED = "2024-01-01", "2024-01-02", "2024-01-03"
_BEFORE_MIDNIGHT, _AFTER_MIDNIGHT = "2024-01-04T22:00:00Z", "2024-01-06T02:00:00Z"
_DAYS_OF = {Situation.RAW_MISSING: MISSING, Situation.RAW_DAMAGED: DAMAGED}
_KEY = parse_instrument_key(KEY)
_CATALOG = [list(catalog_key(_KEY, kind).path) for kind in (DataType.TRADES, DataType.BOOK)]

# What cannot happen: a door without a queue, or one that starts whole days of what is there.
_IMPOSSIBLE = {
    (Door.SENSOR, Situation.RAW_MISSING): "a sensor requests days that are there",
    (Door.SENSOR, Situation.WINDOW): "a sensor requests days",
    (Door.BACKFILL, Situation.WINDOW): "a backfill runs days",
    (Door.ODUM, Situation.CANCELED_QUEUED): "a command does not wait in the queue",
    (Door.RUN_BACKTEST, Situation.CANCELED_QUEUED): "a command does not wait in the queue",
}
CELLS = [
    (door, situation)
    for situation in Situation
    for door in Door
    if (door, situation) not in _IMPOSSIBLE
]
_SUCCEEDED = ("SUCCESS", "succeeded", "fast")
_FAILED = ("FAILURE", "failed", "failed")
_CANCELED = ("CANCELED", "canceled", "failed")
EXPECTED = {
    Situation.FINE: (_SUCCEEDED, ""),
    Situation.RAW_MISSING: (_FAILED, "there is no raw trades file"),
    Situation.RAW_DAMAGED: (_FAILED, "not a parquet file"),
    Situation.QUALITY_LOW: (_FAILED, "day_covered"),
    Situation.RAISES: (_FAILED, "this strategy fails on purpose"),
    Situation.CANCELED_QUEUED: (_CANCELED, "canceled"),
    Situation.CANCELED_RUNNING: (_CANCELED, "canceled"),
    Situation.KILLED: (_FAILED, ""),
    Situation.WINDOW: (_SUCCEEDED, ""),
    Situation.REEXECUTED: (_SUCCEEDED, ""),
}
_CODES = {
    Situation.FINE: 0,
    Situation.WINDOW: 0,
    Situation.CANCELED_RUNNING: 130,
    Situation.KILLED: -signal.SIGKILL,
}


@pytest.mark.parametrize(("door", "situation"), CELLS, ids=str)
def test_a_run_ends_alike_whoever_starts_it(
    outcomes: Outcomes, door: Door, situation: Situation
) -> None:
    outcome = outcomes[door, situation]
    if isinstance(outcome, AssertionError):
        raise outcome
    expected, reason = EXPECTED[situation]
    if situation is Situation.RAW_MISSING and door in (*IN_A_TERMINAL, Door.HTTP):
        assert outcome.refused
        assert outcome.code == (409 if door is Door.HTTP else 1)
        assert MISSING in outcome.reason
        return
    assert (outcome.dagster, outcome.registry, outcome.file) == expected, outcome
    assert reason in outcome.reason
    if door in IN_A_TERMINAL and situation is not Situation.REEXECUTED:
        assert outcome.code == _CODES.get(situation, 1)


def test_nothing_half_is_left(outcomes: Outcomes, live: Live) -> None:
    assert len(outcomes) == len(CELLS)
    results = live.folder / "data/results"
    fast, failed = (
        {each.stem for each in (results / kind).glob("*.json")} for kind in ("fast", "failed")
    )
    assert fast.isdisjoint(failed)
    # What the killed ones left goes with the next run or command; a process needs a moment to end.
    live.wait("no process of a backtest", lambda: not live.workers() or None, 20)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`odum serve` in a folder with a configuration per door and situation."""
    folder = tmp_path_factory.mktemp("doors") / "project"
    lay_out(folder)
    settings = (folder / "dagster.yaml").read_text()
    for old, new in (
        ("max_retries: 1", "max_retries: 0"),
        ("poll_interval_seconds: 5", "poll_interval_seconds: 1"),
    ):
        assert old in settings
        settings = settings.replace(old, new)
    (folder / "dagster.yaml").write_text(settings)
    _write_data(folder)
    _write_configs(folder)
    live = Live(folder, free_port(), ODUM_STABLE_SECS="0", ODUM_API_LAUNCHES_PER_MINUTE="100")
    live.start()
    try:
        live.wait_for_dagster()
        yield live
        live.stop()
        assert started_in(folder) == []
    finally:
        for process, _ in started_in(folder):
            os.kill(process, signal.SIGKILL)


def _write_data(folder: Path) -> None:
    def write(first: str, days: int, hours: tuple[int, int]) -> None:
        write_sample(
            folder / "data",
            SampleSpec(
                keys=(KEY,),
                start=date.fromisoformat(first),
                days=days,
                trades_per_day=400,
                books_per_day=400,
                hours=hours,
            ),
        )

    write(GOOD, 3, (12, 13))
    write("2024-01-04", 3, (0, 24))
    raw = folder / "data/raw_tick_data/by_date"
    shutil.rmtree(raw / f"day-{MISSING}")
    shutil.rmtree(raw / "day-2024-01-05")
    for file in (raw / f"day-{DAMAGED}").rglob("*.parquet"):
        if "trades" in str(file.parent):
            file.write_bytes(file.read_bytes()[:-20])


def _write_configs(folder: Path) -> None:
    (folder / "matrixed.py").write_text(_STRATEGIES)
    template = json.loads((folder / f"configs/{BTC}.json").read_text())
    for file in (folder / "configs").iterdir():
        file.unlink()

    def write(
        name: str, strategy: str, window: tuple[str, str], *, auto: bool = False, **more: Any
    ) -> None:
        config = json.loads(json.dumps(template))
        config["data_catalog"]["auto_discover"] = auto
        config["strategy"] = {
            "name": strategy,
            "path": f"matrixed:{strategy}",
            "params": {"file": str(folder / name)},
        }
        config["time_window"] = {"start": window[0], "end": window[1]}
        (folder / f"configs/{name}.json").write_text(json.dumps(config | more))

    waits = (Situation.CANCELED_QUEUED, Situation.CANCELED_RUNNING, Situation.KILLED)
    for door, situation in CELLS:
        strategy = "Waits" if situation in waits else "Watches"
        strategy = "Raises" if situation is Situation.RAISES else strategy
        more = {"quality": {"partial_days": "refuse"}} if situation is Situation.QUALITY_LOW else {}
        if situation is not Situation.REEXECUTED:
            name, auto = _name(door, situation), door is Door.SENSOR
            write(name, strategy, _window(situation), auto=auto, **more)
    for number in range(2):
        write(f"blocker_{number}", "Waits", _window(Situation.FINE))


def _name(door: Door, situation: Situation) -> str:
    return f"{situation}_by_{door}"


def _window(situation: Situation) -> tuple[str, str]:
    if situation is Situation.WINDOW:
        return _BEFORE_MIDNIGHT, _AFTER_MIDNIGHT
    day = _DAYS_OF.get(situation, GOOD)
    return f"{day}T12:00:00Z", f"{day}T12:59:00Z"


@pytest.fixture(scope="module")
def outcomes(live: Live) -> Outcomes:
    """Start a run in every cell, most of them at the same time, and see how they end."""
    return _Matrix(live).fill()


class _Matrix:
    def __init__(self, live: Live) -> None:
        self.live = live
        self.doors = Doors(live)
        self.runs: dict[tuple[Door, Situation], str] = {}
        self.ended: Outcomes = {}

    def fill(self) -> Outcomes:
        """Start, cancel and kill runs, and return what they left behind."""
        for number in range(2):
            self.doors.launch_in_the_ui(f"blocker_{number}", _window(Situation.FINE))
        for number in range(2):
            replaying_parent(self.live, f"blocker_{number}")
        self._ask_for_all()
        self._cancel_the_queued()
        self._run_the_commands()
        for number in range(2):
            (self.live.folder / f"blocker_{number}.go").touch()
        self._stop_the_running()
        for cell, run in self.runs.items():
            if cell not in self.ended:
                self._see(cell, run)
        self._run_again()
        return self.ended

    def _ask_for_all(self) -> None:
        self.doors.turn_on("raw_days")
        for door, situation in CELLS:
            if situation is Situation.REEXECUTED or door in (*IN_A_TERMINAL, Door.SENSOR):
                continue
            try:
                self._ask(door, situation)
            except AssertionError as error:
                self.ended[door, situation] = error

    def _ask(self, door: Door, situation: Situation) -> None:
        name, window = _name(door, situation), _window(situation)
        if door is Door.UI:
            self.runs[door, situation] = self.doors.launch_in_the_ui(name, window)
        elif door is Door.BACKFILL:
            self.doors.backfill(name, window[0][:10], _CATALOG)
        else:
            self._post(situation, name, window)

    def _post(self, situation: Situation, name: str, window: tuple[str, str]) -> None:
        body = {"config": name, "start": window[0], "end": window[1], "mode": "fast"}
        reply = self.live.post("/api/v1/runs", body)
        if reply.status == 202:
            self.runs[Door.HTTP, situation] = reply.json["dagster_run_id"]
        else:
            nothing = self.doors.nothing(name, reply.status, reply.json["detail"])
            self.ended[Door.HTTP, situation] = nothing

    def _find_runs(self, door: Door) -> None:
        """Wait for the runs that a daemon starts."""
        for cell in CELLS:
            if cell[0] is door and cell[1] is not Situation.REEXECUTED:
                name = _name(*cell)
                found = self.live.wait(f"run of {name}", partial(self.doors.runs_of, name), 120)
                self.runs[cell] = found[0]["runId"]

    def _cancel_the_queued(self) -> None:
        self._find_runs(Door.SENSOR)
        self._find_runs(Door.BACKFILL)
        for door in Door:
            cell = door, Situation.CANCELED_QUEUED
            if cell in self.runs:
                self._cancel(*cell)

    def _cancel(self, door: Door, situation: Situation) -> None:
        run = self.runs[door, situation]
        if door is Door.HTTP:
            entry = self.live.wait(
                "entry", lambda: self.doors.registered_as(run, _name(door, situation))
            )
            reply = self.live.ask("DELETE", f"/api/v1/runs/{entry['run_id']}")
            assert reply.status == 202, reply.data
        else:
            self.doors.terminate(run)

    def _run_the_commands(self) -> None:
        for door, situation in CELLS:
            if door not in IN_A_TERMINAL or situation is Situation.REEXECUTED:
                continue
            name = _name(door, situation)
            command = Command(self.live, door, name, _window(situation))
            if situation is Situation.CANCELED_RUNNING:
                replaying_parent(self.live, name)
                command.process.send_signal(signal.SIGINT)
            elif situation is Situation.KILLED:
                replaying_parent(self.live, name)
                command.process.kill()
            code, output = command.end()
            runs = self.doors.runs_of(name)
            if not runs:
                self.ended[door, situation] = self.doors.nothing(name, code, output)
                continue
            self.runs[door, situation] = runs[0]["runId"]
            # The next command notices that a process has died.
            if situation is not Situation.KILLED:
                self._see((door, situation), runs[0]["runId"], code)
        for door in IN_A_TERMINAL:
            cell = door, Situation.KILLED
            again = Command(
                self.live, Door.ODUM, _name(Door.ODUM, Situation.FINE), _window(Situation.FINE)
            )
            assert again.end()[0] == 0
            self._see(cell, self.runs[cell], -signal.SIGKILL)

    def _stop_the_running(self) -> None:
        waiting = {
            cell
            for cell in self.runs
            if cell[1] in (Situation.CANCELED_RUNNING, Situation.KILLED) and cell not in self.ended
        }

        def started() -> tuple[Door, Situation] | None:
            names = {_name(*cell): cell for cell in waiting}
            return next(
                (
                    cell
                    for name, cell in names.items()
                    if (self.live.folder / f"{name}.started").is_file()
                ),
                None,
            )

        while waiting:
            cell = self.live.wait("start of a waiting run", started, 180)
            if cell[1] is Situation.KILLED:
                os.kill(replaying_parent(self.live, _name(*cell)), signal.SIGKILL)
            else:
                self._cancel(*cell)
            waiting.remove(cell)

    def _run_again(self) -> None:
        """Re-execute the fine runs from the UI, whoever had started them."""
        again = {door: self.doors.reexecute(self.runs[door, Situation.FINE]) for door in Door}
        for door, run in again.items():
            self._see((door, Situation.REEXECUTED), run, name=_name(door, Situation.FINE))

    def _see(
        self,
        cell: tuple[Door, Situation],
        run: str,
        code: int | None = None,
        name: str | None = None,
    ) -> None:
        """Keep what a run left behind, or that it did not end."""
        try:
            self.ended[cell] = self.doors.outcome(name or _name(*cell), run, code)
        except AssertionError as error:
            self.ended[cell] = error
