"""``odum sweep``: the table, JSON, exit codes, and what is refused before anything starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import BTC, Odum, Ran

DAY = "2024-01-01"
LATENCY = "execution.latency.insert_ms=0,5"
BREAKS = """
from odum_assets.backtest.strategies.base import OdumStrategy
from pydantic import BaseModel


class Params(BaseModel):
    breaks: bool = False


class Breaks(OdumStrategy):
    Params = Params

    def on_start(self):
        if self.params.breaks:
            raise RuntimeError("no model file")
"""


def _sweep(odum: Odum, *arguments: str) -> Ran:
    return odum("sweep", BTC, "--day", DAY, "--fast", *arguments)


@pytest.mark.usefixtures("project")
def test_a_sweep_shows_its_variants_side_by_side(
    odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ran = _sweep(odum, "--vary", LATENCY, "--vary", "strategy.order_type=LIMIT,MARKET", "--json")
    assert ran.code == 0, ran.err
    found = ran.json
    assert [row["varied"] for row in found["variants"]] == [
        {"execution.latency.insert_ms": each, "strategy.order_type": kind}
        for each in ("0", "5")
        for kind in ("LIMIT", "MARKET")
    ]
    sweep = found["sweep_id"]
    listed = odum("results", "list", "--sweep", sweep, "--json").json["results"]
    by_id = {each["run_id"]: each for each in listed}
    assert len(by_id) == 4
    for row in found["variants"]:
        entry = by_id[row["result"]["run_id"]]
        assert entry["digest"] == row["result"]["digest"]
        assert entry["sweep"]["variant"] == row["variant"]
        assert entry["orders"] == row["figures"]["orders"]
    table = odum("results", "list", "--sweep", sweep).out
    assert "insert_ms=5, order_type=MARKET" in table
    one = found["variants"][3]["result"]["run_id"]
    shown = odum("results", "show", one).out
    assert f"{sweep}, variant 4 of 4" in shown
    assert odum("results", "verify", one).code == 0


@pytest.mark.parametrize("columns", ["80", "120", "200"])
def test_the_table_fits_the_terminal(
    odum: Odum, project: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ran = _sweep(odum, "--vary", LATENCY, "--sort", "net_pnl")
    assert ran.code == 0, ran.err
    assert "\N{HORIZONTAL ELLIPSIS}" not in ran.out
    assert "PnL" in ran.out
    ids = {each.stem for each in (project / "data/results/fast").glob("*.json")}
    assert sum(name in ran.out for name in ids) == 2
    if columns == "200":
        for head in ("realized", "commissions", "orders", "fills", "win rate", "max drawdown"):
            assert head in ran.out


@pytest.mark.usefixtures("project")
def test_variants_are_sorted_by_a_figure(odum: Odum) -> None:
    vary = ["--vary", "venue.taker_fee=0.0005,0,0.001", "--vary", "strategy.order_type=MARKET"]
    for order, places in (("given", [1, 2, 3]), ("net_pnl", [2, 1, 3]), ("commissions", [2, 1, 3])):
        found = _sweep(odum, *vary, "--sort", order, "--json").json["variants"]
        assert [row["variant"] for row in found] == places


def test_a_failed_variant_is_named_and_the_others_are_done(
    odum: Odum, project: Path, tmp_path: Path
) -> None:
    (project / "breaks.py").write_text(BREAKS, encoding="utf-8")
    file = tmp_path / "variants.json"
    section = {"name": "Breaks", "path": "breaks:Breaks"}
    chosen: list[dict[str, Any]] = [
        {"strategy": {**section, "params": {"breaks": each}}} for each in (True, False)
    ]
    file.write_text(json.dumps(chosen), encoding="utf-8")
    ran = _sweep(odum, "--variants", str(file))
    assert ran.code == 1
    assert "failed" in ran.out
    assert "variant 1 failed: Breaks raised RuntimeError in on_start: no model file" in ran.out
    found = _sweep(odum, "--variants", str(file), "--json")
    assert found.code == 1
    first, second = found.json["variants"]
    assert "no model file" in first["error"]
    assert first["result"] is None
    assert second["error"] is None
    assert second["result"]["orders"] == 0


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ([], "give what varies"),
        (["--vary", LATENCY, "--variants", "x.json"], "give what varies"),
        (["--vary", "execution.latency.insert_ns=5"], "insert_ns=5: execution.latency.insert_ns: "),
        (["--vary", "venue.taker_fee=abc"], 'venue.taker_fee: found "abc", should be a number'),
        (["--vary", "instrument.size_precision=1"], "may not vary"),
        (["--vary", "venue.taker_fee"], "allowed PATH=VALUE"),
        (["--vary", LATENCY, "--vary", LATENCY], "given twice"),
        (["--variants", "nothing.json"], "nothing.json: cannot be read"),
        (["--vary", LATENCY, "--report"], "exclude each other"),
        (["--vary", LATENCY, "--start", "25:00"], "start: found '25:00'"),
    ],
)
def test_what_cannot_be_carried_out_ends_before_it_starts(
    odum: Odum, project: Path, arguments: list[str], cause: str
) -> None:
    before = sorted((project / "data/results/fast").iterdir())
    ran = _sweep(odum, *arguments)
    assert ran.code == 2, ran.err
    assert cause in ran.err
    assert sorted((project / "data/results/fast").iterdir()) == before


@pytest.mark.usefixtures("project")
def test_a_day_without_data_is_an_error(odum: Odum) -> None:
    ran = odum("sweep", BTC, "--day", "2024-02-01", "--vary", LATENCY)
    assert ran.code == 1
    assert "there is no raw" in ran.err
