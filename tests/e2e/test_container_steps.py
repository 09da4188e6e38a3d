"""The steps of docker/Dockerfile in an empty folder, and what a container of the image would run.

There is no container engine: the instructions are read from the file and carried out with its
folders below a temporary one. The program then runs with the variables of the image and of
compose.yaml, and nothing else of this machine's environment.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(ROOT / ".tools/bin/uv")
TOKEN = "a token of this test"  # noqa: S105
CONFIG = "binance_futures_btcusdt_l2_trades_config"
DAY = "2024-01-01"
WRITABLE = ("data", ".dagster")
_FOLDERS = re.compile(r"(?<![\w/.])/(build|opt/odum|project)\b")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def instructions(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile: keyword and the rest."""
    lines = (line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        keyword, _, rest = line.strip().partition(" ")
        if keyword:
            yield keyword, rest.strip()


class Image:
    """What the instructions of a Dockerfile make, with its folders below one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        tools = root / "tools"
        tools.mkdir()
        (tools / "uv").symlink_to(UV)
        (tools / "python3.13").symlink_to(sys.executable)
        self._base = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        kept = ("HOME", "UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "XDG_CACHE_HOME")
        self._outside = {name: os.environ[name] for name in kept if name in os.environ}
        self._arguments: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.folder = root
        self.health: list[str] = []
        self.command: list[str] = []
        for keyword, rest in instructions(ROOT / "docker/Dockerfile"):
            step = getattr(self, f"_{keyword.lower()}", None)
            if step is not None:
                step(self._here(rest))

    def _here(self, text: str) -> str:
        return _FOLDERS.sub(lambda match: f"{self.root}/{match[1]}", text)

    def _filled(self, text: str) -> str:
        known = {**self._base, **self._arguments, **self.environment}
        return string.Template(text).substitute(known)

    def _from(self, _: str) -> None:
        self.environment, self.folder = dict(self._base), self.root

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self._arguments[name] = value.strip('"')

    def _env(self, rest: str) -> None:
        self.environment.update(word.split("=", 1) for word in shlex.split(self._filled(rest)))

    def _workdir(self, rest: str) -> None:
        self.folder = Path(rest)
        self.folder.mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        if rest.startswith("--from="):  # the stages share their folders here
            return
        *sources, target = rest.split()
        for source in sources:
            into = self.folder / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, into, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, into / source)

    def _run(self, rest: str) -> None:
        # uv is here, and this user stays.
        if rest.startswith(("pip install", "useradd")):
            return
        known = {**self._arguments, **self.environment, **self._outside}
        done = self._shell(rest, {**known, "UV_OFFLINE": "1"})
        if done.returncode and "uv " in rest:
            if "uv venv" in rest:
                shutil.rmtree(self.root / "opt", ignore_errors=True)
            done = self._shell(rest, known)
        if "dns error" in done.stderr or "client error (Connect)" in done.stderr:
            pytest.skip("the packages are not in uv's cache, and no package registry is reached")
        assert done.returncode == 0, f"{rest}: {done.stderr}"

    def _shell(self, line: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True,
            check=False, timeout=300,
        )  # fmt: skip

    def _healthcheck(self, rest: str) -> None:
        self.health = json.loads(rest.partition("CMD ")[2])

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)


class Container:
    """An image with the variables that it is started with."""

    def __init__(self, image: Image, **variables: str) -> None:
        self.folder = image.folder
        self.log = image.root / "log"
        self._image = image
        self._environment = {**image.environment, "HOME": str(image.folder), **variables}

    def start(self, words: list[str]) -> "subprocess.Popen[bytes]":
        """Start a program in the project's folder."""
        program = shutil.which(words[0], path=self._environment["PATH"])
        assert program is not None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                words, executable=program, cwd=self.folder, env=self._environment,
                stdout=log, stderr=log,
            )  # fmt: skip

    def is_healthy(self) -> bool:
        """Return what the health check says."""
        done = subprocess.run(
            self._image.health, cwd=self.folder, env=self._environment, capture_output=True,
            check=False, timeout=60,
            executable=shutil.which(self._image.health[0], path=self._environment["PATH"]),
        )  # fmt: skip
        return done.returncode == 0


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    if not Path(UV).is_file():
        pytest.skip("uv is not installed")
    return Image(tmp_path_factory.mktemp("image"))


def _state(folder: Path) -> dict[str, int]:
    """Return the files that are not to change, with the times of their last change."""
    return {
        str(path): path.lstat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in WRITABLE
    }


def _until(what: str, ready: Any, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := ready():
            return value
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")


def test_only_locked_packages_are_installed(image: Image) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {line.split(" ")[0] for line in lock.splitlines() if line[:1].isalpha()}
    python = image.root / "opt/odum"
    done = subprocess.run(
        [UV, "pip", "freeze", "--python", str(python)], capture_output=True, text=True, check=True
    )
    found = {line for line in done.stdout.splitlines() if not line.startswith("odum-assets")}
    assert found <= locked
    assert not {line.split("==")[0] for line in found} & {"pytest", "mypy", "ruff", "hypothesis"}


@pytest.mark.usefixtures("image")  # what it installs is in the cache
def test_another_hash_is_refused(tmp_path: Path) -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    entry = re.search(r"(?m)^typer==.*\n(?:    --hash.*\n?)+", lock)
    assert entry is not None
    other = re.sub(r"sha256:\w{6}", "sha256:000000", entry[0])
    (tmp_path / "lock").write_text(lock.replace(entry[0], other), "utf-8")
    line = f"{UV} venv --quiet --python {sys.executable} env && {UV} pip install --python env "
    line += f"--offline --no-build --constraint lock --requirement {ROOT}/pyproject.toml"
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert entry[0].split(" ")[0] in done.stderr
    assert not list(tmp_path.glob("env/lib/*/site-packages/*.dist-info"))


def test_without_a_token_it_does_not_start(image: Image) -> None:
    assert Container(image).start(image.command).wait(60) == 2


def test_the_service_runs_a_day(image: Image) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    container = Container(image, API_PORT=str(port), ODUM_API_TOKEN=TOKEN)
    assert not container.is_healthy()
    before = {folder: _state(folder) for folder in (container.folder, image.root / "opt")}
    process = container.start(image.command)
    try:
        _until("healthy", container.is_healthy)
        generated = container.start(["odum", "data", "generate", "--days", "1", "--hours", "9-10"])
        assert generated.wait(120) == 0
        _run_a_day(f"http://127.0.0.1:{port}")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
    assert code == 0, container.log.read_text("utf-8")[-5_000:]
    assert len(list(container.folder.glob("data/results/fast/*.json"))) == 1
    # The root file system may be read-only: nothing is written but in the volumes.
    assert before == {folder: _state(folder) for folder in before}


def _run_a_day(url: str) -> None:
    """Start a run and wait for its result."""
    pool = urllib3.PoolManager(retries=False, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert pool.request("GET", f"{url}/api/v1/runs").status == 401
    body = json.dumps({"config": CONFIG, "day": DAY, "mode": "fast"}).encode()

    def started() -> str | None:
        reply = pool.request("POST", f"{url}/api/v1/runs", body=body, headers=headers)
        # 503: Dagster is still starting.
        assert reply.status in (202, 503), reply.data
        return reply.headers.get("Location")

    location = _until("a run", started)

    def ended() -> Any:
        state = json.loads(pool.request("GET", f"{url}{location}", headers=headers).data)
        return state if state["status"] not in ("queued", "running") else None

    assert _until("its end", ended)["status"] == "succeeded"
