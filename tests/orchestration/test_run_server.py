"""The process that runs are forked off: terminated runs end, also those that ignore SIGTERM."""

import signal
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from odum_assets.orchestration import run_server
from odum_assets.orchestration.run_server import Command, Sent, _Server


def _stubborn(_task: object, sender: Connection) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sender.send("started")
    time.sleep(60)


def _polite(_task: object, sender: Connection) -> None:
    # Dagster, which another test has loaded here, turns it into an exception.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sender.send("started")
    time.sleep(60)


def _serve(connection: Connection, other: Connection) -> None:
    other.close()
    tasks = {"stubborn": _stubborn, "polite": _polite}
    try:
        _Server(connection, lambda task, sender: tasks[task](task, sender)).loop()
    except EOFError:
        return


def _received(connection: Connection, number: int) -> list[Sent]:
    found: list[Sent] = []
    for _ in range(number):
        assert connection.poll(30), found
        found.append(connection.recv())
    return found


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_run_that_ignores_its_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    monkeypatch.setattr(run_server, "GRACE_SECS", 1.0)
    context = get_context("fork")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs, ours))
    server.start()
    theirs.close()
    ours.send((0, "stubborn"))
    ours.send((1, "polite"))
    assert {sent.content for sent in _received(ours, 2)} == {"started"}
    if is_gone:
        ours.close()
    else:
        ours.send(Command.TERMINATE)
        ends = {sent.index: sent.exit_code for sent in _received(ours, 2)}
        assert ends == {0: -signal.SIGKILL, 1: -signal.SIGTERM}
        # The server goes on, and what is started later is not among those that are killed.
        ours.send((2, "polite"))
        assert _received(ours, 1) == [Sent(2, "started")]
        assert not ours.poll(2)
        ours.close()
    server.join(30)
    is_alive = server.is_alive()
    server.kill()
    assert not is_alive
