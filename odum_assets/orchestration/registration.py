"""Telling the registry about runs: a result that is stored stays good whatever the registry says.

What belongs here: which id a run has, when a step registers, what is said when it cannot, and
noticing that a run ended without a word. What does not: how rows are made (``registry``).
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

from odum_assets.errors import BacktestError, ConfigError, OdumError
from odum_assets.orchestration.canceled_runs import end_if_canceled
from odum_assets.orchestration.failures import failure_text
from odum_assets.orchestration.metadata import StepContext
from odum_assets.orchestration.names import backtest_key
from odum_assets.orchestration.run_process import process_of
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from odum_assets.backtest.plan import Progress
    from odum_assets.backtest.request import RunRequest
    from odum_assets.registry.pending import Ending, PendingRun
    from odum_assets.results.sweep import VariantRun

RUN_ID_TAG: Final = "odum/run_id"
"""Tag of a Dagster run: id that its result gets, so that whoever asked for it can find it."""

SWEEP_ID_TAG: Final = "odum/sweep_id"
"""Tag of a Dagster run: id that its sweep gets."""

CONFIG_TAG: Final = "odum/config"
"""Tag of a Dagster run: configuration that it is about; the run id is for this one's result."""

NEXT_TRY_TAG: Final = "dagster/auto_retry_run_id"
"""Tag that Dagster gives a failed run: the run that tries it again."""

_RETRY_TAG: Final = "dagster/retry_number"
_REPORT_INTERVAL_S: Final = 2.0
_GIVE_UP_AFTER: Final = 3
_RETRY_WITHIN: Final = timedelta(minutes=10)
_UNKNOWN_AFTER: Final = timedelta(hours=1)
"""Time without a sign of life after which a run that its own Dagster does not know is lost. What
another Dagster has is left to that one, however long it waits there."""


class RunCanceled(BaseException):
    """Say that a person stopped a run."""


class Registration:
    """A run's entry in the registry while it is carried out.

    Parameters
    ----------
    context : StepContext
        The step.
    settings : Settings
        Paths of results and registry.
    run_id : str
        Id that the result gets.
    """

    def __init__(self, context: StepContext, settings: Settings, run_id: str) -> None:
        self.run_id = run_id
        self.reached: tuple[float, str] | None = None
        self._context = context
        self._settings = settings
        self._is_registered = False
        self._reported_at = 0.0
        self._missed = 0

    def begin(self, request: "RunRequest") -> None:
        """Register that the run begins."""
        from odum_assets.registry.pending import register_running

        self._is_registered = self._try(
            lambda: register_running(
                self._settings,
                request,
                self.run_id,
                self._context.run.run_id,
                owner_names(self._context.instance),
            ),
            f"the registry could not record that {self.run_id} began",
        )

    def progress(self, progress: "Progress") -> None:
        """Register how far the run is, every two seconds at most.

        A registry that could not be written a few times is not tried again before the run's end:
        waiting for it would hold up the run.
        """
        self.reached = (progress.done, progress.text)
        now = time.monotonic()
        if not self._is_registered or now - self._reported_at < _REPORT_INTERVAL_S:
            return
        self._reported_at = now
        from odum_assets.registry.pending import register_progress

        try:
            register_progress(self._settings, self.run_id, *self.reached)
        except Exception as error:  # noqa: BLE001 - an index must not fail what it indexes
            # A rebuild may have it for itself; the next time it may be free.
            self._missed += 1
            if self._missed == _GIVE_UP_AFTER:
                self._is_registered = False
                self._context.log.warning(f"progress is no longer registered: {error}")
        else:
            self._missed = 0

    def fail(self, request: "RunRequest", error: BaseException) -> None:
        """Keep and register why the run failed or was stopped; what is stored stays a result."""
        from odum_assets.results.failures import store_failure
        from odum_assets.results.store import ResultStore

        if ResultStore(self._settings.results_path).fast_path(self.run_id).is_file():
            register_result(self._context, self._settings, self.run_id)
            return

        def keep() -> None:
            store_failure(
                request,
                self._settings,
                _reason(self._context, error),
                self._context.run.run_id,
                run_id=self.run_id,
                progress=self.reached,
            )

        if self._try(keep, "why this run failed could not be stored for the registry"):
            register_result(self._context, self._settings, self.run_id)

    def _try(self, write: Callable[[], None], what: str) -> bool:
        return _tried(self._context, write, what)


def _reason(context: StepContext, error: BaseException) -> BaseException:
    """Tell a run that a person stopped from one that ended with Dagster itself.

    Both are interrupted alike. The first one is canceled, the second one has failed.
    """
    if isinstance(error, Exception):
        return error
    own = context.run
    run = context.instance.get_run_by_id(own.run_id)
    is_asked = run is None or run.status is dg.DagsterRunStatus.CANCELING
    # In the process of a command it was Ctrl-C.
    if is_asked or process_of(own.run_id, own.tags) is not None:
        return RunCanceled("the run was canceled")
    return BacktestError("the run stopped because Dagster stopped")


class VariantsRegistration:
    """The entries of a sweep's variants in the registry.

    Parameters
    ----------
    context : StepContext
        The step.
    settings : Settings
        Paths of results and registry.
    """

    def __init__(self, context: StepContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        self._open: set[str] = set()

    def begin(self, runs: "Sequence[VariantRun]") -> None:
        """Register the variants as queued: whatever comes, each of them ends in the registry."""
        from odum_assets.registry.pending import register_queued_runs
        from odum_assets.results.requested import request_record

        dagster_run_id = self._context.run.run_id
        self._open = {run.run_id for run in runs}
        records = [
            request_record(run.request, run.run_id, dagster_run_id, run.sweep) for run in runs
        ]
        _tried(
            self._context,
            lambda: register_queued_runs(self._settings, records),
            "the registry could not record that the variants of the sweep began",
        )

    def end(self, run: "VariantRun", error: OdumError | None) -> None:
        """Register that a variant has a result, or keep and register why it has none."""
        from odum_assets.results.failures import store_failure

        def keep() -> None:
            store_failure(
                run.request,
                self._settings,
                error or BacktestError(""),
                self._context.run.run_id,
                run_id=run.run_id,
                sweep=run.sweep,
            )

        text = "why this variant failed could not be stored for the registry"
        if error is None or _tried(self._context, keep, text):
            register_result(self._context, self._settings, run.run_id)
        self._open.discard(run.run_id)

    def finalize(self, error: BaseException) -> None:
        """Close the variants that have not ended; those with a result are registered as such."""
        from odum_assets.registry.pending import finalize_pending
        from odum_assets.registry.types import RunStatus
        from odum_assets.results.store import ResultStore

        store = ResultStore(self._settings.results_path)
        for run_id in sorted(self._open):
            # Stored, and interrupted before it was registered.
            if store.fast_path(run_id).is_file():
                register_result(self._context, self._settings, run_id)

        reason = _reason(self._context, error)
        status: Ending = RunStatus.FAILED
        if isinstance(reason, RunCanceled):
            status = RunStatus.CANCELED

        def finalize_variants() -> None:
            finalize_pending(self._settings, self._context.run.run_id, status, str(reason))

        _tried(
            self._context, finalize_variants, "the variants of this sweep could not be finalized"
        )


@contextmanager
def variants_registration(
    context: StepContext, settings: Settings
) -> Iterator[VariantsRegistration]:
    """Register the variants of a sweep, each by its own end, also when the sweep is stopped."""
    entries = VariantsRegistration(context, settings)
    try:
        yield entries
    except BaseException as error:
        entries.finalize(error)
        raise


def register_result(context: StepContext, settings: Settings, run_id: str) -> None:
    """Register a stored run; when that fails, log an error that says what to do."""
    from odum_assets.registry.register import register_run

    _tried(
        context,
        lambda: register_run(settings, run_id),
        f"{run_id} is stored, but it could not be registered",
        "After fixing that, run: odum registry rebuild",
    )


@contextmanager
def run_registration(
    context: StepContext, request: "RunRequest", settings: Settings
) -> Iterator[Registration]:
    """Register a run as it begins, and when it fails or is stopped; the error goes on unchanged.

    The caller registers a stored result by `register_result`.

    Raises
    ------
    ConfigError
        If the run's id was made for something else.
    """
    end_if_canceled(context)
    run = Registration(context, settings, choose_run_id(context.run, request, settings))
    run.begin(request)
    try:
        yield run
    except BaseException as error:
        run.fail(request, error)
        raise


def exports_ticks(run: dg.DagsterRun, config_name: str) -> bool:
    """Return whether a Dagster run of a day exports its ticks, too: an asset of its own does."""
    return backtest_key(config_name, "ticks") in (run.asset_selection or ())


def choose_run_id(run: dg.DagsterRun, request: "RunRequest", settings: Settings) -> str:
    """Return the id that a result gets: the one that the Dagster run was given, else a new one.

    A person's re-execution copies the tags of the run before, whose id it must not take. Dagster's
    own retry of a run whose process died is the same run once more.

    Raises
    ------
    ConfigError
        If the given id is none, or was made for another content of the configuration.
    """
    from odum_assets.results.run_id import is_of_config, is_run_id, run_id_of
    from odum_assets.results.store import ResultStore

    given, loaded = run.tags.get(RUN_ID_TAG), request.config
    if given is None or run.tags.get(CONFIG_TAG, loaded.name) != loaded.name:
        return run_id_of(request, run.run_id)
    if not is_run_id(given):
        raise ConfigError(
            f"tag {RUN_ID_TAG}: found {given!r}, allowed a run id such as "
            "BNF_BTC_20230523_19230000_018dd7_c54988; leave it out for a new one"
        )
    store, is_retry = ResultStore(settings.results_path), _RETRY_TAG in run.tags
    is_taken = store.fast_path(given).exists() or (
        not is_retry and (run.parent_run_id is not None or store.failed_path(given).exists())
    )
    if is_taken:
        return run_id_of(request, run.run_id)
    if not is_of_config(given, loaded):
        raise ConfigError(
            f"{loaded.path}: the configuration changed after the run was requested (its id {given} "
            f"has another hash than the file, {loaded.content_hash[:6]}). Reload the code "
            "location and start the run again"
        )
    return given


def requested_sweep_id(run: dg.DagsterRun) -> str | None:
    """Return the id that the sweep of a run was given; a re-execution copies it and gets another.

    Raises
    ------
    ConfigError
        If it is none.
    """
    from odum_assets.results.run_id import is_sweep_id

    given = run.tags.get(SWEEP_ID_TAG)
    if given is None or run.parent_run_id is not None:
        return None
    if not is_sweep_id(given):
        raise ConfigError(f"tag {SWEEP_ID_TAG}: found {given!r}, which is no id of a sweep")
    return given


def require_alive(instance: dg.DagsterInstance, dagster_run_id: str) -> None:
    """Refuse to store the result of a run that Dagster has given up.

    Its process was frozen or cut off for so long that it counted as dead; another run does its
    work, or has done it.

    Raises
    ------
    BacktestError
        If Dagster has ended the run.
    """
    run = instance.get_run_by_id(dagster_run_id)
    if run is not None and run.is_finished:
        raise BacktestError(
            f"Dagster ended this run meanwhile ({run.status.value}), because its process gave no "
            "sign of life; its result was not stored"
        )


def reconcile_pending(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """Close the runs of the registry that Dagster has ended, and return their ids.

    A run that ends by itself says so in its step. This is for the others: canceled while queued,
    held up by a failed conversion, killed. One that Dagster tries again waits for that try.

    Several instances may share a registry. A run that this one has is marked as its own, and only
    such a run is closed when it is gone from here.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where the runs are.
    settings : Settings
        Paths of results and registry.

    Raises
    ------
    RegistryError, ResultError
        If the registry or a record cannot be read or written; the other runs are closed.
    """
    from odum_assets.registry.pending import claim, finalize_run, pending_runs, requeue
    from odum_assets.results.store import ResultError

    owner = owner_names(instance)
    pending = [_attached(instance, settings, run) for run in pending_runs(settings)]
    ids = sorted({run.dagster_run_id for run in pending if run.dagster_run_id is not None})
    records = instance.get_run_records(dg.RunsFilter(run_ids=ids)) if ids else []
    known = {record.dagster_run.run_id: record for record in records}
    closed, problems = [], []
    for run in pending:
        record = known.get(run.dagster_run_id or "")
        if record is not None and run.owner != owner:
            claim(settings, run, owner)
        following = None if record is None else _next_try(instance, run, record.dagster_run)
        if following is not None:
            requeue(settings, run, following)
            continue
        verdict = _verdict(instance, run, record)
        try:
            if verdict is not None and finalize_run(settings, run, *verdict):
                closed.append(run.run_id)
        except ResultError as error:
            # A damaged file of one run must not keep the others open.
            problems.append(error)
    if problems:
        raise problems[0]
    return closed


def owner_names(instance: dg.DagsterInstance) -> tuple[str, ...]:
    """Return the names of an instance: the id of its storage of runs, and where it is.

    The id stays when a container gets another name, the place when the storage is cleared away.
    """
    storage_id = getattr(instance.run_storage, "get_run_storage_id", None)
    names = [] if storage_id is None else [str(storage_id())]
    if not instance.is_ephemeral:
        names.append(f"{socket.gethostname()}:{instance.root_directory}")
    return tuple(names)


def _attached(
    instance: dg.DagsterInstance, settings: Settings, pending: "PendingRun"
) -> "PendingRun":
    """Find the Dagster run of a run whose asker died before it could say which one it is."""
    from odum_assets.registry.pending import attach_dagster_run

    if pending.dagster_run_id is not None:
        return pending
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_ID_TAG: pending.run_id}), limit=1)
    if not runs:
        return pending
    attach_dagster_run(settings, pending.run_id, runs[0].run_id)
    return replace(pending, dagster_run_id=runs[0].run_id)


def _next_try(
    instance: dg.DagsterInstance, pending: "PendingRun", run: dg.DagsterRun
) -> str | None:
    """Return the Dagster run that tries a failed one again under the same run id."""
    following = run.tags.get(NEXT_TRY_TAG)
    if run.status is not dg.DagsterRunStatus.FAILURE or following is None:
        return None
    retry = instance.get_run_by_id(following)
    if retry is None or retry.tags.get(RUN_ID_TAG) != pending.run_id:
        return None
    return following


def _verdict(
    instance: dg.DagsterInstance, pending: "PendingRun", record: dg.RunRecord | None
) -> "tuple[Ending, str] | None":
    """Return how an active run has ended, None while it has not."""
    from odum_assets.registry.types import RunStatus

    now = datetime.now(UTC)
    if record is None:
        name = pending.dagster_run_id
        # Runs tell every few seconds how far they are.
        is_silent = now - pending.seen_at >= _UNKNOWN_AFTER
        is_own = not {*pending.owner}.isdisjoint(owner_names(instance))
        if not is_silent or (name is not None and not is_own):
            return None
        text = "it was never started" if name is None else f"Dagster has no run {name}"
        return RunStatus.FAILED, text
    run = record.dagster_run
    if not run.is_finished:
        return None
    if run.is_complete_and_waiting_to_retry and (
        record.end_time is None or now.timestamp() - record.end_time < _RETRY_WITHIN.total_seconds()
    ):
        return None
    ending = ending_of(instance, run)
    return ending or (RunStatus.FAILED, "the run ended without this result")


def ending_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> "tuple[Ending, str] | None":
    """Return how a run failed or was canceled, and why; None if it did not."""
    from odum_assets.registry.types import RunStatus

    if run.status is dg.DagsterRunStatus.CANCELED:
        return RunStatus.CANCELED, "the run was canceled"
    if run.status is dg.DagsterRunStatus.FAILURE:
        return RunStatus.FAILED, failure_text(instance, run)
    return None


def _tried(context: StepContext, write: Callable[[], None], what: str, advice: str = "") -> bool:
    """Return whether writing went well; log an error when not."""
    try:
        write()
    except Exception as error:  # noqa: BLE001 - an index must not fail what it indexes
        context.log.error("\n".join(filter(None, [f"{what}: {error}", advice])))
        return False
    return True
