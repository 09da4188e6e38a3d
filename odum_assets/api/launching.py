"""Launches over HTTP: how many per minute, and repeated requests that start nothing again."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from odum_assets.api.problems import ProblemError

KEY_TAG = "odum/idempotency_key"
BODY_TAG = "odum/request"


class LaunchLimit:
    """Let a number of runs start per minute.

    Parameters
    ----------
    per_minute : int
        How many.
    """

    def __init__(self, per_minute: int) -> None:
        self._lock = threading.Lock()
        self._most = per_minute
        self._times: deque[float] = deque()

    def take(self) -> None:
        """Count a launch.

        Raises
        ------
        ProblemError
            If there were too many in the last minute; it says when the next one may come.
        """
        with self._lock:
            now = time.monotonic()
            while self._times and now - self._times[0] >= 60:
                self._times.popleft()
            if len(self._times) >= self._most:
                wait = int(60 - (now - self._times[0])) + 1
                raise ProblemError(
                    429,
                    "too-many-launches",
                    f"{self._most} runs may be started per minute (ODUM_API_LAUNCHES_PER_MINUTE); "
                    f"try again in {wait} s, or start many days as one range",
                    {"Retry-After": str(wait)},
                )
            self._times.append(now)

    def give_back(self) -> None:
        """Take back the latest launch: it was refused before there was any work."""
        with self._lock:
            if self._times:
                self._times.pop()


class KeyLocks:
    """Locks by name, each there as long as somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[None]:
        """Hold the lock of a name."""
        lock, users = self._locks.get(name, (anyio.Lock(), 0))
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = lock, users - 1


def repeat_tags(key: str | None, body: str) -> dict[str, str]:
    """Return tags by which a repeated request is known again; none without an Idempotency-Key.

    Parameters
    ----------
    key : str or None
        The header.
    body : str
        What was asked for, in one spelling.
    """
    if key is None:
        return {}
    # Hashed: a tag is shown to everybody, and has no room for any text.
    return {KEY_TAG: _hash(key), BODY_TAG: _hash(body)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
