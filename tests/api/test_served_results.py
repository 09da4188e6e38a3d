"""Lists, figures and tables of results, over HTTP, against the files themselves."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from earlier import CASH, LOSING, WINDOW, lay_out_version_1
from service import BTC, THROTTLED, Service, lay_out, serving

LINES = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
RESULTS = "/api/backtest/results"


def _run(project: Path, config: str, mode: str) -> str:
    for path in (project / "data/results/fast").glob("*.json"):
        document = json.loads(path.read_text())
        if (document["metadata"]["config_name"], document["mode"]) == (config, mode):
            return path.stem
    raise AssertionError


@pytest.fixture
def run_id(project: Path) -> str:
    return _run(project, BTC, "report")


def _table(project: Path, run_id: str, name: str) -> pa.Table:
    return pq.read_table(project / "data/results/report" / run_id / f"{name}.parquet")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a file as the service should spell it; times by their text."""
    return {name: float(v) if isinstance(v, Decimal) else v for name, v in row.items()}


def test_lists_have_every_result_once_newest_first(service: Service, project: Path) -> None:
    files = [json.loads(p.read_text()) for p in (project / "data/results/fast").glob("*.json")]
    newest = sorted(files, key=lambda each: each["execution_time"], reverse=True)
    reply = service.get(RESULTS)
    assert [each["run_id"] for each in reply.json] == [each["run_id"] for each in newest]
    assert [each["summary"]["pnl"] for each in reply.json] == [
        each["summary"]["pnl"] for each in newest
    ]
    assert reply.headers["X-Total-Count"] == str(len(files))
    for mode in ("fast", "report"):
        shown = [each["run_id"] for each in service.get(f"{RESULTS}/{mode}").json]
        assert shown == [each["run_id"] for each in newest if each["mode"] == mode]
    second = service.get(f"{RESULTS}?limit=1&offset=1").json
    assert [each["run_id"] for each in second] == [newest[1]["run_id"]]


def test_a_result_is_the_stored_document(service: Service, project: Path, run_id: str) -> None:
    stored = json.loads((project / f"data/results/fast/{run_id}.json").read_text())
    reply = service.get(f"{RESULTS}/{run_id}")
    assert reply.json == {**stored, "ticks_path": f"{RESULTS}/{run_id}/ticks"}
    again = service.get(f"{RESULTS}/{run_id}", If_None_Match=reply.headers["ETag"])
    assert (again.status, again.data) == (304, b"")


def test_the_log_of_a_run_is_text(service: Service, project: Path, run_id: str) -> None:
    path = f"/api/v1/runs/{run_id}/log"
    assert service.get(path).data == b""
    folder = project / "data/results/logs"
    folder.mkdir(exist_ok=True)
    (folder / f"{run_id}.log").write_text("first\n€ second\nthird\n", encoding="utf-8")
    reply = service.get(path)
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert reply.data.decode() == "first\n€ second\nthird\n"
    assert service.get(f"{path}?lines=2").data.decode() == "€ second\nthird\n"
    assert service.get("/api/v1/runs/BNF_BTC_20240101_00000000_ffffff_ffffff/log").status == 404
    assert service.get(f"{path}?lines=0").status == 422
    (folder / f"{run_id}.log").unlink()


def test_pages_of_fills_make_the_whole_table(service: Service, project: Path, run_id: str) -> None:
    fills = _table(project, run_id, "fills")
    path: str | None = f"{RESULTS}/{run_id}/fills?limit=700"
    rows: list[dict[str, Any]] = []
    while path is not None:
        reply = service.get(path)
        page = reply.json
        assert (page["total"], page["offset"]) == (fills.num_rows, len(rows))
        rows += page["fills"]
        assert page["has_more"] == (len(rows) < fills.num_rows)
        link = reply.headers.get("Link")
        path = None if link is None else link[1:].partition(">")[0]
    assert len(rows) == fills.num_rows > 2_000
    times = fills["timestamp"].cast(pa.int64()).to_pylist()
    for row, stored, moment in zip(rows, fills.to_pylist(), times, strict=True):
        stamp = stored.pop("timestamp").to_datetime64()
        assert row.pop("timestamp") == f"{stamp}Z"
        assert int(stamp.astype("int64")) == moment
        assert row == _plain(stored)


@pytest.mark.parametrize(
    ("name", "path"), [("fills", RESULTS + "/{}/fills"), ("equity", "/api/v1/runs/{}/equity")]
)
def test_arrow_and_lines_have_all_rows(
    service: Service, project: Path, run_id: str, name: str, path: str
) -> None:
    stored = _table(project, run_id, name)
    arrow = service.get(path.format(run_id), Accept=ARROW)
    assert pa.ipc.open_stream(arrow.data).read_all().equals(stored)
    part = service.get(path.format(run_id) + "?offset=7&limit=20", Accept=ARROW)
    assert pa.ipc.open_stream(part.data).read_all().equals(stored.slice(7, 20))
    lines = service.get(path.format(run_id), Accept=f"text/html;q=0.9, {LINES}")
    assert lines.headers["Content-Type"].startswith(LINES)
    assert len([json.loads(line) for line in lines.data.splitlines()]) == stored.num_rows
    beyond = service.get(path.format(run_id) + "?offset=99999999", Accept=ARROW)
    assert pa.ipc.open_stream(beyond.data).read_all().equals(stored.slice(0, 0))


def test_packed_is_the_same_and_has_a_tag_of_its_own(service: Service, run_id: str) -> None:
    path = f"{RESULTS}/{run_id}/fills"
    plain = service.get(path, Accept=LINES)
    raw = service.pool.request(
        "GET",
        service.url + path,
        headers={"Accept": LINES, "Accept-Encoding": "gzip"},
        decode_content=False,
    )
    assert gzip.decompress(raw.data) == plain.data
    assert raw.headers["ETag"] != plain.headers["ETag"]
    assert service.get(path, Accept=LINES, If_None_Match=plain.headers["ETag"]).status == 304
    assert service.get(path, If_None_Match=plain.headers["ETag"]).status == 200


def test_a_report_has_timeline_and_orders(service: Service, project: Path, run_id: str) -> None:
    folder = project / "data/results/report" / run_id
    timeline = json.loads((folder / "timeline.json").read_text())
    reply = service.get(f"{RESULTS}/{run_id}/report?timeline_offset=3&timeline_limit=50").json
    assert reply["timeline"] == timeline[3:53]
    assert reply["timeline_pagination"] == {
        "total": len(timeline),
        "limit": 50,
        "offset": 3,
        "has_more": True,
    }
    orders = _table(project, run_id, "orders")
    assert [each["id"] for each in reply["orders"]] == orders["id"].to_pylist()
    assert reply["summary"] == json.loads((folder / "summary.json").read_text())["summary"]


def test_ticks_are_the_exported_ones(service: Service, project: Path, run_id: str) -> None:
    exported = json.loads((project / f"data/results/tickdata/{run_id}.json").read_text())
    path = f"{RESULTS}/{run_id}/ticks"
    page = service.get(f"{path}?offset=1000&limit=10000").json
    assert page["ticks"] == exported[1000:]
    assert (page["total"], page["has_more"]) == (len(exported), False)
    arrow = pa.ipc.open_stream(service.get(path, Accept=ARROW).data).read_all()
    times = {name: arrow[name].cast(pa.int64()).to_pylist() for name in ("ts_event", "ts_init")}
    for row, (number, stored) in zip(arrow.to_pylist(), enumerate(exported), strict=True):
        moments = {name: str(values[number]) for name, values in times.items()}
        assert {**row, **moments} == stored


def _times(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ns").astype("int64"))


@pytest.mark.parametrize(
    ("name", "path", "time"),
    [
        ("fills", RESULTS + "/{}/fills", "timestamp"),
        ("ticks", RESULTS + "/{}/ticks", "ts_init"),
        ("timeline", "/api/v1/runs/{}/timeline", "ts"),
        ("orders", "/api/v1/runs/{}/orders", "timestamp"),
        ("equity", "/api/v1/runs/{}/equity", "timestamp"),
    ],
)
def test_a_range_of_time_is_the_rows_of_it(
    service: Service, run_id: str, name: str, path: str, time: str
) -> None:
    place = path.format(run_id)
    rows = [json.loads(line) for line in service.get(place, Accept=LINES).data.splitlines()]

    def moment(row: dict[str, Any]) -> int:
        return int(row[time]) if name == "ticks" else _times(row[time])

    start, end = "2024-01-01T12:10:00Z", "2024-01-01T12:20:00.5Z"
    wanted = [row for row in rows if _times(start) <= moment(row) < _times(end)]
    assert 5 < len(wanted) < len(rows)
    bounds = f"start={start}&end={end}"
    page = service.get(f"{place}?{bounds}&offset=2&limit=3").json
    assert (page["total"], page[name]) == (len(wanted), wanted[2:5])
    arrow = pa.ipc.open_stream(service.get(f"{place}?{bounds}", Accept=ARROW).data).read_all()
    assert arrow.num_rows == len(wanted)
    after = service.get(f"{place}?start={end}", Accept=LINES).data.splitlines()
    assert [json.loads(line) for line in after] == [
        row for row in rows if moment(row) >= _times(end)
    ]
    none = service.get(f"{place}?start={end}&end={start}").json
    assert (none["total"], none[name]) == (0, [])
    assert service.get(f"{place}?start=noon").json["type"] == "urn:odum:problem:invalid-time"


def test_the_timeline_as_columns_says_what_the_file_says(
    service: Service, project: Path, run_id: str
) -> None:
    path = f"/api/v1/runs/{run_id}/timeline"
    stored = json.loads((project / f"data/results/report/{run_id}/timeline.json").read_text())
    arrow = pa.ipc.open_stream(service.get(path, Accept=ARROW).data).read_all()
    times = arrow["ts"].cast(pa.int64()).to_pylist()
    for row, time, each in zip(arrow.to_pylist(), times, stored, strict=True):
        known = {name: value for name, value in row["data"].items() if value is not None}
        told = {name: value for name, value in each["data"].items() if value is not None}
        assert (row["event"], time, known) == (each["event"], _times(each["ts"]), told)


def test_refused_orders_are_counted_by_side_and_reason(service: Service, project: Path) -> None:
    run_id = _run(project, THROTTLED, "report")
    orders = _table(project, run_id, "orders").to_pylist()
    refused = [each for each in orders if each["status"] in ("denied", "rejected")]
    page = service.get(f"{RESULTS}/{run_id}/rejected-orders?limit=5").json
    assert [each["id"] for each in page["rejected_orders"]] == [each["id"] for each in refused[:5]]
    assert page["total"] == len(refused) > 5
    found = page["analysis"]
    prices = [float(each["price"]) for each in refused if each["price"] is not None]
    assert found["total_rejected"] == len(refused)
    assert found["by_side"]["buy"] == sum(each["side"] == "buy" for each in refused)
    assert found["price_range"]["min"] == min(prices)
    assert found["price_range"]["avg"] == pytest.approx(sum(prices) / len(prices))
    assert sum(each["count"] for each in found["by_price_range"]) == len(prices)
    assert sum(each["count"] for each in found["common_patterns"]) == len(refused)


def test_a_fast_result_says_that_it_has_no_tables(service: Service, project: Path) -> None:
    run_id = _run(project, BTC, "fast")
    reply = service.get(f"{RESULTS}/{run_id}/fills")
    assert (reply.status, reply.json["type"]) == (404, "urn:odum:problem:no-report")
    assert "report mode" in reply.json["detail"]


def test_a_form_that_there_is_not_is_refused(service: Service, run_id: str) -> None:
    assert service.get(f"{RESULTS}/{run_id}/fills", Accept="text/html").status == 406
    assert service.get(f"{RESULTS}/{run_id}/report", Accept=ARROW).status == 406


def test_results_side_by_side(service: Service, project: Path, run_id: str) -> None:
    other = _run(project, THROTTLED, "report")
    found = service.get(f"/api/v1/compare?ids={run_id},{other}&points=5&align=start").json
    stored = [
        json.loads((project / f"data/results/fast/{each}.json").read_text())["summary"]
        for each in (run_id, other)
    ]
    assert found["metrics"]["pnl"] == [each["pnl"] for each in stored]
    assert found["config"] == {"risk.throttling_per_sec": [None, 1]}
    for name in (run_id, other):
        curve = found["equity"]["equity"][name]
        table = _table(project, name, "equity")
        times = [each.value for each in table["timestamp"].to_pandas()]
        values = [float(each) for each in table["portfolio_value"].to_pylist()]
        for moment, value in zip(map(int, found["equity"]["times_ns"]), curve, strict=True):
            known = [v for t, v in zip(times, values, strict=True) if t - times[0] <= moment]
            assert value == (None if moment > times[-1] - times[0] else known[-1])


def test_figures_and_round_trips_of_a_run(service: Service, project: Path, run_id: str) -> None:
    stored = json.loads((project / f"data/results/fast/{run_id}.json").read_text())["summary"]
    for path in (f"/api/metrics/core?run_id={run_id}", f"/api/v1/runs/{run_id}/metrics"):
        assert service.get(path).json == {"run_id": run_id, "metrics": stored}
    positions = _table(project, run_id, "positions").to_pylist()
    reply = service.get(f"/api/trades?run_id={run_id}")
    assert reply.headers["X-Total-Count"] == str(len(positions))
    for shown, each in zip(reply.json, positions, strict=True):
        assert shown["trade_id"] == each["position_id"]
        assert shown["net_pnl"] == float(each["net_pnl"])
        assert shown["direction"] == each["side"].lower()
        assert (shown["exit_timestamp"] is None) == (each["closed"] is None)
    for direction in ("long", "short"):
        fitting = service.get(f"/api/trades?run_id={run_id}&direction={direction}&limit=1")
        number = sum(each["side"].lower() == direction for each in positions)
        assert fitting.headers["X-Total-Count"] == str(number)
        assert len(fitting.json) == min(number, 1)
    for symbol, count in (("btcusdt", len(positions)), ("BTC-USDT", len(positions)), ("ETH", 0)):
        fitting = service.get(f"/api/trades?run_id={run_id}&symbol={symbol}")
        assert fitting.headers["X-Total-Count"] == str(count)
    assert service.get(f"/api/v1/runs/{run_id}/trades").json["total"] == len(positions)
    assert service.get("/health").json == service.get("/api/health").json


def test_results_of_earlier_versions_are_served_in_todays_form(tmp_path: Path) -> None:
    lay_out(tmp_path)
    lay_out_version_1(tmp_path / "data" / "results")
    with serving(tmp_path, ODUM_DAGSTER_URL="http://127.0.0.1:9") as old:
        listed = {each["run_id"]: each for each in old.get(RESULTS).json}
        runs = {each["run_id"]: each for each in old.get("/api/v1/runs").json["runs"]}
        assert set(listed) == set(runs) == {WINDOW, CASH, LOSING}
        for run_id, result in listed.items():
            summary, run = result["summary"], runs[run_id]
            metrics = old.get(f"/api/v1/runs/{run_id}/metrics").json["metrics"]
            assert metrics["drawdown"] == summary["drawdown"]
            assert summary["figures_version"] == 1
            assert summary["drawdown"]["max_drawdown_pct"] < 0
            assert run["pnl"] == pytest.approx(summary["pnl"], abs=1e-9)
            assert run["drawdown_amount"] == summary["drawdown"]["max_drawdown_amount"] < 0
        assert {run_id: run["figures_version"] for run_id, run in runs.items()} == {
            WINDOW: 2,
            LOSING: 2,
            CASH: 1,
        }
        mildest = old.get("/api/v1/runs?sort=-max_drawdown").json["runs"]
        assert mildest[-1]["run_id"] == LOSING
