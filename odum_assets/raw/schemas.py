"""The column layouts that raw files come in, recognized by their names and types.

Two layouts are known for trades and book: the exchange's columns (Tardis style) and pre-converted
ones; for funding the exchange's; for bars ``timestamp`` or ``Date`` and the four prices with the
volume, in any case. This module says which column plays which role; it reads no rows.
"""

import re
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType

_MAX_NAMES = 50


@dataclass(frozen=True, slots=True)
class RawSchema:
    """Which column of a raw file plays which role.

    Parameters
    ----------
    data_type : DataType
        The kind of data.
    layout : str
        ``exchange``, ``converted`` or ``bars``.
    ts_event : str
        Column with the exchange's time.
    ts_init : str or None
        Column with the time of arrival; None when the file has none.
    named : dict[str, str]
        Further roles: ``exchange``, ``symbol``, ``instrument_key`` (where present); for trades
        ``price``, ``size``, ``side`` (where present), ``trade_id``; for funding ``rate``,
        ``next_funding`` (where present); for bars ``open``, ``high``, ``low``, ``close``,
        ``volume``.
    asks, bids : tuple of (str, str)
        Price and size columns per level, best first; only for books.
    """

    data_type: DataType
    layout: str
    ts_event: str
    ts_init: str | None
    named: dict[str, str]
    asks: tuple[tuple[str, str], ...] = ()
    bids: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> list[str]:
        """All columns with a role."""
        names = [self.ts_event, *([self.ts_init] if self.ts_init else []), *self.named.values()]
        for level in (*self.asks, *self.bids):
            names.extend(level)
        return names

    @property
    def text_columns(self) -> list[str]:
        """Columns that repeat few values, to be read as dictionaries when they are text."""
        roles = ("exchange", "symbol", "instrument_key", "side")
        return [self.named[role] for role in roles if role in self.named]


BAR_COLUMNS = ("open", "high", "low", "close", "volume")
"""Columns of a bar besides its time."""

_IDENTITY = ("exchange", "symbol", "instrument_key")
_TRADES = {
    "exchange": {"price": "price", "size": "amount", "trade_id": "id"},
    "converted": {"price": "price", "size": "size", "trade_id": "trade_id"},
}
_SIDES = {"exchange": "side", "converted": "aggressor_side"}
_TIMES = {
    "exchange": ("timestamp", "local_timestamp"),
    "converted": ("ts_event", "ts_init"),
}
_LEVELS = {
    "exchange": re.compile(
        r"(?P<side>ask|bid)s\[(?P<level>0|[1-9][0-9]{0,3})\]\.(?P<part>price|amount)"
    ),
    "converted": re.compile(r"(?P<side>ask|bid)_(?P<part>price|size)_(?P<level>0|[1-9][0-9]{0,3})"),
}


def recognize(schema: pa.Schema, data_type: DataType, source: str) -> RawSchema:
    """Return the roles of a raw file's columns.

    Parameters
    ----------
    schema : pa.Schema
        As the file states it.
    data_type : DataType
        What the file is expected to hold.
    source : str
        Name of the file, for messages.

    Raises
    ------
    DataError
        If columns are missing, occur twice or have a type that cannot play their role.
    """
    twice = [name for name, count in Counter(schema.names).items() if count > 1]
    if twice:
        raise DataError(
            f"{source}: columns occur more than once: {_name_list(twice)}. Deliver the file again."
        )
    if data_type.is_bars:
        return _recognize_bars(schema, data_type, source)
    layout = _layout(schema, data_type, source)
    ts_event, ts_init = _TIMES[layout]
    named = {role: role for role in _IDENTITY if role in schema.names}
    asks: tuple[tuple[str, str], ...] = ()
    bids: tuple[tuple[str, str], ...] = ()
    required: dict[str, str] = {}
    if data_type is DataType.TRADES:
        required = _TRADES[layout]
        if _SIDES[layout] in schema.names:
            named["side"] = _SIDES[layout]
    elif data_type is DataType.FUNDING:
        required = {"rate": "funding_rate"}
        if "funding_timestamp" in schema.names:
            named["next_funding"] = "funding_timestamp"
    else:
        asks = _levels(schema, layout, "ask", source)
        bids = _levels(schema, layout, "bid", source)
    missing = [name for name in required.values() if name not in schema.names]
    if missing:
        raise DataError(_missing_message(schema, data_type, source, missing))
    recognized = RawSchema(
        data_type=data_type,
        layout=layout,
        ts_event=ts_event,
        ts_init=ts_init if ts_init in schema.names else None,
        named={**named, **required},
        asks=asks,
        bids=bids,
    )
    _check_types(schema, recognized, source)
    return recognized


def _recognize_bars(schema: pa.Schema, data_type: DataType, source: str) -> RawSchema:
    """Return the roles of the columns of bars; names may be in any case, others are ignored."""
    by_name: dict[str, list[str]] = {}
    for name in schema.names:
        by_name.setdefault(name.strip().lower(), []).append(name)
    times = [name for role in ("timestamp", "date") for name in by_name.get(role, [])]
    twice = [name for role in BAR_COLUMNS for name in by_name.get(role, [])[1:]] + times[1:]
    if twice:
        raise DataError(
            f"{source}: {_name_list(twice)} is there in another spelling, too; leave one of them."
        )
    missing = [role for role in BAR_COLUMNS if role not in by_name]
    missing += [] if times else ["timestamp (or Date)"]
    if missing:
        raise DataError(_missing_message(schema, data_type, source, missing))
    named = {role: by_name[role][0] for role in BAR_COLUMNS}
    recognized = RawSchema(data_type, "bars", times[0], None, named)
    kind = schema.field(times[0]).type
    if pa.types.is_timestamp(kind) and kind.tz is None and not data_type.is_yearly:
        raise DataError(
            f"{source}: column {times[0]} has times without a time zone. Deliver it as UTC, or "
            "import the file again with `odum data import-bars --timezone`."
        )
    _check_types(schema, recognized, source)
    return recognized


def _layout(schema: pa.Schema, data_type: DataType, source: str) -> str:
    if "ts_event" in schema.names and data_type is not DataType.FUNDING:
        return "converted"
    if "timestamp" in schema.names:
        return "exchange"
    raise DataError(_missing_message(schema, data_type, source, ["timestamp (or ts_event)"]))


def _levels(schema: pa.Schema, layout: str, side: str, source: str) -> tuple[tuple[str, str], ...]:
    """Return the price and size columns of one side, level 0 first and none left out."""
    columns: dict[int, dict[str, str]] = {}
    for name in schema.names:
        match = _LEVELS[layout].fullmatch(name)
        if match is not None and match["side"] == side:
            part = "price" if match["part"] == "price" else "size"
            columns.setdefault(int(match["level"]), {})[part] = name
    broken = [
        level for level in range(max(columns, default=0) + 1) if len(columns.get(level, {})) != 2
    ]
    if broken:
        example = f"{side}s[{broken[0]}].price and .amount"
        if layout == "converted":
            example = f"{side}_price_{broken[0]} and {side}_size_{broken[0]}"
        raise DataError(_missing_message(schema, DataType.BOOK, source, [example]))
    return tuple((columns[level]["price"], columns[level]["size"]) for level in sorted(columns))


def _missing_message(
    schema: pa.Schema, data_type: DataType, source: str, missing: list[str]
) -> str:
    return (
        f"{source}: not a raw {data_type.value} file: missing {', '.join(missing)}. "
        f"Columns: {_name_list(schema.names)}. Deliver the file again."
    )


def _name_list(names: list[str]) -> str:
    """Return column names on one line of a message."""
    plain = [name if name.isprintable() else repr(name) for name in names[:_MAX_NAMES]]
    more = len(names) - len(plain)
    return (", ".join(plain) or "none") + (f" and {more} more" if more else "")


def _check_types(schema: pa.Schema, layout: RawSchema, source: str) -> None:
    named = layout.named
    times = "date" if layout.data_type.is_yearly else "time"
    levels = (name for level in (*layout.asks, *layout.bids) for name in level)
    names: dict[str, list[str | None]] = {
        times: [layout.ts_event, layout.ts_init, named.get("next_funding")],
        "number": [
            *levels,
            *(named.get(role) for role in ("price", "size", "rate", *BAR_COLUMNS)),
        ],
        "text": [named.get(role) for role in _IDENTITY],
        "label": [named.get(role) for role in ("side", "trade_id")],
    }
    wrong = [
        f"{name} is {schema.field(name).type}, needs {needs}"
        for kind, (accepts, needs) in _ACCEPTED.items()
        for name in names.get(kind, ())
        if name is not None and not accepts(schema.field(name).type)
    ]
    if wrong:
        raise DataError(f"{source}: columns of a type that cannot be used: {'; '.join(wrong)}.")


def _is_time(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_timestamp(kind)


def _is_date(kind: pa.DataType) -> bool:
    return pa.types.is_date(kind) or _is_time(kind)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_null(kind)
    )


def _is_label(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_integer(kind)


_ACCEPTED = {
    "time": (_is_time, "an integer or timestamp type"),
    "date": (_is_date, "a date, timestamp or integer type"),
    "number": (_is_number, "a float, decimal or integer type"),
    "text": (_is_text, "text"),
    "label": (_is_label, "text or integer"),
}
