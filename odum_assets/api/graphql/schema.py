"""The GraphQL schema: queries and mutations over the same service as REST."""

import json
from dataclasses import dataclass
from typing import Any, Final

import strawberry
from anyio import to_thread
from fastapi import Request
from strawberry.extensions import QueryDepthLimiter
from strawberry.file_uploads import Upload
from strawberry.schema.config import StrawberryConfig
from strawberry.types import Info

from odum_assets.api.bar_backtests import bar_configs, result_reply, select_bars, vectorized_reply
from odum_assets.api.graphql.types import (
    BacktestHistoryEntry,
    BacktestInput,
    BacktestResult,
    Coin,
    FetchInput,
    MLBacktestInput,
    Ohlcv,
    UserModel,
    selection,
)
from odum_assets.api.model_backtests import backtest_model, backtest_upload, model_at
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.registry import page_of_runs
from odum_assets.api.routes.runs import run_to_end
from odum_assets.api.routes.trained_models import list_models
from odum_assets.api.run_selection import RunQuery
from odum_assets.api.service import Service

MAX_DEPTH: Final = 8
MAX_LIST: Final = 500
"""Entries of a list, but for bars."""

_PERCENT: Final = ("total_return", "max_drawdown", "win_rate")
_NUMBERS: Final = (*_PERCENT, "sharpe_ratio", "profit_factor", "total_trades")


@dataclass(frozen=True, slots=True)
class Context:
    """What a document is executed with."""

    service: Service
    request: Request


type _Info = Info[Context, None]


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(description="ok, while the service answers.")
    def health(self) -> str:
        """Answer."""
        return "ok"

    @strawberry.field(description="Bars of the catalog, the last ones at most.")
    async def fetch_ohlcv(self, info: _Info, input: FetchInput) -> list[Ohlcv]:  # noqa: A002
        """Return bars."""
        wanted = selection(input)
        return await to_thread.run_sync(lambda: _bars(info.context.service, wanted))

    @strawberry.field(description="Instruments that backtests here can name.")
    async def fetch_coin_list(self, info: _Info, limit: int = MAX_LIST) -> list[Coin]:
        """Return instruments, by configuration."""
        most = _limit(limit)
        known = await to_thread.run_sync(bar_configs, info.context.service)
        return [
            Coin(
                symbol=next(iter(loaded.config.ids.values())),
                interval=loaded.bars.bars.step,
                config=loaded.name,
            )
            for loaded in known[:most]
            if loaded.bars is not None
        ]

    @strawberry.field(description="Runs of the registry, the newest first.")
    async def fetch_backtest_history(
        self, info: _Info, limit: int = 50, offset: int = 0, symbol: str | None = None
    ) -> list[BacktestHistoryEntry]:
        """Return runs."""
        query = RunQuery(limit=_limit(limit), offset=offset, instrument=symbol)
        page = await page_of_runs(info.context.service, query)
        return [_entry(run) for run in json.loads(page.rows)]

    @strawberry.field(description="Models of a user, the newest first.")
    async def get_user_models(
        self, info: _Info, user_id: str, limit: int = MAX_LIST
    ) -> list[UserModel]:
        """Return models."""
        most = _limit(limit)
        models = await to_thread.run_sync(list_models, info.context.service, user_id)
        return [UserModel(**model.model_dump()) for model in models.data[:most]]


@strawberry.type
class Mutation:
    """What can be run."""

    @strawberry.mutation(description="A crossover in the compiled kernel; no run is stored.")
    async def run_vectorized_backtest(
        self,
        info: _Info,
        input: BacktestInput,  # noqa: A002
    ) -> BacktestResult:
        """Run a crossover in the kernel."""
        terms, lengths = input.terms(), input.lengths()

        def work() -> BacktestResult:
            service = info.context.service
            bars = select_bars(service, terms)
            reply = vectorized_reply(service.project(), bars, terms, *lengths)
            return BacktestResult.of(reply, lengths)

        return await to_thread.run_sync(work)

    @strawberry.mutation(description="A crossover in NautilusTrader, as a run of Dagster.")
    async def run_event_driven_backtest(
        self,
        info: _Info,
        input: BacktestInput,  # noqa: A002
    ) -> BacktestResult:
        """Run a crossover in NautilusTrader."""
        service, request = info.context.service, info.context.request
        terms, lengths = input.terms(), input.lengths()
        bars = await to_thread.run_sync(select_bars, service, terms)
        params = dict(zip(("fast", "slow"), lengths, strict=True))
        new = await to_thread.run_sync(bars.new_run, terms, "MA_CROSS", params)
        finished = await run_to_end(service, request, new)

        def reply() -> BacktestResult:
            entry = service.result(finished.run_id)
            return BacktestResult.of(result_reply(entry, bars, "MA_CROSS"), lengths)

        return await to_thread.run_sync(reply)

    @strawberry.mutation(description="A stored model, as a run of Dagster.")
    async def run_ml_backtest(
        self,
        info: _Info,
        input: MLBacktestInput,  # noqa: A002
    ) -> BacktestResult:
        """Run a stored model."""
        service, request = info.context.service, info.context.request
        if input.ml_model is None:
            raise ProblemError(
                422, "invalid-request", "ml_model: give model_path, or upload a file with the run"
            )
        path = input.ml_model.model_path
        terms = input.terms()
        model = await to_thread.run_sync(model_at, service, input.user_id, path)
        return BacktestResult.of(await backtest_model(service, request, terms, model))

    @strawberry.mutation(description="A model that comes with the request; it is stored.")
    async def run_ml_backtest_with_file(
        self,
        info: _Info,
        ml_model_file: Upload,
        input: MLBacktestInput,  # noqa: A002
    ) -> BacktestResult:
        """Store a model and run it."""
        file: Any = ml_model_file
        terms, content = input.terms(), await file.read()
        return BacktestResult.of(
            await backtest_upload(
                info.context.service,
                info.context.request,
                terms,
                input.user_id,
                file.filename or "",
                content,
            )
        )


class _Schema(strawberry.Schema):
    """A schema that leaves its errors to `serving`."""

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:  # noqa: ANN401
        """Log nothing: an error of the service is logged where it is answered."""


def build_schema() -> strawberry.Schema:
    """Return the schema."""
    return _Schema(
        Query,
        Mutation,
        extensions=[lambda: QueryDepthLimiter(max_depth=MAX_DEPTH)],
        config=StrawberryConfig(auto_camel_case=False),
    )


def _limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIST:
        raise ProblemError(422, "invalid-request", f"limit: found {limit}, allowed 1 to {MAX_LIST}")
    return limit


def _bars(service: Service, wanted: Any) -> list[Ohlcv]:  # noqa: ANN401
    bars = select_bars(service, wanted)
    series = bars.selected
    tick = series.tick_size
    exponent = -int(tick.as_tuple().exponent)
    # One division, so that 126.98 is the float that a CSV gives.
    units, digits = int(tick.scaleb(exponent)), 10.0**exponent
    prices = (
        (column * units / digits).tolist()
        for column in (series.open, series.high, series.low, series.close)
    )
    volumes = (series.volume / 10.0**series.size_precision).tolist()
    names = ("Date", "open", "high", "low", "close", "volume")
    return [
        Ohlcv(**dict(zip(names, row, strict=True)))
        for row in zip(bars.dates(), *prices, volumes, strict=True)
    ]


def _entry(run: dict[str, Any]) -> BacktestHistoryEntry:
    figures = {name: run[name] for name in _NUMBERS}
    for name in _PERCENT:
        figures[name] = None if figures[name] is None else 100 * figures[name]
    return BacktestHistoryEntry(
        id=run["run_id"],
        symbol=run["instrument"],
        status=run["status"],
        config=run["config_name"],
        executed_at=run["executed_at"],
        **figures,
    )
