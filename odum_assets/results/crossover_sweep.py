"""A vectorized sweep of one configuration: its bars, its variants' figures, and their proof.

What belongs here: from a configuration on bars to one parquet file of variants, and replaying some
of them in NautilusTrader. What does not: the kernel (``vectorized``), how a table looks, converting
bars.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.bar_strategies import bar_strategy_params, load_bar_strategy
from odum_assets.backtest.journal import read_events
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.strategies.ma_cross import CrossoverParams
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
from odum_assets.vectorized.terms import Terms

STRATEGY: Final = "MA_CROSS"
"""The strategy that can be swept."""

MAX_VARIANTS: Final = 1_000_000

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

type SortKey = Literal["return", "cagr", "sharpe", "drawdown", "profit_factor"]

type Pair = tuple[int, int]
"""Lengths of the fast and of the slow average."""

type _Fill = tuple[int, str, Decimal, Decimal, Decimal]
"""Bar, side, size, price and fee."""


@dataclass(frozen=True)
class CrossoverSweep:
    """The bars and terms of a sweep.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    item : BarInstrumentConfig
        The instrument.
    series : BarSeries
        Its bars inside of sessions, those that warm up averages first.
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
        return bars_config(self.loaded)

    def params(self, pair: Pair) -> CrossoverParams:
        """Return the parameters of a variant, validated."""
        return _params(self.config, self.item, pair)

    @cached_property
    def grid(self) -> CrossoverGrid:
        """Return what runs variants."""
        item, params = self.item, self.params((1, 2))
        fixed = params.fixed_size
        if fixed is None and params.percent_size is None:
            fixed = Decimal(1)
        terms = Terms(
            tick_size=item.tick_size,
            size_precision=item.size_precision,
            lot=int(item.lot_size.scaleb(item.size_precision)),
            multiplier=self.config.spec(item.key).multiplier,
            starting_balance=self.config.venue.starting_balance,
            fees=self._plan((1, 2), Path()).fees,
            side=params.side,
            fixed_size=fixed,
            percent_size=params.percent_size,
            slippage=self.config.execution.slippage,
        )
        days = self.config.annualization_days
        return CrossoverGrid(self.series, self.sessions, self.first, terms, days)

    def facts(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Return what the sweep is of, as a JSON document; ``id`` follows from all of it."""
        series, params = self.series, self.params((1, 2))
        content = hashlib.sha256()
        for column in (series.close_time, series.open, series.close):
            content.update(np.ascontiguousarray(column).tobytes())
        facts = {
            "config": self.loaded.name,
            "config_hash": self.loaded.content_hash,
            "instrument": self.item.id,
            "currency": self.config.venue.base_currency,
            "side": params.side,
            "bars": len(series) - self.first,
            "warmup_bars": self.first,
            "bars_sha256": content.hexdigest(),
            "sessions": len(np.unique(self.sessions[self.first :])),
            "first_close": iso_ns(int(series.close_time[self.first])),
            "last_close": iso_ns(int(series.close_time[-1])),
            "annualization_days": self.config.annualization_days,
            "variants": len(pairs),
        }
        text = json.dumps([facts, list(map(list, pairs))], sort_keys=True)
        return {"id": hashlib.sha256(text.encode()).hexdigest()[:12], **facts}

    def verify(self, pair: Pair, scratch: Path) -> int:
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
        plan = self._plan(pair, scratch)
        plan.write_bars(0, self.series, self.sessions)
        run_plan(plan)
        closes = self.series.close_time
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
        expected = self._kernel_fills(pair)
        for number, (own, other) in enumerate(zip(expected, replayed, strict=False), 1):
            if own != other:
                raise BacktestError(self._difference(pair, number, own, other))
        if len(expected) != len(replayed):
            raise BacktestError(
                f"variant {pair[0]}/{pair[1]}: the sweep has {len(expected)} fills, NautilusTrader "
                f"{len(replayed)}"
            )
        return len(expected)

    def _kernel_fills(self, pair: Pair) -> list[_Fill]:
        exponent = -self.item.size_precision
        return [
            (
                fill.bar,
                "buy" if fill.quantity > 0 else "sell",
                Decimal(abs(fill.quantity)).scaleb(exponent),
                self.series.price(fill.price),
                _decimal(fill.fee),
            )
            for fill in self.grid.fills(*pair)
        ]

    def _difference(self, pair: Pair, number: int, own: _Fill, other: _Fill) -> str:
        texts = [
            f"{side} {quantity:f} at {price:f}, fee {fee:f}, in the bar that closes at "
            f"{iso_ns(int(self.series.close_time[bar]))}"
            for bar, side, quantity, price, fee in (own, other)
        ]
        return (
            f"variant {pair[0]}/{pair[1]}: fill {number} is {texts[0]} in the sweep, and {texts[1]}"
            " in NautilusTrader"
        )

    def _plan(self, pair: Pair, work: Path) -> BarPlan:
        document = self.config.document()
        document["instruments"] = [
            given for given in document["instruments"] if given["id"] == self.item.id
        ]
        strategy = document["strategy"]
        strategy["params"] = _values(self.config, self.item, pair)
        strategy["per_instrument"] = {}
        sessions = np.unique(self.sessions[self.first :]).astype("datetime64[D]")
        return BarPlan(
            config=BarsConfig.model_validate(document),
            close_positions=False,
            days=tuple(sessions.tolist()),
            first_bars=(self.first,),
            first_close_ns=int(self.series.close_time[self.first]),
            last_close_ns=int(self.series.close_time[-1]),
            work=work,
        )


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What is asked of a sweep.

    Parameters
    ----------
    pairs : sequence of (int, int)
        Lengths of the fast and of the slow average of each variant.
    verify : int
        How many of the best and of the other variants are replayed.
    sort : str
        The figure that says which are the best, one of `SORT_COLUMNS`.
    instrument : str or None
        One of the configuration's instruments; needed where it has several.
    days : (date, date) or None
        First and last session; None: all of the catalog.
    """

    pairs: Sequence[Pair]
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
        What it is of, as `CrossoverSweep.facts`.
    table : pa.Table
        The variants, in the order of the request.
    order : list[int]
        Rows, best first.
    verified : list of (int, int)
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
    verified: list[Pair]
    fills: int
    digest: str


def run_crossover_sweep(
    loaded: LoadedConfig,
    settings: Settings,
    request: SweepRequest,
    progress: Callable[[int, int], None] | None = None,
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

    Raises
    ------
    OdumError
        If it cannot be run, or a fill of a replayed variant differs; nothing is written then.
    """
    sweep = open_sweep(
        loaded, catalog_root(loaded, settings), instrument=request.instrument, days=request.days
    )
    table = sweep.grid.figures(request.pairs)
    facts, order = sweep.facts(request.pairs), best_first(table, request.sort)
    folder = settings.results_path / FOLDER
    chosen = chosen_pairs(table, order, request.verify, facts["id"]) if request.verify else []
    fills = verify_variants(sweep, chosen, folder / ".staging", progress)
    path = folder / f"{loaded.name}_{facts['id']}.parquet"
    write_variants(table, facts, path)
    return StoredSweep(path, facts, table, order, chosen, fills, _digest(table))


def read_variants(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Return the variants of a file of `write_variants`, and what they are of."""
    table = pq.read_table(path)
    return table, json.loads((table.schema.metadata or {})[FACTS])


def best_first(table: pa.Table, sort: SortKey) -> list[int]:
    """Return the rows of a table, the best figure first, unknown ones last."""
    import pyarrow.compute as pc

    keys: Any = [(SORT_COLUMNS[sort], "descending"), ("fast", "ascending"), ("slow", "ascending")]
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
    if config.strategy.name != STRATEGY:
        raise ConfigError(
            f"{loaded.name}: strategy.name: found {config.strategy.name}, a vectorized sweep runs "
            f"{STRATEGY}"
        )
    return config


def open_sweep(
    loaded: LoadedConfig,
    catalog: Path,
    *,
    instrument: str | None = None,
    days: tuple[date, date] | None = None,
) -> CrossoverSweep:
    """Read the bars of a sweep from the catalog.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    catalog : Path
        The catalog.
    instrument : str, optional
        One of the configuration's instruments; needed where it has several.
    days : (date, date), optional
        First and last session; all that the catalog holds by default. Earlier sessions, as many as
        ``bars.warmup_sessions`` says, warm up averages.

    Raises
    ------
    ConfigError
        If the configuration or the instrument cannot be swept.
    DataError
        If there are no bars.
    """
    config = bars_config(loaded)
    item = _item(loaded.name, config, instrument)
    _params(config, item, (1, 2))
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
    return CrossoverSweep(loaded, item, series, sessions[inside], first)


def parse_lengths(text: str, option: str) -> list[int]:
    """Return lengths written ``5:50:5`` (first, last, step), ``10`` or ``5,10,20``.

    Raises
    ------
    ConfigError
        If the text is something else.
    """
    lengths: list[int] = []
    try:
        for part in text.split(","):
            first, *rest = map(int, part.split(":"))
            if len(rest) > 2 or first < 1 or (rest and (rest[-1] < 1 or rest[0] < first)):
                raise ValueError
            last, step = rest[0] if rest else first, rest[1] if len(rest) == 2 else 1
            if (last - first) // step >= MAX_VARIANTS:
                raise ValueError
            lengths += range(first, last + 1, step)
    except ValueError:
        raise ConfigError(
            f"{option}: found {text}, allowed whole numbers from 1 as FIRST:LAST:STEP, such as "
            "5:50:5, or a list, such as 5,10,20"
        ) from None
    return sorted(set(lengths))


def pairs_of(fast: Sequence[int], slow: Sequence[int]) -> list[Pair]:
    """Return every pair whose fast average is the shorter one, in order.

    Raises
    ------
    ConfigError
        If there is none, or more than `MAX_VARIANTS`.
    """
    if len(fast) * len(slow) > MAX_VARIANTS:
        raise ConfigError(f"--fast and --slow: more than {MAX_VARIANTS:,} variants; take fewer")
    pairs = [(one, other) for one in fast for other in slow if one < other]
    if not pairs:
        raise ConfigError("--fast and --slow: no fast length is below a slow one")
    return pairs


def chosen_pairs(table: pa.Table, order: Sequence[int], count: int, seed: str) -> list[Pair]:
    """Return the best variants and as many others, drawn at random; the seed decides which.

    Parameters
    ----------
    table : pa.Table
        Of `CrossoverGrid.figures`.
    order : sequence of int
        Rows, best first.
    count : int
        How many of each.
    seed : str
        The sweep's id.
    """
    best, others = list(order[:count]), list(order[count:])
    draws = np.random.default_rng(int(seed, 16))
    drawn = draws.permutation(len(others))[:count].tolist()
    rows = [*best, *(others[index] for index in drawn)]
    fast, slow = table["fast"].to_pylist(), table["slow"].to_pylist()
    return [(fast[row], slow[row]) for row in rows]


def verify_variants(
    sweep: CrossoverSweep,
    pairs: Sequence[Pair],
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
    for number, pair in enumerate(pairs, 1):
        with scratch_folder(scratch_parent) as scratch:
            fills += sweep.verify(pair, scratch)
        if progress is not None:
            progress(number, len(pairs))
    return fills


def _item(name: str, config: BarsConfig, instrument: str | None) -> BarInstrumentConfig:
    if instrument is None and len(config.instruments) == 1:
        return config.instruments[0]
    ids = [item.id for item in config.instruments]
    for item in config.instruments:
        if instrument in (item.id, str(item.key)):
            return item
    problem = "has several instruments" if instrument is None else f"has no {instrument}"
    raise ConfigError(f"{name}: {problem}; name one with --instrument: {', '.join(ids)}")


def _values(config: BarsConfig, item: BarInstrumentConfig, pair: Pair) -> dict[str, Any]:
    return {**config.strategy.params_of(item.id), "fast": pair[0], "slow": pair[1]}


def _params(config: BarsConfig, item: BarInstrumentConfig, pair: Pair) -> CrossoverParams:
    kind = load_bar_strategy(STRATEGY)
    params = bar_strategy_params(kind, _values(config, item, pair), STRATEGY)
    assert isinstance(params, CrossoverParams)  # noqa: S101 - what the strategy declares
    return params


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256()
    for name in table.column_names:
        digest.update(name.encode())
        # What is not known is NaN there.
        digest.update(table[name].to_numpy().tobytes())
    return digest.hexdigest()


def _decimal(value: Fraction) -> Decimal:
    """Return a whole number of a decimal unit exactly."""
    return Decimal(value.numerator) / Decimal(value.denominator)
