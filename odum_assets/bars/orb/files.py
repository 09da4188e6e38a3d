"""The files that the strategy adds to a report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from odum_assets.bars.orb.metrics import core_metrics, factor_attribution, score_buckets
from odum_assets.bars.orb.tables import (
    Traded,
    equity_table,
    factors_table,
    sessions_table,
    trade_results,
    trades_table,
)


def write_files(every: Sequence[Traded], starting_balance: float, folder: Path) -> None:
    """Write trades, curves, figures, sessions and factors, of each instrument and of all.

    Parameters
    ----------
    every
        The instruments of the run.
    starting_balance
        Money of the account at the start.
    folder
        Where to write; it exists.
    """
    trades, sessions = [], []
    for traded in every:
        trades.append(trades_table(traded))
        sessions.append(sessions_table(traded))
        figures = metrics_document(traded.symbol, trades[-1], sessions[-1], starting_balance)
        _write_json(folder / f"{traded.symbol}_metrics.json", figures)
        pq.write_table(trades[-1], folder / f"{traded.symbol}_trades.parquet")
        curve = equity_table(trades[-1], starting_balance)
        pq.write_table(curve, folder / f"{traded.symbol}_equity.parquet")
    together = pa.concat_tables(trades)
    together = together.sort_by([("entry_timestamp", "ascending"), ("symbol", "ascending")])
    pq.write_table(together, folder / "all_trades.parquet")
    pyarrow.csv.write_csv(_flat(together), folder / "all_trades.csv")
    pq.write_table(equity_table(together, starting_balance), folder / "combined_equity.parquet")
    pq.write_table(pa.concat_tables(sessions), folder / "sessions.parquet")
    pq.write_table(
        pa.concat_tables(factors_table(traded) for traded in every),
        folder / "factor_snapshots.parquet",
    )
    figures = metrics_document(None, together, pa.concat_tables(sessions), starting_balance)
    figures["symbols"] = [traded.symbol for traded in every]
    figures["flags"] = [flag for traded in every for flag in find_flags(traded)]
    _write_json(folder / "orb_metrics.json", figures)


def metrics_document(
    symbol: str | None, trades: pa.Table, sessions: pa.Table, starting_balance: float
) -> dict[str, Any]:
    """Return the figures of an instrument, or of all of them when `symbol` is None."""
    results = trade_results(trades, sessions["session"].to_pylist(), starting_balance)
    rows = trades.select(["realized_r", "factors", "score", "score_max"]).to_pylist()
    return {
        **({} if symbol is None else {"symbol": symbol}),
        **core_metrics(results),
        "starting_balance": starting_balance,
        "factor_attribution": factor_attribution(rows),
        "score_buckets": score_buckets(rows),
    }


def find_flags(traded: Traded) -> list[str]:
    """Return what a reader of the results should know."""
    ranges = [record.opening_range for record in traded.machine.sessions]
    flags, symbol = [], traded.symbol
    lengths = {opening.minutes for opening in ranges}
    if traded.params.orb.adaptive and len(ranges) > 1 and len(lengths) == 1:
        flags.append(
            f"{symbol}: the adaptive opening range had {lengths.pop()} minutes in every session; "
            "orb.low_norm_vol, high_norm_vol and norm_vol_scale set when it changes"
        )
    unknown = sum(opening.atr is None for opening in ranges)
    if unknown:
        flags.append(
            f"{symbol}: the average true range was unknown in {unknown} of {len(ranges)} sessions; "
            "it takes more sessions before the first one (bars.warmup_sessions)"
        )
    shares = [share for _, _, share in traded.params.trade.targets()]
    total = sum(traded.machine.quantities)
    if any(
        total * share != part for share, part in zip(shares, traded.machine.quantities, strict=True)
    ):
        flags.append(
            f"{symbol}: {traded.params.backtest.contracts_per_trade} contracts do not divide by "
            "t1_pct and t2_pct; what was left went to the largest remainders"
        )
    carried = sum(
        trade.exit_reason == "carried" for trade in traded.machine.trades if trade.is_closed
    )
    if carried:
        flags.append(f"{symbol}: positions that met another session and were closed: {carried}")
    still_open = sum(not trade.is_closed for trade in traded.machine.trades)
    if still_open:
        flags.append(f"{symbol}: positions open at the end, left out of the tables: {still_open}")
    return flags


def _flat(table: pa.Table) -> pa.Table:
    """Return a table for CSV: nested columns as JSON."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [json.dumps(value, default=str) for value in table[index].to_pylist()]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    return table


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
