"""Tables of what the strategy did: trades, sessions, factors at every close, curves in R.

What belongs here: the rows, and the files of a report. What does not: the page (``results.orb``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from odum_assets.bars.fees import FeeRule
from odum_assets.bars.orb.machine import OrbMachine
from odum_assets.bars.orb.metrics import TradeResults
from odum_assets.bars.orb.params import FACTORS, OrbParams
from odum_assets.bars.orb.trade import Trade

type _Columns = list[tuple[str, pa.DataType]]

_TIME: pa.DataType = pa.timestamp("us", "UTC")
"""Nanoseconds of fills tell their order within a bar only."""

_NS_PER_US = 1_000
_LEG: pa.DataType = pa.struct(
    [
        ("leg", pa.string()),
        ("quantity", pa.float64()),
        ("entry_price", pa.float64()),
        ("exit_price", pa.float64()),
        ("exit_timestamp", _TIME),
        ("exit_reason", pa.string()),
    ]
)
_TRADES: _Columns = [
    ("trade_id", pa.string()),
    ("symbol", pa.string()),
    ("session", pa.date32()),
    ("direction", pa.string()),
    ("entry_timestamp", _TIME),
    ("exit_timestamp", _TIME),
    ("entry_price", pa.float64()),
    ("exit_price", pa.float64()),
    ("quantity", pa.float64()),
    ("realized_r", pa.float64()),
    ("realized_r_gross", pa.float64()),
    ("pnl", pa.float64()),
    ("fees", pa.float64()),
    ("exit_reason", pa.string()),
    ("or_high", pa.float64()),
    ("or_low", pa.float64()),
    ("or_width", pa.float64()),
    ("or_norm", pa.float64()),
    ("or_minutes", pa.int32()),
    ("score", pa.float64()),
    ("required", pa.float64()),
    ("score_max", pa.float64()),
    ("factors", pa.struct([(name, pa.bool_()) for name in FACTORS])),
    ("mfe_r", pa.float64()),
    ("mae_r", pa.float64()),
    ("trigger", pa.float64()),
    ("stop_initial", pa.float64()),
    ("stop_final", pa.float64()),
    ("ambiguous_exits", pa.int32()),
    ("legs", pa.list_(_LEG)),
]
TRADES = pa.schema(_TRADES)
"""Columns of trades; ``realized_r`` is after fees, ``realized_r_gross`` before them."""

_SESSIONS: _Columns = [
    ("symbol", pa.string()),
    ("session", pa.date32()),
    ("open", _TIME),
    ("close", _TIME),
    ("or_minutes", pa.int32()),
    ("or_end", _TIME),
    ("or_high", pa.float64()),
    ("or_low", pa.float64()),
    ("or_width", pa.float64()),
    ("or_norm", pa.float64()),
    ("norm_vol", pa.float64()),
    ("atr", pa.float64()),
    ("coverage", pa.float64()),
    ("is_valid", pa.bool_()),
    ("reason", pa.string()),
    ("not_traded", pa.string()),
    ("long_trigger", pa.float64()),
    ("short_trigger", pa.float64()),
    ("state", pa.string()),
    ("entries", pa.int32()),
    ("lockout", pa.string()),
    ("lockout_timestamp", _TIME),
]
SESSIONS = pa.schema(_SESSIONS)
"""Columns of sessions; what the bars do not tell is null."""

_EQUITY: _Columns = [
    ("trade_number", pa.int32()),
    ("trade_id", pa.string()),
    ("symbol", pa.string()),
    ("entry_timestamp", _TIME),
    ("exit_timestamp", _TIME),
    ("realized_r", pa.float64()),
    ("cumulative_r", pa.float64()),
    ("running_max", pa.float64()),
    ("drawdown_r", pa.float64()),
    ("drawdown_pct", pa.float64()),
    ("pnl", pa.float64()),
    ("equity", pa.float64()),
]
EQUITY = pa.schema(_EQUITY)
"""Columns of a curve; ``drawdown_pct`` is of the highest equity in money."""


@dataclass(frozen=True, slots=True)
class Traded:
    """One instrument after a run.

    Parameters
    ----------
    symbol
        What tables and files call it.
    machine
        What it did.
    params
        Its parameters.
    tick_value
        Money per tick and unit of ``10 ** -size_precision``.
    fees
        Fees of fills.
    """

    symbol: str
    machine: OrbMachine
    params: OrbParams
    tick_value: Decimal
    fees: FeeRule

    def price(self, ticks: float) -> float:
        """Return a price in the quote currency."""
        return float(self.machine.study.bars.tick_size * Decimal(ticks))


def trades_table(traded: Traded) -> pa.Table:
    """Return the closed trades, in order of their entries."""
    closed = [trade for trade in traded.machine.trades if trade.is_closed]
    return pa.Table.from_pylist([_trade_row(traded, trade) for trade in closed], TRADES)


def sessions_table(traded: Traded) -> pa.Table:
    """Return the sessions that could be traded."""
    price, rows = traded.price, []
    for record in traded.machine.sessions:
        opening = record.opening_range
        has_range = opening.coverage > 0
        rows.append(
            {
                "symbol": traded.symbol,
                "session": opening.session.day,
                "open": opening.session.open_ns // _NS_PER_US,
                "close": opening.session.close_ns // _NS_PER_US,
                "or_minutes": opening.minutes,
                "or_end": opening.end_ns // _NS_PER_US,
                "or_high": price(opening.high) if has_range else None,
                "or_low": price(opening.low) if has_range else None,
                "or_width": price(opening.width) if has_range else None,
                "or_norm": opening.norm_width if has_range else None,
                "norm_vol": opening.norm_vol,
                "atr": None if opening.atr is None else price(opening.atr),
                "coverage": opening.coverage,
                "is_valid": opening.reason is None,
                "reason": opening.reason,
                "not_traded": opening.block,
                "long_trigger": price(opening.long_trigger) if has_range else None,
                "short_trigger": price(opening.short_trigger) if has_range else None,
                "state": str(record.state),
                "entries": record.entries,
                "lockout": record.lockout,
                "lockout_timestamp": _micros(record.lockout_ns),
            }
        )
    return pa.Table.from_pylist(rows, SESSIONS)


def factors_table(traded: Traded) -> pa.Table:
    """Return the factors at every close of the sessions that could be traded; unknown is null."""
    study = traded.machine.study
    bars, factors, scores = study.bars, study.factors, study.scores
    first = traded.machine.sessions[0].opening_range.session.first if traded.machine.sessions else 0
    rows = slice(first if traded.machine.sessions else len(bars), len(bars))

    def known(values: np.ndarray, where: np.ndarray) -> Any:  # noqa: ANN401 - an Arrow array
        return pa.array(values[rows], mask=np.isnan(where[rows]))

    columns: dict[str, Any] = {
        "timestamp": pa.array(bars.close_time[rows] // _NS_PER_US).cast(_TIME),
        "symbol": pa.array([traded.symbol] * len(bars.close_time[rows])),
        "bar_number": pa.array((np.arange(len(bars)) - bars.first + 1)[rows].astype(np.int32)),
        "rel_vol": known(factors.rel_vol, factors.rel_vol),
        "rel_vol_spike": known(factors.long["rel_vol"], factors.rel_vol),
        "vwap": known(factors.vwap * float(bars.tick_size), factors.vwap),
        "vwap_long": known(factors.long["vwap"], factors.vwap),
        "vwap_short": known(factors.short["vwap"], factors.vwap),
        "adx": known(factors.adx, factors.adx),
        "adx_trend": known(factors.long["adx"], factors.adx),
        "price_action_long": pa.array(factors.long["price_action"][rows]),
        "price_action_short": pa.array(factors.short["price_action"][rows]),
        "profile_long": pa.array(factors.long["profile"][rows]),
        "profile_short": pa.array(factors.short["profile"][rows]),
        "score_long": pa.array(scores.long[rows]),
        "score_short": pa.array(scores.short[rows]),
        "required": pa.array(scores.required[rows]),
    }
    return pa.table(columns)


def equity_table(trades: pa.Table, starting_balance: float) -> pa.Table:
    """Return the curve of trades in order of their exits.

    Parameters
    ----------
    trades
        Of one or several instruments.
    starting_balance
        Money of the account before the first one.
    """
    trades = trades.sort_by([("exit_timestamp", "ascending"), ("symbol", "ascending")])
    results = trade_results(trades, [], starting_balance)
    curve = np.cumsum(results.realized_r)
    peak = np.maximum(np.maximum.accumulate(curve), 0.0) if len(curve) else curve
    equity = results.equity[1:]
    highest = np.maximum.accumulate(results.equity)[1:]
    given: dict[str, Any] = {
        name: trades[name] for name in EQUITY.names if name in trades.column_names
    }
    return pa.table(
        {
            **given,
            "trade_number": pa.array(np.arange(1, len(curve) + 1, dtype=np.int32)),
            "cumulative_r": pa.array(curve),
            "running_max": pa.array(peak),
            "drawdown_r": pa.array(curve - peak),
            "drawdown_pct": pa.array(100 * (equity / highest - 1)),
            "equity": pa.array(equity),
        }
    ).select(EQUITY.names)


def trade_results(trades: pa.Table, days: Sequence[Any], starting_balance: float) -> TradeResults:
    """Return what figures are computed from.

    Parameters
    ----------
    trades
        In any order.
    days
        Dates of the sessions that could be traded.
    starting_balance
        Money of the account before the first trade.
    """
    trades = trades.sort_by([("exit_timestamp", "ascending"), ("symbol", "ascending")])
    realized = trades["realized_r"].to_numpy()
    by_day = dict.fromkeys(sorted(set(days)), 0.0)
    for day, result in zip(trades["session"].to_pylist(), realized.tolist(), strict=True):
        by_day[day] = by_day.get(day, 0.0) + result
    equity = starting_balance + np.concatenate([[0.0], np.cumsum(trades["pnl"].to_numpy())])
    return TradeResults(realized, equity, np.array(list(by_day.values())))


def _trade_row(traded: Traded, trade: Trade) -> dict[str, Any]:
    study, params = traded.machine.study, traded.params
    bars, price = study.bars, traded.price
    size = Decimal(1).scaleb(-bars.size_precision)
    fees = sum(
        (
            traded.fees.fee(size * fill.quantity, traded.tick_value * fill.quantity * fill.price)
            for fill in trade.fills
        ),
        Decimal(0),
    )
    gain, risk = trade.gain * traded.tick_value, trade.risk * traded.tick_value
    opening, enabled = trade.opening_range, params.factors.enabled()
    flags = study.factors.long if trade.side > 0 else study.factors.short
    scores = study.scores.long if trade.side > 0 else study.scores.short
    number = sum(
        other.day == trade.day and other.number <= trade.number for other in traded.machine.trades
    )
    return {
        "trade_id": f"{traded.symbol}_{trade.day:%Y%m%d}_{number}",
        "symbol": traded.symbol,
        "session": trade.day,
        "direction": "long" if trade.side > 0 else "short",
        "entry_timestamp": _micros(trade.fills[0].time),
        "exit_timestamp": _micros(trade.fills[-1].time),
        "entry_price": price(trade.entry_price),
        "exit_price": price(trade.exit_price),
        "quantity": float(size * trade.quantity),
        "realized_r": float((gain - fees) / risk),
        "realized_r_gross": float(gain / risk),
        "pnl": float(gain - fees),
        "fees": float(fees),
        "exit_reason": trade.exit_reason,
        "or_high": price(opening.high),
        "or_low": price(opening.low),
        "or_width": price(opening.width),
        "or_norm": opening.norm_width,
        "or_minutes": opening.minutes,
        "score": float(scores[trade.decided]),
        "required": float(study.scores.required[trade.decided]),
        "score_max": sum(params.scoring.weight(name) for name in enabled),
        "factors": {
            name: bool(flags[name][trade.decided]) if name in enabled else None for name in FACTORS
        },
        "mfe_r": trade.excursion(trade.best),
        "mae_r": trade.excursion(trade.worst),
        "trigger": price(trade.plan.entry),
        "stop_initial": price(trade.plan.stop),
        "stop_final": price(trade.stop_final),
        "ambiguous_exits": trade.ambiguous,
        "legs": [
            {
                "leg": leg.name,
                "quantity": float(size * leg.quantity),
                "entry_price": None if leg.entry is None else price(leg.entry.price),
                "exit_price": None if leg.exit is None else price(leg.exit.price),
                "exit_timestamp": None if leg.exit is None else _micros(leg.exit.time),
                "exit_reason": leg.reason,
            }
            for leg in trade.legs.values()
        ],
    }


def _micros(moment: int | None) -> int | None:
    return None if moment is None else moment // _NS_PER_US
