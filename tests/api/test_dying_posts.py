"""A service that is killed in the middle of a request."""

import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import urllib3
from service import BTC, Service, clean_environment, free_port, lay_out, make_results, serving


def test_a_run_is_registered_before_dagster_is_asked(tmp_path: Path) -> None:
    """Dagster takes the connection and says nothing; the service is killed meanwhile."""
    lay_out(tmp_path)
    make_results(tmp_path, (BTC, "fast"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "odum_assets.cli.main", "serve", "--port", str(port)],
            cwd=tmp_path,
            env=clean_environment(ODUM_DAGSTER_URL=url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        service = Service(f"http://127.0.0.1:{port}", tmp_path, tmp_path / "x.log")
        try:
            _wait_for(service)
            asking = threading.Thread(target=_post, args=(service,))
            asking.start()
            silent.settimeout(30)
            connection, _ = silent.accept()
            assert connection.recv(10)
            (queued,) = service.get("/api/v1/runs?status=queued").json["runs"]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        connection.close()
        asking.join(30)
    with serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as again:
        found = again.get(f"/api/v1/runs/{queued['run_id']}")
        assert (found.status, found.json["status"]) == (200, "queued")
        # What Dagster does not take leaves nothing.
        assert again.post("/api/v1/runs", {"config": BTC, "day": "2024-01-01"}).status == 503
        (still,) = again.get("/api/v1/runs?status=queued").json["runs"]
        assert still["run_id"] == queued["run_id"]


def _post(service: Service) -> None:
    with pytest.raises(urllib3.exceptions.HTTPError):
        service.post("/api/v1/runs", {"config": BTC, "day": "2024-01-01"})


def _wait_for(service: Service) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if service.get("/api/health").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise AssertionError("no service")
