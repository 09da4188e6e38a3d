"""What the results page reads of a run, as it is served: against the stored files."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from service import BTC, DAY, THROTTLED, Service, lay_out, make_results, serving

from odum_assets.utc import iso_ns

NS = pa.int64()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pagedata")
    lay_out(place)
    return place


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[str]:
    """Results: with exported ticks, of denied orders, in fast mode."""
    return make_results(folder, (BTC, "report"), (THROTTLED, "report"), (BTC, "fast"))


@pytest.fixture(scope="module")
def here(folder: Path, runs: list[str]) -> Iterator[Service]:
    assert runs
    with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9") as found:
        yield found


def table(folder: Path, run: str, name: str) -> pa.Table:
    return pq.read_table(folder / f"data/results/report/{run}/{name}.parquet")


def ns(column: Any) -> list[int]:
    found: list[int] = column.cast(NS).to_pylist()
    return found


def market(folder: Path) -> pa.Table:
    (path,) = (folder / "data/catalog/data/trades").rglob("*.parquet")
    return pq.read_table(path)


def test_bars_are_the_market_with_the_fills_of_the_run(
    here: Service, folder: Path, runs: list[str]
) -> None:
    reply = here.get(f"/api/v1/runs/{runs[0]}/bars?points=100", Accept_Encoding="gzip")
    bars = reply.json
    trades, fills = market(folder), table(folder, runs[0], "fills")
    t0, step = int(bars["t0_ns"]), int(bars["step_ns"])
    rows = defaultdict(list)
    for row in zip(
        ns(trades["ts_init"]), trades["price"].to_pylist(), trades["size"].to_pylist(), strict=True
    ):
        rows[(row[0] - t0) // step].append(row[1:])
    assert bars["i"] == list(rows)
    assert len(rows) > 20
    assert bars["source"] == "same"
    prices = [[price for price, _ in each] for each in rows.values()]
    assert bars["o"] == [float(each[0]) for each in prices]
    assert bars["h"] == [float(max(each)) for each in prices]
    assert bars["l"] == [float(min(each)) for each in prices]
    assert bars["c"] == [float(each[-1]) for each in prices]
    assert bars["v"] == [float(sum(size for _, size in each)) for each in rows.values()]
    assert sum(bars["n"]) == trades.num_rows
    for name, side in (("buys", "buy"), ("sells", "sell")):
        of_side = [row for row in fills.to_pylist() if row["side"] == side]
        assert sum(bars[name]["n"]) == len(of_side)
        quantity = sum(row["quantity"] for row in of_side)
        assert sum(Decimal(str(each)) for each in bars[name]["qty"]) == quantity
    assert bars["refused"] == {"i": [], "n": []}
    # A zoom with bounds inside buckets is the same buckets.
    start, end = t0 + 3 * step + 1, t0 + 9 * step - 1
    near = here.get(f"/api/v1/runs/{runs[0]}/bars?start={start}&end={end}&points=6").json
    assert (near["t0_ns"], near["step_ns"]) == (str(t0 + 3 * step), str(step))
    inside = [at for at, bucket in enumerate(bars["i"]) if 3 <= bucket < 9]
    assert near["i"] == [bars["i"][at] - 3 for at in inside]
    assert near["h"] == [bars["h"][at] for at in inside]
    again = here.get(
        f"/api/v1/runs/{runs[0]}/bars?points=100",
        If_None_Match=reply.headers["ETag"],
        Accept_Encoding="gzip",
    )
    assert again.status == 304


def test_trades_have_times_that_need_pandas(here: Service, runs: list[str]) -> None:
    trades = here.get(f"/api/v1/runs/{runs[0]}/trades?limit=1").json["trades"]
    legacy = here.get(f"/api/trades?run_id={runs[0]}&limit=1")
    assert (legacy.status, len(legacy.json)) == (200, len(trades)), legacy.text


def test_refusals_are_counted(here: Service, folder: Path, runs: list[str]) -> None:
    bars = here.get(f"/api/v1/runs/{runs[1]}/bars?points=50").json
    refused = [
        row
        for row in table(folder, runs[1], "orders").to_pylist()
        if row["status"] in ("denied", "rejected")
    ]
    assert sum(bars["refused"]["n"]) == len(refused) > 0


def test_the_curve_has_the_drawdown_of_the_summary(
    here: Service, folder: Path, runs: list[str]
) -> None:
    stored = json.loads((folder / f"data/results/fast/{runs[0]}.json").read_text())["summary"]
    equity = table(folder, runs[0], "equity")
    values = [float(each) for each in equity["portfolio_value"].to_pylist()]
    for points in (3, 1_000):
        curve = here.get(f"/api/v1/runs/{runs[0]}/curve?points={points}").json
        known = [each for each in curve["drawdown"]["min"] if each is not None]
        assert min(known) == pytest.approx(stored["drawdown"]["max_drawdown"], rel=1e-12)
        assert min(curve["equity"]["min"]) == min(values)
        assert max(curve["equity"]["max"]) == max(values)
        assert (curve["equity"]["first"][0], curve["equity"]["last"][-1]) == (values[0], values[-1])
        assert curve["before"] is None
    middle = ns(equity["timestamp"])[len(values) // 2]
    later = here.get(f"/api/v1/runs/{runs[0]}/curve?start={iso_ns(middle)}&points=3").json
    assert int(later["before"]["ts_ns"]) < int(later["t0_ns"]) <= middle


def test_a_moment_has_market_orders_and_fills_in_nanoseconds(
    here: Service, folder: Path, runs: list[str]
) -> None:
    fills = table(folder, runs[0], "fills").to_pylist()
    times = ns(table(folder, runs[0], "fills")["timestamp"])
    at, span = times[len(times) // 2], 4_000_000_000
    found = here.get(f"/api/v1/runs/{runs[0]}/moment?at_ns={at}&span_ns={span}").json
    bounds = at - span // 2, at + span // 2
    wanted = [row for row, time in enumerate(times) if bounds[0] <= time < bounds[1]]
    assert found["fills"]["dt_ns"] == [times[row] - at for row in wanted]
    assert 0 in found["fills"]["dt_ns"]
    assert found["fills"]["price"] == [float(fills[row]["price"]) for row in wanted]
    trades = market(folder)
    inside = [
        (time - at, ident)
        for time, ident in zip(ns(trades["ts_init"]), trades["trade_id"].to_pylist(), strict=True)
        if bounds[0] <= time < bounds[1]
    ]
    assert [*zip(found["trades"]["dt_ns"], found["trades"]["trade_id"], strict=True)] == inside
    assert {fills[row]["order_id"] for row in wanted} <= set(found["orders"]["id"])
    ends = dict(zip(found["orders"]["id"], found["orders"]["ended_dt_ns"], strict=True))
    for row in wanted:
        assert ends[fills[row]["order_id"]] >= times[row] - at
    books = found["books"]
    # The book as it was when the span begins, and every one in it.
    assert books["dt_ns"][0] <= -span // 2 or not books["dt_ns"]
    for level in range(5):
        assert len(books["bid_price"][level]) == len(books["dt_ns"])
    best = [*zip(books["bid_price"][0], books["ask_price"][0], strict=True)]
    assert all(bid < ask for bid, ask in best if bid is not None and ask is not None)
    assert found["truncated"] == []
    many = here.get(f"/api/v1/runs/{runs[0]}/moment?at_ns={at}&span_ns=3600000000000").json
    assert len(many["trades"]["dt_ns"]) <= 5_000


def test_rows_sorted_filtered_and_looked_up(here: Service, folder: Path, runs: list[str]) -> None:
    fills = table(folder, runs[0], "fills").to_pylist()
    place = f"/api/v1/runs/{runs[0]}/fills"
    page = here.get(f"{place}?sort=-price,timestamp&where=side:sell&limit=7&offset=2").json
    ordered = sorted((row for row in fills if row["side"] == "sell"), key=lambda row: -row["price"])
    assert page["total"] == len(ordered)
    assert [row["order_id"] for row in page["fills"]] == [row["order_id"] for row in ordered[2:9]]
    lines = here.get(
        f"{place}?sort=-price,timestamp&where=side:sell", Accept="application/x-ndjson"
    )
    assert [json.loads(line)["order_id"] for line in lines.data.splitlines()] == [
        row["order_id"] for row in ordered
    ]
    wanted = ordered[11]["order_id"]
    around = here.get(f"{place}?sort=-price,timestamp&where=side:sell&around={wanted}&limit=5").json
    assert around["row"] == 11
    assert around["offset"] == 10
    assert around["fills"][1]["order_id"] == wanted
    time = ns(table(folder, runs[0], "fills")["timestamp"])[20]
    assert here.get(f"{place}?around={time}&limit=1").json["offset"] == 20
    for query, status in {
        "where=nothing:1": 422,
        "sort=nothing": 422,
        "where=price~1": 422,
        "around=O-none": 404,
    }.items():
        reply = here.get(f"{place}?{query}")
        assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")


@pytest.mark.parametrize("by", ["hour", "weekday", "day", "month", "side", "instrument"])
def test_round_trips_by_what_they_have_in_common(
    here: Service, folder: Path, runs: list[str], by: str
) -> None:
    found = here.get(f"/api/v1/runs/{runs[1]}/breakdown?by={by}").json
    trips = table(folder, runs[1], "positions").to_pylist()
    assert sum(row["trades"] for row in found["rows"]) == len(trips)
    for shown, stored in (("net_pnl", "net_pnl"), ("commissions", "commissions")):
        total = sum(Decimal(row[shown]) for row in found["rows"])
        assert total == sum(row[stored] for row in trips)
    if by == "day":
        closed = {str(row["closed"].date()) if row["closed"] else "open" for row in trips}
        assert {row["key"] for row in found["rows"]} == closed
    if found["histogram"] is not None:
        assert sum(found["histogram"]["n"]) == sum(row["status"] == "closed" for row in trips)


@pytest.mark.parametrize("by", ["liquidity", "purpose"])
def test_fills_by_what_they_have_in_common(
    here: Service, folder: Path, runs: list[str], by: str
) -> None:
    found = here.get(f"/api/v1/runs/{runs[0]}/breakdown?by={by}").json
    fills = table(folder, runs[0], "fills").to_pylist()
    assert sum(row["fills"] for row in found["rows"]) == len(fills)
    net = sum(Decimal(row["net_pnl"]) for row in found["rows"])
    assert net == sum(row["realized_pnl"] - row["commission"] for row in fills)


def test_lineage_says_what_is_the_same(here: Service, runs: list[str]) -> None:
    for run in runs:
        found = here.get(f"/api/v1/runs/{run}/lineage").json
        states = {(node["kind"], node["now"]) for node in found["nodes"]}
        assert {kind for kind, _ in states} >= {"raw", "catalog", "config", "strategy", "version"}
        assert {now for kind, now in states if kind in ("raw", "catalog", "config")} == {"same"}
        expected = None if run == runs[2] else "same"
        assert ("digest", expected) in states
        assert found["account"]["difference"] == "0"


def test_runs_side_by_side_with_their_first_difference(
    here: Service, folder: Path, runs: list[str]
) -> None:
    a, b, fast = runs
    found = here.get(f"/api/v1/compare?ids={a},{b},{fast}&base={a}&points=40&align=start").json
    assert found["not_compared"] == []
    assert found["curves"]["missing"] == [fast]
    (first,) = found["first_differences"]
    assert (first["run_id"], first["table"]) == (b, "fills")
    rows = [table(folder, run, "fills").to_pylist() for run in (a, b)]
    expected = next(
        at
        for at, (one, other) in enumerate(zip(*rows, strict=False))
        if {**one, "order_id": 0, "position_id": 0} != {**other, "order_id": 0, "position_id": 0}
    )
    assert first["row"] == expected
    assert Decimal(first["a"]["price"]) == rows[0][expected]["price"]
    assert "balance" in first["columns"] or first["columns"]
    curve = found["curves"]["runs"][a]
    values = [float(each) for each in table(folder, a, "equity")["portfolio_value"].to_pylist()]
    assert min(curve["equity"]["min"]) == min(values)
    config = next(row for row in found["lineage"] if (row["kind"], row["name"]) == ("config", BTC))
    assert config["differs"]
    assert [value is None for value in config["values"]] == [False, True, False]
    assert {row["aspect"] for row in found["simulated"]} >= {"market", "fees"}
    assert here.get(f"/api/v1/compare?ids={a},{b}&base=another").status == 422


def test_what_cannot_be_asked_is_a_problem(here: Service, runs: list[str]) -> None:
    report, _, fast = runs
    for path, status, part in (
        (f"{fast}/bars", 409, "report mode"),
        (f"{fast}/curve", 409, "report mode"),
        (f"{fast}/moment?at_ns=1", 409, "report mode"),
        (f"{fast}/breakdown", 409, "report mode"),
        (f"{report}/bars?start=noon", 422, "start: found 'noon'"),
        (f"{report}/bars?start=2&end=1", 422, "start must be before end"),
        (f"{report}/bars?points=1", 422, "points"),
        (f"{report}/bars?instrument=X:PERPETUAL:Y-Z", 422, "instrument"),
        (f"{report}/moment?at_ns=-1", 422, "at_ns"),
        (f"{report}/moment?at_ns=7258118400000000000&span_ns=3600000000001", 422, "span_ns"),
        (f"{report}/breakdown?by=nothing", 422, "by"),
        ("BNF_BTC_20230523_19230000_018dd7_c54988/bars", 404, "no"),
    ):
        reply = here.get(f"/api/v1/runs/{path}")
        assert reply.status == status, (path, reply.data)
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert part in reply.json["detail"]
    empty = here.get(f"/api/v1/runs/{report}/bars?start=0&end=5").json
    assert empty["i"] == []
    for at in (0, 7_258_118_400_000_000_000):
        last = here.get(f"/api/v1/runs/{report}/moment?at_ns={at}").json
        assert last["trades"]["dt_ns"] == []
    far = here.get(f"/api/v1/runs/{report}/bars?start=9223372036854775806&end=9223372036854775807")
    assert far.status in (200, 422)


def test_other_data_are_never_drawn(here: Service, folder: Path, runs: list[str]) -> None:
    """Last: it changes the catalog."""
    catalog = folder / "data/catalog"
    shutil.copytree(catalog, folder / "kept")
    (path,) = (catalog / "data/trades").rglob("*.parquet")
    before = here.get(f"/api/v1/runs/{runs[1]}/bars?points=60")
    changed = path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:]
    path.write_bytes(changed)
    found = here.get(f"/api/v1/runs/{runs[1]}/bars?points=60", If_None_Match=before.headers["ETag"])
    assert found.status == 200
    assert (found.json["source"], found.json["i"]) == ("changed", [])
    assert "has changed" in found.json["source_detail"]
    assert found.json["buys"] == before.json["buys"]
    # The run's own export holds its trades.
    exported = here.get(f"/api/v1/runs/{runs[0]}/bars?points=60").json
    assert exported["source"] == "changed"
    for name in ("i", *"ohlcvn"):
        assert exported[name] == before.json[name]
    (manifest,) = (catalog / "manifests").rglob(f"trades/{DAY}.json")
    manifest.unlink()
    assert here.get(f"/api/v1/runs/{runs[1]}/bars").json["source"] == "gone"
    nodes = here.get(f"/api/v1/runs/{runs[1]}/lineage").json["nodes"]
    assert "gone" in {node["now"] for node in nodes if node["kind"] == "catalog"}
    shutil.rmtree(catalog)
    shutil.move(folder / "kept", catalog)
    assert here.get(f"/api/v1/runs/{runs[1]}/bars?points=60").json == before.json


def test_a_result_that_is_written_anew_or_deleted_is_never_told_from_memory(
    here: Service, folder: Path, runs: list[str]
) -> None:
    """Kept buckets, orders and pages are those of the files that are there."""
    address = f"/api/v1/runs/{runs[1]}"
    asked = ("bars?points=40", "orders?sort=-amount&limit=5", "orders?where=id~1&limit=5")
    before = {path: here.get(f"{address}/{path}") for path in (*asked, "curve?points=30")}
    assert all(reply.status == 200 for reply in before.values())
    orders = table(folder, runs[1], "orders")
    path = folder / f"data/results/report/{runs[1]}/orders.parquet"
    rows = orders.num_rows
    # The last half alone: other ids, and other refusals in each bucket.
    pq.write_table(orders.slice(rows // 2), path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)
    for query in (*asked, "bars?points=25"):
        found = here.get(f"{address}/{query}")
        assert found.status == 200
        if query in before:
            assert found.headers["ETag"] != before[query].headers["ETag"]
            assert found.json != before[query].json
    bars = here.get(f"{address}/bars?points=25").json
    refused = [status in ("denied", "rejected") for status in orders["status"].to_pylist()]
    assert sum(bars["refused"]["n"]) == sum(refused[rows // 2 :]) < sum(refused)
    page = here.get(f"{address}/{asked[1]}").json
    assert page["total"] == rows - rows // 2
    known = set(orders["id"].to_pylist()[rows // 2 :])
    assert {order["id"] for order in page["orders"]} <= known
    assert here.ask("DELETE", f"/api/backtest/results/{runs[1]}").json["deleted"]
    for query in before:
        assert here.get(f"{address}/{query}").status == 404
        assert (
            here.get(f"{address}/{query}", If_None_Match=before[query].headers["ETag"]).status
            == 404
        )
