"""The content hash of a run configuration.

The hash is over the meaning: defaults filled in, the instrument key in place of its spelling,
contract size and raw file names resolved, times in nanoseconds, numbers by value. It leaves out
what says where or when something runs but cannot change a result: ``$schema``, ``environment``,
``data_source``, ``quality``, and of ``data_catalog`` ``parquet_root`` and ``auto_discover``.
``execution.closing`` came later and is in it only where it is not the default, so that the hash of
a file without it stays what it was.
A session's preset is its hours.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from types import NoneType
from typing import Any

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.exact_json import without_final_zeros
from odum_assets.config.model import RunConfig
from odum_assets.config.sections.execution import ExecutionConfig
from odum_assets.config.sections.strategy import StrategyConfig


def content_hash(config: RunConfig | BarsConfig) -> str:
    """Return the SHA-256 of a configuration's meaning, as 64 hex digits."""
    return hashlib.sha256(canonical_json(meaning(config)).encode()).hexdigest()


def meaning(config: RunConfig | BarsConfig) -> dict[str, Any]:
    """Return what of a configuration can change a result, in one spelling."""
    return _meaning_of_bars(config) if isinstance(config, BarsConfig) else _meaning_of_ticks(config)


def _meaning_of_bars(config: BarsConfig) -> dict[str, Any]:
    strategy = config.strategy
    keys = {item.id: str(item.key) for item in config.instruments}
    return {
        "kind": config.kind,
        "instruments": [_plain(asdict(config.spec(key)) | {"key": key}) for key in config.keys],
        "bars": config.bars.model_dump(),
        "session": config.session.meaning(),
        "venue": config.venue.model_dump(),
        "time_window": _window(config),
        "strategy": {
            "name": strategy.name,
            "params": strategy.params,
            "per_instrument": {keys[name]: of for name, of in strategy.per_instrument.items()},
        },
        "execution": config.execution.model_dump(),
        "metrics": {"annualization_days": config.annualization_days},
    }


def _window(config: RunConfig | BarsConfig) -> dict[str, int | None]:
    return {"start_ns": config.time_window.start_ns, "end_ns": config.time_window.end_ns}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with texts in place of what JSON cannot spell."""
    known = (int, Decimal, NoneType)
    return {name: item if isinstance(item, known) else str(item) for name, item in values.items()}


def _meaning_of_ticks(config: RunConfig) -> dict[str, Any]:
    instrument = config.instrument
    data = config.data_catalog
    return {
        "instrument": {
            "key": str(config.key),
            "price_precision": instrument.price_precision,
            "size_precision": instrument.size_precision,
            "multiplier": config.multiplier,
            "margin_init": instrument.margin_init,
            "margin_maint": instrument.margin_maint,
        },
        "venue": config.venue.model_dump(),
        "data_catalog": {
            data_type: data.template(data_type, config.key) for data_type in data.paths()
        },
        "time_window": _window(config),
        "strategy": _strategy(config.strategy),
        "execution": _execution(config.execution),
        "risk": config.risk.model_dump(),
        "fx_stub": config.fx_stub,
        "metrics": config.metrics.model_dump(),
    }


def _strategy(section: StrategyConfig) -> dict[str, Any]:
    values = section.model_dump()
    params = values.get("exec_algorithm", {}).get("params", {})
    # What all parts were before the key: such a run is the one that the hash has always named.
    if params.get("child_order_type") == "LIMIT":
        del params["child_order_type"]
    return values


def _execution(section: ExecutionConfig) -> dict[str, Any]:
    values = section.model_dump()
    closing = values.pop("closing")
    if section.closing.method != "work":
        del closing["work_secs"]
    if section.closing.method != ExecutionConfig().closing.method:
        values["closing"] = closing
    return values


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces, and one spelling per number.

    Parameters
    ----------
    value : object
        Mappings, lists, tuples, strings, whole numbers, Decimals, booleans and None.

    Returns
    -------
    str
        Numbers are written as digits and a power of ten (``2e-4``), so that ``0.0002``, ``0.00020``
        and ``2E-4`` are the same text and none is rounded.
    """
    if isinstance(value, Mapping):
        items = sorted((str(key), item) for key, item in value.items())
        return "{" + ",".join(f"{json.dumps(k)}:{canonical_json(v)}" for k, v in items) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return _canonical_number(Decimal(str(value)))
    return json.dumps(value)


def _canonical_number(value: Decimal) -> str:
    if not value or not value.is_finite():
        return "0"
    sign, digits, exponent = without_final_zeros(value).as_tuple()
    return f"{'-' if sign else ''}{''.join(map(str, digits))}" + (
        f"e{exponent}" if exponent else ""
    )
