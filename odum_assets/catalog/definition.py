"""The instrument's definition in the catalog, without which no NautilusTrader program can use it.

It follows from the configuration whose conversion came last; a run of this project takes the one of
its own configuration and never reads it. A definition that somebody else wrote stays as it is.
"""

import json
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.links import require_inside
from odum_assets.catalog.nautilus_schema import TIME
from odum_assets.catalog.paths import PartitionPaths, data_file_name
from odum_assets.instruments import InstrumentKey, InstrumentSpec, Product
from odum_assets.instruments.definitions import (
    expiration_ns,
    increment,
    lot_text,
    multiplier_text,
    underlying,
)
from odum_assets.storage.copies import pull_folder, push
from odum_assets.storage.files import sync
from odum_assets.storage.locks import hold_lock

_FOLDERS = {
    Product.SPOT_PAIR: "currency_pair",
    Product.PERPETUAL: "crypto_perpetual",
    Product.FUTURE: "crypto_future",
    Product.EQUITY: "equity",
}
_LISTED_FUTURE = "futures_contract"
_NULLABLE = (
    *("lot_size", "max_quantity", "min_quantity", "max_notional", "min_notional"),
    *("max_price", "min_price", "tick_scheme", "info", "isin", "exchange"),
)
_KINDS = {
    "is_inverse": pa.bool_(),
    **dict.fromkeys(("price_precision", "size_precision"), pa.uint8()),
    **dict.fromkeys(("activation_ns", "expiration_ns", "ts_event", "ts_init"), TIME),
    "info": arrow.json_(),
}
"""Types of the columns that are not text."""

_OF_BARS = ("tick_size", "lot_size", "expiry")
_METADATA_KEY = b"odum_definition"
_LAYOUT = "layout"
_LAYOUT_VERSION = "1"
"""Raise it when the columns change."""


def definition_folder(catalog_root: Path, key: InstrumentKey) -> Path:
    """Return NautilusTrader's folder of an instrument's definitions."""
    return catalog_root / "data" / _folder(key) / key.nautilus_id


def _folder(key: InstrumentKey) -> str:
    is_listed_future = key.is_listed and key.product is Product.FUTURE
    return _LISTED_FUTURE if is_listed_future else _FOLDERS[key.product]


def definition_changes(catalog_root: Path, spec: InstrumentSpec) -> list[str]:
    """Return what the next conversion changes in the definition, one text per value.

    Nothing when there is none yet, or one of somebody else.
    """
    stored = _stored_content(definition_folder(catalog_root, spec.key))
    if not stored:
        return []
    return [
        f"{name} from {stored.get(name)} to {value}"
        for name, value in _content(spec).items()
        if name != _LAYOUT and stored.get(name) != value
    ]


def write_definition(paths: PartitionPaths, spec: InstrumentSpec) -> None:
    """Write the definition of a partition's instrument, unless the catalog holds it already.

    Call it with the partition's lock held.

    Raises
    ------
    DataError
        If a link leads out of the catalog.
    """
    folder = definition_folder(paths.catalog_root, spec.key)
    require_inside(paths.catalog_root, folder)
    stored = _stored_content(folder)
    content = _content(spec)
    if stored is None or stored == content:
        return
    staged = paths.staged("definition")
    pq.write_table(_table(spec, content), staged)
    sync(staged)
    with hold_lock(paths.publish_lock):
        folder.mkdir(parents=True, exist_ok=True)
        push(staged, folder / data_file_name(0, 0))
        staged.rename(folder / data_file_name(0, 0))
        sync(folder)


def _content(spec: InstrumentSpec) -> dict[str, str]:
    """Return what a definition follows from, as texts; without what only bars say."""
    values = {
        name: str(value)
        for name, value in asdict(spec).items()
        if name != "key" and not (name in _OF_BARS and value is None)
    }
    return {"key": str(spec.key), **values, _LAYOUT: _LAYOUT_VERSION}


def _stored_content(folder: Path) -> dict[str, str] | None:
    """Return what the definition in a folder was made of.

    Returns
    -------
    dict or None
        Empty when there is none, or one that cannot be read; None when it is somebody else's.
    """
    content: dict[str, str] = {}
    pull_folder(folder, ".parquet")
    for path in folder.glob("*.parquet"):
        try:
            metadata = pq.read_schema(path).metadata or {}
        except (OSError, ValueError):
            continue
        if _METADATA_KEY not in metadata:
            return None
        content = json.loads(metadata[_METADATA_KEY])
    return content


def _table(spec: InstrumentSpec, content: dict[str, str]) -> pa.Table:
    """Return a definition as NautilusTrader's catalog holds it: one row.

    Written down here because NautilusTrader's own writer logs to stdout, which belongs to whoever
    asked for JSON there. A test lets it write each product and compares field by field.
    """
    values = _listed_values(spec) if spec.key.is_listed else _pair_values(spec)
    # Of a future Nautilus knows the lot.
    is_known = {"lot_size"} if _folder(spec.key) == _LISTED_FUTURE else set()
    schema = pa.schema(
        [
            pa.field(
                name,
                _KINDS.get(name, pa.string()),
                nullable=name in _NULLABLE and name not in is_known,
            )
            for name in values
        ],
        metadata={
            "instrument_id": spec.key.nautilus_id,
            "type_name": _folder(spec.key).title().replace("_", ""),
            _METADATA_KEY: json.dumps(content),
        },
    )
    arrays = [pa.array([values[field.name]], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _pair_values(spec: InstrumentSpec) -> dict[str, object]:
    key = spec.key
    is_spot, is_future = key.product is Product.SPOT_PAIR, key.product is Product.FUTURE
    values: dict[str, object] = {
        "id": key.nautilus_id,
        "raw_symbol": key.symbol,
        "underlying" if is_future else "base_currency": key.base,
        "quote_currency": key.quote,
    }
    if not is_spot:
        values["settlement_currency"] = spec.settlement_currency
        values["is_inverse"] = key.is_inverse
    if is_future:
        values |= {"activation_ns": 0, "expiration_ns": expiration_ns(spec)}
    values |= {
        "price_precision": spec.price_precision,
        "size_precision": spec.size_precision,
        "price_increment": format(spec.price_increment, "f"),
        "size_increment": increment(spec.size_precision),
        "multiplier": "1" if is_spot else multiplier_text(spec),
        "lot_size": None if is_spot else "1",
        **dict.fromkeys(name for name in _NULLABLE if name[:4] in ("max_", "min_")),
        "margin_init": format(spec.margin_init, "f"),
        "margin_maint": format(spec.margin_maint, "f"),
        "tick_scheme": None,
        "info": None,
        "ts_event": 0,
        "ts_init": 0,
    }
    return values


def _listed_values(spec: InstrumentSpec) -> dict[str, object]:
    key, is_future = spec.key, spec.key.product is Product.FUTURE
    limits = dict.fromkeys(name for name in _NULLABLE if name[:4] in ("max_", "min_"))
    del limits["max_notional"], limits["min_notional"]
    values: dict[str, object] = {"id": key.nautilus_id, "raw_symbol": key.symbol}
    if is_future:
        values |= {"underlying": underlying(key), "asset_class": "INDEX", "exchange": None}
    values |= {"currency": spec.settlement_currency, "price_precision": spec.price_precision}
    if is_future:
        values["size_precision"] = 0
    values["price_increment"] = format(spec.price_increment, "f")
    if is_future:
        values |= {
            "size_increment": "1",
            "multiplier": multiplier_text(spec),
            "lot_size": lot_text(spec),
            "activation_ns": 0,
            "expiration_ns": expiration_ns(spec),
        }
        limits["min_quantity"] = "1"
    else:
        values |= {"lot_size": lot_text(spec), "isin": None}
    return values | {
        **limits,
        "margin_init": format(spec.margin_init, "f"),
        "margin_maint": format(spec.margin_maint, "f"),
        "tick_scheme": None,
        "info": None,
        "ts_event": 0,
        "ts_init": 0,
    }
