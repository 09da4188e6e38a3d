"""A project without a clone: the wheel in an empty environment, `odum init`, and what pages print.

The commands of the README run in it in order, and print what the pages show.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import printed_output
import pytest
import urllib3

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
EXAMPLE = "momentum_btcusdt"
WIDTH = "100"
UPDATES = os.environ.get("ODUM_UPDATE_PAGES") == "1"
_RUN_ID = re.compile(r"\b[A-Z]+_[A-Z]+_\d{8}_\d{8}_[0-9a-f]{6}_[0-9a-f]{6}\b")
_ENDLESS = {"odum dev", "odum serve"}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200)]


class Project:
    """A folder in which the commands of the wheel run."""

    def __init__(self, programs: Path, folder: Path) -> None:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ODUM_", "DAGSTER_", "PYTHON", "UNIFIED_", "VIRTUAL_"))
        }
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**kept, "PATH": path, "COLUMNS": WIDTH}
        self.folder = folder
        self.printed: dict[str, str] = {}
        self._newest = ""

    def run(self, line: str) -> str:
        """Run a command as a shell does; what it prints is kept."""
        done = subprocess.run(
            shlex.split(line.replace("RUN_ID", self._newest)), cwd=self.folder,
            env=self.environment, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        # The sample has gaps of many minutes, which a check of the catalog finds.
        expected = 1 if line.startswith("odum data check") else 0
        assert done.returncode == expected, f"{line}: {done.stderr}"
        found = _RUN_ID.findall(done.stdout)
        self._newest = found[0] if found else self._newest
        self.printed[line] = done.stdout
        return done.stdout

    def output_of(self, line: str) -> str:
        """Return what a command has printed, or prints now."""
        return self.printed[line] if line in self.printed else self.run(line)


def _uv(*words: str) -> None:
    """Run uv from its cache, else from the package registry."""
    for more in (["--offline"], []):
        done = subprocess.run(
            [UV, *words, "--quiet", *more], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    if "dns error" in done.stderr or "connect" in done.stderr:
        pytest.skip("the packages are not in uv's cache, and no package registry is reached")
    pytest.fail(done.stderr)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel with its compiler, nothing else."""
    if not Path(UV).is_file():
        pytest.skip("uv is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    _uv("build", "--wheel", "--python", sys.executable, "--out-dir", str(folder))
    (wheel,) = folder.glob("*.whl")
    locked = re.sub(r" \\\n +--hash=\S+", "", (ROOT / "requirements.lock").read_text("utf-8"))
    constraints = folder / "constraints.txt"
    constraints.write_text(locked, encoding="utf-8")
    environment = folder / "environment"
    _uv("venv", "--python", sys.executable, str(environment))
    python = str(environment / "bin/python")
    _uv("pip", "install", "--python", python, "--constraint", str(constraints), f"{wheel}[vector]")
    return environment / "bin"


@pytest.fixture(scope="module")
def project(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A new project in which every command of the README has run."""
    folder = tmp_path_factory.mktemp("somewhere")
    Project(programs, folder).run("odum init my_project --json")
    made = Project(programs, folder / "my_project")
    for line in _readme_lines():
        made.run(line)
    return made


def _readme_lines() -> Iterator[str]:
    """Yield the commands of the README as they are in a project without a clone."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if not words or words[0] in ("pip", "cd", "git", "source"):
                continue
            plain = shlex.join(["odum", *words[1:]] if words[0] == "make" else words)
            if plain not in _ENDLESS and not plain.startswith("odum init my_project"):
                yield plain


def test_the_project_is_that_of_the_repository(project: Project) -> None:
    folder = project.folder
    for path in (ROOT / "configs").glob("*.json"):
        assert (folder / "configs" / path.name).read_bytes() == path.read_bytes()
    for name in ("dagster.yaml", "workspace.yaml"):
        assert (folder / name).read_bytes() == (ROOT / name).read_bytes()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (folder / "momentum.py").read_text(encoding="utf-8") in readme
    config = json.loads((folder / f"configs/{EXAMPLE}.json").read_text(encoding="utf-8"))
    assert config["strategy"]["path"] == "momentum:Momentum"
    again = json.loads(project.run("odum init . --json"))
    assert again["written"] == []
    assert set(again["kept"]) >= {"README.md", "momentum.py", f"configs/{EXAMPLE}.json"}


def test_the_demo_ran(project: Project) -> None:
    assert "odum demo" in project.printed
    stored = list((project.folder / "data/results/fast").iterdir())
    assert len(stored) >= 11
    assert len(list((project.folder / "data/results/vsweeps").glob("*.parquet"))) == 1
    assert not (project.folder / "data/results/failed").exists()


@pytest.mark.parametrize("page", printed_output.pages(), ids=lambda path: path.name)
def test_pages_show_what_commands_print(project: Project, page: Path) -> None:
    new = printed_output.with_output(page, project.output_of)
    if UPDATES:
        page.write_text(new, encoding="utf-8")
    now = page.read_text(encoding="utf-8")
    # `ODUM_UPDATE_PAGES=1 pytest tests/e2e/test_new_project.py` writes them.
    assert printed_output.normalized(now) == printed_output.normalized(new)


def test_the_ui_runs_there_and_takes_up_a_configuration_that_is_mended(project: Project) -> None:
    whole = (project.folder / f"configs/{EXAMPLE}.json").read_text(encoding="utf-8")
    mended = project.folder / "configs/mended.json"
    mended.write_text(whole[: len(whole) // 2], encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["odum", "dev", "--port", str(port)], cwd=project.folder, env=project.environment,
        executable=shutil.which("odum", path=project.environment["PATH"]),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/dagster/graphql"
        groups = _groups(process, url, EXAMPLE)
        assert "mended" not in groups
        mended.write_text(whole, encoding="utf-8")
        assert _groups(process, url, "mended") >= groups
    finally:
        mended.unlink()
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
    assert code == 0


def _groups(process: "subprocess.Popen[bytes]", url: str, name: str) -> set[str]:
    """Return the groups of assets that the UI has, once `name` is among them."""
    pool = urllib3.PoolManager(retries=False, timeout=10)
    query = json.dumps({"query": "{ assetNodes { groupName } }"}).encode()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "odum dev ended"
        try:
            headers = {"Content-Type": "application/json"}
            content: Any = json.loads(pool.request("POST", url, body=query, headers=headers).data)
            nodes = (content.get("data") or {}).get("assetNodes") or ()
            groups = {node["groupName"] for node in nodes}
            if name in groups:
                return groups
        except (urllib3.exceptions.HTTPError, ValueError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"the UI has no assets of {name}")
