"""Results of earlier versions in the registry: computed again where their tables allow it."""

import json
import shutil
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from contents import contents
from earlier import CASH, LOSING, WINDOW, lay_out_version_1
from resultfiles import stored
from tinydays import Market

from odum_assets.registry.database import reading
from odum_assets.registry.queries import list_runs
from odum_assets.registry.register import rebuild, register_run
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

D = Decimal


def _runs(registry: sa.Engine) -> dict[str, dict[str, Any]]:
    return {row["run_id"]: row for row in contents(registry)["runs"]}


def test_a_rebuild_computes_what_the_files_allow(registry: sa.Engine, settings: Settings) -> None:
    lay_out_version_1(settings.results_path)
    done = rebuild(registry, ResultStore(settings.results_path))
    assert (done.runs, done.problems) == (3, [])
    found = _runs(registry)
    assert {name: row["figures_version"] for name, row in found.items()} == {
        WINDOW: 2,
        LOSING: 2,
        CASH: 1,
    }
    window, losing, cash = found[WINDOW], found[LOSING], found[CASH]
    # In its file: -4.28 over 66 returns, of which 24 are those of the missing day.
    assert window["sharpe_ratio"] == pytest.approx(D("-3.169375780253"), abs=D("1e-9"))
    assert window["pnl"] == pytest.approx(D("-41.528333"), abs=D("1e-6"))
    assert window["drawdown_amount"] == -150
    # From 02:00 on the first day to the end.
    assert window["drawdown_duration_secs"] == pytest.approx(D("235700.000000001"), abs=D("1e-6"))
    assert losing["max_drawdown"] == pytest.approx(D(-5000) / 1968, abs=D("1e-9"))
    # A fast run has no tables: its figures stay, in today's form, with the version that they have.
    assert cash["sharpe_ratio"] == pytest.approx(D("-19.151913769204"), abs=D("1e-9"))
    assert (cash["drawdown_amount"], cash["drawdown_duration_secs"]) == (-150, None)
    assert cash["max_drawdown"] == pytest.approx(D("-0.000149998791"), abs=D("1e-12"))
    assert cash["pnl"] == pytest.approx(D("-39.216667"), abs=D("1e-6"))


def test_registering_says_the_same_as_a_rebuild(registry: sa.Engine, settings: Settings) -> None:
    lay_out_version_1(settings.results_path)
    for run_id in (WINDOW, CASH, LOSING):
        register_run(settings, run_id)
    once = contents(registry)
    rebuild(registry, ResultStore(settings.results_path))
    assert contents(registry) == once


@pytest.mark.parametrize("damage", ["missing", "empty", "other", "cut"])
def test_a_table_that_cannot_be_read_leaves_the_old_figures(
    registry: sa.Engine, settings: Settings, damage: str
) -> None:
    lay_out_version_1(settings.results_path)
    table = settings.results_path / "report" / WINDOW / "equity.parquet"
    if damage == "missing":
        table.unlink()
    elif damage == "other":
        shutil.copy(table.with_name("fills.parquet"), table)
    else:
        table.write_bytes(b"" if damage == "empty" else table.read_bytes()[:-40])
    done = rebuild(registry, ResultStore(settings.results_path))
    assert (done.runs, done.problems) == (3, [])
    found = _runs(registry)[WINDOW]
    assert found["figures_version"] == 1
    assert found["sharpe_ratio"] == pytest.approx(D("-4.275356326355"), abs=D("1e-9"))


def test_new_figures_sort_and_growth_without_bounds_is_not_kept(
    registry: sa.Engine, settings: Settings, market: Market
) -> None:
    sample = market.run(mode="fast").result.fast_path
    documents = stored(
        sample,
        settings.results_path,
        4,
        returns__cagr_pct=[12.5, None, 1e300, -3.0],
        ratios__calmar=[1.5, None, 1e290, -0.5],
    )
    assert json.loads(sample.read_text())["summary"]["figures_version"] == 2
    rebuild(registry, ResultStore(settings.results_path))
    names = [each["run_id"] for each in documents]
    rows = _runs(registry)
    assert [rows[name]["cagr"] for name in names] == [D("0.125"), None, None, D("-0.03")]
    assert [rows[name]["calmar_ratio"] for name in names] == [D("1.5"), None, None, D("-0.5")]
    with reading(registry) as connection:
        for column in ("cagr", "calmar_ratio", "volatility", "drawdown_duration_secs"):
            listed = list_runs(connection, sort=f"-{column}").rows
            known = [row[column] for row in listed if row[column] is not None]
            assert known == sorted(known, reverse=True)
