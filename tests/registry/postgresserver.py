"""A PostgreSQL server of the tests' own: started on a socket in a folder, stopped at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

PROGRAMS = ("initdb", "pg_ctl")
NEEDED = "ODUM_TEST_POSTGRESQL"
"""Variable: when set, tests fail where no server can be started."""


def _do_without(reason: str) -> NoReturn:
    if os.environ.get(NEEDED):
        pytest.fail(f"{reason}, and {NEEDED} is set")
    pytest.skip(reason)


def programs() -> Path | None:
    """Return the folder of the server's programs, None where there are none."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (each for each in places if all((each / name).is_file() for name in PROGRAMS)), None
    )


def account_of_server() -> tuple[int, int] | None:
    """Return who runs the server: root may not."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    return None


@contextmanager
def server() -> Iterator[str]:
    """Start a server and yield its URL.

    Where that cannot be, the test is skipped, or fails if `NEEDED` is set.
    """
    bin_folder, account = programs(), account_of_server()
    if bin_folder is None:
        _do_without("PostgreSQL's initdb and pg_ctl are not installed")
    if account is None:
        _do_without("PostgreSQL does not run as root, and there is no other account to run it as")
    # Not below pytest's folder: a socket's path may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="odum-pg-"))
    os.chown(folder, *account)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        # Output goes to a file: the server would keep a pipe open.
        with (folder / f"{program}.log").open("w") as log:
            done = subprocess.run(
                [str(bin_folder / program), "-D", str(data), *arguments],
                user=account[0] if os.geteuid() == 0 else None,
                group=account[1] if os.geteuid() == 0 else None,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=120,
                check=False,
            )
        assert done.returncode == 0, (folder / f"{program}.log").read_text()

    try:
        run("initdb", "-U", "odum", "-A", "trust", "-E", "UTF8", "--no-sync")
        quick = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off"
        run(
            "pg_ctl",
            "-w",
            "-t",
            "110",
            "-o",
            f"-k {folder} -c listen_addresses='' {quick}",
            "start",
        )
        try:
            yield f"postgresql://odum@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
