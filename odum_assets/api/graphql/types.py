"""Types of the GraphQL schema: what is asked for and what is answered.

Names are those of the earlier service, in snake_case (`spelling` takes camelCase, too). Rates of
replies are in percent, drawdowns zero or negative; what is not known is null.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import strawberry

from odum_assets.api.bar_backtests import BacktestTerms, BarBacktest, BarSelection
from odum_assets.api.model_backtests import ModelTerms
from odum_assets.api.problems import ProblemError

_SELECTION = ("symbol", "interval", "limit", "start_date", "end_date")
_TERMS = (
    "config", "period", "init_cash", "fees", "slippage", "side", "fixed_size", "percent_size",
    "use_fallback",
)  # fmt: skip


@strawberry.input(description="Which bars of the catalog; without days the last ones.")
class FetchInput:
    """Which bars."""

    symbol: str
    interval: str = "1d"
    limit: int = 1000
    start_date: date | None = None
    end_date: date | None = None


@strawberry.input(description="A stored model, and what it takes.")
class MLModelInput:
    """Which model."""

    model_path: str = strawberry.field(
        description="Path or name of an uploaded model, as the upload returns them."
    )
    feature_columns: list[str] | None = None
    threshold: float | None = None


@strawberry.input(description="Lengths of the averages, in bars.")
class StrategyInput:
    """Which averages."""

    fast_ma_period: int
    slow_ma_period: int


@strawberry.input
class _Terms:
    """Bars and account of every backtest; numbers are fractions, as in configurations."""

    symbol: str | None = None
    interval: str | None = None
    limit: int | None = None
    start_date: date | None = None
    end_date: date | None = None
    fetch_input: FetchInput | None = None
    config: str | None = strawberry.field(
        default=None, description="Configuration to take, where several fit."
    )
    period: str = "1D"
    init_cash: float = 10_000.0
    fees: float = 0.001
    slippage: float = 0.001
    side: str = "long"
    fixed_size: float | None = None
    percent_size: float | None = strawberry.field(
        default=None, description="Fraction (0 to 1) of the equity that an entry may cost."
    )
    use_fallback: bool = strawberry.field(
        default=False, description="Refused: no other strategy runs in place of the asked one."
    )

    def values(self) -> dict[str, Any]:
        """Return the terms by name, bars from `fetch_input` where it has them."""
        own = {name: getattr(self, name) for name in _SELECTION}
        chosen = {name: value for name, value in own.items() if value is not None}
        fetched = self.fetch_input
        if fetched is not None:
            if self.symbol is not None and self.symbol != fetched.symbol:
                raise ProblemError(
                    422,
                    "invalid-request",
                    f"symbol: found {self.symbol[:80]!r}, fetch_input has {fetched.symbol[:80]!r}",
                )
            chosen = {name: getattr(fetched, name) for name in _SELECTION} | chosen
        terms = {name: getattr(self, name) for name in _TERMS}
        return {
            name: Decimal(repr(value)) if isinstance(value, float) else value
            for name, value in {**chosen, **terms}.items()
            if value is not None
        }


@strawberry.input(description="A moving-average crossover over bars of the catalog.")
class BacktestInput(_Terms):
    """What a crossover is run with."""

    user_id: str | None = strawberry.field(default=None, description="Without meaning here.")
    strategy: StrategyInput | None = None
    fast_ma_period: int | None = None
    slow_ma_period: int | None = None

    def terms(self) -> BacktestTerms:
        """Return the terms, validated."""
        return BacktestTerms.model_validate(self.values())

    def lengths(self) -> tuple[int, int]:
        """Return the lengths of the averages.

        Raises
        ------
        ProblemError
            If they are not given, or the fast one is not below the slow one.
        """
        given = self.strategy or self
        fast, slow = given.fast_ma_period, given.slow_ma_period
        if fast is None or slow is None:
            raise ProblemError(
                422,
                "invalid-request",
                "strategy: give fast_ma_period and slow_ma_period; there are no defaults",
            )
        if not 1 <= fast < slow <= _LONGEST:
            raise ProblemError(
                422,
                "invalid-request",
                f"strategy: found {fast} and {slow}, allowed 1 <= fast_ma_period < slow_ma_period "
                f"<= {_LONGEST:,}",
            )
        return fast, slow


_LONGEST = 10_000


@strawberry.input(description="A trained model over bars of the catalog.")
class MLBacktestInput(_Terms):
    """What a model is run with."""

    user_id: str
    threshold: float | None = None
    feature_columns: list[str] | None = None
    ml_model: MLModelInput | None = None

    def terms(self) -> ModelTerms:
        """Return the terms, validated."""
        given: dict[str, Any] = {}
        for source in (self.ml_model, self):
            if source is not None:
                given |= {
                    name: value
                    for name in ("threshold", "feature_columns")
                    if (value := getattr(source, name)) is not None
                }
        return ModelTerms.model_validate({**self.values(), **given})


@strawberry.type(description="The account at the close of a bar.")
class BacktestRow:
    """A row of a reply."""

    Date: str
    portfolio_value: float
    signal: str = strawberry.field(description="buy, sell or hold, decided at this close.")


@strawberry.type(description="Rates in percent, drawdowns zero or negative, unknown figures null.")
class BacktestMetrics:
    """Figures of a reply."""

    strategy_name: str
    total_return: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    total_trades: int
    winning_trades: int
    losing_trades: int


@strawberry.type
class CrossoverStrategy:
    """Averages of a crossover."""

    fast_ma_period: int
    slow_ma_period: int


@strawberry.type(description="A backtest that was run.")
class BacktestResult:
    """A reply."""

    id: str
    symbol: str
    status: str
    strategy: CrossoverStrategy | None = strawberry.field(description="null for a model.")
    data: list[BacktestRow]
    metrics: BacktestMetrics
    total_trades: int
    winning_trades: int
    losing_trades: int
    profit_factor: float | None

    @classmethod
    def of(cls, reply: BarBacktest, lengths: tuple[int, int] | None = None) -> "BacktestResult":
        """Return a reply as this type."""
        rest = reply.model_dump(exclude={"data", "metrics"})
        return cls(
            **rest,
            strategy=None
            if lengths is None
            else CrossoverStrategy(fast_ma_period=lengths[0], slow_ma_period=lengths[1]),
            data=[
                BacktestRow(Date=row.Date, portfolio_value=row.portfolio_value, signal=row.signal)
                for row in reply.data
            ],
            metrics=BacktestMetrics(**reply.metrics.model_dump()),
        )


@strawberry.type(description="A bar; prices in the quote currency.")
class Ohlcv:
    """A bar."""

    Date: str
    open: float
    high: float
    low: float
    close: float
    volume: float


@strawberry.type(description="An instrument whose bars a configuration reads.")
class Coin:
    """An instrument."""

    symbol: str
    interval: str
    config: str


@strawberry.type(description="A run of the registry; rates in percent.")
class BacktestHistoryEntry:
    """A run."""

    id: str
    symbol: str
    status: str
    config: str
    executed_at: str
    total_return: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    total_trades: int | None


@strawberry.type(description="An uploaded model.")
class UserModel:
    """A model."""

    filename: str
    original_filename: str
    file_path: str
    relative_path: str
    file_size: int
    user_id: str
    model_name: str
    file_extension: str
    format: str
    sha256: str
    uploaded_at: str


def selection(fetched: FetchInput) -> BarSelection:
    """Return which bars are asked for, validated."""
    return BarSelection(**{name: getattr(fetched, name) for name in _SELECTION})
