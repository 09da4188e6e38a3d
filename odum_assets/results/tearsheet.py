"""The interactive tearsheet of a stored result."""

from pathlib import Path
from typing import Any

from odum_assets.backtest.tearsheet import render_tearsheet
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.settings import Settings


def write_tearsheet(run_id: str, settings: Settings) -> Path:
    """Draw ``report/<run_id>/tearsheet.html`` and return its path.

    Raises
    ------
    ResultError
        If there is no such run, it was made in fast mode and has no tables, or the file cannot be
        written.
    """
    store = ResultStore(settings.results_path)
    entry = store.entry(run_id)
    if entry.report_path is None:
        raise ResultError(
            f"{run_id} was run in fast mode and keeps no tables; run it again in report mode"
        )
    target = entry.report_path / "tearsheet.html"
    with (
        store.explained(),
        store.scratch() as work,
        entry.report_file("equity.parquet").opened() as equity,
    ):
        # The ending chooses the format.
        drawn = work / "tearsheet.html"
        render_tearsheet(
            drawn,
            equity,
            f"{entry.config_name} {entry.partition}",
            _run_info(entry),
            _account_info(entry.summary()),
            _statistics(entry.summary()),
        )
        drawn.replace(target)
    return target


def _run_info(entry: ResultEntry) -> dict[str, str]:
    document, metadata = entry.document, entry.metadata()
    versions = metadata["versions"]
    return {
        "Run": entry.run_id,
        "Instrument": document["instrument"],
        "Start": document["start"],
        "End": document["end"],
        "Snapshot mode": metadata["snapshot_mode"],
        "Execution algorithm": metadata["exec_algorithm"]["type"],
        "Digest": entry.digest[:16],
        "Versions": f"odum_assets {versions['odum_assets']}, "
        f"NautilusTrader {versions['nautilus_trader']}",
    }


def _account_info(summary: dict[str, Any]) -> dict[str, str]:
    account = summary["account"]
    currency = account["currency"]
    rows = {
        "Starting balance": account["starting_balance"],
        "Final balance": account["final_balance"],
        "Final equity": account["final_equity"],
        "Realized PnL": summary["pnl_breakdown"]["realized"],
        "Unrealized PnL": summary["pnl_breakdown"]["unrealized"],
        "Commissions": summary["pnl_breakdown"]["commissions"],
        "Funding": summary["pnl_breakdown"]["funding"],
    }
    return {name: f"{value:,.2f} {currency}" for name, value in rows.items()}


def _statistics(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    trades, ratios, drawdown = summary["trades"], summary["ratios"], summary["drawdown"]
    interval = ratios["equity_interval_secs"]
    return {
        "pnls": {
            "Net PnL": _shown(summary["pnl_breakdown"]["net"]),
            "Total return %": _shown(summary["returns"]["total_return_pct"]),
            "Largest win": _shown(trades["largest_win"]),
            "Largest loss": _shown(trades["largest_loss"]),
            "Average win": _shown(trades["avg_win"]),
            "Average loss": _shown(trades["avg_loss"]),
        },
        "returns": {
            f"Sharpe ({interval} s, annualized)": _shown(ratios["sharpe"]),
            f"Sortino ({interval} s, annualized)": _shown(ratios["sortino"]),
            "Calmar": _shown(ratios["calmar"]),
            "CAGR %": _shown(summary["returns"]["cagr_pct"]),
            "Volatility % (annualized)": _shown(summary["returns"]["volatility_pct"]),
            "Max drawdown %": _shown(drawdown["max_drawdown_pct"]),
            "Max drawdown (amount)": _shown(drawdown["max_drawdown_amount"]),
            "Max drawdown duration (s)": _shown(drawdown["max_drawdown_duration_secs"]),
        },
        "general": {
            "Orders": str(summary["orders"]),
            "Fills": str(summary["fills"]),
            "Round trips": str(trades["total_trades"]),
            "Win rate %": _shown(trades["win_rate"]),
            "Profit factor": _shown(trades["profit_factor"]),
            "Expectancy": _shown(trades["expectancy"]),
        },
    }


def _shown(value: float | None) -> float | str:
    return "n/a" if value is None else value
