"""Starting real processes, killing them at chosen moments, and looking at what they leave."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from commands import VARIABLES, processes_in

HERE = Path(__file__).parent
ODUM = Path(sys.executable).parent / "odum"
PIECES = [sys.executable, str(HERE / "pieces.py")]
PATIENCE_S = 60
ORPHANS_END_WITHIN_S = 5.0

ALWAYS = (".staging/.lock", ".staging/.publish")
"""Lock files of the results, which stay."""

type Target = Literal["group", "parent", "child"]
type Tree = dict[str, str]


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a process that reads nothing but its project's folder."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "PYTHONWARNINGS": "ignore", **more}


class Work:
    """A process in a project's folder, in a group of its own.

    A piece is ready, with everything imported, and waits for `go`; a command has started.
    """

    def __init__(self, folder: Path, command: Sequence[object], **more: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [str(each) for each in command],
            cwd=folder,
            env=environment(**more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started = time.monotonic()
        self.output = self.errors = ""

    @classmethod
    def piece(cls, folder: Path, *arguments: str, **more: str) -> "Work":
        """Start a piece of `pieces.py` and return when it is ready."""
        work = cls(folder, [*PIECES, *arguments], **more)
        assert work.process.stdout is not None
        assert work.process.stdout.readline() == "ready\n", work.finish()
        return work

    def go(self) -> "Work":
        """Let a piece begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.started = time.monotonic()
        return self

    def finish(self) -> int:
        """Wait for the end and return the exit code."""
        self.output, self.errors = self.process.communicate(timeout=PATIENCE_S)
        self.took = time.monotonic() - self.started
        return self.process.returncode

    def require(self) -> "Work":
        """Wait for the end, which must be a good one."""
        assert self.finish() == 0, self.output + self.errors
        return self

    def kill_after(self, seconds: float, target: Target) -> bool:
        """Kill at a moment after the start; return whether something died of it."""
        rest = self.started + seconds - time.monotonic()
        try:
            self.process.wait(max(rest, 0))
            return self._late()
        except subprocess.TimeoutExpired:
            pass
        if target == "child":
            children = backtest_children(self.process.pid)
            if not children:
                target = "parent"
            for child in children:
                _kill(child)
        if target == "parent":
            _kill(self.process.pid)
        if target == "group":
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        code = self.finish()
        return code == -signal.SIGKILL or (target == "child" and code != 0)

    def _late(self) -> bool:
        self.finish()
        return False


def backtest_children(parent: int) -> list[int]:
    """Return the process ids of backtests that a process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit():
                continue
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and "backtest.worker" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until_alone(folder: Path, seconds: float = ORPHANS_END_WITHIN_S) -> float:
    """Wait until no process runs in a folder; return how long that took.

    A killed parent takes what it started with it: nobody would use the answer.
    """
    started = time.monotonic()
    while left := [each for each in processes_in(folder) if "watcher.py" not in each]:
        assert time.monotonic() < started + seconds, f"still running: {left}"
        time.sleep(0.01)
    return time.monotonic() - started


class Dice:
    """Random moments of a seed that is printed, so that a round can be played again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)  # noqa: S311 - not a secret
        self.kills = self.late = 0
        self._durations: dict[str, float] = {}

    def moment(self, duration: float) -> float:
        """Return a moment: half of them anywhere, half in the last third, where files change."""
        if self.random.random() < 0.5:
            return self.random.uniform(0, duration)
        return self.random.uniform(0.67, 1.02) * duration

    def target(self) -> Target:
        """Return whom to kill."""
        return self.random.choice(("group", "group", "parent", "child"))

    def kill(self, work: Work, name: str, guess: float, target: Target) -> None:
        """Kill a process at a moment of the time that its kind takes, as far as that is known."""
        duration = self._durations.get(name, guess)
        killed = work.kill_after(self.moment(duration), target)
        self.count(killed)
        # A machine is not equally fast all the time; a killed process does not tell.
        self._durations[name] = 1.02 * duration if killed else (duration + work.took) / 2

    def count(self, killed: bool) -> None:
        """Count a kill, or a process that had ended before."""
        self.kills += killed
        self.late += not killed


class Seen(NamedTuple):
    """What a watcher said: how often it looked, and what it must never have seen."""

    looks: dict[str, int]
    wrong: list[str]


@contextmanager
def watched(folder: Path, expected: dict[str, Any]) -> Iterator[Callable[[], Seen]]:
    """Run a reader beside the work; what is yielded ends it and returns what it saw."""
    place = folder.parent / "watcher"
    place.mkdir(exist_ok=True)
    (place / "expected.json").write_text(json.dumps(expected))
    with (place / "said.txt").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "watcher.py"), str(place / "expected.json")],
            cwd=folder,
            # Not in the project's tree: what is left there is looked at.
            env=environment(WATCHER_FOLDER=str(place), WATCHER="1"),
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
        )

        def end() -> Seen:
            process.communicate(timeout=PATIENCE_S)
            said.seek(0)
            lines = [line for line in said.read().splitlines() if line != "ready"]
            looks = [line for line in lines if line.startswith("looks: ")]
            wrong = [line for line in lines if not line.startswith("looks: ")]
            assert looks, wrong[-20:]
            return Seen(json.loads(looks[0].removeprefix("looks: ")), wrong)

        try:
            yield end
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def tree(folder: Path) -> Tree:
    """Return everything below a folder: sha256 by path for files, ``folder`` for folders.

    Manifests name the raw file: the path of the project, two folders up, does not count.
    """
    project = str(folder.parents[1]).encode()
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes().replace(project, b"PROJECT")).hexdigest()
            if path.is_file()
            else "folder"
        )
        for path in sorted(folder.rglob("*"))
    }


def results_tree(results: Path) -> list[Tree]:
    """Return what each result consists of, without what differs from run to run by its nature.

    Not compared: run ids (the random part of names), the project's folder, the time of the run, and
    the seconds and MiB that it took. Compared: every byte of every table, document, export and
    drawing, and every other value of summary and metadata. What belongs to no result counts as one
    without a name.
    """
    ids = sorted(path.stem for path in results.glob("fast/*.json"))
    of_run: dict[str, Tree] = {run_id: {} for run_id in ids}
    rest: Tree = {}
    for name, content in tree(results).items():
        if name in ALWAYS or (content == "folder" and "/" not in name):
            continue
        owner = next((run_id for run_id in ids if run_id in name), None)
        if owner is None:
            if not name.startswith("partitions/"):
                rest[name] = content
            continue
        path = results / name
        if path.suffix in (".json", ".html"):
            text = _plain(path, owner).replace(str(results.parents[1]), "PROJECT")
            of_run[owner][name.replace(owner, "RUN")] = hashlib.sha256(text.encode()).hexdigest()
        else:
            of_run[owner][name.replace(owner, "RUN")] = content
    return [*([rest] if rest else []), *of_run.values()]


def _kill(process_id: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)


def _plain(path: Path, run_id: str) -> str:
    text = path.read_text(encoding="utf-8").replace(run_id, "RUN")
    if path.name not in ("summary.json", "metadata.json") and path.parent.name != "fast":
        return text
    document = json.loads(text)
    for part in (document, document.get("metadata", {})):
        for name in ("created", "execution_time", "resources"):
            part.pop(name, None)
    return json.dumps(document)
