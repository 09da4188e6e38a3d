"""The Celery application of a worker.

It is started by ``celery --app odum_assets.orchestration.workers.app worker``. It takes its broker
and everything else from the ``dagster.yaml`` that it finds as the commands do (DAGSTER_HOME, else
the current folder), so that all machines have one file. The worker loads what runs need once. The
process of a run is forked off it, writes heartbeats, and ends with the run.
"""

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import celery
import dagster as dg
from celery.signals import worker_init
from dagster_celery.tasks import create_execute_job_task
from sqlalchemy.exc import DBAPIError

from odum_assets.backtest.compiled import load_compiled
from odum_assets.errors import ConfigError
from odum_assets.orchestration.instance import instance_ref
from odum_assets.orchestration.names import POOL_BACKTEST, POOL_CONVERSION
from odum_assets.orchestration.workers.launcher import HeartbeatRunLauncher, heartbeat_key

_BEATS: Final = 6
"""Heartbeats in the time after which a silent worker counts as lost."""

_PRELOADED: Final = (
    "dagster_postgres",
    "odum_assets.backtest.worker",
    "odum_assets.catalog.convert",
    "odum_assets.results.run",
)


def _launcher() -> HeartbeatRunLauncher:
    data = instance_ref().run_launcher_data
    launcher = None if data is None else data.rehydrate()
    if not isinstance(launcher, HeartbeatRunLauncher):
        raise ConfigError(
            "dagster.yaml: run_launcher is not HeartbeatRunLauncher of "
            "odum_assets.orchestration.workers.launcher, so there is nothing for a worker to do; "
            "begin with docker/dagster-workers.yaml"
        )
    # Dagster's task and the process of a run find the instance by this variable only.
    os.environ.setdefault("DAGSTER_HOME", str(Path.cwd()))
    return launcher


class RunTask(celery.Task):  # type: ignore[misc] # Celery has no types
    """A task that writes heartbeats while it runs, and has the process of its replay ready."""

    def __call__(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the task takes
        """Carry out the run."""
        from odum_assets.backtest import worker
        from odum_assets.backtest.child import forked_ahead

        with forked_ahead(worker.main), _heartbeats(self.request.id):
            return super().__call__(*args, **options)


@contextmanager
def _heartbeats(task_id: str) -> Iterator[None]:
    """Write heartbeats until the context ends.

    A backend that cannot be reached is tried again: several beats may be missing before a run
    counts as lost.
    """
    over = threading.Event()
    interval = launcher.silent_after_seconds / _BEATS

    def beat() -> None:
        while True:
            try:
                app.backend.set(heartbeat_key(task_id), str(time.time()))
            except Exception as error:  # noqa: BLE001 - of whatever kind, the next one may succeed
                print(f"heartbeat of {task_id}: {error}", flush=True)  # noqa: T201 - the worker's log
            if over.wait(interval):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


launcher = _launcher()
app = launcher.celery
app.conf.update(
    # A run has a process of its own: NautilusTrader's logger is one for each process.
    worker_max_tasks_per_child=1,
    # What a worker has taken and not begun would be lost with it.
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
execute_job = create_execute_job_task(app, base=RunTask)  # type: ignore[arg-type] # typed wrongly


@worker_init.connect  # type: ignore[untyped-decorator]
def _preload(**_: object) -> None:
    """Load what runs need, before processes are forked off, and make what they would all make.

    Two runs that are the first ones in a pool insert its row in PostgreSQL at the same time, and
    one of them fails.
    """
    for name in _PRELOADED:
        importlib.import_module(name)
    load_compiled()
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        for pool in (POOL_CONVERSION, POOL_BACKTEST):
            with contextlib.suppress(DBAPIError):  # another worker makes it
                instance.event_log_storage.initialize_concurrency_limit_to_default(pool)
