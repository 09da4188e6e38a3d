"""Requests made up from the OpenAPI document: no reply that it does not tell of, and no 5xx."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import Live
from service import BTC, Service, lay_out, make_results, serving

TOKEN = "a-token-nobody-guesses-5678"  # noqa: S105 - of a test
_NEED_DAGSTER = ["start_run", "get_run_status", "cancel_run", "stream_run"]
_NEED_DAGSTER += [
    "verify_run",
    "start_sweep",
    "get_backfill",
    "cancel_backfill",
    "run_backtest",
    "run_backtest_stream",
]


def _tried(service: Service, folder: Path, *options: str) -> None:
    """Let schemathesis try a service; what does not keep to the document is told."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", "--no-color"]
    # What no document can say, such as start < end, is refused with 422 for all that.
    command += ["--exclude-checks", "positive_data_acceptance", "--suppress-health-check", "all"]
    done = subprocess.run(
        [*command, *options, f"{service.url}/openapi.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    log = service.log.read_text()
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:] + log[-2_000:]
    assert "failed" not in log


@contextmanager
def _served(folder: Path, **environment: str) -> Iterator[Service]:
    lay_out(folder)
    make_results(folder, (BTC, "report"), (BTC, "fast"))
    with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9", **environment) as service:
        yield service


def _without(*operations: str) -> list[str]:
    return [part for each in operations for part in ("--exclude-operation-id", each)]


def _only(*operations: str) -> list[str]:
    return [part for each in operations for part in ("--include-operation-id", each)]


def test_what_is_read_is_as_the_document_says(tmp_path: Path) -> None:
    # Datasets and strategies are created: the service is nobody else's.
    with _served(tmp_path) as service:
        _tried(service, tmp_path, "--phases", "coverage", *_without(*_NEED_DAGSTER))


@pytest.mark.torture
@pytest.mark.timeout(1_800)
def test_many_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    options = ["--max-examples", "100", "--header", f"Authorization: Bearer {TOKEN}"]
    with _served(tmp_path, ODUM_API_TOKEN=TOKEN) as service:
        _tried(service, tmp_path, *options, *_without(*_NEED_DAGSTER))
        # Without Dagster the right answer to the others is 503.
        asked = _only(*_NEED_DAGSTER)
        _tried(service, tmp_path, *options, "--exclude-checks", "not_a_server_error", *asked)


@pytest.mark.torture
def test_runs_are_started_and_asked_for_as_the_document_says(live: Live, tmp_path: Path) -> None:
    """With Dagster there; the limit of launches answers 429 soon."""
    _tried(live, tmp_path, "--phases", "coverage", *_only(*_NEED_DAGSTER))
