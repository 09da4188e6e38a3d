"""Work that many requests ask for at the same time is done once for all of them.

An answer is never older than the question: a request takes part in work that began after it came,
or waits for the next turn. So there is nothing to expire, and however many ask, each question is
worked on by one thread at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import anyio.to_thread

type _Run = Callable[[Callable[[], Any]], Awaitable[Any]]


class SingleFlight:
    """Run functions in threads, one at a time for each key, for all who wait for it."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._waiting: dict[Hashable, tuple[Callable[[], Any], _Run, asyncio.Future[Any]]] = {}

    async def get[T](
        self, key: Hashable, work: Callable[[], T], run: _Run = anyio.to_thread.run_sync
    ) -> T:
        """Return what a function returns.

        Parameters
        ----------
        key : hashable
            Names the question; functions of the same key must give the same answer.
        work : callable
            Gives the answer; called in a thread.
        run : callable
            Calls it in a thread; the usual ones by default.
        """
        if key in self._waiting:
            answer = self._waiting[key][2]
        else:
            answer = asyncio.get_running_loop().create_future()
            self._waiting[key] = work, run, answer
            if key not in self._running:
                # Not a part of this request: others wait for it when this one goes away.
                self._running[key] = asyncio.create_task(self._run(key))
        result: T = await asyncio.shield(answer)
        return result

    async def _run(self, key: Hashable) -> None:
        while key in self._waiting:
            work, run, answer = self._waiting.pop(key)
            try:
                result = await run(work)
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
                _settle(answer, error)
            else:
                answer.set_result(result)
        del self._running[key]


def _settle(answer: asyncio.Future[Any], error: BaseException) -> None:
    answer.set_exception(error)
    # Everybody may have gone away meanwhile.
    answer.exception()
