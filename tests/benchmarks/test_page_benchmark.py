"""What the results page asks of a run of two million orders, in seconds of processor time.

``ODUM_BENCH_ORDERS`` sets the number of orders.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from largeresult import RUN_ID, large_result
from marketday import market_day
from measuring import Measurements
from service import Service, serving

ORDERS = int(os.environ.get("ODUM_BENCH_ORDERS", "2000000"))
MOMENT = 1_704_110_400_000_000_000
CALLS = {
    "bars of the run": ("bars?points=1440", 1.0),
    "bars, other buckets": ("bars?points=1000", 0.1),
    "bars, 1 h of it": ("bars?start=2024-01-01T12:00:00Z&end=2024-01-01T13:00:00Z", 0.4),
    "curve of the run": ("curve?points=2000", 0.5),
    "curve, other buckets": ("curve?points=1000", 0.1),
    "curve, 1 h of it": ("curve?start=2024-01-01T12:00:00Z&end=2024-01-01T13:00:00Z", 0.1),
    "moment of 5 s": (f"moment?at_ns={MOMENT}", 0.2),
    "moment beside it": (f"moment?at_ns={MOMENT + 5_000_000_000}", 0.1),
    "orders of a side": ("orders?where=side:sell&limit=200", 0.3),
    "orders whose id contains": ("orders?where=id~1234&limit=200", 0.4),
    "orders by amount": ("orders?sort=-amount&limit=200", 0.8),
    "orders by amount, next page": ("orders?sort=-amount&limit=200&offset=200", 0.1),
    "round trips by net PnL": ("trades?sort=-net_pnl&limit=200", 0.4),
    "round trips, next page": ("trades?sort=-net_pnl&limit=200&offset=200", 0.1),
    "sells at a loss": ("fills?where=side:sell,realized_pnl%3C0&limit=200", 0.5),
    "orders around a time": (f"orders?around={MOMENT}&limit=200", 0.3),
    "orders, page in the middle": ("orders?limit=200&offset=1000000", 0.1),
    "fills by price": ("fills?sort=-price&limit=200", 0.4),
    "fills by price, in the middle": ("fills?sort=-price&limit=200&offset=1000000", 0.5),
    "breakdown by hour": ("breakdown?by=hour", 0.4),
    "breakdown by purpose": ("breakdown?by=purpose", 1.0),
}
"""Calls, and the seconds that the first one may take."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over the run."""
    folder = tmp_path_factory.mktemp("page")
    day = market_day(folder / "day", ORDERS)
    day.convert()
    large_result(day, ORDERS * 13 // 10)
    environment = {**day.environment(), "ODUM_DAGSTER_URL": "http://127.0.0.1:9"}
    with serving(folder, **environment) as found:
        yield found


@pytest.mark.parametrize("name", CALLS)
def test_page_call(
    benchmark: pytest.FixtureRequest, page: Service, measurements: Measurements, name: str
) -> None:
    path, limit = CALLS[name]
    took: list[float] = []

    def ask() -> None:
        begin = processor_s(page.pid)
        reply = page.get(f"/api/v1/runs/{RUN_ID}/{path}", Accept_Encoding="gzip")
        took.append(processor_s(page.pid) - begin)
        assert reply.status == 200, reply.data

    benchmark.pedantic(ask, rounds=3, iterations=1)  # type: ignore[attr-defined]
    first, again = took[0], min(took[1:])
    measurements.add(
        f"Calls of the results page, run of {ORDERS:,} orders (processor seconds)",
        call=name,
        first=f"{first:.2f}",
        again=f"{again:.2f}",
        limit=f"{limit:g}",
    )
    if ORDERS <= 2_000_000:
        assert first < limit


def processor_s(pid: int) -> float:
    """Return the processor time that a process has used, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
