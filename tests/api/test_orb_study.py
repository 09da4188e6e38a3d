"""A study as a person runs it on generated bars: the command, its files, and the service."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from service import Service, clean_environment, lay_out, serving

YAML = """
name: small_study
bars: {warmup_sessions: 3}
orb: {atr_period: 5, enable_validity_filter: false}
scoring: {base_required: 1}
backtest: {random_seed: 7, commission_rate: 0.0001}
"""
FIGURES = {
    "total_trades", "winning_trades", "losing_trades", "win_rate", "total_r", "average_r",
    "median_r", "expectancy", "profit_factor", "sharpe_ratio", "sortino_ratio", "max_drawdown_r",
    "max_drawdown_pct", "avg_winner_r", "avg_loser_r", "largest_winner_r", "largest_loser_r",
    "consecutive_wins", "consecutive_losses",
}  # fmt: skip


def odum(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "odum_assets.cli.main", *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    lay_out(place)
    (place / "my.yaml").write_text(YAML)
    return place


@pytest.fixture(scope="module")
def study(folder: Path) -> dict[str, Any]:
    ran = odum(
        folder, "orb", "--symbols", "SPY", "QQQ", "--start", "2024-01-02", "--end", "2024-01-05",
        "--config", "my.yaml", "--synthetic", "--report", "--json", "--output-dir", "out",
        "--validate-or", "--verbose", "--cache",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout)
    return result


@pytest.fixture(scope="module")
def service(folder: Path, study: dict[str, Any]) -> Iterator[Service]:
    assert study["run_id"]
    with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9") as result:
        yield result


def test_files_of_a_study(folder: Path, study: dict[str, Any]) -> None:
    place = folder / study["folder"]
    assert place == folder / "out" / study["run_id"]
    assert {path.name for path in place.iterdir()} >= {
        *(
            f"{symbol}_{kind}"
            for symbol in ("SPY", "QQQ")
            for kind in ("trades.parquet", "metrics.json", "equity.parquet", "report.html")
        ),
        "all_trades.parquet", "all_trades.csv", "combined_equity.parquet", "config.json",
        "factor_snapshots.parquet", "sessions.parquet", "backtest_run.log",
    }  # fmt: skip
    sessions = pq.read_table(place / "sessions.parquet")
    assert sessions.num_rows == 8
    # Warmed up by sessions that are not traded.
    assert sessions["atr"].null_count == 0
    trades = pq.read_table(place / "all_trades.parquet").to_pylist()
    assert len(trades) == study["total"]["total_trades"] > 0
    for name, figures in study["symbols"].items():
        alone = json.loads((place / f"{name}_metrics.json").read_text())
        assert alone == figures
        assert set(figures) >= FIGURES
    assert study["total"]["total_r"] == pytest.approx(sum(item["realized_r"] for item in trades))
    # Fees of every fill as the account had them.
    assert sum(item["fees"] for item in trades) > 0
    assert sum(item["pnl"] for item in trades) == pytest.approx(study["net_pnl"], abs=1e-9)
    with (place / "all_trades.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [item["trade_id"] for item in lines] == [item["trade_id"] for item in trades]
    assert json.loads(lines[0]["factors"]).keys() == trades[0]["factors"].keys()
    config = json.loads((place / "config.json").read_text())
    assert (config["name"], config["data_mode"]) == ("small_study", "SYNTHETIC")
    assert config["configuration"]["strategy"]["params"]["orb"]["min_coverage"] == 1


def test_the_report_stands_alone(folder: Path, study: dict[str, Any]) -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.links: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)
            self.links += [str(value) for name, value in attrs if name in ("src", "href")]

    for symbol in ("SPY", "QQQ"):
        text = (folder / study["folder"] / f"{symbol}_report.html").read_text()
        reader = Reader()
        reader.feed(text)
        assert reader.links == []
        assert {"script", "link", "img"}.isdisjoint(reader.tags)
        assert "http" not in text.replace("http-equiv", "")
        figures = study["symbols"][symbol]
        assert f'<data value="{figures["total_r"]!r}"' in text
        assert text.count("<tr>") > figures["total_trades"]
        assert text.count("time, UTC: 2024-01-0") == text.count("<svg")


def test_the_service_gives_what_was_written(
    service: Service, folder: Path, study: dict[str, Any]
) -> None:
    run_id, place = study["run_id"], folder / study["folder"]
    trades = pq.read_table(place / "all_trades.parquet").to_pylist()
    reply = service.get(f"/api/trades?run_id={run_id}&limit=1000")
    assert int(reply.headers["X-Total-Count"]) == len(trades)
    for given, stored in zip(reply.json, trades, strict=True):
        assert given["trade_id"] == stored["trade_id"]
        assert given["realized_r"] == stored["realized_r"]
        assert given["exit_reason"] == stored["exit_reason"]
        assert given["confluence_score"] == stored["score"]
        assert given["factors"] == stored["factors"]
    longs = service.get(f"/api/trades?run_id={run_id}&symbol=spy&direction=long").json
    assert [item["trade_id"] for item in longs] == [
        item["trade_id"]
        for item in trades
        if (item["symbol"], item["direction"]) == ("SPY", "long")
    ]
    page = service.get(f"/api/trades?run_id={run_id}&limit=1&offset=1").json
    assert [item["trade_id"] for item in page] == [trades[1]["trade_id"]]

    core = service.get(f"/api/metrics/core?run_id={run_id}").json["metrics"]
    assert {name: core[name] for name in FIGURES} == {
        name: study["total"][name] for name in FIGURES
    }
    assert core["account"]["currency"] == "USD"  # and what every result has
    curve = service.get(f"/api/equity?run_id={run_id}").json
    assert curve["final_r"] == pytest.approx(study["total"]["total_r"])
    assert len(curve["equity_curve"]) == len(trades)
    assert curve["max_drawdown_r"] == pytest.approx(study["total"]["max_drawdown_r"])
    alone = service.get(f"/api/equity?run_id={run_id}&symbol=QQQ").json
    assert alone["final_r"] == pytest.approx(study["symbols"]["QQQ"]["total_r"])
    attribution = service.get(f"/api/attribution?run_id={run_id}").json
    assert attribution["factor_attribution"] == study["total"]["factor_attribution"]
    assert sum(item["count"] for item in attribution["score_buckets"]) == len(trades)
    sample = service.get(f"/api/factors/sample?run_id={run_id}&limit=50").json
    assert 0 < sample["sample_count"] == len(sample["snapshots"]) <= 50
    stored = service.get(f"/api/config/hash?run_id={run_id}").json
    assert stored["config_hash"] == json.loads((place / "config.json").read_text())["config_hash"]
    assert run_id in {item["run_id"] for item in service.get("/api/runs").json}


def test_the_service_names_what_it_does_not_have(service: Service, study: dict[str, Any]) -> None:
    run_id = study["run_id"]
    assert service.get(f"/api/equity?run_id={run_id}&symbol=IWM").status == 404
    assert service.get("/api/attribution?run_id=nothing").status == 404
    assert service.get(f"/api/factors/sample?run_id={run_id}&limit=0").status == 422


def test_a_study_is_verified_like_every_result(folder: Path, study: dict[str, Any]) -> None:
    ran = odum(folder, "results", "verify", study["run_id"])
    assert ran.returncode == 0, ran.stderr + ran.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--start", "2024-01-02", "--end", "2024-01-05"], "--synthetic needs none"),
        (["--end", "2024-01-05"], "--start is missing"),
        (["--start", "2024-01-05", "--end", "2024-01-02"], "is before --start"),
        (["--start", "2024-01-02", "--end", "2024-01-05", "--config", "no.yaml"], "no.yaml"),
    ],
)
def test_what_cannot_be_run_says_why(folder: Path, arguments: list[str], text: str) -> None:
    ran = odum(folder, "orb", "--symbols", "SPY", *arguments)
    assert ran.returncode in (1, 2)
    assert text in ran.stderr.replace("\n", " ")
    assert "Traceback" not in ran.stderr
