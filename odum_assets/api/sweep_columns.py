"""The variants of a sweep, chosen, in an order, and as columns for charts.

What belongs here: pages and columns of a sweep that is there. What does not: where variants come
from (``sweeps``).
"""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from odum_assets.api.problems import ProblemError
from odum_assets.api.sweeps import Axis, Sweep, SweepStatus, SweepVariant, Value
from odum_assets.results.choosing import parse_conditions, parse_sort, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

_ERROR_CHARACTERS = 300


class SweepColumns(BaseModel):
    """Figures of all variants of a sweep; columns are in the order of the variants' numbers."""

    id: str
    status: SweepStatus
    by_status: dict[str, int]
    axes: list[Axis]
    number: list[int]
    at: list[list[int | None]] = Field(
        description="Of each axis: which of its values each variant has; null for none."
    )
    variant_status: list[SweepStatus]
    run_id: list[str | None]
    flags: list[int] = Field(description="How many warnings each variant has.")
    errors: dict[int, str] = Field(description="Why variants failed, by number; the first line.")
    values: dict[str, list[float | None]] = Field(description="By figure.")
    chosen: list[int] | None = Field(
        description="Numbers of the variants that meet `where`; null without conditions."
    )


def page_of(sweep: Sweep, sort: str | None, where: str | None, limit: int, offset: int) -> Sweep:
    """Return a sweep with a page of the chosen variants.

    Raises
    ------
    InvalidRequestError
        If conditions or order cannot be used.
    """
    rows = sweep.rows
    if sort or where:
        rows = [rows[index] for index in _chosen(sweep, sort, where)]
    page = {"total": len(rows), "limit": limit, "offset": offset}
    return sweep.model_copy(update={**page, "rows": rows[offset : offset + limit]})


def columns_of(sweep: Sweep, figures: tuple[str, ...], where: str | None) -> SweepColumns:
    """Return columns of all variants.

    Raises
    ------
    ProblemError
        If there is no such figure.
    InvalidRequestError
        If conditions cannot be used.
    """
    for name in figures:
        if name not in sweep.figures:
            raise ProblemError(
                422,
                "invalid-request",
                f"figures: found {name[:80]!r}, allowed {', '.join(sweep.figures)}",
            )
    rows = sweep.rows
    chosen = None if not where else [rows[index].number for index in _chosen(sweep, None, where)]
    return SweepColumns(
        id=sweep.id,
        status=sweep.status,
        by_status=sweep.by_status,
        axes=sweep.axes,
        number=[row.number for row in rows],
        at=[_indices(rows, axis) for axis in sweep.axes],
        variant_status=[row.status for row in rows],
        run_id=[row.run_id for row in rows],
        flags=[len(row.flags) for row in rows],
        errors={
            row.number: row.error.partition("\n")[0][:_ERROR_CHARACTERS]
            for row in rows
            if row.error
        },
        values={name: [row.figures.get(name) for row in rows] for name in figures},
        chosen=chosen,
    )


def _chosen(sweep: Sweep, sort: str | None, where: str | None) -> list[int]:
    """Return which variants are chosen, in order; equal ones in the order of their numbers."""
    conditions = parse_conditions(where) if where else ()
    keys = parse_sort(sort) if sort else ()
    return [int(row) for row in rows_of(_table(sweep), conditions, keys)]


def _table(sweep: Sweep) -> "pa.Table":
    """Return variants as a table with a column for each name that can be asked for."""
    import pyarrow as pa

    rows = sweep.rows
    columns: dict[str, pa.Array[Any]] = {
        "number": pa.array([row.number for row in rows], pa.int64()),
        "status": pa.array([row.status for row in rows], pa.string()),
        "flags": pa.array([len(row.flags) for row in rows], pa.int64()),
        "error": pa.array([row.error for row in rows], pa.string()),
    }
    for name in sweep.figures:
        columns[name] = pa.array([row.figures.get(name) for row in rows], pa.float64())
    for axis in sweep.axes:
        values = [row.varied.get(axis.path) for row in rows]
        # A figure of the same name is the figure; the path still names the axis.
        for name in {axis.name, axis.path} - columns.keys():
            columns[name] = _axis_column(values)
    return pa.table(columns)


def _axis_column(values: list[Value]) -> "pa.Array[Any]":
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _indices(rows: list[SweepVariant], axis: Axis) -> list[int | None]:
    # True is no 1 here.
    numbers = {(type(value) is bool, value): index for index, value in enumerate(axis.values)}
    values = [row.varied.get(axis.path) for row in rows]
    return [numbers.get((type(value) is bool, value)) for value in values]
