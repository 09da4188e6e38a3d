"""Pages of a result's table that is filtered, sorted, or looked into for a row."""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from anyio import to_thread
from fastapi import Depends, Query, Request, Response

from odum_assets.api.cache import file_validator
from odum_assets.api.media_types import MediaType
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import DEFAULT_ROWS, Page, table_reply
from odum_assets.api.service import Service
from odum_assets.catalog.fixed_point import Int64s
from odum_assets.results.choosing import (
    ChosenTable,
    choose,
    index_of_id,
    index_of_time,
    parse_conditions,
    parse_sort,
    time_ns,
)
from odum_assets.results.tables import StoredTable

_FIRST_ROWS: Final = 16_384
"""Rows at the begin of an order that are put in order alone: few look further."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows of a table are asked for, in which order, around which one, in which form."""

    sort: str | None
    where: str | None
    around: str | None
    form: MediaType | None = None


async def _choice_of(
    sort: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Columns, separated by commas; a minus before one: descending. Nulls are "
            "last.",
            examples=["-net_pnl"],
        ),
    ] = None,
    where: Annotated[
        str | None,
        Query(
            max_length=500,
            description="Conditions that all hold, separated by commas: column, one of "
            "``: = != < <= > >= ~`` (``~``: contains), value. ``null`` is no value. Texts are "
            "compared without case.",
            examples=["side:buy,net_pnl<0"],
        ),
    ] = None,
    around: Annotated[
        str | None,
        Query(
            max_length=120,
            description="Id of a row, or a time (ns since 1970 or ISO 8601), whose next row is "
            "meant: the reply is the page that has it, and `row` its number.",
        ),
    ] = None,
    form: Annotated[
        Literal["csv"] | None,
        Query(alias="format", description="CSV, as with `Accept: text/csv`: for links."),
    ] = None,
) -> Choice:
    return Choice(
        sort or None, where or None, around or None, None if form is None else MediaType.CSV
    )


ChoiceHere = Annotated[Choice, Depends(_choice_of)]
"""What the query says by ``sort``, ``where``, ``around`` and ``format``."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table by which `Choice.around` names a row."""

    id: str
    time: str


async def chosen_reply(
    service: Service,
    request: Request,
    table: StoredTable,
    rows: str,
    page: Page,
    choice: Choice,
    columns: Columns,
) -> Response:
    """Send a page of the rows that a request chooses.

    Raises
    ------
    InvalidRequestError
        If conditions or order cannot be used.
    ProblemError
        If there is no row that `around` names (404).
    """
    if choice == Choice(None, None, None, choice.form):
        return await to_thread.run_sync(table_reply, request, table, rows, page, None, choice.form)
    where = () if choice.where is None else parse_conditions(choice.where)
    sort = () if choice.sort is None else parse_sort(choice.sort)
    until = None if page.limit is None else page.offset + page.limit
    is_begin = until is not None and until <= _FIRST_ROWS
    first = _FIRST_ROWS if sort and is_begin and choice.around is None else None
    name = where, sort, table.first, table.last, first
    key = ("chosen", table.path, *name)

    def work() -> tuple[StoredTable, Page, int | None]:
        validator = file_validator(table.path)
        chosen = service.cache.get_once(key, validator, lambda: choose(table, where, sort, first))
        rows = ChosenTable(table.file, kind=table.kind, chosen=chosen, name=name)
        if choice.around is None:
            return rows, page, None
        row = _row(table, columns, choice.around, chosen.rows)
        size = page.limit or DEFAULT_ROWS
        return rows, replace(page, offset=row // size * size, limit=size), row

    chosen_table, page, row = await service.aggregations.run(work)
    extra = None if row is None else {"row": row}
    return await to_thread.run_sync(
        table_reply, request, chosen_table, rows, page, extra, choice.form
    )


def _row(table: StoredTable, columns: Columns, around: str, rows: Int64s) -> int:
    place = index_of_id(table, columns.id, around, rows)
    if place is None:
        # A text that is no time is an id that there is not.
        with suppress(ValueError):
            place = index_of_time(table, columns.time, time_ns(around), rows)
    if place is None:
        raise ProblemError(
            404, "unknown-row", f"around: no row with {columns.id} {around[:80]!r} among the chosen"
        )
    return place
