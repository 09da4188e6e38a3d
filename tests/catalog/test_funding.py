from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog
from rawfiles import DAY, KEY, MIDNIGHT_NS, SPEC, write_raw

from odum_assets.catalog import convert_partition
from odum_assets.raw.layout import DataType

US = MIDNIGHT_NS // 1000
HOUR = 3600 * 10**6


def test_one_update_per_change_of_rate_or_next_time(tmp_path: Path) -> None:
    rates = [None, 0.0001, 0.0001, -0.00012345, -0.00012345, 0.0, 5e-8, float("inf"), 1.25]
    following = [US + 8 * HOUR] * 4 + [US + 16 * HOUR, US + 16 * HOUR, None, None, US + 24 * HOUR]
    count = len(rates)
    table = pa.table(
        {
            "exchange": ["binance-futures"] * count,
            "symbol": ["BTCUSDT"] * count,
            "timestamp": [US + second * 10**6 for second in range(count)],
            "local_timestamp": [US + second * 10**6 + 5 for second in range(count)],
            "funding_timestamp": pa.array(following, pa.int64()),
            "funding_rate": pa.array(rates, pa.float64()),
            "mark_price": [64000.0] * count,
        }
    )
    source = write_raw(table, tmp_path / "raw.parquet", 2)

    manifest = convert_partition(source, KEY, SPEC, DataType.FUNDING, DAY, tmp_path / "catalog")

    assert (manifest.rows_in, manifest.rows_written, manifest.unchanged) == (9, 6, 1)
    assert manifest.rejected == {"rate_missing": 1, "rate_not_finite": 1}
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    updates = catalog.query(NautilusDataType.FundingRateUpdate, [KEY.nautilus_id])
    assert [(update.rate, update.next_funding_ns) for update in updates] == [
        (Decimal("0.0001"), (US + 8 * HOUR) * 1000),
        (Decimal("-0.00012345"), (US + 8 * HOUR) * 1000),
        (Decimal("-0.00012345"), (US + 16 * HOUR) * 1000),
        (Decimal(0), (US + 16 * HOUR) * 1000),
        (Decimal("0.00000005"), None),
        (Decimal("1.25"), (US + 24 * HOUR) * 1000),
    ]
