"""The shipped precisions hold for real market data."""

import os
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from odum_assets.config import RunConfig, load_configs

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.real_data
def test_no_price_or_amount_has_more_decimals_than_configured() -> None:
    root = os.environ.get("ODUM_TEST_DATA")
    if not root:
        pytest.skip("ODUM_TEST_DATA names no folder of real market data")
    configs = [loaded.config for loaded in load_configs(CONFIGS)]
    ticks = [config for config in configs if isinstance(config, RunConfig)]
    instruments = {str(config.key): config.instrument for config in ticks}
    files = sorted(Path(root, "raw_tick_data/by_date").glob("day-*/data_type-*/*.parquet"))
    assert files
    for file in files:
        instrument = instruments[file.stem]
        for column in pq.read_schema(file).names:
            is_price = column.endswith("price")
            if not is_price and not column.endswith("amount"):
                continue
            allowed = instrument.price_precision if is_price else instrument.size_precision
            for value in pq.read_table(file, columns=[column])[column].unique().to_pylist():
                exponent = Decimal(repr(value)).normalize().as_tuple().exponent
                assert isinstance(exponent, int)
                assert -exponent <= allowed, (file, column, value)
