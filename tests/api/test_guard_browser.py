"""The guard as a real browser meets it; skipped where there is no Chromium."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from browser import browsing, needs_chromium
from live import DAYS, SLOW, Live, living
from service import BTC

TOKEN = "a-token-nobody-guesses-3456"  # noqa: S105 - of a test
ATTACK = """(async () => {
  const query = '?query=' + encodeURIComponent('mutation { reloadRepositoryLocation('
    + 'repositoryLocationName: "odum_assets") { __typename } }');
  const url = '%s/dagster/graphql';
  const ask = (options, to = url + query) =>
    fetch(to, {credentials: 'include', ...options}).then(r => r.type, () => 'failed');
  const opened = new Promise(done => {
    const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-ws');
    socket.onopen = () => done('open');
    socket.onerror = () => done('failed');
  });
  const image = new Promise(done => {
    const element = new Image();
    element.onload = () => done('shown');
    element.onerror = () => done('failed');
    element.src = '%s/dagster/favicon.png';
  });
  const form = new URLSearchParams({token: '%s'});
  return JSON.stringify([
    await ask({mode: 'no-cors'}), await ask({}),
    await ask({mode: 'no-cors', method: 'POST', body: 'x'}),
    await ask({mode: 'no-cors', method: 'POST', body: form}),
    await ask({mode: 'no-cors', method: 'POST', body: form}, '%s/login'),
    await ask({mode: 'no-cors', method: 'POST', body: form}, '%s/logout'),
    await ask({method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'}),
    await opened, await image,
  ]);
})()"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(280),
    needs_chromium,
]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`odum serve` with a token."""
    folder = tmp_path_factory.mktemp("browsed")
    with living(folder, ODUM_API_TOKEN=TOKEN) as found:
        found.wait_for_dagster(Authorization=f"Bearer {TOKEN}")
        yield found


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[int]:
    """An empty page of another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><title>Other</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_a_browser_logs_in_and_the_pages_of_others_do_not(
    locked: Live, elsewhere: int, tmp_path: Path
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    text = "(document.body?.innerText ?? '')"
    with browsing(tmp_path / "profile") as page:
        page.open(f"{locked.url}/dagster/assets")
        page.wait("document.querySelector('#token') !== null")
        page.run(f"token.value = '{TOKEN}'; document.querySelector('button').click()")
        page.wait(f"location.pathname == '/dagster/assets' && {text}.includes('odum_assets')")
        assert page.run("document.cookie") == ""

        launched = locked.post(
            "/api/v1/runs", {"config": BTC, "day": DAYS[0], "mode": "fast"}, **headers
        ).json
        page.open(f"{locked.url}/dagster/runs/{launched['dagster_run_id']}")
        page.wait(f"{text}.includes('RUN_SUCCESS')")
        assert any("STEP_SUCCESS" in each or "StepSuccess" in each for each in page.sockets)

        # One that still runs when the page is there: its events come over a web socket.
        launched = locked.post("/api/v1/runs", {"config": SLOW, "day": DAYS[0]}, **headers).json
        page.open(f"{locked.url}/dagster/runs/{launched['dagster_run_id']}")
        page.wait(f"{text}.includes('STEP_START')")
        path = f"{locked.url}/api/v1/runs/{launched['run_id']}"
        assert locked.pool.request("DELETE", path, headers=headers).status == 202
        page.wait(f"{text}.includes('RUN_CANCELED')")
        assert any("RUN_CANCELED" in each or "RunCanceled" in each for each in page.sockets)

        base = locked.url
        for host in ("127.0.0.1", "localhost"):
            page.open(f"http://{host}:{elsewhere}/")
            page.wait("document.title == 'Other'")
            found = json.loads(page.run(ATTACK % (base, base, TOKEN, base, base)))
            assert found == ["failed"] * 9
            # A link from there leads in all the same: the session has not ended.
            page.run(f"location.href = '{base}/dagster/runs'")
            page.wait(f"location.pathname == '/dagster/runs' && {text}.includes('Runs')")

        page.open(f"{base}/login")
        page.wait(f"{text}.includes('Log out')")
        page.run("document.querySelector('button').click()")
        page.wait("document.querySelector('#token') !== null")
        page.open(f"{base}/dagster/runs")
        page.wait("location.pathname == '/login'")
