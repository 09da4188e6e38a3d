"""Figures of the domain as Dagster metadata: one conversion, and the tables and spans built on it.

Dagster's event log takes primitives only: a numpy float fails the run after the work is done, a
Decimal is refused and NaN turns into null on the way to the browser. What cannot be known is left
out (None) or said in words (NaN and infinities).
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

if TYPE_CHECKING:
    import pyarrow as pa

    from odum_assets.results.sweep import SweepResult

    Materialized = dg.MaterializeResult[Any]
else:
    # Dagster recognizes the bare class only, a type checker wants its parameter.
    Materialized = dg.MaterializeResult

type StepContext = dg.AssetExecutionContext | dg.OpExecutionContext
"""What the function of a step is given, be it the step of an asset or the op of a job."""

UNKNOWN: Final = "n/a"
_LARGEST_INT: Final = 2**63 - 1
_TEXT_LIMIT: Final = 4_000

REJECTS_SCHEMA: Final = dg.TableSchema(
    columns=[
        dg.TableColumn("reason", "string", description="Why a row was rejected."),
        dg.TableColumn("rows", "int", description="Rows with this reason; each counts once."),
        dg.TableColumn("share", "float", description="Share of all rows of the raw file."),
    ]
)
"""Columns of the rejects table; fixed, so that a day without rejects shows an empty table."""

GAPS_SCHEMA: Final = dg.TableSchema(
    columns=[
        dg.TableColumn("start", "string", description="Last row before the gap, UTC."),
        dg.TableColumn("seconds", "float", description="Time until the next row."),
    ]
)
"""Columns of the table of the largest gaps."""


def to_metadata(values: Mapping[str, object]) -> dict[str, dg.MetadataValue[Any]]:
    """Return figures as metadata that Dagster stores and the UI shows.

    Parameters
    ----------
    values : Mapping[str, object]
        Numbers (also numpy's), Decimals, text, paths, aware datetimes, dates, enums, lists and
        mappings of these, metadata values.

    Returns
    -------
    dict[str, dg.MetadataValue]
        Without the entries that are None. Numbers that are not finite are the text ``n/a``.

    Raises
    ------
    TypeError
        If a value is of another type.
    ValueError
        If a datetime has no time zone.
    """
    return {name: _value(value) for name, value in values.items() if value is not None}


def rejects_table(rejected: Mapping[str, int], rows_in: int) -> dg.MetadataValue[Any]:
    """Return the rejected rows by reason, most first."""
    records = [
        dg.TableRecord({"reason": reason, "rows": rows, "share": rows / max(rows_in, 1)})
        for reason, rows in sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    ]
    return dg.MetadataValue.table(records=records, schema=REJECTS_SCHEMA)


def gaps_table(largest: Sequence[Mapping[str, Any]]) -> dg.MetadataValue[Any]:
    """Return the largest gaps of a partition, as its manifest lists them."""
    records = [
        dg.TableRecord(
            {"start": _utc(int(gap["start"])).isoformat(), "seconds": float(gap["seconds"])}
        )
        for gap in largest
    ]
    return dg.MetadataValue.table(records=records, schema=GAPS_SCHEMA)


def variants_table(result: "SweepResult") -> dg.MetadataValue[Any]:
    """Return the variants of a sweep side by side, with a column per path that varies."""
    from odum_assets.config.variants import value_text
    from odum_assets.results.sweep import FIGURES

    paths = list(dict.fromkeys(path for variant in result.variants for path in variant.varied))
    columns = [
        dg.TableColumn("variant", "int", description="In the order in which they were given."),
        *(dg.TableColumn(path, "string", description="Varied.") for path in paths),
        *(dg.TableColumn(name, "float") for name in FIGURES),
        dg.TableColumn("run_id", "string", description="Id for odum results show."),
        dg.TableColumn("error", "string", description="Why there is no result."),
    ]
    records = []
    for index, variant in enumerate(result.variants, start=1):
        varied = {path: value_text(value) for path, value in variant.varied.items()}
        values: dict[str, Any] = {
            "variant": index,
            **{path: varied.get(path, "") for path in paths},
            **{name: _plain(variant.figures.get(name)) for name in FIGURES},
            "run_id": variant.run_id or "",
            "error": variant.error or "",
        }
        records.append(dg.TableRecord(values))
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def grid_table(variants: "pa.Table") -> dg.MetadataValue[Any]:
    """Return variants of a vectorized sweep side by side; a figure that is not known is null."""
    columns = [
        dg.TableColumn(field.name, "string" if str(field.type) == "string" else "float")
        for field in variants.schema
    ]
    records = [dg.TableRecord(row) for row in variants.to_pylist()]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns=columns))


def timestamp(ns: int) -> dg.MetadataValue[Any]:
    """Return nanoseconds since 1970 (UTC) as a timestamp, to the microsecond."""
    return dg.MetadataValue.timestamp(_utc(ns))


def rounded(value: float | Decimal | None) -> float | None:
    """Return a ratio to four decimals; money is never rounded."""
    return None if value is None else round(float(value), 4)


def bullet_list(lines: Sequence[str]) -> dg.MetadataValue[Any]:
    """Return short sentences as a Markdown list."""
    return dg.MetadataValue.md("\n".join(f"- {line}" for line in lines))


def code_block(lines: Sequence[str]) -> dg.MetadataValue[Any]:
    """Return the last lines of a text as a block of Markdown, as many as metadata should hold."""
    text = "\n".join(lines)[-_TEXT_LIMIT:].replace("```", "'''")
    return dg.MetadataValue.md(f"```\n{text}\n```")


def tearsheet_link(run_id: str) -> dg.MetadataValue[Any]:
    """Return a link to a tearsheet that opens in the UI of `odum dev` and of the service.

    It names no host: the page has the same origin as the UI, whatever its address is.
    """
    return dg.MetadataValue.url(f"/api/backtest/results/{run_id}/tearsheet")


def _utc(ns: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=ns // 1000)


def _value(value: object) -> dg.MetadataValue[Any]:
    value = _plain(value)
    match value:
        case dg.MetadataValue():
            return value
        case bool():
            return dg.MetadataValue.bool(value)
        case int():
            return dg.MetadataValue.int(value)
        case float():
            return dg.MetadataValue.float(value)
        case str():
            cut = value if len(value) <= _TEXT_LIMIT else f"{value[:_TEXT_LIMIT]} ..."
            return dg.MetadataValue.text(cut)
        case PurePath():
            return dg.MetadataValue.path(str(value))
        case dt.datetime():
            return dg.MetadataValue.timestamp(value)
        case Mapping() | list() | tuple():
            content: Any = _json(value)
            return dg.MetadataValue.json(content)
    raise TypeError(f"no metadata for a {type(value).__name__}: {value!r}")


def _plain(value: object) -> object:
    """Return a value without numpy, Decimal, enums and numbers that JSON does not have."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return UNKNOWN
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        return str(value)
    if isinstance(value, dt.datetime):
        if value.utcoffset() is None:
            raise ValueError(f"a time in metadata needs a time zone: {value.isoformat()}")
        return value
    return value.isoformat() if isinstance(value, dt.date) else value


def _json(value: object) -> object:
    value = _plain(value)
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dt.datetime | PurePath):
        return str(value)
    raise TypeError(f"no metadata for a {type(value).__name__}: {value!r}")
