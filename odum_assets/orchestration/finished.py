"""Whether a run would only repeat a result that is there already.

It would where the partition's latest result has the same configuration, options, strategy code,
catalog partitions and versions of program and figures, all of which decide what a run comes to, and
where none of its inputs is due for conversion.
"""

from typing import TYPE_CHECKING, Any

from odum_assets.errors import OdumError
from odum_assets.orchestration.partition_state import State, describe_partition
from odum_assets.orchestration.project import Project

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest
    from odum_assets.results.store import ResultEntry

type Digests = dict[tuple[str, str, str], str]
"""Digest of each catalog partition by instrument, data type and day."""

_REPORT = ("equity.parquet", "tearsheet.html")
_SETTLED = (State.CURRENT, State.KEPT)
_UNDECIDING = {
    "run_id",
    "mode",
    "config_path",
    "config",
    "config_notes",
    "overrides",
    "dagster_run_id",
    "window",
    "refuse_missing_days",
    "log_level",
    "export_ticks",
}
"""What of the record of a request does not decide its result, or is compared by itself;
`config_hash` stands for `config` and `overrides`."""


def finished_result(
    project: Project, request: "RunRequest", *, ticks: bool = False
) -> "ResultEntry | None":
    """Return the result that a request of a day would repeat, None where there is none.

    Parameters
    ----------
    project : Project
        Configurations, and where results lie.
    request : RunRequest
        The run.
    ticks : bool, default False
        Whether the ticks of the result must be exported, too.
    """
    from odum_assets.results.store import ResultStore

    try:
        store = ResultStore(project.settings.results_path)
        entry = store.current(request.config.name, request.partition)
        if entry is None or not _has_files(entry, request):
            return None
        if ticks and not store.ticks_path(entry.run_id).is_file():
            return None
        is_same = (
            _is_same_request(entry.metadata(), request)
            and _catalog(entry.metadata(), str(request.config.key))
            == _catalog_now(project, request)
            and entry.metadata().get("strategy_modules") == _strategy_now(request)
            and entry.metadata().get("strategy_inputs", {}) == _inputs_now(project, request)
        )
        return entry if is_same else None
    except (OdumError, LookupError, TypeError):
        # What cannot be read, or is of an earlier version, is run again.
        return None


def _has_files(entry: "ResultEntry", request: "RunRequest") -> bool:
    """Return whether a result has what its mode promises."""
    return request.mode == "fast" or (
        entry.report_path is not None
        and all(entry.report_file(name).is_there() for name in _REPORT)
    )


def _is_same_request(metadata: dict[str, Any], request: "RunRequest") -> bool:
    """Return whether a result was asked for with the same options, of the same program."""
    from importlib.metadata import version

    from odum_assets.results.requested import request_record

    asked = request_record(request, metadata["run_id"])["metadata"]
    window, versions = metadata["window"], metadata["versions"]
    effective = request.normalized()
    bounds = (effective.start_ns, effective.end_ns)
    return (
        all(metadata.get(name) == asked[name] for name in asked.keys() - _UNDECIDING)
        and [window["start_ns"], window["end_ns"]]
        == [None if bound is None else str(bound) for bound in bounds]
        and versions["odum_assets"] == version("odum-assets")
        and versions["nautilus_trader"] == version("nautilus_trader")
    )


def _catalog(metadata: dict[str, Any], key: str) -> Digests:
    return {
        # A run on ticks has one instrument, and does not repeat it.
        (part.get("instrument", key), part["data_type"], part["day"]): part["digest"]
        for part in metadata["catalog"]
    }


def _catalog_now(project: Project, request: "RunRequest") -> Digests | None:
    """Return the digests of what a run would read; None where something is to be converted."""
    digests = {}
    for source in project.sources_of(request.config):
        if source.data_type not in request.data_types:
            continue
        for day in request.catalog_days:
            part = describe_partition(project, source, day)
            if not source.is_required(request.config) and part.state is State.MISSING:
                continue
            if part.state not in _SETTLED or part.manifest is None:
                return None
            place = str(source.key), source.data_type.value, day.isoformat()
            digests[place] = part.manifest.digest
    return digests


def _strategy_now(request: "RunRequest") -> dict[str, str]:
    """Return the hashes of the modules of the strategy, as their files are now."""
    from odum_assets.results.lineage import strategy_now

    return strategy_now(request.config)


def _inputs_now(project: Project, request: "RunRequest") -> dict[str, str]:
    """Return the hashes of what the strategy reads beside market data, such as a model."""
    from odum_assets.results.lineage import inputs_now

    return inputs_now(request.config, project.settings)
