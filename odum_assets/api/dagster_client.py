"""Dagster over HTTP: launch, poll, cancel. The only place that knows its API.

What belongs here: queries, and their replies as plain values. What does not: which assets a run has
(``orchestration.planner``), what its events mean to a reader (``following``).
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

import urllib3

from odum_assets.api.capacity import Capacity, go_on
from odum_assets.api.problems import ProblemError
from odum_assets.api.unix_http import UnixPool, pidfile_of
from odum_assets.orchestration.names import CODE_LOCATION, backtest_key

if TYPE_CHECKING:
    from odum_assets.orchestration.planner import Plan
    from odum_assets.orchestration.project import Source

type Status = Literal["queued", "running", "succeeded", "failed", "canceled"]
type Key = tuple[str, ...]
"""Parts of an asset key."""

FINISHED: Final = ("succeeded", "failed", "canceled")

_STATUS: Final[Mapping[str, Status]] = {
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "QUEUED": "queued",
    "STARTING": "running",
    "STARTED": "running",
    "SUSPENDED": "running",
    "CANCELING": "running",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELED": "canceled",
}
_GOING_ON: Final = [name for name, status in _STATUS.items() if status not in FINISHED]
_LOCATIONS: Final = (CODE_LOCATION, f"{CODE_LOCATION}.definitions")
"""Names of the code location: with and without a workspace.yaml."""

_EVENTS_AT_ONCE: Final = 500
_MOST_BACKFILLS: Final = 100
_MOST_RUNS: Final = 500
_CALLS_AT_ONCE: Final = 16
_READ_S: Final = 10.0
_GLANCE_S: Final = 2.0
"""Seconds for a question whose answer a reply can do without."""

_RELOAD_S: Final = 60.0
"""Seconds in which the code location is reloaded."""

_LAUNCH_S: Final = 30.0
_AWAY_S: Final = 2.0
"""Seconds for which a Dagster that did not answer in time is not asked again."""

_JSON: Final = {"Content-Type": "application/json"}
_LATER: Final = {"Retry-After": "5"}

_RUN = """__typename runId status creationTime startTime endTime jobName tags { key value }"""
_BACKFILL_RUN = "runId status tags { key value }"
_CAUSE = "message errorChain { error { message } }"
_EVENT = f"""__typename ... on MessageEvent {{ message timestamp level stepKey }}
... on ExecutionStepFailureEvent {{ error {{ {_CAUSE} }} failureMetadata {{ description }} }}
... on RunFailureEvent {{ error {{ {_CAUSE} }} }}
... on MaterializationEvent {{ metadataEntries {{ label ... on TextMetadataEntry {{ text }} }} }}"""
_ERROR = "... on Error { message }"


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
    time: str
    level: str
    step: str | None
    message: str
    error: str | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment: None if there is none, its events after a cursor, the next cursor."""

    run: DagsterRun | None
    events: tuple[DagsterEvent, ...]
    cursor: str | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class BackfillRun:
    """The run of a day in a backfill."""

    dagster_run_id: str
    day: str | None
    status: Status


@dataclass(frozen=True, slots=True)
class DagsterBackfill:
    """Several runs of one request."""

    id: str
    status: str
    days: int
    tags: dict[str, str]
    runs: tuple[BackfillRun, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """What a run is started of; without a selection its whole job."""

    name: str
    run_config: Mapping[str, Any]
    tags: Mapping[str, str]
    selection: tuple[Key, ...] = ()


class DagsterClient:
    """Ask a Dagster webserver.

    Parameters
    ----------
    url : str
        Its address; of a Unix socket, what ``unix_http.unix_address`` returns. User and password in
        it are sent as Basic credentials, and shown nowhere.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: urllib3.PoolManager | UnixPool
        pidfile_and_prefix = pidfile_of(url)
        if pidfile_and_prefix is None:
            self._base = url
            self._pool = urllib3.PoolManager(maxsize=_CALLS_AT_ONCE, retries=False)
        else:
            pidfile, self._base = pidfile_and_prefix
            self._pool = UnixPool(
                pidfile, _CALLS_AT_ONCE, urllib3.Timeout(connect=3.0, read=_READ_S)
            )
        self._headers = {**_JSON, **_credentials(url)}
        self._reloading = threading.Lock()
        self._away_until = 0.0
        self.control = Capacity("Dagster", 6, 2 * _READ_S)
        """For short questions, and to cancel."""
        self.launching = Capacity("launches by Dagster", 4, 2 * _RELOAD_S)
        self.ranges = Capacity("ranges of days at Dagster", 2, 5 * _RELOAD_S, waiting=16)
        self.following = Capacity("events of Dagster", 4, 2 * _READ_S)

    async def ask[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of this client that takes a short time, in threads for such calls.

        A Dagster that answers slowly holds up neither the event loop nor the threads that read
        files; followers and launches have threads of their own.
        """
        return await self.control.run(call, *args, **kwargs)

    def launch(self, plan: "Plan") -> DagsterRun:
        """Start a run and return it as it begins.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached or does not take it.
        """
        tags = dict(plan.tags)
        if plan.partition is not None:
            tags["dagster/partition"] = plan.partition
        job = _Job(plan.job, plan.run_config, tags, plan.selection)
        return self._launched(job, *self._loaded(plan.target, plan.loaded.content_hash))

    def launch_job(
        self, name: str, run_config: Mapping[str, Any], tags: Mapping[str, str]
    ) -> DagsterRun:
        """Start a job that belongs to no configuration and return its run as it begins.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached or does not take it.
        """
        location, _ = self._location(())
        loaded = location["locationOrLoadError"]
        if not loaded.get("repositories"):
            raise ProblemError(409, "graph-not-loaded", f"Dagster: {_refusal(loaded)}")
        names = str(location["name"]), str(loaded["repositories"][0]["name"])
        return self._launched(_Job(name, run_config, tags), *names)

    def launch_days(self, plan: "Plan") -> str:
        """Start a run for each of several days and return the id of all of it.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached or does not take it.
        """
        self._loaded(plan.target, plan.loaded.content_hash)
        return self._launched_days(plan.keys, plan.days, plan.run_config, plan.tags)

    def launch_conversions(
        self,
        source: "Source",
        days: Sequence[str],
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> str:
        """Start a conversion for each of several days and return the id of all of it.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached or does not take it.
        """
        loaded = source.loaded
        self._loaded(tuple(backtest_key(loaded.name, "result").path), loaded.content_hash)
        return self._launched_days([tuple(source.catalog_key.path)], days, run_config, tags)

    def _launched_days(
        self,
        keys: Iterable[Key],
        days: Iterable[str],
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> str:
        reply = self._query(
            f"""mutation($params: LaunchBackfillParams!) {{
            launchPartitionBackfill(backfillParams: $params) {{ __typename
            ... on LaunchBackfillSuccess {{ backfillId }} {_ERROR} }} }}""",
            params={
                "assetSelection": [{"path": list(key)} for key in keys],
                "partitionNames": list(days),
                "runConfigData": run_config,
                "tags": _tag_list(tags),
            },
        )["launchPartitionBackfill"]
        if reply["__typename"] != "LaunchBackfillSuccess":
            raise ProblemError(409, "not-launched", f"Dagster: {_refusal(reply)}")
        return str(reply["backfillId"])

    def run(self, dagster_run_id: str) -> DagsterRun | None:
        """Return a run, None when Dagster has none of this id."""
        reply = self._query(
            f"query($id: ID!) {{ runOrError(runId: $id) {{ ... on Run {{ {_RUN} }} {_ERROR} }} }}",
            id=dagster_run_id,
        )["runOrError"]
        return _run_of(reply)

    def find_run(self, tag: str, value: str) -> DagsterRun | None:
        """Return the newest run with a tag, None when there is none."""
        reply = self._query(
            f"""query($filter: RunsFilter!) {{ runsOrError(filter: $filter, limit: 1) {{ __typename
            ... on Runs {{ results {{ {_RUN} }} }} {_ERROR} }} }}""",
            filter={"tags": [{"key": tag, "value": value}]},
        )["runsOrError"]
        if reply["__typename"] != "Runs":
            raise ProblemError(502, "dagster-failed", f"Dagster: {_refusal(reply)}")
        return _run_of(reply["results"][0]) if reply["results"] else None

    def runs_going_on(self, tag: str) -> tuple[DagsterRun, ...]:
        """Return the runs with a tag that wait or go on, newest first.

        Raises
        ------
        ProblemError
            If Dagster does not answer within a moment.
        """
        reply = self._query(
            f"""query($filter: RunsFilter!, $limit: Int!) {{
            runsOrError(filter: $filter, limit: $limit) {{ __typename
            ... on Runs {{ results {{ {_RUN} }} }} {_ERROR} }} }}""",
            read_s=_GLANCE_S,
            filter={"statuses": _GOING_ON},
            limit=_MOST_RUNS,
        )["runsOrError"]
        if reply["__typename"] != "Runs":
            raise ProblemError(502, "dagster-failed", f"Dagster: {_refusal(reply)}")
        runs = map(_run_of, reply["results"])
        return tuple(run for run in runs if run is not None and tag in run.tags)

    def poll(self, dagster_run_id: str, cursor: str | None = None) -> Snapshot:
        """Return a run and its events after a cursor, in order.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached, or the cursor is none of its own.
        """
        reply = self._query(
            f"""query($id: ID!, $cursor: String, $limit: Int!) {{
            runOrError(runId: $id) {{ __typename ... on Run {{ {_RUN} }} {_ERROR} }}
            logsForRun(runId: $id, afterCursor: $cursor, limit: $limit) {{ __typename
            ... on EventConnection {{ cursor hasMore events {{ {_EVENT} }} }} {_ERROR} }} }}""",
            id=dagster_run_id,
            cursor=cursor,
            limit=_EVENTS_AT_ONCE,
        )
        run, logs = _run_of(reply["runOrError"]), reply["logsForRun"]
        if run is None:
            return Snapshot(None, (), cursor, has_more=False)
        if logs["__typename"] != "EventConnection":
            raise ProblemError(422, "invalid-cursor", f"Dagster: {_refusal(logs)}")
        events = tuple(map(_event_of, logs["events"]))
        return Snapshot(run, events, logs["cursor"], has_more=logs["hasMore"])

    def cancel(self, dagster_run_id: str, policy: str = "SAFE_TERMINATE") -> str | None:
        """Cancel a queued or running run; return why Dagster does not, None when it does.

        With the policy ``MARK_AS_CANCELED_IMMEDIATELY`` it asks no process.
        """
        reply = self._query(
            f"""mutation($id: String!, $policy: TerminateRunPolicy) {{
            terminateRun(runId: $id, terminatePolicy: $policy) {{ __typename
            ... on TerminateRunFailure {{ message }} {_ERROR} }} }}""",
            id=dagster_run_id,
            policy=policy,
        )["terminateRun"]
        return None if reply["__typename"] == "TerminateRunSuccess" else _refusal(reply)

    def backfill(self, backfill_id: str) -> DagsterBackfill | None:
        """Return how far a backfill is, None when there is none of this id."""
        reply = self._query(
            f"""query($id: String!) {{ partitionBackfillOrError(backfillId: $id) {{ __typename
            ... on PartitionBackfill {{ id status numPartitions tags {{ key value }}
            runs(limit: 10000) {{ {_BACKFILL_RUN} }} }} }} }}""",
            id=backfill_id,
        )["partitionBackfillOrError"]
        return _backfill_of(reply) if reply["__typename"] == "PartitionBackfill" else None

    def find_backfill(self, tag: str, value: str) -> DagsterBackfill | None:
        """Return the newest backfill with a tag among the latest ones, None when there is none."""
        reply = self._query(
            f"""query($limit: Int!) {{ partitionBackfillsOrError(limit: $limit) {{ __typename
            ... on PartitionBackfills {{ results {{ id status numPartitions tags {{ key value }}
            runs(limit: 1) {{ {_BACKFILL_RUN} }} }} }} {_ERROR} }} }}""",
            limit=_MOST_BACKFILLS,
        )["partitionBackfillsOrError"]
        if reply["__typename"] != "PartitionBackfills":
            raise ProblemError(502, "dagster-failed", f"Dagster: {_refusal(reply)}")
        backfills = map(_backfill_of, reply["results"])
        return next((backfill for backfill in backfills if backfill.tags.get(tag) == value), None)

    def cancel_backfill(self, backfill_id: str) -> str | None:
        """Cancel a backfill with its runs; return why Dagster does not, None when it does."""
        reply = self._query(
            f"""mutation($id: String!) {{ cancelPartitionBackfill(backfillId: $id) {{ __typename
            {_ERROR} }} }}""",
            id=backfill_id,
        )["cancelPartitionBackfill"]
        return None if reply["__typename"] == "CancelBackfillSuccess" else _refusal(reply)

    def _launched(self, job: _Job, location: str, repository: str) -> DagsterRun:
        selected = [{"path": list(key)} for key in job.selection]
        reply: dict[str, Any] = self._query(
            f"""mutation($params: ExecutionParams!) {{ launchRun(executionParams: $params) {{
            __typename ... on LaunchRunSuccess {{ run {{ {_RUN} }} }}
            ... on RunConfigValidationInvalid {{ errors {{ message }} }} {_ERROR} }} }}""",
            read_s=_LAUNCH_S,
            params={
                "selector": {
                    "repositoryLocationName": location,
                    "repositoryName": repository,
                    "jobName": job.name,
                    **({"assetSelection": selected} if selected else {}),
                },
                "runConfigData": job.run_config,
                "executionMetadata": {"tags": _tag_list(job.tags)},
            },
        )["launchRun"]
        if reply["__typename"] != "LaunchRunSuccess":
            raise ProblemError(409, "not-launched", f"Dagster: {_refusal(reply)}")
        started = _run_of(reply["run"])
        assert started is not None  # noqa: S101 - Dagster has just started it
        return started

    def _loaded(self, target: Key, content_hash: str) -> tuple[str, str]:
        """Return the names of code location and repository, reloaded where that is due.

        A configuration may be newer than what Dagster has loaded, however it was changed.
        """
        location, content = self._location(target)
        if content != content_hash:
            with self._reloading:
                # Another launch may have had it loaded meanwhile.
                location, content = self._location(target)
                if content != content_hash:
                    self._reload(location["name"])
                    location, content = self._location(target)
        loaded = location["locationOrLoadError"]
        if content != content_hash:
            reason = "it has loaded another content of this configuration"
            if not loaded.get("repositories"):
                reason = _refusal(loaded)
            raise ProblemError(409, "graph-not-loaded", f"Dagster at {self._display_url}: {reason}")
        return str(location["name"]), str(loaded["repositories"][0]["name"])

    def _location(self, target: Key) -> tuple[dict[str, Any], str | None]:
        """Return the code location, and the hash of the configuration that it was loaded with.

        Parameters
        ----------
        target : Key
            An asset of the configuration; none where no configuration matters.
        """
        reply = self._query(
            f"""query($key: AssetKeyInput!) {{
            workspaceOrError {{ __typename ... on Workspace {{ locationEntries {{ name
            locationOrLoadError {{ __typename
            ... on RepositoryLocation {{ repositories {{ name }} }} {_ERROR} }} }} }} {_ERROR} }}
            assetNodeOrError(assetKey: $key) {{ ... on AssetNode {{
            metadataEntries {{ label ... on TextMetadataEntry {{ text }} }} }} }} }}""",
            key={"path": list(target)},
        )
        entries = reply["assetNodeOrError"].get("metadataEntries", ())
        content = next(
            (entry["text"] for entry in entries if entry["label"] == "config_hash"), None
        )
        for entry in reply["workspaceOrError"].get("locationEntries", ()):
            if entry["name"] in _LOCATIONS and entry["locationOrLoadError"] is not None:
                return entry, content
        raise ProblemError(
            503,
            "graph-not-loaded",
            f"Dagster at {self._display_url} has not loaded the code location "
            f"{CODE_LOCATION}: it is still starting, or it is the Dagster of another "
            "project (ODUM_DAGSTER_URL)",
            _LATER,
        )

    def _reload(self, location: str) -> None:
        reply = self._query(
            f"""mutation($name: String!) {{
            reloadRepositoryLocation(repositoryLocationName: $name) {{ __typename {_ERROR} }} }}""",
            read_s=_RELOAD_S,
            name=location,
        )["reloadRepositoryLocation"]
        if reply["__typename"] != "WorkspaceLocationEntry":
            raise ProblemError(502, "dagster-failed", f"Dagster: {_refusal(reply)}")

    def _query(
        self,
        text: str,
        *,
        read_s: float = _READ_S,
        **variables: Any,  # noqa: ANN401 - JSON
    ) -> dict[str, Any]:
        content = self._send("/graphql", {"query": text, "variables": variables}, read_s)
        if "errors" in content:
            message = str(content["errors"][0].get("message", "an error"))
            raise ProblemError(502, "dagster-failed", f"Dagster: {message}")
        data: dict[str, Any] = content["data"]
        return data

    def _send(self, path: str, body: dict[str, Any], read_s: float = _READ_S) -> dict[str, Any]:
        go_on()
        if time.monotonic() < self._away_until:
            raise self._unreachable()
        try:
            reply = self._pool.request(
                "POST",
                self._base + path,
                body=json.dumps(body),
                headers=self._headers,
                timeout=urllib3.Timeout(connect=3.0, read=read_s),
            )
            content: dict[str, Any] = json.loads(reply.data)
        except urllib3.exceptions.TimeoutError:
            # Who waits behind this call need not wait as long for the same answer.
            self._away_until = time.monotonic() + _AWAY_S
            raise self._unreachable() from None
        except (urllib3.exceptions.HTTPError, ValueError):
            raise self._unreachable() from None
        if reply.status in (401, 403):
            raise ProblemError(
                502,
                "dagster-failed",
                f"Dagster at {self._display_url} refuses the service ({reply.status}): "
                "ODUM_DAGSTER_URL needs its token as the password, or names another address",
            )
        if "error" in content:
            raise ProblemError(502, "dagster-failed", f"Dagster: {content['error']}")
        return content

    def _unreachable(self) -> ProblemError:
        return ProblemError(
            503,
            "dagster-unreachable",
            f"no Dagster answers at {self._display_url}: it is still starting, or does not run; "
            "start it with `odum dev` (`odum serve` does that by itself), or set "
            "ODUM_DAGSTER_URL",
            _LATER,
        )

    @property
    def _display_url(self) -> str:
        """Return the address without user and password."""
        if pidfile_of(self._url) is not None:
            return "its Unix socket"
        parts = urllib3.util.parse_url(self._url)
        return str(parts._replace(auth=None))


def _credentials(url: str) -> dict[str, str]:
    """Return the header for user and password of an address; none without them."""
    user, mark, password = (urllib3.util.parse_url(url).auth or "").partition(":")
    if not user and not mark:
        return {}
    # Percent-encoded in an address; as they are in the header (RFC 7617).
    pair = f"{unquote(user)}:{unquote(password)}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def is_cursor(text: str) -> bool:
    """Return whether a text looks like a cursor that Dagster gave; it fails on others."""
    try:
        return isinstance(json.loads(base64.b64decode(text, validate=True)), dict)
    except ValueError:
        return False


def _run_of(reply: dict[str, Any]) -> DagsterRun | None:
    if "runId" not in reply:
        return None
    return DagsterRun(
        run_id=reply["runId"],
        status=_STATUS[reply["status"]],
        canceling=reply["status"] == "CANCELING",
        job=reply["jobName"],
        tags=_tags(reply["tags"]),
        created_at=_moment(reply["creationTime"]) or "",
        started_at=_moment(reply["startTime"]),
        ended_at=_moment(reply["endTime"]),
    )


def _backfill_of(reply: dict[str, Any]) -> DagsterBackfill:
    runs = (
        BackfillRun(
            run["runId"], _tags(run["tags"]).get("dagster/partition"), _STATUS[run["status"]]
        )
        for run in reply["runs"]
    )
    return DagsterBackfill(
        id=reply["id"],
        status=reply["status"].lower(),
        days=reply["numPartitions"] or 0,
        tags=_tags(reply["tags"]),
        runs=tuple(sorted(runs, key=lambda run: (run.day or "", run.dagster_run_id))),
    )


def _event_of(reply: dict[str, Any]) -> DagsterEvent:
    kind, result = reply["__typename"], None
    if kind == "MaterializationEvent":
        # Only assets of a result name one.
        entries = {entry["label"]: entry.get("text") for entry in reply["metadataEntries"]}
        result = entries.get("run_id")
    return DagsterEvent(
        kind=kind,
        time=_moment(float(reply.get("timestamp", 0)) / 1000) or "",
        level=str(reply.get("level", "INFO")).lower(),
        step=(reply.get("stepKey") or "").replace("__", "/") or None,
        message=reply.get("message") or "",
        error=_error_of(reply),
        result=result,
    )


def _error_of(reply: dict[str, Any]) -> str | None:
    """Return a person's words where there are any, else the root cause."""
    if reply["__typename"] not in ("ExecutionStepFailureEvent", "RunFailureEvent"):
        return None
    written = (reply.get("failureMetadata") or {}).get("description")
    if written:
        return str(written)
    error = reply.get("error")
    if error is None:
        return reply.get("message") or "the run failed"
    chain = [link["error"]["message"] for link in error.get("errorChain") or ()]
    return str((chain or [error["message"]])[-1]).strip()


def _refusal(reply: dict[str, Any]) -> str:
    errors = [error["message"] for error in reply.get("errors", ())]
    return "; ".join(errors) or reply.get("message") or str(reply["__typename"])


def _tags(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in pairs}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
