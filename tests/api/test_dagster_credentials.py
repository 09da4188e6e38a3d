"""User and password of the Dagster address: sent to it, and to nobody else."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from service import BTC, free_port, lay_out, serving

from odum_assets.api.dagster_client import DagsterClient
from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError


class _Dagster(ThreadingHTTPServer):
    """A webserver behind a password; it sends who has none, or all, elsewhere."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str | None] = []
        self.elsewhere: str | None = None


class _Handler(BaseHTTPRequestHandler):
    server: _Dagster

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.headers["Authorization"])
        body = json.dumps({"data": {"runOrError": {"__typename": "RunNotFoundError"}}}).encode()
        self.send_response(200 if self.server.elsewhere is None else 307)
        if self.server.elsewhere is not None:
            self.send_header("Location", self.server.elsewhere)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def dagster() -> Iterator[_Dagster]:
    with _Dagster() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("", None),
        ("reader:secret@", "reader:secret"),
        ("reader@", "reader:"),
        (":secret@", ":secret"),
        ("re%40der:p%3Ass%20w%C3%B6rd%25@", "re@der:p:ss wörd%"),
    ],
)
def test_they_are_sent_as_basic(dagster: _Dagster, given: str, sent: str | None) -> None:
    client = DagsterClient(f"http://{given}127.0.0.1:{dagster.server_port}")
    assert client.run("x") is None
    (header,) = dagster.seen
    if sent is None:
        assert header is None
        return
    assert header is not None
    scheme, _, text = header.partition(" ")
    assert (scheme, base64.b64decode(text).decode()) == ("Basic", sent)


def test_they_go_to_no_other_address(dagster: _Dagster) -> None:
    with _Dagster() as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        dagster.elsewhere = f"http://127.0.0.1:{other.server_port}/graphql"
        client = DagsterClient(f"http://reader:secret@127.0.0.1:{dagster.server_port}")
        client.run("x")
        other.shutdown()
        assert other.seen == []


def test_they_are_shown_nowhere(tmp_path: Path) -> None:
    url = f"http://reader:p%3Assw0rd@127.0.0.1:{free_port()}"
    options = ServiceOptions(dagster_url=url)
    with pytest.raises(ProblemError) as refused:
        DagsterClient(url).run("x")
    lay_out(tmp_path)
    with serving(tmp_path, ODUM_DAGSTER_URL=url) as service:
        reply = service.get("/api/v1/runs/00000000-0000-4000-8000-000000000000/status")
        assert reply.status == 503
        said = [repr(options), str(refused.value), reply.data.decode(), service.log.read_text()]
        said.append(service.post("/api/v1/runs", {"config": BTC}).data.decode())
    for text in said:
        assert "ssw0rd" not in text
        assert "reader" not in text
