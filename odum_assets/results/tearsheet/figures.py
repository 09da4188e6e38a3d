"""The figures of a tearsheet: names, units, why one is unknown, and what one rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from odum_assets.backtest.figures_version import FIGURES_VERSION
from odum_assets.backtest.metrics import MIN_GROWTH_DAYS
from odum_assets.results.earlier import version_of
from odum_assets.results.tearsheet import formats

_FEW_TRADES = 30
"""Round trips below which averages over them are said to rest on few."""

_ROWS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "Profit and loss": (
        ("pnl_breakdown.realized", "Realized PnL", "gain"),
        ("pnl_breakdown.commissions", "Commissions paid", "money"),
        ("pnl_breakdown.funding", "Funding", "gain"),
        ("pnl", "Net PnL", "gain"),
        ("pnl_breakdown.unrealized", "Unrealized PnL", "gain"),
        ("returns.total_return_pct", "Total return", "gain_percent"),
        ("account.starting_balance", "Starting balance", "money"),
        ("account.final_balance", "Final balance", "money"),
        ("account.final_equity", "Final equity", "money"),
        ("account.lowest_equity", "Lowest equity", "money"),
    ),
    "Position at the end": (
        ("position.side", "Side", "text"),
        ("position.quantity", "Quantity", "quantity"),
        ("position.entry_price", "Entry price", "price"),
        ("position.current_price", "Last price", "price"),
        ("position.unrealized_pnl", "Unrealized PnL", "gain"),
    ),
    "Risk": (
        ("drawdown.max_drawdown_pct", "Max drawdown", "percent"),
        ("drawdown.max_drawdown_amount", "Max drawdown, amount", "money"),
        ("drawdown.max_drawdown_duration_secs", "Longest drawdown", "duration"),
        ("returns.volatility_pct", "Volatility, annualized", "percent"),
        ("ratios.sharpe", "Sharpe ratio, annualized", "ratio"),
        ("ratios.sortino", "Sortino ratio, annualized", "ratio"),
        ("ratios.calmar", "Calmar ratio", "ratio"),
        ("returns.cagr_pct", "CAGR", "gain_percent"),
        ("ratios.returns", "Returns", "count"),
        ("ratios.equity_interval_secs", "Equity marked every", "duration"),
    ),
    "Round trips": (
        ("trades.total_trades", "Round trips", "count"),
        ("trades.winning_trades", "Won", "count"),
        ("trades.losing_trades", "Lost", "count"),
        ("trades.win_rate", "Win rate", "percent"),
        ("trades.profit_factor", "Profit factor", "ratio"),
        ("trades.expectancy", "Expectancy", "gain"),
        ("trades.avg_win", "Average win", "gain"),
        ("trades.avg_loss", "Average loss", "gain"),
        ("trades.largest_win", "Largest win", "gain"),
        ("trades.largest_loss", "Largest loss", "gain"),
    ),
    "Orders": (
        ("orders", "Orders", "count"),
        ("fills", "Fills", "count"),
        ("position_stats.market_orders", "Market orders", "count"),
        ("position_stats.limit_orders", "Limit orders", "count"),
        ("position_stats.buy_quantity", "Bought", "quantity"),
        ("position_stats.sell_quantity", "Sold", "quantity"),
    ),
}

_HEADLINE = (
    ("pnl", "Net PnL", "gain"),
    ("returns.total_return_pct", "Total return", "gain_percent"),
    ("account.final_equity", "Final equity", "money"),
    ("drawdown.max_drawdown_pct", "Max drawdown", "percent"),
    ("ratios.sharpe", "Sharpe ratio", "ratio"),
    ("trades.win_rate", "Win rate", "percent"),
)

_ANNUALIZED = frozenset({"returns.volatility_pct", "ratios.sharpe", "ratios.sortino"})
_AVERAGED = frozenset({"trades.win_rate", "trades.profit_factor", "trades.expectancy"})
_OF_WINS = frozenset({"trades.avg_win", "trades.largest_win"})


@dataclass(frozen=True, slots=True)
class Units:
    """Currency of the account, and the units of prices and of sizes."""

    currency: str
    price: str
    size: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the summary.

    Parameters
    ----------
    name : str
        What a reader calls it.
    value : float, int, str or None
        As the summary has it; None if it is not known.
    text : str
        The value with its unit, or ``unknown``.
    note : str
        Why it is not known, or what it rests on; may be empty.
    is_result : bool
        Whether its sign says gain or loss; that of a quantity says side.
    """

    name: str
    value: Any
    text: str
    note: str
    is_result: bool = True


def figure_sections(summary: dict[str, Any], units: Units) -> dict[str, list[Figure]]:
    """Return all figures by section."""
    sections = {
        title: [_figure(summary, units, *row) for row in rows] for title, rows in _ROWS.items()
    }
    statuses = summary.get("orders_by_status") or {}
    sections["Orders"] += [
        Figure(name.capitalize(), count, f"{count:,}", "") for name, count in statuses.items()
    ]
    sections["Orders"] += [
        Figure(f"Refused: {reason}", count, f"{count:,}", "")
        for reason, count in _refusals(summary)
    ]
    return sections | {"Valued in another currency": _valuation(summary)}


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """A figure of several results: the value of each, and its difference to the baseline's."""

    name: str
    values: tuple[Figure, ...]
    differences: tuple[str | None, ...]


def compared_sections(
    summaries: Sequence[dict[str, Any]], units: Sequence[Units], base: int
) -> dict[str, list[ComparedFigure]]:
    """Return figures of several results by section; `base` is the number of the baseline."""
    sides = [*zip(summaries, units, strict=True)]

    def compared(path: str, name: str, kind: str) -> ComparedFigure:
        values = tuple(_figure(summary, unit, path, name, kind) for summary, unit in sides)
        differences = tuple(
            None if at == base else _difference(value, values[base], kind, units[at])
            for at, value in enumerate(values)
        )
        return ComparedFigure(name, values, differences)

    return {title: [compared(*row) for row in rows] for title, rows in _ROWS.items()}


def _difference(value: Figure, base: Figure, kind: str, units: Units) -> str | None:
    """Return how far a figure is from the baseline's, None where one of them is not known."""
    if kind == "text" or value.value is None or base.value is None:
        return None
    # In decimals: floats would leave dust.
    difference = Decimal(repr(value.value)) - Decimal(repr(base.value))
    if not difference:
        return "="
    signed = {"money": "gain", "percent": "gain_percent"}.get(kind, kind)
    text = _text(abs(int(difference) if kind == "count" else float(difference)), kind, units)
    if signed.startswith("gain"):
        return _text(float(difference), signed, units)
    return f"{'+' if difference > 0 else formats.MINUS}{text}"


def headline(summary: dict[str, Any], units: Units) -> list[Figure]:
    """Return the few figures that a reader looks at first."""
    return [_figure(summary, units, *row) for row in _HEADLINE]


def caveats(summary: dict[str, Any]) -> list[str]:
    """Return what a reader must know of figures that rest on little data or on earlier rules."""
    caveats, days = [], observed_secs(summary) / 86_400
    if any(value_at(summary, path) for path in _ANNUALIZED) and days < MIN_GROWTH_DAYS:
        caveats.append(
            f"Sharpe, Sortino and volatility are annualized {_basis(summary)}. Less than "
            f"{MIN_GROWTH_DAYS} days say nothing about a year."
        )
    trades = value_at(summary, "trades.total_trades")
    if trades and trades < _FEW_TRADES:
        caveats.append(
            f"Win rate, profit factor and averages rest on {formats.plural(trades, 'round trip')}."
        )
    if version_of(summary) < FIGURES_VERSION:
        caveats.append(
            f"Figures follow the rules of version {version_of(summary)}, now {FIGURES_VERSION}: "
            "returns lack the first and the last interval, and the drawdown in percent is that of "
            "the largest amount."
        )
    return caveats


def value_at(summary: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a dotted name, None if there is none."""
    value: Any = summary
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def observed_secs(summary: dict[str, Any]) -> float:
    """Return the length of all returns together in seconds."""
    ratios = summary.get("ratios") or {}
    return float((ratios.get("returns") or 0) * (ratios.get("equity_interval_secs") or 0))


def _figure(summary: dict[str, Any], units: Units, path: str, name: str, kind: str) -> Figure:
    value = value_at(summary, path)
    if value is None:
        return Figure(name, None, formats.UNKNOWN, _why_unknown(summary, path))
    if kind != "text" and not (isinstance(value, int | float) and math.isfinite(value)):
        return Figure(name, None, formats.UNKNOWN, "not a number in the summary")
    text, note = _text(value, kind, units), _note(summary, path, units)
    return Figure(name, value, text, note, is_result=kind != "quantity")


def _text(value: Any, kind: str, units: Units) -> str:  # noqa: ANN401 - any JSON value
    signed = kind.startswith("gain")
    match kind:
        case "money" | "gain":
            return formats.money(value, units.currency, sign=signed)
        case "percent" | "gain_percent":
            return f"{formats.decimals(value, 2, sign=signed)}%"
        case "ratio":
            return formats.decimals(value, 2)
        case "duration":
            return formats.duration(value)
        case "quantity":
            return f"{formats.digits_of(value)} {units.size}".rstrip()
        case "price":
            return f"{formats.digits_of(value, 9)} {units.price}".rstrip()
    return f"{value:,}" if kind == "count" else str(value)


def _note(summary: dict[str, Any], path: str, units: Units) -> str:
    if path in _ANNUALIZED and observed_secs(summary) < MIN_GROWTH_DAYS * 86_400:
        return _basis(summary)
    trades = value_at(summary, "trades.total_trades") or 0
    if path in _AVERAGED and trades < _FEW_TRADES:
        return f"from {formats.plural(trades, 'round trip')} only"
    unrealized = value_at(summary, "pnl_breakdown.unrealized")
    if not unrealized:
        return "realized less commissions plus funding" if path == "pnl" else ""
    amount = formats.money(unrealized, units.currency, sign=True)
    if path == "pnl":
        return f"without {amount} unrealized"
    return f"with {amount} unrealized" if path == "returns.total_return_pct" else ""


def _basis(summary: dict[str, Any]) -> str:
    ratios = summary.get("ratios") or {}
    returns = formats.plural(ratios.get("returns") or 0, "return")
    interval = formats.duration(ratios.get("equity_interval_secs") or 0)
    return f"from {formats.duration(observed_secs(summary))} ({returns} of {interval})"


def _why_unknown(summary: dict[str, Any], path: str) -> str:
    """Return why a figure is null."""
    if version_of(summary) < FIGURES_VERSION and not path.startswith("trades."):
        return f"not computed by the rules of version {version_of(summary)}"
    section = path.partition(".")[0]
    reasons = {"trades": _why_no_trades, "ratios": _why_no_ratio, "returns": _why_no_ratio}
    if section in reasons:
        return reasons[section](summary, path)
    return {
        "drawdown": "equity was never positive",
        "position.entry_price": "no open position",
        "position.current_price": "no trade",
    }.get(path if section == "position" else section, "not in the summary")


def _why_no_trades(summary: dict[str, Any], path: str) -> str:
    if not value_at(summary, "trades.total_trades"):
        return "no round trip"
    if path in _OF_WINS:
        return "no round trip was won"
    return "no round trip was lost"


def _why_no_ratio(summary: dict[str, Any], path: str) -> str:
    lowest = value_at(summary, "account.lowest_equity")
    if lowest is not None and lowest <= 0:
        return "equity was not positive throughout"
    if observed_secs(summary) < MIN_GROWTH_DAYS * 86_400 and path in (
        "returns.cagr_pct",
        "ratios.calmar",
    ):
        return f"less than {MIN_GROWTH_DAYS} days of data"
    if (value_at(summary, "ratios.returns") or 0) < 2:
        return "fewer than two returns"
    return {
        "ratios.sharpe": "all returns are equal",
        "ratios.sortino": "no return is negative",
        "ratios.calmar": "no drawdown, or no CAGR",
        "returns.cagr_pct": "too large for a number",
    }.get(path, "not in the summary")


def _refusals(summary: dict[str, Any]) -> list[tuple[str, int]]:
    counts = summary.get("refusals") or {}
    if isinstance(counts, dict):
        return list(counts.items())
    # As results of earlier versions list them.
    return [(str(item.get("reason")), int(item.get("count") or 0)) for item in counts]


def _valuation(summary: dict[str, Any]) -> list[Figure]:
    valuation = summary.get("valuation")
    if not valuation:
        return []
    currency, rate = valuation["currency"], valuation["rate"]
    text = f"{formats.digits_of(rate)} {currency}"
    rows = [Figure("Rate", rate, text, str(valuation.get("rate_source") or ""))]
    for key, name in (
        ("pnl", "Net PnL"),
        ("final_balance", "Final balance"),
        ("final_equity", "Final equity"),
    ):
        value = valuation.get(key)
        if value is not None:
            text = formats.money(value, currency, sign=key == "pnl")
            rows.append(Figure(f"{name}, {currency}", value, text, ""))
    return rows
