"""Results in pandas: numeric by default, exact on request, whoever reads the files."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tinydays import Market, Outcome

import odum_assets
from odum_assets.results.store import ResultError
from odum_assets.results.ticks import export_ticks

TABLES = ("orders", "fills", "positions", "equity")


def _decimals(folder: Path, name: str) -> dict[str, list[Decimal | None]]:
    table = pq.read_table(folder / f"{name}.parquet")
    return {
        field.name: table[field.name].to_pylist()
        for field in table.schema
        if pa.types.is_decimal(field.type)
    }


@pytest.mark.parametrize("name", TABLES)
def test_frames_hold_the_nearest_floats_or_the_decimals_themselves(
    report: Outcome, name: str
) -> None:
    folder = report.result.report_path
    assert folder is not None
    place = folder.parents[1]
    floats = getattr(odum_assets.load_result(report.result.run_id, results_path=place), name)
    exact = getattr(odum_assets.load_result("last", exact=True, results_path=place), name)
    columns = _decimals(folder, name)
    assert columns
    for column, values in columns.items():
        assert floats[column].dtype == np.float64
        expected = [np.nan if value is None else float(value) for value in values]
        np.testing.assert_array_equal(floats[column], expected)
        assert [value for value in exact[column] if value is not None] == [
            value for value in values if value is not None
        ]


@pytest.mark.parametrize("name", TABLES)
def test_pandas_reads_the_files_as_numbers_and_they_stay_exact(report: Outcome, name: str) -> None:
    folder = report.result.report_path
    assert folder is not None
    frame = pd.read_parquet(folder / f"{name}.parquet")
    for column, values in _decimals(folder, name).items():
        assert pd.api.types.is_float_dtype(frame[column].dtype)
        present = [float(value) for value in values if value is not None]
        np.testing.assert_allclose(frame[column].dropna().to_numpy(), present, rtol=1e-15)
    exact = pd.read_parquet(folder / f"{name}.parquet", dtype_backend="pyarrow")
    for column, values in _decimals(folder, name).items():
        assert exact[column].dropna().tolist() == [value for value in values if value is not None]


def test_what_the_page_computes_with_pandas(report: Outcome) -> None:
    result = odum_assets.load_result("last", results_path=report.result.fast_path.parents[1])
    equity = result.equity.portfolio_value
    drawdown = (equity / equity.cummax() - 1).min()
    assert drawdown == pytest.approx(result.summary["drawdown"]["max_drawdown"])
    assert result.fills.realized_pnl.sum() == pytest.approx(
        result.summary["pnl_breakdown"]["realized"]
    )
    assert len(result.orders) == result.summary["orders"]
    document = json.loads((report.result.report_path / "timeline.json").read_text())  # type: ignore[operator]
    assert list(result.timeline.event) == [each["event"] for each in document]
    fills = result.timeline[result.timeline.event == "Fill"]
    assert list(fills.price) == [
        each["data"]["price"] for each in document if each["event"] == "Fill"
    ]


def test_what_is_not_there_says_how_to_get_it(market: Market) -> None:
    run = market.run(mode="fast")
    result = odum_assets.load_result("last", results_path=market.settings.results_path)
    assert result.summary["orders"] == run.result.summary["orders"]
    with pytest.raises(ResultError, match="fast mode"):
        _ = result.fills
    with pytest.raises(ResultError, match="export-ticks"):
        _ = result.ticks


def test_ticks_and_tables_of_earlier_versions(market: Market) -> None:
    run = market.run(mode="report").result
    export_ticks(run.run_id, market.settings, market.settings.catalog_path)
    results = market.settings.results_path
    now = odum_assets.load_result("last", results_path=results)
    # Earlier versions had the documents only.
    (results / "tickdata" / f"{run.run_id}.parquet").unlink()
    assert run.report_path is not None
    (run.report_path / "timeline.parquet").unlink()
    before = odum_assets.load_result("last", results_path=results)
    pd.testing.assert_frame_equal(before.ticks, now.ticks.reset_index(drop=True))
    assert list(before.timeline.event)
