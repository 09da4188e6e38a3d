"""A vectorized sweep of a configuration: from raw bars to figures, and their proof."""

import json
import os
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from barmarket import BarMarket, bars_config
from real_bars import orcl_2001
from typer.testing import CliRunner

from odum_assets.backtest.request import RunRequest
from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.sessions import SessionRules
from odum_assets.catalog import convert_partition
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.cli.main import app
from odum_assets.config import BarsConfig, LoadedConfig, load_config
from odum_assets.errors import BacktestError, ConfigError, DataError
from odum_assets.raw.imports.run import ImportRequest, import_bars
from odum_assets.raw.imports.source import TableBars
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample.sessions import SessionSpec, make_sessions
from odum_assets.results import bar_sweep as sweeps
from odum_assets.results.run import run_backtest
from odum_assets.results.sweep_axes import parse_lengths, variants_of
from odum_assets.settings import Settings

SPY = "ARCA:EQUITY:SPY"
FIRST, LAST = date(2024, 3, 6), date(2024, 3, 13)
DOCUMENT: dict[str, Any] = {
    "kind": "bars",
    "instruments": [{"id": SPY, "tick_size": "0.01"}],
    "bars": {"step": "1m", "label": "end", "warmup_sessions": 2},
    "session": {"preset": "us_equity"},
    "venue": {
        "name": "ARCA",
        "base_currency": "USD",
        "starting_balance": 100_000,
        "fees": {"model": "rate", "rate": 0.0005},
    },
    "strategy": {
        "name": "MA_CROSS",
        "params": {"fast": 5, "slow": 20, "side": "long_short", "percent_size": 0.9},
    },
    "execution": {"slippage": 0.0001},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a catalog of generated sessions, over a change of the clock."""
    root = tmp_path_factory.mktemp("sweep")
    config = BarsConfig.model_validate(DOCUMENT)
    rules = SessionRules.of(config.session)
    table = make_sessions(SessionSpec(), "SPY", FIRST, LAST, rules.bounds)
    imported = import_bars(
        TableBars("bars", [table]), ImportRequest(SPY, "end"), str(root / "data")
    )
    for file in imported.files:
        day = date.fromisoformat(file.path.parts[-3].removeprefix("day-"))
        convert_partition(
            str(file.path),
            config.key,
            config.spec(config.key),
            DataType("bars_1m"),
            day,
            root / "catalog",
            bars=BarRules(config.bars.step_ns, "end"),
        )
    (root / "configs").mkdir()
    return root


def _load(project: Path, name: str = "spy", **changes: Any) -> LoadedConfig:
    path = project / "configs" / f"{name}.json"
    path.write_text(json.dumps({**DOCUMENT, **changes}), encoding="utf-8")
    return load_config(path)


def _open(loaded: LoadedConfig, catalog: Path, **given: Any) -> sweeps.BarSweep:
    settings = Settings(catalog_path=catalog, results_path=catalog.parent / "results")
    return sweeps.open_sweep(loaded, settings, sweeps.SweepRequest([(5, 20)], **given))


def _pairs(fast: Iterable[int], slow: Iterable[int]) -> list[tuple[int, int]]:
    return list(product(fast, slow))


def _params(**given: Any) -> dict[str, Any]:
    return {"name": "MA_CROSS", "params": {"fast": 5, "slow": 20, **given}}


def test_every_variant_is_proven_by_nautilus(project: Path, tmp_path: Path) -> None:
    sweep = _open(_load(project), project / "catalog")
    pairs = _pairs([3, 8], [10, 30])
    table = sweep.figures(pairs)
    assert table["fills"].to_pylist() == [len(sweep.fills(pair)) for pair in pairs]
    assert sweeps.verify_variants(sweep, pairs, tmp_path) == sum(table["fills"].to_pylist()) > 200
    assert not [folder for folder in tmp_path.iterdir() if folder.is_dir()]


def test_a_window_is_warmed_up_by_the_sessions_before_it(project: Path, tmp_path: Path) -> None:
    days = (date(2024, 3, 11), date(2024, 3, 12))
    sweep = _open(_load(project), project / "catalog", days=days)
    assert (len(sweep.bars.series), sweep.bars.first) == (4 * 390, 2 * 390)
    facts = sweep.facts([(5, 300)])
    assert (facts["bars"], facts["sessions"]) == (780, 2)
    assert facts["first_close"] == "2024-03-11T13:31:00Z"
    fills = sweep.fills((5, 300))
    # The slow average is there from the first bar on.
    assert fills[0].bar < sweep.bars.first + 300
    assert sweeps.verify_variants(sweep, [(5, 300)], tmp_path) == len(fills)


@pytest.mark.parametrize(
    "changes",
    [
        {"strategy": _params(fixed_size=100)},
        {
            "strategy": _params(),
            "venue": {**DOCUMENT["venue"], "fees": {"model": "per_contract", "amount": 0.35}},
        },
        {"instruments": [{"id": SPY, "tick_size": "0.01", "lot_size": 10}]},
    ],
)
def test_other_terms_are_proven_too(project: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    sweep = _open(_load(project, "other", **changes), project / "catalog")
    assert sweeps.verify_variants(sweep, [(4, 15)], tmp_path) > 50


def test_another_fill_fails_the_proof(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = _open(_load(project), project / "catalog")
    # A kernel that fills at the close of the signal's bar, as bar engines like to do.
    grid = sweep._grid((4, 15))
    close, _, _, ends, opens = grid._bars
    monkeypatch.setattr(grid, "_bars", (close, close, close, ends, opens))
    with pytest.raises(BacktestError, match=r"variant 4/15: fill 1 is (buy|sell) .* in the sweep"):
        sweeps.verify_variants(sweep, [(4, 15)], tmp_path)


def test_a_missing_fill_fails_the_proof(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = _open(_load(project), project / "catalog")
    fills = sweep.fills((4, 15))
    monkeypatch.setattr(type(sweep), "fills", lambda *_: fills[:-1])
    count = len(fills)
    with pytest.raises(BacktestError, match=f"has {count - 1} fills, NautilusTrader {count}"):
        sweeps.verify_variants(sweep, [(4, 15)], tmp_path)


def test_chosen_variants_are_the_best_and_random_others(project: Path) -> None:
    sweep = _open(_load(project), project / "catalog")
    pairs = _pairs(range(2, 12), range(20, 40))
    table = sweep.figures(pairs)
    returns = table["return_pct"].to_pylist()
    order = sorted(range(len(pairs)), key=lambda row: -returns[row])
    chosen = sweeps.chosen_rows(order, 3, "abc123")
    assert chosen[:3] == order[:3]
    assert len(set(chosen)) == 6
    assert chosen == sweeps.chosen_rows(order, 3, "abc123")
    assert len(sweeps.chosen_rows(order, 500, "abc123")) == len(pairs)


@pytest.mark.parametrize(
    ("text", "lengths"),
    [("5:20:5", [5, 10, 15, 20]), ("7", [7]), ("3,1,2:4", [1, 2, 3, 4]), ("5:9:3", [5, 8])],
)
def test_lengths(text: str, lengths: list[int]) -> None:
    assert parse_lengths(text, "--fast") == lengths


@pytest.mark.parametrize(
    "text", ["", "a", "0:5", "5:1", "1:5:0", "1:2:3:4", "1:99999999999", "1.5"]
)
def test_texts_that_are_no_lengths(text: str) -> None:
    with pytest.raises(ConfigError, match="--fast: found"):
        parse_lengths(text, "--fast")


def test_what_cannot_be_swept_is_refused(project: Path, tmp_path: Path) -> None:
    catalog = project / "catalog"
    with pytest.raises(ConfigError, match="no fast length is below"):
        variants_of(_load(project), {"fast": "30", "slow": "20"})
    fallback = _load(project, "fallback", strategy=_params(useFallback=True))
    with pytest.raises(BacktestError, match="useFallback"):
        _open(fallback, catalog)
    both = _load(project, "both", strategy=_params(fixed_size=1, percent_size=0.5))
    with pytest.raises(BacktestError, match="give one of them"):
        _open(both, catalog)
    other = _load(project, "orb", strategy={"name": "ORB"})
    with pytest.raises(ConfigError, match=r"found ORB, a .* MA_CROSS or ML_SIGNALS"):
        _open(other, catalog)
    future = "CME:FUTURE:ESH4"
    expiring = {"id": future, "tick_size": "0.01", "multiplier": 50, "expiry": LAST.isoformat()}
    venue = {**DOCUMENT["venue"], "name": "CME"}
    loaded = _load(project, "future", instruments=[expiring], venue=venue)
    bars = BarMarket(tmp_path)
    table = _open(_load(project), catalog).bars.series
    bars.add(loaded, [table])
    with pytest.raises(ConfigError, match=f"{future}: expires on {LAST}; sweep days before"):
        _open(loaded, bars.settings.catalog_path)
    before = (FIRST, date(2024, 3, 12))
    assert _open(loaded, bars.settings.catalog_path, days=before).bars.first == 0
    with pytest.raises(DataError, match="there are no bars_1m"):
        _open(_load(project), tmp_path / "empty")
    weekend = (date(2024, 3, 9), date(2024, 3, 10))
    with pytest.raises(DataError, match="no session from 2024-03-09"):
        _open(_load(project), catalog, days=weekend)


@pytest.mark.parametrize(
    "params", [{"fixed_size": 100}, {"percent_size": 0.8, "side": "long_short"}]
)
def test_figures_are_those_of_the_result(project: Path, tmp_path: Path, params: Any) -> None:
    loaded = _load(project, "figures", strategy=_params(**params))
    settings = Settings(
        raw_root=str(project / "data"),
        catalog_path=project / "catalog",
        results_path=tmp_path,
        configs_path=project / "configs",
    )
    dates = BarCalendar.of(BarsConfig.model_validate(DOCUMENT)).rules.dates(FIRST, LAST)
    request = RunRequest(loaded, tuple(dates), "window", close_positions=False)
    summary = run_backtest(request, settings).summary
    row = _open(loaded, project / "catalog").figures([(5, 20)]).to_pylist()[0]
    assert row["fills"] == summary["fills"]
    assert row["trades"] == summary["trades"]["total_trades"]
    for name, figure in {
        "return_pct": summary["returns"]["total_return_pct"],
        "max_drawdown_pct": summary["drawdown"]["max_drawdown_pct"],
        "sharpe": summary["ratios"]["sharpe"],
        "win_rate": summary["trades"]["win_rate"],
        "profit_factor": summary["trades"]["profit_factor"],
        "fees": summary["pnl_breakdown"]["commissions"],
    }.items():
        assert row[name] == pytest.approx(figure, rel=1e-9), name


@pytest.mark.real_data
def test_daily_bars_are_proven_too(tmp_path: Path) -> None:
    root = os.environ.get("ODUM_TEST_DATA")
    if not root:
        pytest.skip("ODUM_TEST_DATA is not set")
    market = BarMarket(tmp_path)
    config = bars_config(
        "NASDAQ:EQUITY:ORCL",
        step="1d",
        params={"fast": 10, "slow": 25, "side": "long_short", "fixed_size": 10},
        venue={"starting_balance": 1000},
    )
    market.add(config, [orcl_2001(Path(root))])
    sweep = _open(config, market.settings.catalog_path)
    assert sweeps.verify_variants(sweep, [(10, 25), (3, 8)], tmp_path / "work") > 30
    (final,) = sweep.figures([(10, 25)])["final_equity"].to_pylist()
    assert final == pytest.approx(977.30, abs=1e-9)


# --- the command --------------------------------------------------------------------------------


def _run(project: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    _load(project)
    monkeypatch.chdir(project)
    monkeypatch.setenv("ODUM_CONFIGS_PATH", str(project / "configs"))
    monkeypatch.setenv("DATA_CATALOG_PATH", str(project / "catalog"))
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", str(project / "data"))
    monkeypatch.setenv("ODUM_RESULTS_PATH", str(project / "results"))
    return CliRunner().invoke(app, ["vsweep", "spy", *words])


def test_the_command_writes_one_file_of_variants(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--fast", "5:50:5", "--slow", "20:200:10", "--json")
    done = _run(project, monkeypatch, *words, "--verify", "1", "--sort", "sharpe")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    table = pq.read_table(document["path"])
    rows = table.to_pylist()
    assert len(rows) == document["variants"] == 174
    assert {row["fast"] for row in rows} == set(range(5, 51, 5))
    assert document["best"][0]["sharpe"] == max(row["sharpe"] for row in rows)
    assert len(document["verified"]["variants"]) == 2
    facts = json.loads(table.schema.metadata[b"odum.vsweep"])
    assert facts["config_hash"] == load_config(project / "configs" / "spy.json").content_hash
    again = json.loads(_run(project, monkeypatch, *words).stdout)
    assert again["path"] == document["path"]
    assert pq.read_table(again["path"]).equals(table)


def test_an_overdrawn_cash_account_has_no_figures(project: Path) -> None:
    fees = {"model": "rate", "rate": 0.01}
    cash = {**DOCUMENT["venue"], "account_type": "CASH", "fees": fees}
    price = _open(_load(project, "small", strategy=_params(fixed_size=1)), project / "catalog")
    first = price.fills((5, 20))[0].price
    units = 100_000 * 100 // first
    settings = Settings(catalog_path=project / "catalog", results_path=project / "cash")
    axes = ("fast", "slow", "fixed_size")
    # The fee does not fit beside what is paid; twice as many are denied, a single one fits.
    variants = [(5, 20, Decimal(units + count)) for count in (0, units, 1 - units)]
    request = sweeps.SweepRequest(variants, axes, verify=3)
    loaded = _load(project, "cash", venue=cash, strategy=_params(fixed_size=1))
    stored = sweeps.run_bar_sweep(loaded, settings, request)
    overdrawn, denied, paid = stored.table.to_pylist()
    assert {overdrawn[name] for name in ("return_pct", "trades", "fills", "fees")} == {None}
    assert (denied["fills"], paid["fills"] > 2, stored.order[-1]) == (0, True, 0)
    assert sorted(stored.verified) == sorted(variants[1:])
    short = _load(project, "cash_short", venue=cash, strategy=_params(side="long_short"))
    with pytest.raises(ConfigError, match="account_type CASH does not allow"):
        sweeps.run_bar_sweep(short, settings, sweeps.SweepRequest([(5, 20)]))


def test_figures_are_consistent(project: Path) -> None:
    sweep = _open(_load(project), project / "catalog")
    for row in sweep.figures(_pairs([5, 9], [20, 60])).to_pylist():
        assert row["final_equity"] == pytest.approx(100_000 * (1 + row["return_pct"] / 100))
        assert row["cagr_pct"] is None, "six sessions are too few"
        assert row["max_drawdown_pct"] <= 0
        assert row["fees"] > 0
        assert row["fills"] in (2 * row["trades"], 2 * row["trades"] + 1)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--fast", "x", "--slow", "20"), "--fast: found x"),
        (("--fast", "30", "--slow", "20"), "no fast length is below a slow one"),
        (("--fast", "5", "--slow", "20", "--instrument", "QQQ"), "has no QQQ"),
        (("--fast", "5", "--slow", "20", "--from", "2024-03-11"), "--from and --to"),
    ],
)
def test_the_command_refuses_in_words(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], text: str
) -> None:
    done = _run(project, monkeypatch, *words)
    assert done.exit_code != 0
    assert text in str(done.exception)


def test_a_missing_compiler_names_the_command(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    done = _run(project, monkeypatch, "--fast", "5", "--slow", "20")
    assert "run: make install, or pip install 'odum-assets[vector]'" in str(done.exception)
