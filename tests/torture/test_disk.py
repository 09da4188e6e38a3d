"""Disks that are full, too small or read-only, and raw files that change while they are read.

The real thing each time: a tmpfs of a few hundred KiB, a limit on the size of files, a read-only
mount, a process that rewrites the raw file. Each ends in an error that says what and where, leaves
what was there, and nothing else.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ground import Ground, raw_file
from killing import ALWAYS, ODUM, Work, environment, results_tree, tree
from pieces import CONFIG, DAY

LIBC = ctypes.CDLL(None, use_errno=True)
READ_ONLY, REMOUNT, BIND = 1, 32, 4096


def _mount(source: str, target: Path, kind: str, flags: int, options: str) -> None:
    given = (each.encode() for each in (source, str(target), kind))
    if LIBC.mount(*given, flags, options.encode()):
        pytest.skip(f"this machine does not let a test mount: {os.strerror(ctypes.get_errno())}")


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a tmpfs on a folder, with what the folder holds copied into it."""
    if sys.platform != "linux":
        pytest.skip("tmpfs is Linux'")
    place.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{place.name}-aside")
    shutil.copytree(place, aside)
    _mount("tmpfs", place, "tmpfs", 0, options)
    try:
        shutil.copytree(aside, place, dirs_exist_ok=True)
        yield
    finally:
        LIBC.umount2(str(place).encode(), 2)
        shutil.rmtree(aside)


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Make a folder read-only, also for root."""
    if sys.platform != "linux":
        pytest.skip("bind mounts are Linux'")
    _mount(str(place), place, "", BIND, "")
    try:
        _mount("", place, "", BIND | REMOUNT | READ_ONLY, "")
        yield
    finally:
        LIBC.umount2(str(place).encode(), 2)


@pytest.fixture
def project(ground: Ground, tmp_path: Path) -> Path:
    """A project with its first delivery converted."""
    folder = ground.copy(tmp_path / "project")
    Work.piece(folder, "convert", "all").go().require()
    return folder


def run(project: Path, *arguments: object) -> tuple[int, str]:
    """Run a command; return its exit code and what it says."""
    ran = subprocess.run(
        [str(ODUM), *(str(each) for each in arguments)],
        cwd=project,
        env=environment(COLUMNS="500"),
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, " ".join((ran.stdout + ran.stderr).split())


def refused(said: tuple[int, str], *words: str) -> None:
    """Require exit code 1 and an error in words, without a traceback."""
    code, text = said
    assert code == 1, text
    assert "Traceback" not in text, text
    assert "bug in odum" not in text, text
    for each in words:
        assert each in text, text


CONVERT = ("convert", CONFIG, "--day", DAY)
BACKTEST = ("backtest", CONFIG, "--day", DAY)


def fill(place: Path, left: int) -> None:
    """Fill a small file system but for some bytes."""
    free = shutil.disk_usage(place).free
    (place / "filling").write_bytes(bytes(max(free - left, 0)))


@pytest.mark.parametrize("left", [0, 65_536])
def test_a_full_disk_refuses_a_conversion(ground: Ground, project: Path, left: int) -> None:
    place = project / "data/catalog"
    with mounted(place, "size=2m"):
        assert ground.wrong_in_catalog(project, "first") == set()
        ground.deliver(project, "second")
        fill(place, left)
        words = ("cannot be written", "No space left", "An earlier partition is untouched")
        refused(run(project, *CONVERT), str(place), *words)
        (place / "filling").unlink()
        assert ground.wrong_in_catalog(project, "first") == set()
        Work.piece(project, "convert", "all").go().require()
        assert ground.wrong_in_catalog(project, "second") == set()


@pytest.mark.parametrize(("mode", "left"), [("fast", 0), ("report", 5_000_000)])
def test_a_full_disk_refuses_a_result(ground: Ground, project: Path, mode: str, left: int) -> None:
    place = project / "data/results"
    with mounted(place, "size=24m"):
        fill(place, left)
        refused(run(project, *BACKTEST, f"--{mode}"), str(place), "No space left", "free space")
        (place / "filling").unlink()
        kinds = {
            kind
            for name, kind in tree(place).items()
            if name not in ALWAYS and not name.startswith("failed/")
        }
        assert kinds <= {"folder"}
        Work.piece(project, "backtest", mode).go().require()
        (found,) = results_tree(place)
        assert set(found.items()) < set(ground.results[mode].items())
        assert ground.wrong_in_catalog(project, "first") == set()


def test_a_full_disk_refuses_an_export(project: Path) -> None:
    place = project / "data/results"
    with mounted(place, "size=24m"):
        Work.piece(project, "backtest", "report").go().require()
        before = tree(place)
        fill(place, 20_000)
        for piece in ("ticks", "tearsheet"):
            work = Work.piece(project, piece).go()
            assert work.finish() == 1
            said = work.errors.splitlines()[-1]
            assert said.startswith("odum_assets.results.stored_file.ResultError: "), said
            assert str(place) in said
            assert "No space left" in said
        (place / "filling").unlink()
        assert tree(place) == before


def test_a_limit_on_file_sizes_refuses_all(ground: Ground, project: Path) -> None:
    """What is written beyond the limit is refused with EFBIG; Python ignores the signal of it."""
    before = tree(project / "data/catalog")
    ground.deliver(project, "second")
    for command, limit in ((("convert", "trades"), 100_000), (("backtest", "report"), 400_000)):
        if command[0] == "backtest":
            ground.deliver(project, "first")
        work = Work.piece(project, *command, FILE_LIMIT=str(limit)).go()
        assert work.finish() == 1
        said = work.errors.splitlines()[-1]
        assert re.match(r"odum_assets\.(errors\.DataError|.*(Result|Backtest)Error): ", said), said
        assert "File too large" in said, said
        assert str(project / "data") in said
        added = set(_added(project, before)) - ground.views
        # What a failed run printed is kept.
        assert {kind for name, kind in added if not name.endswith(".log")} <= {"folder"}


def _added(project: Path, before: dict[str, str]) -> list[tuple[str, str]]:
    now = {**tree(project / "data/catalog"), **tree(project / "data/results")}
    return [each for each in now.items() if each[0] not in ALWAYS and each not in before.items()]


@pytest.mark.parametrize("folder", ["catalog", "results"])
def test_a_read_only_folder_is_named(ground: Ground, project: Path, folder: str) -> None:
    place = project / "data" / folder
    place.mkdir(exist_ok=True)
    ground.deliver(project, "second")
    before = tree(place)
    with read_only(place):
        command = CONVERT if folder == "catalog" else (*BACKTEST, "--fast")
        refused(run(project, *command), str(place), "Read-only file system", "permission")
        assert tree(place) == before
        # Who only reads needs no more than reading.
        assert run(project, "data", "list")[0] == 0


def rewriting(path: Path, edition: Path, how: str) -> subprocess.Popen[bytes]:
    """Start a process that writes a raw file over and over, in place or by rename."""
    code = """
import os, pathlib, sys, time
path, other, how = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
contents = [path.read_bytes(), other.read_bytes()]
while True:
    for content in contents:
        if how == "in place":
            with path.open("r+b") as file:
                for start in range(0, len(content), 50_000):
                    file.write(content[start : start + 50_000])
                    file.flush()
                    time.sleep(0.002)
                file.truncate()
        else:
            part = path.with_suffix(".part")
            part.write_bytes(content)
            part.replace(path)
            time.sleep(0.03)
"""
    return subprocess.Popen([sys.executable, "-c", code, str(path), str(edition), how])


@pytest.mark.parametrize("how", ["in place", "by rename"])
def test_a_raw_file_that_changes_while_it_is_read(ground: Ground, project: Path, how: str) -> None:
    """Each conversion is of one delivery as a whole, or refused."""
    wanted = {edition: ground.catalogs[edition] for edition in ("first", "second")}
    data = {
        content
        for catalog in wanted.values()
        for name, content in catalog.items()
        if name.startswith("data/trades/") and content != "folder"
    }
    path = raw_file(project, "trades")
    other = ground.editions["second"] / "trades.parquet"
    writer = rewriting(path, other, how)
    refusals = []
    try:
        for _ in range(6):
            before = tree(project / "data/catalog")
            work = Work.piece(project, "convert", "trades", "force").go()
            code = work.finish()
            after = tree(project / "data/catalog")
            found = {
                content
                for name, content in after.items()
                if name.startswith("data/trades/") and content != "folder"
            }
            assert len(found) == 1
            assert found <= data
            if code:
                refusals.append(work.errors.splitlines()[-1])
                assert after == before
    finally:
        writer.kill()
        writer.wait()
    for said in refusals:
        assert said.startswith(f"odum_assets.errors.DataError: {path}: "), said
        assert "changed while it was read" in said, said
    ground.deliver(project, "second")
    Work.piece(project, "convert", "all").go().require()
    assert ground.wrong_in_catalog(project, "second") == set()
