"""What the page's editor and calendar need of the service: deleting, rejected rows, damage."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from service import BTC, DAY, Service, lay_out, serving, settings_of

from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType, local_path
from odum_assets.raw.sample import SampleSpec, write_sample

BAD = {3: None, 10: -5.0, 11: float("nan")}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service over a day whose trades have bad rows, and whose books are no parquet file."""
    folder = tmp_path_factory.mktemp("rejects")
    lay_out(folder)
    settings = settings_of(folder)
    loaded = load_config(folder / "configs" / f"{BTC}.json")
    spec = SampleSpec(keys=(str(loaded.key),), start=DAY, days=1, trades_per_day=300)
    write_sample(settings.raw_root, spec)
    source = raw_path(loaded, DataType.TRADES, DAY, settings)
    table = pq.read_table(source)
    prices = [BAD.get(row, price) for row, price in enumerate(table["price"].to_pylist())]
    at = table.schema.get_field_index("price")
    table = table.set_column(at, "price", pa.array(prices, table.schema.field("price").type))
    pq.write_table(table, source)
    key, instrument = loaded.key, instrument_spec(loaded)
    convert_partition(source, key, instrument, DataType.TRADES, DAY, settings.catalog_path)
    local_path(raw_path(loaded, DataType.BOOK, DAY, settings)).write_text("not a parquet file")
    with serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9") as found:
        yield found


def test_rejected_rows_come_with_number_reason_and_raw_values(here: Service) -> None:
    place = f"/api/v1/catalog/BINANCE-FUTURES:PERPETUAL:BTC-USDT/trades/{DAY}"
    manifest = here.get(place).json["manifest"]
    found = here.get(f"{place}/rejects").json
    assert [row["row"] for row in found["rejected"]] == list(BAD)
    assert found["total"] == sum(manifest["rejected"].values()) == len(BAD)
    assert found["rejected"][1]["reason"] == "price_not_positive"
    assert [row["raw"]["price"] for row in found["rejected"]] == [None, "-5.0", "nan"]
    page = here.get(f"{place}/rejects?limit=1&offset=1").json
    assert page["rejected"] == found["rejected"][1:2]
    assert page["has_more"]
    other = here.get(f"{place.replace('/trades/', '/book_snapshot_5/')}/rejects")
    assert other.json["rejected"] == []
    unknown = here.get(f"{place.replace('BTC', 'XYZ')}/rejects")
    assert unknown.status == 404


def test_a_damaged_raw_file_is_named_before_it_is_converted(here: Service) -> None:
    place = f"/api/v1/catalog/BINANCE-FUTURES:PERPETUAL:BTC-USDT/book_snapshot_5/{DAY}"
    (problem,) = here.get(place).json["problems"]
    assert "not a parquet file" in problem
    assert here.get(place.replace("book_snapshot_5", "trades")).json["problems"] == []


def test_a_configuration_is_deleted_by_who_has_seen_it(here: Service) -> None:
    content: dict[str, Any] = json.loads((here.folder / f"configs/{BTC}.json").read_text())
    stored = here.post("/api/configs", {"name": "brief", "config": content}).headers["ETag"]
    place = "/api/configs/brief"
    assert here.ask("DELETE", place).status == 428
    content["venue"]["maker_fee"] = 0.001
    newer = here.post("/api/configs", {"name": "brief", "config": content}, If_Match=stored)
    late = here.ask("DELETE", place, If_Match=stored)
    assert (newer.status, late.status) == (200, 412)
    assert late.headers["Content-Type"] == "application/problem+json"
    assert (here.folder / "configs/brief.json").is_file()
    gone = here.ask("DELETE", place, If_Match=newer.headers["ETag"])
    assert (gone.status, gone.data) == (204, b"")
    assert not (here.folder / "configs/brief.json").exists()
    assert here.ask("DELETE", place, If_Match="*").status == 404
    assert here.ask("DELETE", "/api/configs/..%2Fdagster", If_Match="*").status in (404, 422)
