"""What the charts of a run are drawn from: candles with fills, the account, and single moments."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from odum_assets.api.aggregating import aggregated
from odum_assets.api.cache import file_validator
from odum_assets.api.charts import AccountCurve, Bars, Moment
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import RunResultHere, Service, ServiceHere
from odum_assets.api.tables import equity_of, fills_of, orders_of
from odum_assets.raw.layout import DataType
from odum_assets.results import candles, moment
from odum_assets.results.buckets import Grid, grid_over
from odum_assets.results.chart_levels import ChartBuckets, ChartSource, level_of, serves
from odum_assets.results.choosing import time_ns
from odum_assets.results.curve import CurveBuckets, CurveFile
from odum_assets.results.market import Market, PartitionNow, Source, replayed
from odum_assets.results.moment import Span
from odum_assets.results.store import ResultEntry
from odum_assets.results.stored_file import StoredFile

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])

_LATEST = 7_258_118_400_000_000_000
"""2200-01-01, ns since 1970: buckets that end after it still fit 64 bits."""

Instrument = Annotated[
    str | None,
    Query(
        max_length=120,
        description="One of the run's; its first one by default.",
        examples=["BINANCE-FUTURES:PERPETUAL:BTC-USDT"],
    ),
]
Time = Annotated[str | None, Query(max_length=64, examples=["2024-07-18T00:00:00Z"])]


@dataclass(frozen=True, slots=True)
class Window:
    """What is shown: from `start`, before `end` (None: all of the run); in how many points."""

    start: int | None
    end: int | None
    points: int
    instrument: str | None
    at: int = 0


async def _window_of(
    start: Time = None,
    end: Time = None,
    points: Annotated[
        int, Query(ge=2, le=5_000, description="Buckets, about: their length is a usual one.")
    ] = 1_000,
    instrument: Instrument = None,
) -> Window:
    first, last = _time("start", start), _time("end", end)
    if first is not None and last is not None and first >= last:
        raise ProblemError(422, "invalid-window", "start must be before end (exclusive)")
    return Window(first, last, points, instrument)


WindowHere = Annotated[Window, Depends(_window_of)]
"""The window that the query names: times are ISO 8601 with a zone, or ns since 1970."""


@router.get("/bars", response_model=Bars, responses=KNOWN)
async def get_run_bars(
    service: ServiceHere, entry: RunResultHere, request: Request, window: WindowHere
) -> Response:
    """Return the market of a run as candles, with its fills, refusals and faults in the data."""
    return await _sent(service, entry, request, _BarsQuestion, window)


@router.get("/curve", response_model=AccountCurve, responses=KNOWN)
async def get_run_curve(
    service: ServiceHere, entry: RunResultHere, request: Request, window: WindowHere
) -> Response:
    """Return equity, drawdown and position of a run by bucket: first, min, max and last."""
    return await _sent(service, entry, request, _CurveQuestion, window)


@router.get("/moment", response_model=Moment, responses=KNOWN)
async def get_run_moment(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    at_ns: Annotated[int, Query(ge=0, le=_LATEST, description="The moment, ns since 1970 (UTC).")],
    span_ns: Annotated[
        int, Query(ge=1, le=3_600_000_000_000, description="Length of the span around it, ns.")
    ] = 5_000_000_000,
    instrument: Instrument = None,
) -> Response:
    """Return trades, books, orders and fills around a moment, to the nanosecond."""
    start = max(0, at_ns - span_ns // 2)
    window = Window(start, min(start + span_ns, _LATEST), 0, instrument, at_ns)
    return await _sent(service, entry, request, _MomentQuestion, window)


def require_report(entry: ResultEntry) -> None:
    """Refuse what a run in fast mode does not have.

    Raises
    ------
    ProblemError
        If it has no report (409); it says how to get one.
    """
    if entry.report_path is None:
        raise ProblemError(
            409,
            "no-report",
            f"{entry.run_id} ran in fast mode, which keeps the summary only; run "
            f"{entry.config_name} {entry.partition} again in report mode",
        )


class _Question:
    """What is asked of a run in report mode, and which files the answer is made of.

    Raises
    ------
    ProblemError
        If the run has no report (409), or not this instrument (422).
    """

    name: str
    reads_market = True

    def __init__(self, service: Service, entry: ResultEntry, window: Window) -> None:
        require_report(entry)
        equity_of(entry)
        self.entry, self.window, self._store = entry, window, service.store
        self._cache = service.cache
        self.market = Market(entry, service.settings)
        known = self.market.instruments
        if window.instrument is not None and window.instrument not in known:
            raise ProblemError(
                422,
                "invalid-request",
                f"instrument: {entry.run_id} has {', '.join(known[:20])}, "
                f"not {window.instrument[:80]}",
            )
        self.instrument = known[0] if window.instrument is None else window.instrument
        self.row_instrument = candles.instrument_column(self.market, self.instrument)
        self.bounds = self._bounds()
        parts = self.market.partitions(self.instrument, self.bounds) if self.reads_market else []
        self.parts = parts

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Return what names the answer; windows that have the same buckets have the same."""
        return self.name, self.entry.run_id, self.instrument, self.window.instrument is None

    @property
    def validator(self) -> Hashable:
        """Return what changes when the answer does."""
        return self._validator_of(self.parts)

    def _validator_of(self, parts: Sequence[PartitionNow]) -> Hashable:
        names = ("equity", "fills", "orders", "symbols")
        files = [self.entry.report_file(f"{name}.parquet").path for name in names]
        states = tuple(part.state for part in parts)
        ticks = self._ticks.path if self.reads_market else self.entry.fast_path
        return self.entry.digest, file_validator(self.entry.fast_path, ticks, *files), states

    def answer(self) -> bytes:
        """Return the reply's body."""
        raise NotImplementedError

    @property
    def _ticks(self) -> StoredFile:
        return self._store.file("tickdata", f"{self.entry.run_id}.parquet")

    def _bounds(self) -> tuple[int, int]:
        """Return the window in ns: that of the question, or all of the run."""
        start, end = self.window.start, self.window.end
        if start is None or end is None:
            first, last = self.whole
            start = first if start is None else start
            end = last if end is None else end
        return start, max(start, end)

    @cached_property
    def whole(self) -> tuple[int, int]:
        """Return the window in which everything of the run lies, ns."""
        first, last = replayed(self.entry)
        span = CurveFile.of(self.entry, None).span()
        return (first, last) if span is None else (min(first, span[0]), max(last, span[1] + 1))

    def _source(self, parts: list[PartitionNow]) -> tuple[Source, str | None, bool]:
        """Return the state of data, what to say of it, and whether the run's export is used."""
        source, detail = self.market.detail(parts)
        is_export = (
            source != "same" and len(self.market.instruments) == 1 and self._ticks.is_there()
        )
        if is_export:
            detail = f"{detail}; the trades are those that the run exported"
        return source, detail, is_export

    def _head(self) -> dict[str, Any]:
        return {
            "run_id": self.entry.run_id,
            "instrument": self.instrument,
            "instruments": self.market.instruments,
        }


class _BarsQuestion(_Question):
    name = "bars"

    @property
    def grid(self) -> Grid:
        return grid_over(*self.bounds, self.window.points, least_step=_step_of(self.parts))

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.grid

    def answer(self) -> bytes:
        grid = self.grid
        source, detail, is_export = self._source(candles.market_partitions(self.parts))
        columns = {
            **self._head(),
            "t0_ns": str(grid.t0),
            "step_ns": str(grid.step),
            **self._buckets(grid, source, is_export=is_export).columns(),
            "bands": candles.bands(self.entry, self.parts, grid.t0, grid.end),
            "source": source,
            "source_detail": detail,
        }
        return Bars.model_validate(columns).model_dump_json().encode()

    def _buckets(self, grid: Grid, state: Source, *, is_export: bool) -> ChartBuckets:
        """Return what lies in the buckets: from those of the whole run, if they serve for it."""
        ticks = self._ticks if is_export else None
        parts = self.parts if state == "same" else []
        rows = ChartSource(self.entry, parts, ticks, self.row_instrument)
        whole = self.whole
        level = level_of(*whole, _step_of(self.parts))
        if level is None or not serves(level, grid):
            return ChartBuckets.read(rows, grid)
        all_parts = self.market.partitions(self.instrument, whole)
        if self._source(candles.market_partitions(all_parts))[0] != state:
            # Of another part of the run the market has changed.
            return ChartBuckets.read(rows, grid)
        rows = replace(rows, partitions=all_parts if state == "same" else [])
        key = ("buckets of the run", self.entry.run_id, self.instrument)
        kept = self._cache.get_once(
            key, (level, self._validator_of(all_parts)), lambda: ChartBuckets.read(rows, level)
        )
        return kept.coarser(grid)


class _CurveQuestion(_Question):
    name = "curve"
    reads_market = False

    @property
    def grid(self) -> Grid:
        return grid_over(*self.bounds, self.window.points)

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.grid

    def answer(self) -> bytes:
        curve = CurveFile.of(self.entry, self.window.instrument)
        columns = self._buckets(curve).columns()
        head = {"run_id": self.entry.run_id, "instrument": curve.instrument}
        return AccountCurve.model_validate({**head, **columns}).model_dump_json().encode()

    def _buckets(self, curve: CurveFile) -> CurveBuckets:
        """Return what lies in the buckets: from those of the whole run, if they serve for it."""
        grid, level = self.grid, level_of(*self.whole, 0)
        if level is None or grid.step % level.step:
            return CurveBuckets(grid).read(curve)
        key = ("curve of the run", self.entry.run_id, curve.instrument)
        return self._cache.get_once(
            key, (level, self.validator), lambda: CurveBuckets(level).read(curve)
        ).coarser(grid)


class _MomentQuestion(_Question):
    name = "moment"

    @property
    def span(self) -> Span:
        return Span(self.window.at, *self.bounds)

    @property
    def key(self) -> tuple[Hashable, ...]:
        return *super().key, self.span

    def answer(self) -> bytes:
        span, entry = self.span, self.entry
        source, detail, is_export = self._source(self.parts)
        first, last = replayed(entry)
        inside = Span(span.at, max(span.start, first), min(span.end, last))
        tables: dict[str, Any] = {}
        truncated = []
        for name, kinds, read in _MARKET:
            parts = [part for part in self.parts if part.data_type in kinds]
            rows, more = None, False
            if parts and all(part.source == "same" for part in parts):
                if name == "books":
                    rows, more = moment.books_around(parts, inside)
                else:
                    columns = moment.MARKET.get(parts[0].data_type, moment.BARS)
                    rows, more = moment.market_rows(parts, columns, inside)
            elif is_export and name == "trades":
                rows, more = moment.exported_rows(self._ticks, inside)
            tables[name] = _EMPTY[name] if not rows else read(rows, span)
            truncated += [name] if more else []
        fills, orders = fills_of(entry).file, orders_of(entry).file
        for name, (columns_of, more) in {
            "fills": moment.fill_columns(fills, span, self.row_instrument),
            "orders": moment.order_columns(orders, fills, span, self.row_instrument),
        }.items():
            tables[name] = columns_of
            truncated += [name] if more else []
        head = {**self._head(), "base_ns": str(span.at), "span_ns": str(span.end - span.start)}
        rest = {"truncated": truncated, "source": source, "source_detail": detail}
        return Moment.model_validate({**head, **tables, **rest}).model_dump_json().encode()


_BARS_KINDS = tuple(kind for kind in DataType if kind.is_bars)
_MARKET = (
    ("trades", (DataType.TRADES,), moment.trade_columns),
    ("books", (DataType.BOOK,), moment.book_columns),
    ("bars", _BARS_KINDS, moment.bar_columns),
)
_LEVELS: list[list[float]] = [[] for _ in range(moment.LEVELS)]
_EMPTY: dict[str, dict[str, list[Any]]] = {
    "trades": {n: [] for n in ("dt_ns", "event_dt_ns", "price", "size", "side", "trade_id")},
    "books": {
        **{name: [] for name in ("dt_ns", "event_dt_ns")},
        **dict.fromkeys(("bid_price", "bid_size", "ask_price", "ask_size"), _LEVELS),
    },
    "bars": {name: [] for name in ("dt_ns", *"ohlcv")},
}


def _step_of(parts: list[PartitionNow]) -> int:
    """Return the longest step of bars, ns; 0 without any."""
    manifests = [part.manifest for part in parts if part.manifest is not None]
    return max((int(manifest.rules.get("step_ns", 0)) for manifest in manifests), default=0)


async def _sent(
    service: Service,
    entry: ResultEntry,
    request: Request,
    kind: type[_BarsQuestion | _CurveQuestion | _MomentQuestion],
    window: Window,
) -> Response:
    question = await to_thread.run_sync(partial(kind, service, entry, window))
    key, validator = await to_thread.run_sync(lambda: (question.key, question.validator))
    return await aggregated(service, request, key, validator, question.answer)


def _time(name: str, text: str | None) -> int | None:
    try:
        return None if not text or not text.strip() else min(time_ns(text.strip()), _LATEST)
    except ValueError as error:
        raise ProblemError(422, "invalid-request", f"{name}: {error}") from None
