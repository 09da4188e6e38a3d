"""The ways to start a run, and what became of the run in each place that knows it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from live import Live
from service import clean_environment

from odum_assets.orchestration.names import CODE_LOCATION, backtest_key, day_job_name


class Door(StrEnum):
    """A way to start a run."""

    UI = "ui"
    SENSOR = "sensor"
    BACKFILL = "backfill"
    ODUM = "odum"
    RUN_BACKTEST = "run_backtest"
    HTTP = "http"


IN_A_TERMINAL = (Door.ODUM, Door.RUN_BACKTEST)
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind.

    Parameters
    ----------
    dagster : str or None
        Status of the Dagster run; None where there is none.
    registry : str or None
        Status in the registry; None where it has no such run.
    file : str or None
        ``fast`` for a result, ``failed`` for the record of a failure.
    refused : bool
        Whether it was refused before anything was started.
    code : int or None
        Exit code of a command, HTTP status of a refusal.
    reason : str
        Why it failed, as the registry has it or as it was refused.
    """

    dagster: str | None
    registry: str | None
    file: str | None
    refused: bool = False
    code: int | None = None
    reason: str = ""


class Command:
    """A command that runs in the folder of a service."""

    def __init__(self, live: Live, door: Door, config: str, window: tuple[str, str]) -> None:
        start, end = window
        if door is Door.ODUM:
            words = ["odum_assets.cli.main", "backtest", config]
            is_day = start[:10] == end[:10]
            words += ["--day", start[:10]] if is_day else ["--window"]
            words += ["--start", start, "--end", end]
        else:
            words = ["odum_assets.cli.run_backtest", "--instrument", "BTCUSDT", "--config", config]
            words += ["--start", start, "--end", end]
        self.log = live.folder / f"{config}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=live.folder,
                env=clean_environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def end(self) -> tuple[int, str]:
        """Return exit code and output."""
        code = self.process.wait(180)
        return code, self.log.read_text()


class Doors:
    """Start runs of a configuration by every door, and see what became of them."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.backfills: dict[str, str] = {}

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask Dagster as its UI does."""
        reply = self.live.pool.request(
            "POST",
            f"{self.live.dagster_url}/graphql",
            json={"query": query, "variables": variables},
            headers={"Origin": self.live.url},
        )
        document = json.loads(reply.data)
        assert "errors" not in document, document
        found: dict[str, Any] = document["data"]
        return found

    def launch_in_the_ui(self, config: str, window: tuple[str, str]) -> str:
        """Start the day job, or the job of windows, and return the Dagster run."""
        is_day = window[0][:10] == window[1][:10]
        name, step = (day_job_name(config), "result") if is_day else (f"{config}_window", "window")
        values = {"start": window[0], "end": window[1]}
        tags = [{"key": "dagster/partition", "value": window[0][:10]}] if is_day else []
        launched = self.graphql(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
                 __typename
                 ... on LaunchRunSuccess { run { runId } }
                 ... on PythonError { message } } }""",
            params={
                "selector": {
                    "repositoryName": "__repository__",
                    "repositoryLocationName": CODE_LOCATION,
                    "jobName": name,
                },
                "mode": "default",
                "runConfigData": json.dumps(
                    {"ops": {backtest_key(config, step).to_python_identifier(): {"config": values}}}
                ),
                "executionMetadata": {"tags": tags},
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def reexecute(self, dagster_run: str) -> str:
        """Press "Re-execute all" on a run, and return the new one."""
        launched = self.graphql(
            """mutation($params: ReexecutionParams!) { launchRunReexecution(
                 reexecutionParams: $params) { __typename
                 ... on LaunchRunSuccess { run { runId } }
                 ... on PythonError { message } } }""",
            params={"parentRunId": dagster_run, "strategy": "ALL_STEPS"},
        )["launchRunReexecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def backfill(self, config: str, day: str, catalog: list[list[str]]) -> None:
        """Start a backfill of one day of the assets of a configuration."""
        keys = [*catalog, list(backtest_key(config, "result").path)]
        launched = self.graphql(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(
                 backfillParams: $params) { __typename
                 ... on LaunchBackfillSuccess { backfillId }
                 ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": key} for key in keys],
                "partitionNames": [day],
                "tags": [],
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        self.backfills[config] = launched["backfillId"]

    def terminate(self, dagster_run: str) -> None:
        """Press "Terminate" on a run."""
        ended = self.graphql(
            """mutation($id: String!) { terminateRun(runId: $id) { __typename
                 ... on TerminateRunFailure { message } ... on PythonError { message } } }""",
            id=dagster_run,
        )["terminateRun"]
        assert ended["__typename"] == "TerminateRunSuccess", ended

    def turn_on(self, sensor: str) -> None:
        """Turn a sensor on."""
        started = self.graphql(
            """mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
                 __typename ... on PythonError { message } } }""",
            selector={
                "repositoryName": "__repository__",
                "repositoryLocationName": CODE_LOCATION,
                "sensorName": sensor,
            },
        )["startSensor"]
        assert started["__typename"] == "Sensor", started

    def runs_of(self, config: str) -> list[dict[str, Any]]:
        """Return the runs that Dagster has of a configuration, the latest first."""
        found = self.graphql(
            """query { runsOrError(limit: 500) { ... on Runs { results {
                 runId status jobName parentRunId assetSelection { path }
               } } } }"""
        )["runsOrError"]["results"]
        keys = [list(backtest_key(config, step).path) for step in ("result", "window")]
        jobs = (day_job_name(config), f"{config}_window")
        return [
            run
            for run in found
            if run["jobName"] in jobs
            or any(key["path"] in keys for key in run["assetSelection"] or [])
        ]

    def registered_as(self, dagster_run: str, config: str) -> dict[str, Any] | None:
        """Return the registry's entry of a Dagster run."""
        reply = self.live.get(f"/api/v1/runs?config_name={config}&limit=50")
        assert reply.status == 200, reply.data
        rows = [row for row in reply.json["runs"] if row["dagster_run_id"] == dagster_run]
        assert len(rows) < 2, rows
        return rows[0] if rows else None

    def outcome(self, config: str, dagster_run: str, code: int | None = None) -> Outcome:
        """Wait until a run has ended everywhere, and return what it left behind."""

        assert dagster_run in {run["runId"] for run in self.runs_of(config)}

        def status() -> str | None:
            # A list of all runs, asked for all the time, would keep Dagster from starting them.
            now = self.graphql(
                "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }",
                id=dagster_run,
            )["runOrError"]["status"]
            return now if now in _ENDED else None

        def row() -> dict[str, Any] | None:
            entry = self.registered_as(dagster_run, config)
            return None if entry is None or entry["status"] in ("queued", "running") else entry

        ended = self.live.wait(f"end of {config}", status, 120)
        entry = self.live.wait(f"entry of {config} ({ended})", row, 40)
        results = self.live.folder / "data/results"
        kinds = [
            kind
            for kind in ("fast", "failed")
            if (results / kind / f"{entry['run_id']}.json").is_file()
        ]
        assert len(kinds) == 1, (config, entry, kinds)
        whole = self.live.registered(entry["run_id"])
        return Outcome(ended, entry["status"], kinds[0], code=code, reason=whole["error"] or "")

    def nothing(self, config: str, code: int, reason: str) -> Outcome:
        """Return the outcome of what was refused, having seen that it left nothing behind."""
        assert self.runs_of(config) == []
        reply = self.live.get(f"/api/v1/runs?config_name={config}")
        assert reply.json["runs"] == []
        return Outcome(None, None, None, refused=True, code=code, reason=reason)


def replaying_parent(live: Live, config: str, within: float = 90) -> int:
    """Wait until a backtest replays, and return the process that carries its run out."""

    def parent() -> int | None:
        started = live.folder / f"{config}.started"
        if not started.is_file():
            return None
        worker = int(started.read_text())
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{worker}/stat").read_text()
            return int(stat.rpartition(")")[2].split()[1])
        return None

    return live.wait(f"replay of {config}", parent, within)


def interrupt(process: int) -> None:
    """Press Ctrl-C."""
    os.kill(process, signal.SIGINT)
