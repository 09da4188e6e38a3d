"""The digest: equal for equal results, another for any other; verification and comparison."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from resultday import ROWS
from tinydays import NOON, Market, Outcome, moment, own_strategy, variant, with_strategy

from odum_assets.errors import OdumError
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.compare import compare_results
from odum_assets.results.digest import result_digest
from odum_assets.results.store import ResultStore
from odum_assets.results.verify import verify_result

D = Decimal


def _account(run: Outcome) -> dict[str, str]:
    names = ("starting_balance", "final_balance")
    found = {name: str(run.summary["account"][name]) for name in names}
    return found | dict.fromkeys(("realized", "commissions", "funding"), "0")


@pytest.fixture
def tables(report: Outcome, tmp_path: Path) -> Path:
    assert report.result.report_path is not None
    return Path(shutil.copytree(report.result.report_path, tmp_path / "tables"))


def test_fast_and_report_chunks_and_processes_agree(shared: Market) -> None:
    whole = shared.run(snapshot_mode="both")
    fast = shared.run(snapshot_mode="both", mode="fast")
    assert fast.result.digest == whole.result.digest
    assert fast.result.run_id != whole.result.run_id
    for chunk_rows in (None, 777, 2):
        found = verify_result(fast.result.run_id, shared.settings, chunk_rows=chunk_rows)
        assert found.equal
        assert found.changed_inputs == ()
        assert found.found == whole.result.digest
    script = (
        "import sys; from pathlib import Path; from odum_assets.settings import Settings; "
        "from odum_assets.results.verify import verify_result; "
        "print(verify_result(sys.argv[1], Settings(results_path=Path(sys.argv[2]), "
        "catalog_path=Path(sys.argv[3]))).found)"
    )
    places = (str(shared.settings.results_path), str(shared.settings.catalog_path))
    other = subprocess.run(
        [sys.executable, "-c", script, fast.result.run_id, *places],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    assert other.stdout.strip() == whole.result.digest


def test_the_order_and_age_of_partitions_and_the_shape_of_raw_files_do_not_matter(
    tmp_path: Path,
) -> None:
    """Two days made first to last, last to first, anew from other row groups, and taken as is."""
    config, days = variant(), (date(2024, 1, 1), date(2024, 1, 2))
    kinds = (DataType.TRADES, DataType.BOOK)
    spec = SampleSpec(
        keys=(str(config.key),),
        start=days[0],
        days=2,
        trades_per_day=400,
        books_per_day=400,
        irregularities=True,
    )
    first = Market(tmp_path / "first")
    write_sample(first.settings.raw_root, spec)

    def place(name: str) -> Market:
        other = Market(tmp_path / name)
        raw_root = first.settings.raw_root
        other.settings = other.settings.model_copy(update={"raw_root": raw_root})
        return other

    made = {(day, kind): first.convert(config, kind, day).digest for day in days for kind in kinds}
    just_made = first.run(config, days, snapshot_mode="both")
    digest = just_made.result.digest
    assert just_made.summary["fills"] > 100

    # What the catalog holds is taken as it is.
    before = sorted(each.stat().st_mtime_ns for each in first.settings.catalog_path.rglob("*.json"))
    assert {(day, kind): first.convert(config, kind, day).digest for day, kind in made} == made
    after = sorted(each.stat().st_mtime_ns for each in first.settings.catalog_path.rglob("*.json"))
    assert after == before
    assert first.run(config, days, snapshot_mode="both", mode="fast").result.digest == digest

    backwards = place("backwards")
    for day, kind in reversed(made):
        assert backwards.convert(config, kind, day).digest == made[day, kind]
    found = backwards.run(config, days, snapshot_mode="both", mode="fast")
    assert found.result.digest == digest

    for day, kind in made:
        raw = first.raw_file(kind, config, day)
        pq.write_table(pq.read_table(raw), raw, row_group_size=31, compression="none")
    other_shape = place("other")
    for (day, kind), expected in made.items():
        assert other_shape.convert(config, kind, day).digest == expected
    other = other_shape.run(config, days, snapshot_mode="both")
    assert other.result.digest == digest
    for chunk_rows in (None, 97):
        verified = verify_result(other.result.run_id, other_shape.settings, chunk_rows=chunk_rows)
        assert (verified.equal, verified.found, verified.changed_inputs) == (True, digest, ())


def test_a_report_digest_follows_from_its_tables(report: Outcome, tables: Path) -> None:
    account = {
        "starting_balance": "1000000",
        "final_balance": f"{report.fills[-1]['balance'].normalize():f}",
        "realized": f"{sum(each['realized_pnl'] for each in report.fills).normalize():f}",
        "commissions": f"{sum(each['commission'] for each in report.fills).normalize():f}",
        "funding": "0",
    }
    assert result_digest(tables, account) == report.result.digest


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("fills", "price"),
        ("fills", "timestamp"),
        ("fills", "commission"),
        ("orders", "amount"),
        ("orders", "status"),
        ("positions", "realized_pnl"),
    ],
)
def test_any_other_row_is_another_digest(
    report: Outcome, tables: Path, table: str, column: str
) -> None:
    account = _account(report)
    before = result_digest(tables, account)
    path = tables / f"{table}.parquet"
    found = pq.read_table(path)
    values: list[Any] = found[column].to_pylist()
    if column == "status":
        values[0] = "open"
    elif column == "timestamp":
        raw: list[Any] = found[column].cast(pa.int64()).to_pylist()
        moved = pa.array([raw[0] + 1, *raw[1:]], pa.int64())
        values = moved.cast(found[column].type).to_pylist()
    else:
        values[0] += D("1e-16")
    at = found.schema.get_field_index(column)
    pq.write_table(
        found.set_column(at, column, pa.array(values, found[column].type)), path, row_group_size=1
    )
    assert result_digest(tables, account) != before
    # How a table is stored is not what it says.
    pq.write_table(found, path, row_group_size=2, compression="none")
    assert result_digest(tables, account) == before
    assert result_digest(tables, account | {"final_balance": "1"}) != before


def test_a_day_that_changed_is_named_and_not_equal(
    market: Market, run: Callable[..., Outcome]
) -> None:
    stored = run()
    before = market.stored()
    market.trades([*ROWS, (NOON + 131, "buy", "64000.1", "0.5")])
    found = verify_result(stored.result.run_id, market.settings)
    assert not found.equal
    assert found.changed_inputs == ("trades 2024-03-05",)
    assert (found.run_id, found.expected) == (stored.result.run_id, stored.result.digest)
    assert market.stored() == before


def test_a_strategy_that_changed_is_named(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "quiet.py"
    module.write_text(
        "from odum_assets.backtest.strategies.base import OdumStrategy\n"
        "class Quiet(OdumStrategy):\n    pass\n"
    )
    monkeypatch.chdir(tmp_path)
    stored = market.run(with_strategy(own_strategy("quiet:Quiet")))
    with module.open("a") as file:
        file.write("# changed\n")
    found = verify_result(stored.result.run_id, market.settings)
    assert (found.equal, found.changed_inputs) == (True, ("strategy source quiet",))


def test_a_window_and_its_options_are_run_again(market: Market) -> None:
    stored = market.run(close_positions=False, start_ns=moment(NOON + 2), end_ns=moment(NOON + 100))
    assert stored.summary["orders"] == 3
    assert verify_result(stored.result.run_id, market.settings).equal


def test_what_cannot_be_verified_says_why(market: Market, run: Callable[..., Outcome]) -> None:
    stored = run()
    with pytest.raises(OdumError, match="no result"):
        verify_result("BNF_BTC_20240305_12000000_018dd7_c54988", market.settings)
    text = stored.result.fast_path.read_text()
    stored.result.fast_path.write_text(text.replace('"taker_fee"', '"other_fee"'))
    with pytest.raises(OdumError, match="not valid for this version"):
        verify_result(stored.result.run_id, market.settings)
    stored.result.fast_path.write_text(text)
    shutil.rmtree(market.settings.catalog_path / "manifests")
    with pytest.raises(OdumError, match="catalog partitions are missing"):
        verify_result(stored.result.run_id, market.settings)


def test_results_side_by_side(shared: Market) -> None:
    book = shared.run(snapshot_mode="book")
    dear = shared.run(variant(venue={"taker_fee": 0.001}), snapshot_mode="book")
    store = ResultStore(shared.settings.results_path)
    found = compare_results([store.entry(each.result.run_id) for each in (book, dear)])
    assert found.run_ids == (book.result.run_id, dear.result.run_id)
    assert not found.same_digest
    assert [(row.name, row.values) for row in found.config] == [
        ("venue.taker_fee", ("0.0005", "0.001"))
    ]
    assert found.inputs == ()
    rows = {row.name: row for row in found.metrics}
    assert rows["pnl"].differs
    assert rows["pnl"].values == (book.summary["pnl"], dear.summary["pnl"])
    assert not rows["fills"].differs
    commissions = rows["pnl_breakdown.commissions"].values
    assert commissions[1] == pytest.approx(2 * commissions[0])

    trades = shared.run(snapshot_mode="trades")
    found = compare_results([store.entry(each.result.run_id) for each in (book, trades, book)])
    assert {row.name for row in found.inputs} == {
        "snapshot_mode",
        "data.book_snapshot_5.2024-03-05",
    }
    assert found.config == ()
    alike = compare_results([store.entry(book.result.run_id)] * 2)
    assert alike.same_digest
    assert DataType.BOOK in {each["data_type"] for each in book.metadata["catalog"]}
