"""Files of results are opened only as what they are, and the registry never."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from odum_assets.results.stored_file import ResultError, StoredFile

_WRITE = (
    "import sqlite3, sys\n"
    "connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
    "connection.execute('BEGIN IMMEDIATE')\n"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    (root / "report" / "run").mkdir(parents=True)
    (root / "report" / "run" / "a.json").write_text("[1]")
    return root


def test_a_file_is_read(root: Path) -> None:
    file = StoredFile(root, ("report", "run", "a.json"))
    assert file.is_there()
    assert file.read_bytes() == b"[1]"
    assert file.stat().st_size == 3
    with file.opened() as path:
        assert path.read_text() == path.read_text() == "[1]"
    assert not file.at("report", "run", "b.json").is_there()
    assert not file.at("none", "run", "b.json").is_there()
    with pytest.raises(FileNotFoundError):
        file.at("report", "run", "b.json").read_bytes()


def test_the_root_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(root)
    assert StoredFile(tmp_path / "linked", ("report", "run", "a.json")).read_bytes() == b"[1]"


@pytest.mark.parametrize("place", ["report", "report/run", "report/run/a.json"])
@pytest.mark.parametrize("inside", [True, False])
def test_no_link_is_followed(root: Path, tmp_path: Path, place: str, inside: bool) -> None:
    target = (root if inside else tmp_path) / "elsewhere"
    (root / place).rename(target)
    (root / place).symlink_to(target)
    file = StoredFile(root, ("report", "run", "a.json"))
    for attempt in (file.is_there, file.stat, file.read_bytes, file.open):
        with pytest.raises(ResultError, match="a link") as caught:
            attempt()
        assert str(root / place) in str(caught.value)
        assert ("outside the results" in str(caught.value)) == (not inside)


@pytest.mark.parametrize("parts", [(), ("..", "x"), ("report/run/a.json",), ("report", "", "a")])
def test_parts_are_names(root: Path, parts: tuple[str, ...]) -> None:
    with pytest.raises(ResultError, match="not a file of a result"):
        StoredFile(root, parts).read_bytes()


def test_only_regular_files_are_opened(root: Path) -> None:
    os.mkfifo(root / "report" / "run" / "pipe")
    for name in ("pipe", ".."):
        with pytest.raises(ResultError):
            StoredFile(root, ("report", "run", name)).read_bytes()
    with pytest.raises(ResultError, match="a folder or a device"):
        StoredFile(root, ("report", "run")).read_bytes()
    with pytest.raises(ResultError, match="a file lies where a folder belongs"):
        StoredFile(root, ("report", "run", "a.json", "x")).read_bytes()


def test_what_was_looked_at_is_what_is_read(root: Path, tmp_path: Path) -> None:
    """The name may lead elsewhere by the time a reply is sent."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    place = root / "report" / "run" / "a.json"
    with StoredFile(root, ("report", "run", "a.json")).opened() as path:
        place.unlink()
        place.symlink_to(secret)
        assert path.read_text() == "[1]"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("kind", ["beside", "elsewhere"])
def test_no_name_opens_a_database(root: Path, tmp_path: Path, kind: str, suffix: str) -> None:
    database = (root if kind == "beside" else tmp_path) / "registry.sqlite"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a)")
        (root / "report" / "run" / "in.sqlite").hardlink_to(f"{database}{suffix}")
        connection.execute("BEGIN IMMEDIATE")
        file = StoredFile(root, ("report", "run", "in.sqlite"), (database,))
        for attempt in (file.is_there, file.stat, file.read_bytes, file.open):
            with pytest.raises(ResultError, match="the same file as the registry"):
                attempt()
        # This process still holds its locks: another one cannot write.
        other = subprocess.run(
            [sys.executable, "-c", _WRITE, database], capture_output=True, text=True, check=False
        )
        assert "database is locked" in other.stderr


def test_opening_a_database_would_give_up_its_locks(root: Path) -> None:
    """What the rule is for, shown with an ordinary open."""
    database = root / "registry.sqlite"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("BEGIN IMMEDIATE")
        database.with_name("registry.sqlite-shm").read_bytes()
        other = subprocess.run(
            [sys.executable, "-c", _WRITE, database], capture_output=True, text=True, check=False
        )
        assert other.returncode == 0
