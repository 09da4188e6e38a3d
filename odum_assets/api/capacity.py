"""Threads for calls that wait for others, so that no kind of call takes the threads of another.

What belongs here: how many calls of a kind go on at once, how many wait, and how long any takes.
What does not: what is called (`dagster_client`, the routes).
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from odum_assets.api.problems import ProblemError
from odum_assets.raw.layout import is_url

_LATER: Final = {"Retry-After": "5"}
_STORAGE_S: Final = 60.0
_LOCAL_THREADS: Final = 8
_REMOTE_THREADS: Final = 4
_MOST_HOSTS: Final = 32
_GIVEN_UP: Final[ContextVar[threading.Event | None]] = ContextVar("_GIVEN_UP", default=None)


class Capacity:
    """Run calls of one kind in threads of their own.

    A thread cannot be ended: a call that takes too long keeps its thread until it returns, and who
    asked is answered before. So calls to a host that never answers take the threads of their own
    kind, and no more.

    Parameters
    ----------
    name : str
        What is waited for, as a message says it.
    threads : int
        Calls at once.
    seconds : float
        Longest time for a call, waiting for a thread included.
    waiting : int
        Calls that may wait for a thread.
    """

    def __init__(self, name: str, threads: int, seconds: float, waiting: int = 256) -> None:
        self._name = name
        self._free = asyncio.Semaphore(threads)
        self._seconds = seconds
        self._may_wait = waiting
        self._waiting = 0

    async def run[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a call returns.

        Raises
        ------
        ProblemError
            If there was no thread for it (503), or it took too long (504).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        await self._take(deadline)
        answer: asyncio.Future[T] = loop.create_future()
        given_up = threading.Event()
        work = partial(call, *args, **kwargs)
        worker = threading.Thread(
            target=self._work, args=(loop, work, answer, given_up), name=self._name, daemon=True
        )
        try:
            worker.start()
        except RuntimeError:
            self._free.release()
            raise self._busy() from None
        try:
            async with asyncio.timeout_at(deadline):
                return await answer
        except TimeoutError:
            raise ProblemError(
                504,
                "timeout",
                f"{self._name}: no answer within {self._seconds:g} s",
                _LATER,
            ) from None
        finally:
            given_up.set()

    async def _take(self, deadline: float) -> None:
        """Wait for a thread."""
        if self._waiting >= self._may_wait:
            raise self._busy()
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._free.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], Any],
        answer: asyncio.Future[Any],
        given_up: threading.Event,
    ) -> None:
        _GIVEN_UP.set(given_up)
        try:
            settle = partial(answer.set_result, work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            settle = partial(answer.set_exception, error)

        def end() -> None:
            self._free.release()
            if not answer.done():
                settle()

        # The service may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end)

    def _busy(self) -> ProblemError:
        return ProblemError(
            503, "busy", f"{self._name}: too many calls wait for an answer; try again", _LATER
        )


def go_on() -> None:
    """End a call that nobody waits for any more; to be called in a loop over many steps.

    Raises
    ------
    ProblemError
        If its time is over.
    """
    given_up = _GIVEN_UP.get()
    if given_up is not None and given_up.is_set():
        raise ProblemError(504, "timeout", "the time for this call is over")


class StorageCapacity:
    """Capacities for raw data: one for this machine's disks, one for each host."""

    def __init__(self) -> None:
        self.local = Capacity("raw data", _LOCAL_THREADS, _STORAGE_S)
        self._remote: dict[str, Capacity] = {}

    def of(self, roots: Iterable[str]) -> Capacity:
        """Return the capacity for raw roots, by the hosts that have them."""
        hosts = sorted({_host_of(root) for root in roots if is_url(root)})
        if not hosts:
            return self.local
        name = ", ".join(hosts)
        if name not in self._remote and len(self._remote) >= _MOST_HOSTS:
            name = "other hosts"
        new = Capacity(f"raw data on {name}", _REMOTE_THREADS, _STORAGE_S)
        return self._remote.setdefault(name, new)


def _host_of(url: str) -> str:
    """Return host or bucket of an address, without user and password."""
    return url.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
