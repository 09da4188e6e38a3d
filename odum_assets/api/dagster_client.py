"""Dagster over GraphQL: launch, look, follow, cancel. The only place that knows its queries."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import anyio
import anyio.to_thread
import urllib3

from odum_assets.api.problems import ProblemError
from odum_assets.orchestration.names import CODE_LOCATION

type Status = Literal["queued", "running", "succeeded", "failed", "canceled"]

_STATUS: Final[Mapping[str, Status]] = {
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "QUEUED": "queued",
    "STARTING": "running",
    "STARTED": "running",
    "CANCELING": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELED": "canceled",
}
_LOCATIONS: Final = (CODE_LOCATION, f"{CODE_LOCATION}.definitions")
"""Names of the code location: with and without a workspace.yaml."""

_EVENTS_AT_ONCE: Final = 500
_TIMEOUT: Final = urllib3.Timeout(connect=3.0, read=60.0)

_RUN = """runId status creationTime startTime endTime jobName tags { key value }
assetSelection { path }"""
_CAUSE = "message errorChain { error { message } }"
_EVENT = f"""__typename ... on MessageEvent {{ message timestamp level stepKey eventType }}
... on ExecutionStepFailureEvent {{ error {{ {_CAUSE} }} failureMetadata {{ description }} }}
... on RunFailureEvent {{ error {{ {_CAUSE} }} }}
... on MaterializationEvent {{ assetKey {{ path }}
metadataEntries {{ label ... on TextMetadataEntry {{ text }} }} }}"""
_ERROR = "... on Error { message }"


@dataclass(frozen=True, slots=True)
class Launch:
    """A run to start.

    Parameters
    ----------
    job : str
        Job that the run belongs to.
    keys : tuple[tuple[str, ...], ...]
        Assets to make.
    partition : str or None
        Day.
    run_config : dict[str, Any]
        Run config.
    tags : dict[str, str]
        Tags.
    """

    job: str
    keys: tuple[tuple[str, ...], ...]
    partition: str | None
    run_config: dict[str, Any]
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class DagsterRun:
    """A run as Dagster tells it."""

    run_id: str
    status: Status
    canceling: bool
    job: str
    tags: dict[str, str]
    created_at: str
    started_at: str | None
    ended_at: str | None


@dataclass(frozen=True, slots=True)
class DagsterEvent:
    """An event of a run; `error` and `result` are set where it tells of one."""

    kind: str
    event_type: str | None
    time: str
    level: str
    step: str | None
    message: str
    error: str | None = None
    result_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """Events of a run, and where the next ones begin."""

    events: tuple[DagsterEvent, ...]
    cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class Backfill:
    """Several runs of one request."""

    backfill_id: str
    status: str
    partitions: int
    by_status: dict[str, int] = field(default_factory=dict)


class DagsterClient:
    """Ask a Dagster webserver.

    Parameters
    ----------
    url : str
        Its address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(maxsize=8, timeout=_TIMEOUT, retries=False)
        self._limiter: anyio.CapacityLimiter | None = None
        self._stale = threading.Event()

    async def ask[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of this client in threads of its own.

        A Dagster that answers slowly holds up neither the event loop nor the threads that read
        files.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(8)
        return await anyio.to_thread.run_sync(
            lambda: call(*args, **kwargs), limiter=self._limiter, abandon_on_cancel=True
        )

    def forget_configs(self) -> None:
        """Have the code location loaded again before the next launch: configurations changed."""
        self._stale.set()

    def launch(self, launch: Launch) -> str:
        """Start a run and return its id.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached or does not take it.
        """
        location, repository = self._repository()
        if self._stale.is_set():
            self._reload(location)
        found = self._try_launch(launch, location, repository)
        if found["__typename"] not in ("LaunchRunSuccess", "RunConfigValidationInvalid"):
            # A configuration that came after the code location was loaded.
            self._reload(location)
            found = self._try_launch(launch, location, repository)
        if found["__typename"] != "LaunchRunSuccess":
            raise ProblemError(409, "not-launched", f"Dagster: {_refusal(found)}")
        return str(found["run"]["runId"])

    def run(self, run_id: str) -> DagsterRun | None:
        """Return a run, None when Dagster has none of this id."""
        found = self._query(
            f"query($id: ID!) {{ runOrError(runId: $id) {{ __typename ... on Run {{ {_RUN} }} "
            f"{_ERROR} }} }}",
            id=run_id,
        )["runOrError"]
        return _run_of(found) if found["__typename"] == "Run" else None

    def runs(self, statuses: list[Status], limit: int) -> list[DagsterRun]:
        """Return runs of backtests in any of these states, newest first."""
        names = [name for name, status in _STATUS.items() if status in statuses]
        found = self._query(
            f"""query($filter: RunsFilter!, $limit: Int!) {{
            runsOrError(filter: $filter, limit: $limit) {{ __typename
            ... on Runs {{ results {{ {_RUN} }} }} {_ERROR} }} }}""",
            filter={"statuses": names},
            limit=limit,
        )["runsOrError"]
        if found["__typename"] != "Runs":
            raise ProblemError(502, "dagster-failed", f"Dagster: {_refusal(found)}")
        return [_run_of(each) for each in found["results"]]

    def events(self, run_id: str, cursor: str | None = None) -> Events:
        """Return the events of a run after a cursor, in order."""
        found = self._query(
            f"""query($id: ID!, $cursor: String, $limit: Int!) {{
            logsForRun(runId: $id, afterCursor: $cursor, limit: $limit) {{ __typename
            ... on EventConnection {{ cursor hasMore events {{ {_EVENT} }} }} {_ERROR} }} }}""",
            id=run_id,
            cursor=cursor,
            limit=_EVENTS_AT_ONCE,
        )["logsForRun"]
        if found["__typename"] != "EventConnection":
            raise ProblemError(422, "invalid-cursor", f"Dagster: {_refusal(found)}")
        events = tuple(_event_of(each) for each in found["events"])
        return Events(events, found["cursor"], found["hasMore"])

    def all_events(self, run_id: str) -> list[DagsterEvent]:
        """Return every event of a run."""
        found: list[DagsterEvent] = []
        cursor = None
        while True:
            page = self.events(run_id, cursor)
            found += page.events
            cursor = page.cursor
            if not page.has_more:
                return found

    def cancel(self, run_id: str) -> None:
        """Cancel a queued or running run.

        Raises
        ------
        ProblemError
            If Dagster cannot do that.
        """
        found = self._query(
            """mutation($id: String!) { terminateRun(runId: $id) { __typename
            ... on TerminateRunFailure { message } ... on Error { message } } }""",
            id=run_id,
        )["terminateRun"]
        if found["__typename"] != "TerminateRunSuccess":
            raise ProblemError(409, "not-canceled", f"Dagster: {_refusal(found)}")

    def backfill(self, launch: Launch, partitions: list[str]) -> str:
        """Start a run for each of several days and return the id of all of it."""
        location, _ = self._repository()
        if self._stale.is_set():
            self._reload(location)
        found = self._query(
            """mutation($params: LaunchBackfillParams!) {
            launchPartitionBackfill(backfillParams: $params) { __typename
            ... on LaunchBackfillSuccess { backfillId } ... on Error { message } } }""",
            params={
                "assetSelection": [{"path": list(key)} for key in launch.keys],
                "partitionNames": partitions,
                "runConfigData": launch.run_config,
                "tags": [{"key": key, "value": value} for key, value in launch.tags.items()],
            },
        )["launchPartitionBackfill"]
        if found["__typename"] != "LaunchBackfillSuccess":
            raise ProblemError(409, "not-launched", f"Dagster: {_refusal(found)}")
        return str(found["backfillId"])

    def backfill_status(self, backfill_id: str) -> Backfill | None:
        """Return how far a backfill is, None when there is none of this id."""
        found = self._query(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename
            ... on PartitionBackfill { status numPartitions runs(limit: 10000) { status } } } }""",
            id=backfill_id,
        )["partitionBackfillOrError"]
        if found["__typename"] != "PartitionBackfill":
            return None
        by_status: dict[str, int] = {}
        for run in found["runs"]:
            status = _STATUS[run["status"]]
            by_status[status] = by_status.get(status, 0) + 1
        return Backfill(
            backfill_id, found["status"].lower(), found["numPartitions"] or 0, by_status
        )

    def _try_launch(self, launch: Launch, location: str, repository: str) -> dict[str, Any]:
        tags = dict(launch.tags)
        if launch.partition is not None:
            tags["dagster/partition"] = launch.partition
        found: dict[str, Any] = self._query(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
            __typename ... on LaunchRunSuccess { run { runId } }
            ... on RunConfigValidationInvalid { errors { message } }
            ... on Error { message } } }""",
            params={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": repository,
                    "jobName": launch.job,
                    "assetSelection": [{"path": list(key)} for key in launch.keys],
                },
                "runConfigData": launch.run_config,
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in tags.items()]
                },
            },
        )["launchRun"]
        return found

    def _repository(self) -> tuple[str, str]:
        """Return the names of code location and repository."""
        found = self._query(
            """{ repositoriesOrError { __typename ... on RepositoryConnection {
            nodes { name location { name } } } ... on Error { message } } }"""
        )["repositoriesOrError"]
        for node in found.get("nodes", ()):
            if node["location"]["name"] in _LOCATIONS:
                return node["location"]["name"], node["name"]
        raise ProblemError(
            503,
            "graph-not-loaded",
            f"Dagster at {self._url} has not loaded the code location {CODE_LOCATION}: a "
            "configuration may be invalid (odum config validate), or it is still starting",
            {"Retry-After": "5"},
        )

    def _reload(self, location: str) -> None:
        self._stale.clear()
        found = self._query(
            """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
            __typename ... on WorkspaceLocationEntry { locationOrLoadError { __typename
            ... on PythonError { message } } } ... on Error { message } } }""",
            name=location,
        )["reloadRepositoryLocation"]
        entry = found.get("locationOrLoadError") or found
        if entry["__typename"] == "PythonError":
            self._stale.set()
            raise ProblemError(409, "graph-not-loaded", f"Dagster: {_refusal(entry)}")

    def _query(self, text: str, **variables: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        body = json.dumps({"query": text, "variables": variables})
        try:
            reply = self._pool.request(
                "POST", f"{self._url}/graphql", body=body, headers={"Content-Type": _JSON}
            )
            content = json.loads(reply.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            raise ProblemError(
                503,
                "dagster-unreachable",
                f"no Dagster answers at {self._shown}; start it with `odum dev` (or `make dev`), "
                "or set ODUM_DAGSTER_URL",
                {"Retry-After": "5"},
            ) from None
        if "errors" in content:
            text = str(content["errors"][0].get("message", "an error"))
            raise ProblemError(502, "dagster-failed", f"Dagster: {text}")
        data: dict[str, Any] = content["data"]
        return data

    @property
    def _shown(self) -> str:
        """Return the address without user and password."""
        parts = urllib3.util.parse_url(self._url)
        return str(parts._replace(auth=None))


_JSON: Final = "application/json"


def _run_of(found: dict[str, Any]) -> DagsterRun:
    return DagsterRun(
        run_id=found["runId"],
        status=_STATUS[found["status"]],
        canceling=found["status"] == "CANCELING",
        job=found["jobName"],
        tags={tag["key"]: tag["value"] for tag in found["tags"]},
        created_at=_moment(found["creationTime"]) or "",
        started_at=_moment(found["startTime"]),
        ended_at=_moment(found["endTime"]),
    )


def _event_of(found: dict[str, Any]) -> DagsterEvent:
    kind, result = found["__typename"], None
    if kind == "MaterializationEvent" and found["assetKey"]["path"][-1] in ("result", "window"):
        entries = {each["label"]: each.get("text") for each in found["metadataEntries"]}
        result = entries.get("run_id")
    return DagsterEvent(
        kind=kind,
        event_type=found.get("eventType"),
        time=_moment(float(found.get("timestamp", 0)) / 1000) or "",
        level=str(found.get("level", "INFO")).lower(),
        step=(found.get("stepKey") or "").replace("__", "/") or None,
        message=found.get("message") or "",
        error=_error_of(found),
        result_run_id=result,
    )


def _error_of(found: dict[str, Any]) -> str | None:
    """Return a person's words where there are any, else the root cause."""
    if found["__typename"] not in ("ExecutionStepFailureEvent", "RunFailureEvent"):
        return None
    written = (found.get("failureMetadata") or {}).get("description")
    if written:
        return str(written)
    error = found.get("error")
    if error is None:
        return found.get("message") or "the run failed"
    chain = [each["error"]["message"] for each in error.get("errorChain") or ()]
    return str((chain or [error["message"]])[-1]).strip()


def _refusal(found: dict[str, Any]) -> str:
    errors = [each["message"] for each in found.get("errors", ())]
    return "; ".join(errors) or found.get("message") or str(found["__typename"])


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
