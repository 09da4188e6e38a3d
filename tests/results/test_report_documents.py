"""The documents of a report: orders, timeline, summary, provenance."""

import hashlib
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resultday import BOOKS, ROWS
from tinydays import DAY, NOON, Market, Outcome, from_json, iso, moment, variant

from odum_assets.raw.layout import DataType
from odum_assets.results.documents import write_orders_json, write_timeline

D = Decimal

# Section 1a of what earlier users read: every field they found is there.
SEED_SHAPE: dict[str, tuple[str, ...]] = {
    "pnl_breakdown": ("realized", "unrealized", "unrealized_before_closing", "commissions", "net"),
    "account": ("starting_balance", "final_balance", "balance_change"),
    "returns": (
        "total_return_pct",
        "realized_return_pct",
        "unrealized_return_pct",
        "avg_return",
        "avg_win_return",
        "avg_loss_return",
    ),
    "position": (
        "quantity",
        "side",
        "entry_price",
        "current_price",
        "realized_pnl",
        "unrealized_pnl",
    ),
    "position_stats": (
        "buy_orders",
        "buy_quantity",
        "sell_orders",
        "sell_quantity",
        "market_orders",
        "limit_orders",
    ),
    "trades": (
        "total_trades",
        "winning_trades",
        "losing_trades",
        "win_rate",
        "avg_win",
        "avg_loss",
        "avg_win_pct",
        "avg_loss_pct",
        "largest_win",
        "largest_loss",
        "profit_factor",
        "expectancy",
        "total_wins",
        "total_losses",
    ),
    "drawdown": ("max_drawdown", "max_drawdown_pct"),
}
SEED_TOP = ("orders", "fills", "pnl", "avg_return", "avg_loss", "max_drawdown", *SEED_SHAPE)


def _folder(report: Outcome) -> Path:
    assert report.result.report_path is not None
    return report.result.report_path


def _document(report: Outcome) -> Any:
    return json.loads(report.result.fast_path.read_text(encoding="utf-8"))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def test_the_summary_has_every_field_of_the_seed_and_no_nan(report: Outcome) -> None:
    summary = _document(report)["summary"]
    assert set(SEED_TOP) <= set(summary)
    for section, fields in SEED_SHAPE.items():
        assert set(fields) <= set(summary[section]), section
    floats = [each for each in _leaves(summary) if isinstance(each, float)]
    assert len(floats) > 20
    assert all(math.isfinite(each) for each in floats)
    assert summary == report.summary


def test_the_document_says_what_was_run(report: Outcome) -> None:
    document = _document(report)
    assert (document["mode"], document["dataset"]) == ("report", f"day-{DAY}")
    assert document["instrument"] == "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
    assert (document["start"], document["end"]) == (iso(0), iso(NOON + 130))
    assert document["run_id"] == report.result.run_id
    assert document == json.loads((_folder(report) / "summary.json").read_text())
    assert document["metadata"] == json.loads((_folder(report) / "metadata.json").read_text())


def test_a_report_has_its_files(report: Outcome) -> None:
    assert sorted(each.name for each in _folder(report).iterdir()) == [
        "equity.parquet",
        "fills.parquet",
        "metadata.json",
        "orders.json",
        "orders.parquet",
        "positions.parquet",
        "summary.json",
        "timeline.json",
        "timeline.parquet",
    ]


def test_figures_of_the_summary_add_up(report: Outcome) -> None:
    summary = report.summary
    start, final = D(1_000_000), report.fills[-1]["balance"]
    commissions = sum(each["commission"] for each in report.fills)
    realized = sum(each["realized_pnl"] for each in report.fills)
    assert summary["pnl"] == float(final - start) == float(realized - commissions)
    assert summary["pnl_breakdown"]["net"] == summary["pnl"]
    # The throttle denied the closing order, too: what is open counts in the return.
    change = final - start + D(str(summary["position"]["unrealized_pnl"]))
    assert summary["position"]["unrealized_pnl"] != 0
    assert summary["returns"]["total_return_pct"] == float(change / start * 100)
    assert summary["orders"] == len(report.orders) == sum(summary["orders_by_status"].values())
    assert summary["fills"] == len(report.fills)
    assert summary["position_stats"]["market_orders"] == 3
    assert summary["refusals"] == {"RATE_LIMIT_EXCEEDED": summary["orders_by_status"]["denied"]}


def test_a_fixed_rate_values_the_result_in_another_currency(report: Outcome) -> None:
    valuation, account = report.summary["valuation"], report.summary["account"]
    assert (valuation["currency"], valuation["rate"]) == ("USD", 0.5)
    assert valuation["rate_source"] == "fx_stub.USDT_USD"
    assert valuation["starting_balance"] == 500_000.0
    final = D(str(account["final_balance"])) / 2
    assert valuation["final_balance"] == float(final)
    assert valuation["pnl"] == float(final - 500_000)


def test_what_was_simulated_is_said(report: Outcome) -> None:
    aspects = {each["aspect"]: each for each in report.summary["simulated"]}
    assert set(aspects) == {
        "market",
        "fees",
        "funding",
        "latency",
        "queue_position",
        "liquidity_consumption",
        "market_impact",
        "margin_calls",
        "refused_orders",
    }
    assert not aspects["funding"]["simulated"]
    assert aspects["refused_orders"]["detail"] == "3 denied, 0 rejected"
    assert aspects["funding"]["detail"].startswith("no funding data are configured")
    assert not any("unding" in each for each in report.result.flags)


def test_orders_json_has_every_order_of_the_table(report: Outcome) -> None:
    orders = from_json(_folder(report) / "orders.json")
    assert len(orders) == len(report.orders) == report.summary["orders"]
    for written, row in zip(orders, report.orders, strict=True):
        assert (written["id"], written["side"], written["status"]) == (
            row["id"],
            row["side"],
            row["status"],
        )
        assert written["amount"] == row["amount"]
        assert written["price"] == row["price"]
        assert written["timestamp"].endswith("Z")


def test_the_timeline_is_complete_and_in_order(report: Outcome) -> None:
    timeline = from_json(_folder(report) / "timeline.json")
    times = [each["ts"] for each in timeline]
    assert times == sorted(times)
    by_event: dict[str, list[Any]] = {}
    for each in timeline:
        by_event.setdefault(each["event"], []).append(each["data"])
    assert [each["id"] for each in by_event["Order"]] == [each["id"] for each in report.orders]
    assert [(each["order_id"], each["price"], each["quantity"]) for each in by_event["Fill"]] == [
        (each["order_id"], each["price"], each["quantity"]) for each in report.fills
    ]
    denied = [each["id"] for each in report.orders if each["status"] == "denied"]
    assert [each["order_id"] for each in by_event["OrderDenied"]] == denied
    assert len(denied) == 3
    assert {each["reason"] for each in by_event["OrderDenied"]} == {"RATE_LIMIT_EXCEEDED"}
    # An order stands before its own fills and refusals.
    places = {
        each["data"]["id"]: at for at, each in enumerate(timeline) if each["event"] == "Order"
    }
    assert all(
        places[each["data"]["order_id"]] < at
        for at, each in enumerate(timeline)
        if each["event"] != "Order"
    )


_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["filled", "denied", "rejected", "canceled"]),
        st.integers(0, 5),
    ),
    max_size=15,
)


@settings(max_examples=50, deadline=None)
@given(_EVENTS)
def test_any_timeline_is_complete_and_in_order(events: list[tuple[int, str, int]]) -> None:
    import tempfile

    events = sorted(events, key=lambda each: each[0])
    count = len(events)
    ids = [f"O-{index}" for index in range(count)]
    decimal, time = pa.decimal128(38, 16), pa.timestamp("ns", tz="UTC")
    ended = [ts + late for ts, _, late in events]
    orders = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "timestamp": pa.array([ts for ts, _, _ in events], pa.int64()).cast(time),
            **{
                name: pa.array(["x"] * count, pa.string())
                for name in ("side", "type", "time_in_force", "reason", "parent_id")
            },
            **{
                name: pa.array([D(1)] * count, decimal)
                for name in ("price", "amount", "filled", "avg_fill_price")
            },
            "status": pa.array([status for _, status, _ in events], pa.string()),
            "exec_algorithm": pa.nulls(count, pa.string()),
            "purpose": pa.nulls(count, pa.string()),
            "ended": pa.array(ended, pa.int64()).cast(time),
        }
    )
    filled = sorted(
        (late, name)
        for late, name, (_, status, _) in zip(ended, ids, events, strict=True)
        if status == "filled"
    )
    fills = pa.table(
        {
            "timestamp": pa.array([ts for ts, _ in filled], pa.int64()).cast(time),
            "order_id": pa.array([name for _, name in filled], pa.string()),
            **{
                name: pa.array([D(1)] * len(filled), decimal)
                for name in ("price", "quantity", "commission")
            },
            **{name: pa.array(["x"] * len(filled), pa.string()) for name in ("side", "liquidity")},
        }
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(orders, folder / "orders.parquet")
        pq.write_table(fills, folder / "fills.parquet")
        refused = sum(status in ("denied", "rejected") for _, status, _ in events)
        assert write_orders_json(folder) == count
        assert write_timeline(folder) == count + len(filled) + refused
        timeline = from_json(folder / "timeline.json")
    ranks = {"Order": 0, "Fill": 1, "OrderDenied": 2, "OrderRejected": 2}
    keys = [(each["ts"], ranks[each["event"]]) for each in timeline]
    assert keys == sorted(keys)


def test_metadata_is_the_full_provenance(report: Outcome, shared: Market) -> None:
    metadata = report.metadata
    assert [each["data_type"] for each in metadata["sources"]] == ["trades", "book_snapshot_5"]
    for source in metadata["sources"]:
        path = shared.raw_file(DataType(source["data_type"]))
        content = path.read_bytes()
        assert Path(source["path"]) == path
        assert source["sha256"] == hashlib.sha256(content).hexdigest()
        assert source["size"] == len(content)
    assert [each["rows"] for each in metadata["catalog"]] == [6, 1]
    assert metadata["rows_replayed"] == 7
    assert metadata["window"] == {
        "start_ns": None,
        "end_ns": None,
        "first_trade_ns": str(moment(NOON + 1)),
        "last_trade_ns": str(moment(NOON + 130)),
        "first_trade": iso(NOON + 1),
        "last_trade": iso(NOON + 130),
    }
    assert metadata["config"]["risk"]["throttling_per_sec"] == 1
    assert set(metadata["versions"]) == {"odum_assets", "nautilus_trader", "pyarrow", "python"}
    assert metadata["versions"]["nautilus_trader"] == "2.0.0rc7"
    assert metadata["volume_curve"] is None
    assert metadata["digest"] == report.result.digest


def test_the_equity_preview_is_the_table_or_a_thinned_one(report: Outcome) -> None:
    rows = [(each["timestamp"], float(each["portfolio_value"])) for each in report.equity]
    assert report.result.equity_preview == rows
    assert len(rows) <= 200


@pytest.mark.parametrize("order_type", ["MARKET", "LIMIT"])
@pytest.mark.parametrize(
    ("snapshot_mode", "book_type", "slips"),
    [
        ("trades", "L2_MBP", True),
        ("both", "L1_MBP", True),
        ("both", "L2_MBP", False),
        ("book", "L2_MBP", False),
    ],
)
def test_slippage_is_said_to_be_simulated_where_it_is(
    market: Market, order_type: str, snapshot_mode: str, book_type: str, slips: bool
) -> None:
    market.trades(ROWS)
    market.books(BOOKS)

    def run(chance: int) -> Outcome:
        config = variant(
            strategy={"order_type": order_type, "time_in_force": "GTC"},
            venue={"book_type": book_type},
            execution={"fill_model": {"prob_slippage": chance, "random_seed": 1}},
        )
        return market.run(config, snapshot_mode=snapshot_mode)

    never, always = run(0), run(1)
    assert "slippage" not in {each["aspect"] for each in never.summary["simulated"]}
    said = {each["aspect"]: each for each in always.summary["simulated"]}["slippage"]
    assert said["simulated"] == slips
    # It holds for every run of the configuration, which makes it no warning.
    assert not any("prob_slippage" in each for each in always.result.flags)
    # The key has an effect exactly where the result says so.
    assert (never.result.digest != always.result.digest) == slips
