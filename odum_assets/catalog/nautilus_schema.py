"""The Arrow schemas of NautilusTrader's catalog (2.0.0rc7), written down once.

A test lets Nautilus write a partition of each type and compares field by field.
"""

import pyarrow as pa

from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.catalog.paths import series_name
from odum_assets.instruments import InstrumentSpec
from odum_assets.raw.layout import DataType

SIDES = ("NO_AGGRESSOR", "BUY", "SELL")
"""Aggressor sides; the position is the code used between reading and writing."""

SNAPSHOT_FLAGS = 32 | 128
"""F_SNAPSHOT and F_LAST, as Nautilus' own loader of five-level snapshots sets them."""

TIME = pa.timestamp("ns", "UTC")
SIDE = pa.dictionary(pa.int8(), pa.string())
LEVEL = pa.struct(
    [
        pa.field("price", DECIMAL, nullable=False),
        pa.field("size", DECIMAL, nullable=False),
        pa.field("count", pa.uint32(), nullable=False),
        pa.field("order_id", pa.uint64(), nullable=False),
    ]
)
LEVELS = pa.list_(pa.field("item", LEVEL, nullable=False))

_FIELDS: dict[DataType, list[tuple[str, pa.DataType, bool]]] = {
    DataType.TRADES: [
        ("price", DECIMAL, False),
        ("size", DECIMAL, False),
        ("aggressor_side", SIDE, False),
        ("trade_id", pa.string(), False),
    ],
    DataType.BOOK: [
        ("bids", LEVELS, False),
        ("asks", LEVELS, False),
        ("flags", pa.uint8(), False),
        ("sequence", pa.uint64(), False),
    ],
    DataType.FUNDING: [
        ("rate", pa.string(), False),
        ("interval", pa.uint64(), True),
        ("next_funding_ns", TIME, True),
    ],
    **{
        kind: [(name, DECIMAL, False) for name in ("open", "high", "low", "close", "volume")]
        for kind in DataType
        if kind.is_bars
    },
}
_TYPE_NAMES = {
    DataType.TRADES: "TradeTick",
    DataType.BOOK: "OrderBookDepth",
    DataType.FUNDING: "FundingRateUpdate",
    **dict.fromkeys((kind for kind in DataType if kind.is_bars), "Bar"),
}


def catalog_schema(data_type: DataType, spec: InstrumentSpec) -> pa.Schema:
    """Return the schema of a data file, with the metadata that Nautilus decodes it by."""
    columns = [*_FIELDS[data_type], ("ts_event", TIME, False), ("ts_init", TIME, False)]
    fields = [pa.field(name, kind, nullable=nullable) for name, kind, nullable in columns]
    metadata: dict[str | bytes, str | bytes] = {"instrument_id": spec.key.nautilus_id}
    if data_type is not DataType.FUNDING:
        metadata["price_precision"] = str(spec.price_precision)
        metadata["size_precision"] = str(spec.size_precision)
    if data_type.is_bars:
        metadata["bar_type"] = series_name(spec.key, data_type)
    metadata["type_name"] = _TYPE_NAMES[data_type]
    return pa.schema(fields, metadata=metadata)
