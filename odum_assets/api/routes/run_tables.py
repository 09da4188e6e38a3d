"""What a run made, as rows and figures: metrics, equity, orders, fills, trades, timeline.

A run is named by its id or by its id in Dagster.
"""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import pyarrow as pa
from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.choosing import ChoiceHere, Columns, chosen_reply
from odum_assets.api.replies import Page, next_link
from odum_assets.api.routes.orb import orb_metrics
from odum_assets.api.routes.results import (
    FORMS,
    Fills,
    Limit,
    Offset,
    RangeHere,
    selected,
    timed_reply,
)
from odum_assets.api.rows import EquityRow, EventRow, OrderRow, PositionRow
from odum_assets.api.service import ResultHere, RunResultHere, ServiceHere
from odum_assets.api.tables import equity_of, fills_of, orders_of, timeline_of, trades_of
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.logs import last_lines, read_log
from odum_assets.results.orb.run import OrbRun, is_orb
from odum_assets.results.store import ResultEntry

router = APIRouter(prefix="/api", tags=["runs"])

_Direction = Literal["long", "short"]


class Metrics(BaseModel):
    """Figures of a run."""

    run_id: str
    metrics: models.Summary


class Orders(models.PagedSelection):
    """A page of orders, in order of creation."""

    orders: list[OrderRow]


class Positions(models.PagedSelection):
    """A page of round trips, as the positions that they were."""

    trades: list[PositionRow]


class EquityPoints(models.Paged):
    """A page of the equity curve."""

    equity: list[EquityRow]


class Timeline(models.Paged):
    """A page of the timeline: orders, fills and refusals in order."""

    timeline: list[EventRow]


class Trade(BaseModel):
    """A round trip; its end is null while it is open."""

    trade_id: str
    direction: _Direction | None
    status: str
    entry_timestamp: datetime
    exit_timestamp: datetime | None
    entry_price: float | None
    exit_price: float | None
    quantity: float | None = Field(description="Largest quantity held.")
    realized_pnl: float | None
    commissions: float | None
    net_pnl: float | None
    fills: int
    symbol: str | None = Field(default=None, description="This and the rest: of a breakout only.")
    realized_r: float | None = Field(default=None, description="After fees.")
    max_favorable_r: float | None = None
    max_adverse_r: float | None = None
    exit_reason: str | None = None
    or_high: float | None = None
    or_low: float | None = None
    confluence_score: float | None = None
    factors: dict[str, bool | None] | None = None


@router.get("/metrics/core")
def get_core_metrics(entry: ResultHere) -> Metrics:
    """Return the figures of a result; those of a breakout in R are added to them."""
    metrics = _metrics(entry)
    if not is_orb(entry):
        return metrics
    figures = {**metrics.metrics.model_dump(), **orb_metrics(entry, None)}
    return Metrics(run_id=entry.run_id, metrics=models.Summary.model_validate(figures))


@router.get("/trades")
def list_trades(
    entry: ResultHere,
    request: Request,
    response: Response,
    direction: Annotated[_Direction | None, Query(description="Only these.")] = None,
    symbol: Annotated[
        str | None, Query(description="Only this symbol, such as BTC-USDT or SPY.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Offset = 0,
) -> list[Trade]:
    """List the round trips of a result, by their end; X-Total-Count says how many there are.

    Trades of a breakout are listed by their begin, with what it knows of them.
    """
    if is_orb(entry):
        table = OrbRun(entry).trades(None if symbol is None else symbol.upper(), direction)
        chosen = table.slice(offset, limit)
        _count(request, response, table.num_rows, offset, chosen.num_rows, limit)
        return [_breakout_trade(row) for row in chosen.to_pylist()]
    trades = trades_of(entry)
    rows: list[dict[str, Any]] = []
    total = 0
    for batch in trades.batches():
        fitting = _of_symbol(_of_direction(batch, direction), symbol, entry)
        page = fitting.slice(max(offset - total, 0), max(limit - len(rows), 0))
        rows += page.to_pylist() if total + fitting.num_rows > offset else []
        total += fitting.num_rows
    _count(request, response, total, offset, len(rows), limit)
    return [_trade(row) for row in rows]


@router.get("/v1/runs/{run_id}/metrics")
def get_metrics(service: ServiceHere, run_id: str) -> Metrics:
    """Return the figures of a run."""
    return _metrics(service.result_of_run(run_id))


@router.get("/v1/runs/{run_id}/trades", response_model=Positions, responses=FORMS)
async def get_trades(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    choice: ChoiceHere,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Return the round trips of a run, by their end unless they are sorted."""
    table = await to_thread.run_sync(trades_of, entry)
    columns = Columns("position_id", "opened")
    page = Page(offset, limit)
    return await chosen_reply(service, request, table, "trades", page, choice, columns)


@router.get("/v1/runs/{run_id}/equity", response_model=EquityPoints, responses=FORMS)
def get_equity(entry: RunResultHere, request: Request, selection: RangeHere) -> Response:
    """Return the equity curve of a run."""
    return timed_reply(request, equity_of(entry), "equity", selection)


@router.get("/v1/runs/{run_id}/orders", response_model=Orders, responses=FORMS)
async def get_orders(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    selection: RangeHere,
    choice: ChoiceHere,
) -> Response:
    """Return the orders of a run, in order of creation unless they are sorted."""
    table = await to_thread.run_sync(lambda: selected(orders_of(entry), selection))
    columns = Columns("id", "timestamp")
    return await chosen_reply(service, request, table, "orders", selection.page, choice, columns)


@router.get("/v1/runs/{run_id}/fills", response_model=Fills, responses=FORMS)
async def get_run_fills(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    selection: RangeHere,
    choice: ChoiceHere,
) -> Response:
    """Return the fills of a run, in order of time unless they are sorted."""
    table = await to_thread.run_sync(lambda: selected(fills_of(entry), selection))
    columns = Columns("order_id", "timestamp")
    return await chosen_reply(service, request, table, "fills", selection.page, choice, columns)


@router.get("/v1/runs/{run_id}/timeline", response_model=Timeline, responses=FORMS)
def get_timeline(entry: RunResultHere, request: Request, selection: RangeHere) -> Response:
    """Return orders, fills and refusals of a run, in order of time."""
    return timed_reply(request, timeline_of(entry), "timeline", selection)


@router.get("/v1/runs/{run_id}/log", response_class=PlainTextResponse)
def get_log(
    service: ServiceHere,
    run_id: str,
    lines: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Only the last ones; all by default.")
    ] = None,
) -> PlainTextResponse:
    """Return what the strategy of a run printed and logged; failed runs have it, too."""
    name: str = service.registry.run(run_id)["run_id"]
    text = read_log(service.store, name)
    if lines is not None:
        text = "".join(f"{line}\n" for line in last_lines(text, lines))
    return PlainTextResponse(text)


def _count(
    request: Request, response: Response, total: int, offset: int, count: int, limit: int
) -> None:
    """Say in headers how many rows there are, and where the next ones are."""
    response.headers["X-Total-Count"] = str(total)
    if offset + count < total and count:
        response.headers["Link"] = next_link(request, offset + count, limit)


def _metrics(entry: ResultEntry) -> Metrics:
    return Metrics(run_id=entry.run_id, metrics=models.Summary.model_validate(entry.summary()))


def _of_direction(batch: pa.RecordBatch, direction: _Direction | None) -> pa.RecordBatch:
    if direction is None:
        return batch
    return batch.filter(pc.equal(pc.utf8_lower(batch["side"]), direction))


def _of_symbol(batch: pa.RecordBatch, symbol: str | None, entry: ResultEntry) -> pa.RecordBatch:
    """Return the round trips of a symbol; only results on bars have several instruments."""
    if symbol is None:
        return batch
    if "instrument" not in batch.schema.names:
        return batch if _is_symbol_of(symbol, entry.document["instrument"]) else batch.slice(0, 0)
    fits = [_is_symbol_of(symbol, str(name)) for name in batch["instrument"].to_pylist()]
    return batch.filter(pa.array(fits, pa.bool_()))


def _is_symbol_of(symbol: str, instrument: str) -> bool:
    """Return whether a symbol, in any spelling, is that of an instrument key or id."""
    names = [instrument, *re.split(r"[:@.]", instrument)]
    return _letters(symbol) in map(_letters, names)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


def _trade(row: dict[str, Any]) -> Trade:
    side = row["side"].lower()
    return Trade(
        trade_id=row["position_id"],
        direction=side if side in ("long", "short") else None,
        status=row["status"],
        entry_timestamp=row["opened"],
        exit_timestamp=row["closed"],
        entry_price=row["avg_entry_price"],
        exit_price=row["avg_exit_price"],
        quantity=row["peak_quantity"],
        realized_pnl=row["realized_pnl"],
        commissions=row["commissions"],
        net_pnl=row["net_pnl"],
        fills=row["fills"],
    )


def _breakout_trade(row: dict[str, Any]) -> Trade:
    return Trade(
        trade_id=row["trade_id"],
        direction=row["direction"],
        status="CLOSED",
        entry_timestamp=row["entry_timestamp"],
        exit_timestamp=row["exit_timestamp"],
        entry_price=row["entry_price"],
        exit_price=row["exit_price"],
        quantity=row["quantity"],
        realized_pnl=row["pnl"] + row["fees"],
        commissions=row["fees"],
        net_pnl=row["pnl"],
        fills=2 * len(row["legs"]),
        symbol=row["symbol"],
        realized_r=row["realized_r"],
        max_favorable_r=row["mfe_r"],
        max_adverse_r=row["mae_r"],
        exit_reason=row["exit_reason"],
        or_high=row["or_high"],
        or_low=row["or_low"],
        confluence_score=row["score"],
        factors=row["factors"],
    )
