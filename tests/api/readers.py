"""Many readers of a service at once, each with a connection of its own."""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Taken:
    """How long replies took, in ms, by kind of request; and replies that were not 200."""

    times: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        return sum(map(len, self.times.values())) / self.seconds

    def p99(self, kind: str) -> float:
        return percentile(self.times[kind], 99)

    def told(self) -> str:
        lines = [f"{self.rate:,.0f} replies/s, {len(self.wrong)} wrong"]
        for kind, times in sorted(self.times.items()):
            lines.append(
                f"  {kind:10} n={len(times):6,} p50={percentile(times, 50):6.1f} ms "
                f"p99={percentile(times, 99):6.1f} ms max={max(times):6.1f} ms"
            )
        return "\n".join(lines)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def read_all(
    url: str, paths: dict[str, list[str]], readers: int, seconds: float, pause: float
) -> Taken:
    """Let readers ask for some seconds.

    Parameters
    ----------
    url : str
        The service.
    paths : dict
        Paths by kind; a reader asks for one of each in turn.
    readers : int
        Connections.
    seconds : float
        How long.
    pause : float
        Seconds that a reader waits between a reply and its next request, about.
    """
    taken = Taken({kind: [] for kind in paths})

    async def reader(number: int, until: float) -> None:
        chance = random.Random(number)  # noqa: S311 - a test's choices
        host = urlsplit(url)
        if pause:
            await asyncio.sleep(chance.uniform(0, pause))
        stream, sink = await asyncio.open_connection(host.hostname, host.port)
        for kind in itertools.cycle(paths):
            path = chance.choice(paths[kind])
            began = time.perf_counter()
            sink.write(f"GET {path} HTTP/1.1\r\nHost: {host.netloc}\r\n\r\n".encode())
            head = (await stream.readuntil(b"\r\n\r\n")).lower()
            size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await stream.readexactly(size)
            taken.times[kind].append((time.perf_counter() - began) * 1000)
            if not head.startswith(b"http/1.1 200"):
                taken.wrong.append(f"{path}: {head[:40]!r}")
            if time.perf_counter() > until:
                break
            if pause:
                await asyncio.sleep(chance.uniform(pause / 2, pause * 1.5))
        sink.close()
        await sink.wait_closed()

    async def run() -> None:
        began = time.perf_counter()
        await asyncio.gather(*(reader(each, began + seconds) for each in range(readers)))
        taken.seconds = time.perf_counter() - began

    asyncio.run(run())
    return taken
