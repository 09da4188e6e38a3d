"""A vectorized sweep of one configuration: its bars, its variants' figures, and their proof.

What belongs here: from a configuration on bars to one parquet file of variants, and replaying some
of them in NautilusTrader. What does not: the kernel (``vectorized``), which variants a command
means (``sweep_axes``), how a table looks, converting bars.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odum_assets.backtest.bar_plan import BarPlan, fee_rule
from odum_assets.backtest.bar_strategies import SWEPT, bar_strategy_params, load_bar_strategy
from odum_assets.backtest.journal import read_events
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.strategies.ml_signals import (
    ModelParams,
    PredictionsFile,
    predictions_of,
)
from odum_assets.backtest.strategies.signal_handler import SignalParams
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import OUTSIDE, SessionRules
from odum_assets.catalog.bar_reader import read_bars
from odum_assets.config import BarsConfig, LoadedConfig, catalog_root
from odum_assets.config.sections.bars import BarInstrumentConfig
from odum_assets.errors import BacktestError, ConfigError, DataError
from odum_assets.results.variant_files import FACTS, FOLDER, write_variants
from odum_assets.settings import Settings
from odum_assets.storage.scratch import scratch_folder
from odum_assets.utc import day_of_ns, iso_ns
from odum_assets.vectorized.crossover import CrossoverGrid
from odum_assets.vectorized.grid import KernelFill, SignalGrid
from odum_assets.vectorized.terms import Terms
from odum_assets.vectorized.thresholds import ThresholdGrid

type Variant = tuple[Any, ...]
"""Values of the axes of a sweep, in their order."""

_END_OF_TIME = 2**62

SORT_COLUMNS: Final = {
    "return": "return_pct",
    "cagr": "cagr_pct",
    "sharpe": "sharpe",
    # Zero or negative: the largest is the best.
    "drawdown": "max_drawdown_pct",
    "profit_factor": "profit_factor",
}
"""Columns by the figure that variants are sorted by."""

UNCERTAIN_ACCOUNT: Final = (
    "the account falls so low that it is not certain which entries NautilusTrader denies (its "
    "balance is within the rounding of the margin, or a cash account is overdrawn); run a "
    "backtest, or use a larger starting balance"
)
"""Why a variant has no figures."""

type SortKey = Literal["return", "cagr", "sharpe", "drawdown", "profit_factor"]

type _Fill = tuple[int, str, Decimal, Decimal, Decimal]
"""Bar, side, size, price and fee."""


@dataclass(frozen=True)
class SweepBars:
    """The bars of one instrument and the configuration that they are run with.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    item : BarInstrumentConfig
        The instrument.
    series : BarSeries
        Its bars inside of sessions, those that warm up indicators first.
    sessions : int array, shape (n,)
        The session of each bar, days since 1970.
    first : int
        The first bar that is traded.
    """

    loaded: LoadedConfig
    item: BarInstrumentConfig
    series: BarSeries
    sessions: NDArray[np.int32]
    first: int

    @property
    def config(self) -> BarsConfig:
        """Return the configuration."""
        return self.loaded.required_bars


@dataclass(frozen=True)
class BarSweep:
    """A sweep over bars: runs variants of a strategy whose signals are known before the first bar.

    Parameters
    ----------
    bars : SweepBars
        The bars.
    axes : tuple of str
        Parameters that vary: those of `SWEPT`, then any of `SIZING`.
    predictions : PredictionsFile or None
        What the model of the strategy predicts on the bars, if it has one.

    Raises
    ------
    ConfigError
        If the strategy is none that can be swept.
    """

    bars: SweepBars
    axes: tuple[str, ...]
    predictions: PredictionsFile | None = None
    _grids: dict[Variant, SignalGrid[Any]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def config(self) -> BarsConfig:
        """Return the configuration."""
        return bars_config(self.bars.loaded)

    @property
    def _own(self) -> int:
        """Return how many axes are the strategy's own; the others are side and size."""
        return len(SWEPT[self.config.strategy.name])

    def params(self, variant: Variant) -> SignalParams:
        """Return the parameters of a variant, validated."""
        return _params(self.config, self._values(variant))

    def figures(self, variants: Sequence[Variant]) -> pa.Table:
        """Run variants and return a row for each: a column for each axis, then the figures.

        Raises
        ------
        OdumError
            If a variant cannot be run.
        """
        groups: dict[Variant, list[int]] = {}
        for row, variant in enumerate(variants):
            groups.setdefault(variant[self._own :], []).append(row)
        tables = []
        for sizing, rows in groups.items():
            grid = self._grid(variants[rows[0]])
            table = grid.figures([self._key(variants[row]) for row in rows])
            for at, (name, value) in enumerate(
                zip(self.axes[self._own :], sizing, strict=True), self._own
            ):
                figure = float(value) if isinstance(value, Decimal) else value
                table = table.add_column(at, name, pa.array([figure] * len(rows)))
            tables.append(table)
        order = np.argsort(np.concatenate([*groups.values()]), kind="stable")
        return pa.concat_tables(tables).take(order).combine_chunks()

    def fills(self, variant: Variant) -> list[KernelFill]:
        """Return every fill of a variant, in order."""
        return self._grid(variant).fills(self._key(variant))

    def _key(self, variant: Variant) -> Any:  # noqa: ANN401 - what the strategy's grid takes
        own = variant[: self._own]
        return own[0] if self._own == 1 else own

    def _grid(self, variant: Variant) -> SignalGrid[Any]:
        sizing = variant[self._own :]
        if sizing not in self._grids:
            bars, params = self.bars, self.params(variant)
            given = (bars.series, bars.sessions, bars.first, self._terms(params))
            days = self.config.annualization_days
            self._grids[sizing] = (
                CrossoverGrid(*given, days)
                if self.predictions is None
                else ThresholdGrid(*given, days, self.predictions.signals)
            )
        return self._grids[sizing]

    def _terms(self, params: SignalParams) -> Terms:
        item, fixed, venue = self.bars.item, params.fixed_size, self.config.venue
        _refuse_short_sale(self.bars.loaded, params)
        if fixed is None and params.percent_size is None:
            fixed = Decimal(1)
        return Terms(
            tick_size=item.tick_size,
            size_precision=item.size_precision,
            lot=int(item.lot_size.scaleb(item.size_precision)),
            multiplier=self.config.spec(item.key).multiplier,
            starting_balance=venue.starting_balance,
            fees=fee_rule(self.config),
            side=params.side,
            fixed_size=fixed,
            percent_size=params.percent_size,
            slippage=self.config.execution.slippage,
            margin=Fraction(item.margin_init) / Fraction(venue.leverage),
            is_cash=venue.account_type == "CASH",
        )

    def facts(self, variants: Sequence[Variant]) -> dict[str, Any]:
        """Return what the sweep is of, as a JSON document; ``id`` follows from all of it."""
        bars, series = self.bars, self.bars.series
        content = hashlib.sha256()
        for column in (series.close_time, series.open, series.close):
            content.update(np.ascontiguousarray(column).tobytes())
        facts = {
            "config": bars.loaded.name,
            "config_hash": bars.loaded.content_hash,
            "instrument": bars.item.id,
            "currency": self.config.venue.base_currency,
            "side": self._sides(variants),
            "bars": len(series) - bars.first,
            "warmup_bars": bars.first,
            "bars_sha256": content.hexdigest(),
            "sessions": len(np.unique(bars.sessions[bars.first :])),
            "first_close": iso_ns(int(series.close_time[bars.first])),
            "last_close": iso_ns(int(series.close_time[-1])),
            "annualization_days": self.config.annualization_days,
            "variants": len(variants),
        }
        if self.predictions is not None:
            facts["strategy_inputs"] = dict(self.predictions.inputs)
        axes = {"axes": list(self.axes)}
        # Sweeps of lengths alone have the ids of earlier versions, which knew no other axes.
        hashed = facts if self.axes == SWEPT["MA_CROSS"] else {**facts, **axes}
        text = json.dumps([hashed, list(map(list, variants))], sort_keys=True, default=str)
        return {"id": hashlib.sha256(text.encode()).hexdigest()[:12], **facts, **axes}

    def _sides(self, variants: Sequence[Variant]) -> str:
        if "side" not in self.axes:
            return self.params(variants[0]).side
        at = self.axes.index("side")
        return ", ".join(sorted({str(variant[at]) for variant in variants}))

    def verify(self, variant: Variant, scratch: Path) -> int:
        """Replay a variant in NautilusTrader and compare every fill.

        Returns
        -------
        int
            The number of fills.

        Raises
        ------
        BacktestError
            If a fill is another one; the message names the first.
        """
        plan = self._plan(variant, scratch)
        plan.write_bars(0, self.bars.series, self.bars.sessions)
        if self.predictions is not None:
            shutil.copyfile(self.predictions.path, plan.prepared(0))
        run_plan(plan)
        closes = self.bars.series.close_time
        replayed = [
            (
                int(closes.searchsorted(row["ts"])),
                row["side"],
                row["quantity"],
                row["price"],
                row["commission"],
            )
            for batch in read_events(scratch / "fill_events.arrow")
            for row in batch.to_pylist()
        ]
        expected = self._kernel_fills(variant)
        for number, (own, other) in enumerate(zip(expected, replayed, strict=False), 1):
            if own != other:
                raise BacktestError(self._difference(variant, number, own, other))
        if len(expected) != len(replayed):
            raise BacktestError(
                f"variant {_shown(variant)}: the sweep has {len(expected)} fills, NautilusTrader "
                f"{len(replayed)}"
            )
        return len(expected)

    def _kernel_fills(self, variant: Variant) -> list[_Fill]:
        exponent = -self.bars.item.size_precision
        return [
            (
                fill.bar,
                "buy" if fill.quantity > 0 else "sell",
                Decimal(abs(fill.quantity)).scaleb(exponent),
                self.bars.series.price(fill.price),
                _decimal(fill.fee),
            )
            for fill in self.fills(variant)
        ]

    def _difference(self, variant: Variant, number: int, own: _Fill, other: _Fill) -> str:
        texts = [
            f"{side} {quantity:f} at {price:f}, fee {fee:f}, in the bar that closes at "
            f"{iso_ns(int(self.bars.series.close_time[bar]))}"
            for bar, side, quantity, price, fee in (own, other)
        ]
        return (
            f"variant {_shown(variant)}: fill {number} is {texts[0]} in the sweep, and {texts[1]}"
            " in NautilusTrader"
        )

    def _values(self, variant: Variant) -> dict[str, Any]:
        return _values(self.config, self.bars.item, self.axes, variant)

    def _plan(self, variant: Variant, work: Path) -> BarPlan:
        bars, document = self.bars, self.config.document()
        document["instruments"] = [
            given for given in document["instruments"] if given["id"] == bars.item.id
        ]
        strategy = document["strategy"]
        strategy["params"] = self._values(variant)
        strategy["per_instrument"] = {}
        sessions = np.unique(bars.sessions[bars.first :]).astype("datetime64[D]")
        return BarPlan(
            config=BarsConfig.model_validate(document),
            close_positions=False,
            days=tuple(sessions.tolist()),
            first_bars=(bars.first,),
            first_close_ns=int(bars.series.close_time[bars.first]),
            last_close_ns=int(bars.series.close_time[-1]),
            work=work,
        )


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is asked of a sweep.

    Parameters
    ----------
    variants : sequence of tuple
        Values of each variant, in the order of the axes.
    axes : tuple of str
        Parameters that vary, as of `BarSweep`.
    verify : int
        How many of the best and of the other variants are replayed.
    sort : str
        The figure that says which are the best, one of `SORT_COLUMNS`.
    instrument : str or None
        One of the configuration's instruments; needed where it has several.
    days : (date, date) or None
        First and last session; None: all of the catalog.
    """

    variants: Sequence[Variant]
    axes: tuple[str, ...] = SWEPT["MA_CROSS"]
    verify: int = 0
    sort: SortKey = "return"
    instrument: str | None = None
    days: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True)
class StoredSweep:
    """A sweep whose variants are in a file.

    Parameters
    ----------
    path : Path
        The file.
    facts : dict[str, Any]
        What it is of, as `BarSweep.facts`.
    table : pa.Table
        The variants, in the order of the request.
    order : list[int]
        Rows, best first.
    verified : list of tuple
        Variants that were replayed.
    fills : int
        Their fills, all of them equal.
    digest : str
        Hash of the table: equal inputs give an equal one.
    """

    path: Path
    facts: dict[str, Any]
    table: pa.Table
    order: list[int]
    verified: list[Variant]
    fills: int
    digest: str


def check_variants(loaded: LoadedConfig, request: SweepRequest) -> None:
    """Refuse values that a strategy or its account does not allow, before any bars are read.

    Raises
    ------
    ConfigError
        If there are any; the message names the parameter.
    """
    config, item = bars_config(loaded), instrument_of(loaded, request.instrument)
    own = len(SWEPT[config.strategy.name])
    # Parameters of its own are checked one by one already; these have rules between them.
    for variant in {variant[own:]: variant for variant in request.variants}.values():
        params = _params(config, _values(config, item, request.axes, variant))
        _refuse_short_sale(loaded, params)


def _values(
    config: BarsConfig, item: BarInstrumentConfig, axes: Sequence[str], variant: Variant
) -> dict[str, Any]:
    return {**config.strategy.params_of(item.id), **dict(zip(axes, variant, strict=True))}


def _params(config: BarsConfig, values: dict[str, Any]) -> SignalParams:
    name = config.strategy.name
    params = bar_strategy_params(load_bar_strategy(name), values, name)
    assert isinstance(params, SignalParams)  # noqa: S101 - what the strategies declare
    return params


def _refuse_short_sale(loaded: LoadedConfig, params: SignalParams) -> None:
    if params.side == "long_short" and loaded.required_bars.venue.account_type == "CASH":
        raise ConfigError(
            f"{loaded.name}: strategy.params.side: long_short sells short, which "
            "venue.account_type CASH does not allow; use MARGIN or side long"
        )


def run_bar_sweep(
    loaded: LoadedConfig,
    settings: Settings,
    request: SweepRequest,
    progress: Callable[[int, int], None] | None = None,
    sweep_id: str | None = None,
    dagster_run_id: str | None = None,
) -> StoredSweep:
    """Run a sweep over the bars of the catalog, prove some of its variants, write them all.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    settings : Settings
        Where catalog and results lie.
    request : SweepRequest
        What is asked.
    progress : callable, optional
        Called with the variants that are replayed, and with how many there are to replay.
    sweep_id : str, optional
        Id that the sweep was given before its bars were read, and that names its file. By default
        the one that follows from all of it.
    dagster_run_id : str, optional
        The run in Dagster that a given id belongs to; the file says it.

    Raises
    ------
    OdumError
        If it cannot be run, or a fill of a replayed variant differs; nothing is written then.
    """
    sweep = open_sweep(loaded, settings, request)
    table = sweep.figures(request.variants)
    facts, order = sweep.facts(request.variants), best_first(table, request.sort)
    name = f"{loaded.name}_{facts['id']}" if sweep_id is None else sweep_id
    folder = settings.results_path / FOLDER
    known = [row for row in order if table["fills"][row].is_valid]
    rows = chosen_rows(known, request.verify, facts["id"]) if request.verify else []
    chosen = [request.variants[row] for row in rows]
    fills = verify_variants(sweep, chosen, folder / ".staging", progress)
    if rows:
        # Numbers from 1, as of other sweeps that keep figures only.
        best, drawn = rows[: request.verify], rows[request.verify :]
        numbers = {"best": [row + 1 for row in best], "random": [row + 1 for row in drawn]}
        facts["proof"] = {**numbers, "fills": fills}
    if sweep_id is not None:
        facts |= {"id": sweep_id, "content_id": facts["id"]}
    if dagster_run_id is not None:
        facts["dagster_run_id"] = dagster_run_id
    path = folder / f"{name}.parquet"
    write_variants(table, facts, path)
    return StoredSweep(path, facts, table, order, chosen, fills, _digest(table))


def read_variants(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return the variants of a file of `write_variants`, and what they are of."""
    table = pq.read_table(path)
    return table, json.loads((table.schema.metadata or {})[FACTS])


def best_first(table: pa.Table, sort: SortKey) -> list[int]:
    """Return the rows of a table, the best figure first, unknown ones last."""
    import pyarrow.compute as pc

    axes = table.column_names[: table.column_names.index("return_pct")]
    keys: Any = [(SORT_COLUMNS[sort], "descending"), *((axis, "ascending") for axis in axes)]
    return list(map(int, pc.sort_indices(table, sort_keys=keys).to_numpy()))


def bars_config(loaded: LoadedConfig) -> BarsConfig:
    """Return a configuration on bars whose strategy can be swept.

    Raises
    ------
    ConfigError
        If it is another one.
    """
    config = loaded.config
    if not isinstance(config, BarsConfig):
        raise ConfigError(f'{loaded.name}: is for ticks; a sweep needs one with "kind": "bars"')
    if config.strategy.name not in SWEPT:
        raise ConfigError(
            f"{loaded.name}: strategy.name: found {config.strategy.name}, a vectorized sweep runs "
            f"{' or '.join(SWEPT)}"
        )
    return config


def open_sweep(loaded: LoadedConfig, settings: Settings, request: SweepRequest) -> BarSweep:
    """Read the bars of a sweep from the catalog; a model predicts on them, unless it did before.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    settings : Settings
        Where catalog, models and predictions lie.
    request : SweepRequest
        Instrument, sessions and axes. Without sessions all that the catalog holds are traded; else
        earlier ones, as many as ``bars.warmup_sessions`` says, warm up indicators.

    Raises
    ------
    OdumError
        If the configuration or the instrument cannot be swept, there are no bars, or the model
        cannot be used.
    """
    bars_config(loaded)
    item = instrument_of(loaded, request.instrument)
    bars = _read(loaded, item, catalog_root(loaded, settings), request.days)
    sweep = BarSweep(bars, request.axes)
    params = sweep.params(request.variants[0])
    if isinstance(params, ModelParams):
        sweep = replace(sweep, predictions=predictions_of(params, bars.series, settings))
    return sweep


def _read(
    loaded: LoadedConfig, item: BarInstrumentConfig, catalog: Path, days: tuple[date, date] | None
) -> SweepBars:
    config = bars_config(loaded)
    rules = SessionRules.of(config.session)
    start, first_open, end = 0, 0, _END_OF_TIME
    if days is not None:
        traded = [bounds for day in rules.dates(*days) if (bounds := rules.bounds(day))]
        if not traded:
            raise DataError(f"{loaded.name}: there is no session from {days[0]} to {days[1]}")
        first_open, end = traded[0][0], traded[-1][1]
        earlier = rules.before(days[0], config.bars.warmup_sessions)
        bounds = rules.bounds(earlier[0]) if earlier else None
        start = first_open if bounds is None else bounds[0]
    series = read_bars(catalog, item.key, config.bars.step, start, end)
    sessions = rules.assign(series.close_time)
    inside = sessions != OUTSIDE
    series = series.where(inside)
    first = int(series.close_time.searchsorted(first_open, side="right"))
    if first == len(series):
        raise DataError(f"{item.id}: the catalog has no bars inside of sessions in this time")
    if item.expiry is not None and day_of_ns(int(series.close_time[-1])) >= item.expiry:
        raise ConfigError(
            f"{item.id}: expires on {item.expiry}; sweep days before it with --to: what is open on "
            "that day is settled by NautilusTrader, and a sweep does not know settlements"
        )
    return SweepBars(loaded, item, series, sessions[inside], first)


def chosen_rows(order: Sequence[int], count: int, seed: str) -> list[int]:
    """Return the rows of the best variants and of as many others, drawn at random.

    Parameters
    ----------
    order : sequence of int
        Rows, best first.
    count : int
        How many of each.
    seed : str
        The sweep's id; it decides which.
    """
    best, others = list(order[:count]), list(order[count:])
    draws = np.random.default_rng(int(seed, 16))
    drawn = draws.permutation(len(others))[:count].tolist()
    return [*best, *(others[index] for index in drawn)]


def verify_variants(
    sweep: BarSweep,
    variants: Sequence[Variant],
    scratch_parent: Path,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Replay variants in NautilusTrader, one after the other; return the fills that are equal.

    Raises
    ------
    BacktestError
        If a fill is another one.
    """
    fills = 0
    for number, variant in enumerate(variants, 1):
        with scratch_folder(scratch_parent) as scratch:
            fills += sweep.verify(variant, scratch)
        if progress is not None:
            progress(number, len(variants))
    return fills


def instrument_of(
    loaded: LoadedConfig, instrument: str | None, option: str = "instrument"
) -> BarInstrumentConfig:
    """Return the instrument that is swept; one must be named where there are several.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    instrument : str or None
        What was given.
    option : str
        What messages call it.
    """
    config = loaded.required_bars
    if instrument is None and len(config.instruments) == 1:
        return config.instruments[0]
    ids = [item.id for item in config.instruments]
    for item in config.instruments:
        if instrument in (item.id, str(item.key)):
            return item
    problem = "has several instruments" if instrument is None else f"has no {instrument}"
    raise ConfigError(f"{option}: {loaded.name} {problem}; name one of {', '.join(ids)}")


def _shown(variant: Variant) -> str:
    return "/".join(map(str, variant))


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode())
        if pa.types.is_string(table.schema.field(name).type):
            digest.update("\n".join(map(str, table[name].to_pylist())).encode())
        else:
            # What is not known is NaN there.
            digest.update(table[name].to_numpy().tobytes())
    return digest.hexdigest()


def _decimal(value: Fraction) -> Decimal:
    """Return a whole number of a decimal unit exactly."""
    return Decimal(value.numerator) / Decimal(value.denominator)
