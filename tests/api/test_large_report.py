"""A report of two million orders is served in little memory."""

import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from service import BTC, Service, lay_out, make_results, serving

from odum_assets.results.documents import write_timeline

ORDERS = 2_000_000
_SPAN_NS = 3_600 * 1_000_000_000
_MOST_MIB = 300


def _repeated(path: Path, columns: list[str], rows: int) -> None:
    """Write a table again and again into its file, each time an hour later, up to some rows."""
    table = pq.read_table(path)
    with pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1) as writer:
        for turn in range(-(-rows // table.num_rows)):
            part = table.slice(0, rows - turn * table.num_rows)
            for name in columns:
                moved = pc.add(part[name].cast(pa.int64()), turn * _SPAN_NS)
                place = part.schema.get_field_index(name)
                part = part.set_column(place, name, moved.cast(table.schema.field(name).type))
            writer.write_table(part, row_group_size=1 << 20)


def _memory(service: Service, name: str) -> int:
    """Return resident memory of the service in MiB: VmRSS now, VmHWM at most."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    found = re.search(rf"{name}:\s+(\d+)", status)
    assert found is not None
    return int(found[1]) // 1024


def _streamed(service: Service, path: str, **headers: str) -> tuple[int, bytes]:
    """Return the size of a reply and its last bytes."""
    reply = service.pool.request(
        "GET", service.url + path, headers=headers, preload_content=False, decode_content=False
    )
    assert reply.status == 200
    size, tail = 0, b""
    while block := reply.read(1 << 20):
        size, tail = size + len(block), (tail + block)[-4_000:]
    return size, tail


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_two_million_orders_are_a_stream(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (run_id,) = make_results(tmp_path, (BTC, "report"))
    report = tmp_path / "data/results/report" / run_id
    _repeated(report / "orders.parquet", ["timestamp", "ended"], ORDERS)
    _repeated(report / "fills.parquet", ["timestamp"], ORDERS)
    events = write_timeline(report)
    last = pq.ParquetFile(report / "orders.parquet").metadata.num_rows
    assert last == ORDERS
    with serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as service:
        place, run = f"/api/backtest/results/{run_id}", f"/api/v1/runs/{run_id}"
        service.get(f"{place}/fills?limit=10")
        before = _memory(service, "VmRSS")
        sizes = {}
        for name, path, headers in [
            ("report", f"{place}/report", {}),
            ("report, packed", f"{place}/report", {"Accept-Encoding": "gzip"}),
            ("fills, lines", f"{place}/fills", {"Accept": "application/x-ndjson"}),
            ("timeline, lines", f"{run}/timeline", {"Accept": "application/x-ndjson"}),
            (
                "orders, Arrow",
                f"{run}/orders",
                {"Accept": "application/vnd.apache.arrow.stream"},
            ),
        ]:
            size, tail = _streamed(service, path, **headers)
            sizes[name] = size
            if name == "report":
                paging = json.loads(b"{" + tail[tail.rindex(b'"timeline_pagination"') :])
                assert paging["orders_pagination"]["total"] == ORDERS
                assert paging["timeline_pagination"]["total"] == events
        peak = _memory(service, "VmHWM")
        for name, size in sizes.items():
            print(f"\n{name}: {size / 1e6:,.0f} MB", end="")
        print(f"\nmemory of the service: {before} MiB before, {peak} MiB at most")
    # More than a gigabyte: not to be kept with the other folders of tests.
    shutil.rmtree(report)
    assert peak - before < _MOST_MIB
    assert sizes["report"] > 400e6
