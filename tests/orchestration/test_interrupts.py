"""Signals that arrive where Python discards what they raise."""

import os
import signal
import sys
import time

import pytest

from odum_assets.orchestration.interrupts import discarded_interrupts_repeated

_WAITS_S = 5.0


class Interrupted:
    """Raise an error, or be interrupted, while it is destroyed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def __del__(self) -> None:
        if self.error is not None:
            raise self.error
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1_000):  # the handler is called between two of these
            pass


def test_an_interrupt_that_python_discards_comes_again() -> None:
    started = time.monotonic()
    with discarded_interrupts_repeated(), pytest.raises(KeyboardInterrupt):
        _destroyed_and_waiting()
    assert time.monotonic() - started < _WAITS_S


def _destroyed_and_waiting() -> None:
    Interrupted()
    time.sleep(_WAITS_S)


def test_another_error_that_python_discards_is_reported_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda raised: reported.append(raised.exc_value))
    error = ValueError("not ours")
    with discarded_interrupts_repeated():
        Interrupted(error)
    assert reported == [error]
