"""A running `dagster dev`: started, asked through GraphQL, given days, and stopped."""

import contextlib
import datetime as dt
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from odum_assets.raw.sample import SampleSpec, write_sample

REPO = Path(__file__).parents[2]
CONFIG = "binance_futures_btcusdt_l2_trades_config"
KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
SLUG = "binance_futures_perpetual_btc_usdt"
RESULT = ["backtest", CONFIG, "result"]
LOCATION = {"repositoryLocationName": "odum_assets", "repositoryName": "__repository__"}
PATIENCE_S = 120


class Dagster:
    """A running `dagster dev` and its GraphQL."""

    def __init__(self, folder: Path, port: int, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._port = port

    def query(self, text: str, **variables: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            body = json.dumps({"query": text, "variables": variables})
            connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
            content = json.load(connection.getresponse())
        finally:
            connection.close()
        assert "errors" not in content, content["errors"]
        return content["data"]

    def wait(self, what: str, ready: Callable[[], Any]) -> Any:
        """Return the first true answer."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, TimeoutError):
                if found := ready():
                    return found
            time.sleep(0.5)
        log = (self.folder / "dagster.log").read_text()[-5000:]
        pytest.fail(f"no {what} within {PATIENCE_S} s; the log ends with:\n{log}")

    def is_loaded(self) -> bool:
        """Return whether the code location is there."""
        found = self.query(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
        )
        return bool(found["repositoriesOrError"].get("nodes"))

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, newest first, with their tags and the messages of failed steps."""
        found = self.query(
            """{ runsOrError { ... on Runs { results { runId jobName status startTime endTime
            tags { key value } } } } }"""
        )
        runs: list[dict[str, Any]] = found["runsOrError"]["results"]
        return runs

    def runs_of(self, day: dt.date) -> list[dict[str, Any]]:
        """Return the runs of a partition, newest first, with tags as a mapping."""
        runs = [
            {**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}}
            for run in self.runs()
        ]
        return [run for run in runs if run["tags"].get("dagster/partition") == str(day)]

    def events(self, run_id: str) -> list[tuple[str, str]]:
        """Return the events of a run: kind and message; of failed steps with what they say."""
        found = self.query(
            """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            __typename ... on MessageEvent { message } ... on ExecutionStepFailureEvent {
            failureMetadata { description } } } } } }""",
            id=run_id,
        )
        return [
            (
                each["__typename"],
                (each.get("failureMetadata") or {}).get("description") or each["message"],
            )
            for each in found["logsForRun"]["events"]
        ]

    def launch(self, key: list[str], day: dt.date, **tags: str) -> str:
        """Launch a run of one asset and day, as the UI does, and return its id.

        Tags have ``__`` for a slash.
        """
        named = {name.replace("__", "/"): value for name, value in tags.items()}
        return self.launch_job("__ASSET_JOB", [key], {"dagster/partition": str(day), **named})

    def launch_job(
        self,
        job: str,
        keys: list[list[str]],
        tags: dict[str, str],
        config: dict[str, Any] | None = None,
    ) -> str:
        """Launch a run of a job, of assets that it makes or of all of it, and return its id."""
        selected = {"assetSelection": [{"path": key} for key in keys]} if keys else {}
        launched = self.query(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
            __typename ... on LaunchRunSuccess { run { runId } }
            ... on RunConfigValidationInvalid { errors { message } }
            ... on PythonError { message } } }""",
            params={
                "selector": {**LOCATION, "jobName": job, **selected},
                "runConfigData": config or {},
                "mode": "default",
                "executionMetadata": {
                    "tags": [{"key": name, "value": value} for name, value in tags.items()]
                },
            },
        )["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return str(launched["run"]["runId"])

    def end_of(self, run_id: str) -> str | None:
        """Return how a run ended, None while it goes on."""
        found = self.query(
            "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }", id=run_id
        )["runOrError"]["status"]
        return str(found) if found in ("SUCCESS", "FAILURE", "CANCELED") else None

    def backfill(self, keys: list[list[str]], days: list[dt.date], config: dict[str, Any]) -> str:
        """Launch a backfill and return its id."""
        launched = self.query(
            """mutation($params: LaunchBackfillParams!) {
            launchPartitionBackfill(backfillParams: $params) { __typename
            ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": key} for key in keys],
                "partitionNames": [str(day) for day in days],
                "runConfigData": config,
            },
        )["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def backfill_end(self, backfill_id: str) -> str | None:
        """Return how a backfill ended, None while it goes on."""
        found = self.query(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
            ... on PartitionBackfill { status } } }""",
            id=backfill_id,
        )["partitionBackfillOrError"]["status"]
        return None if found in ("REQUESTED", "COMPLETING", "FAILING") else str(found)

    def metadata(self, key: list[str], partition: str) -> dict[str, Any]:
        found = self.query(
            """query($key: AssetKeyInput!, $days: [String!]) { assetOrError(assetKey: $key) {
            ... on Asset { assetMaterializations(partitions: $days, limit: 1) { metadataEntries {
            label ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text }
            ... on FloatMetadataEntry { floatValue } ... on PathMetadataEntry { path }
            ... on MarkdownMetadataEntry { mdStr } } } } } }""",
            key={"path": key},
            days=[partition],
        )
        entries = found["assetOrError"]["assetMaterializations"][0]["metadataEntries"]
        return {entry.pop("label"): next(iter(entry.values()), None) for entry in entries}


@contextmanager
def running(folder: Path) -> Iterator[Dagster]:
    """Start `dagster dev` in a project folder of its own, and stop it with all its children."""
    (folder / "configs").mkdir()
    shutil.copy(REPO / "configs" / f"{CONFIG}.json", folder / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPO / name, folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = ("UNIFIED_CLOUD_", "DATA_CATALOG_PATH", "ODUM_", "DAGSTER_")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(own)
    } | {"ODUM_STABLE_SECS": "600"}
    with (folder / "dagster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Dagster takes over how SIGINT is handled; started by a shell in the background it
            # would inherit that it is ignored.
            preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - this process has one thread
        )
    try:
        yield Dagster(folder, port, environment)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def deliver(folder: Path, day: dt.date) -> int:
    """Write a day folder with its marker, and return the number of trades."""
    spec = SampleSpec(
        keys=(KEY,), start=day, days=1, trades_per_day=500, books_per_day=500, hours=(10, 12)
    )
    write_sample(folder / "data", spec)
    place = folder / "data/raw_tick_data/by_date" / f"day-{day}"
    (place / "_SUCCESS").touch()
    return int(pq.read_metadata(place / "data_type-trades" / f"{KEY}.parquet").num_rows)
