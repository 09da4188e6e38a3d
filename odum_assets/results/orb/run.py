"""The tables and figures of a breakout's run, as stored in its report."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.store import ResultEntry, ResultError, json_text

METRICS = "orb_metrics.json"
"""Figures of all symbols together; a run that has them is one of this strategy."""


class OrbRun:
    """Read what the strategy added to a report.

    Parameters
    ----------
    entry
        The stored run.

    Raises
    ------
    ResultError
        If it is no run of this strategy, or was run in fast mode.
    """

    def __init__(self, entry: ResultEntry) -> None:
        if not is_orb(entry):
            raise ResultError(
                f"{entry.run_id}: has no tables of the opening-range breakout; it is a run of "
                "another strategy, or was run in fast mode"
            )
        self.entry = entry

    @property
    def symbols(self) -> list[str]:
        """Return the symbols, in the order of the configuration."""
        symbols: list[str] = self.metrics()["symbols"]
        return symbols

    def metrics(self) -> dict[str, Any]:
        """Return the figures of all symbols together."""
        return self._json(METRICS)

    def symbol_metrics(self) -> dict[str, dict[str, Any]]:
        """Return the figures of each symbol."""
        return {symbol: self._json(f"{symbol}_metrics.json") for symbol in self.symbols}

    def net_pnl(self) -> float | None:
        """Return what the account gained, fees included."""
        pnl = self.entry.summary()["pnl"]
        return None if pnl is None else float(pnl)

    def trades(self, symbol: str | None = None, direction: str | None = None) -> pa.Table:
        """Return trades, in order of their entries.

        Parameters
        ----------
        symbol, direction
            Keep these only; None keeps all.
        """
        table = self.table("all_trades")
        for name, wanted in (("symbol", symbol), ("direction", direction)):
            if wanted is not None:
                table = table.filter(pc.equal(table[name], wanted))
        return table

    def sessions(self, symbol: str | None = None) -> pa.Table:
        """Return sessions, of one symbol or of all."""
        table = self.table("sessions")
        return table if symbol is None else table.filter(pc.equal(table["symbol"], symbol))

    def table(self, name: str) -> pa.Table:
        """Return a table of the report by the name of its file.

        Raises
        ------
        ResultError
            If it cannot be read.
        """
        file = self.entry.report_file(f"{name}.parquet")
        try:
            with file.opened() as path:
                return pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise ResultError(f"{file.path}: cannot be read ({error}); run it again") from error

    def log_lines(self) -> Iterator[str]:
        """Yield what became of each session and trade, in order of time."""
        lines = [(str(row["or_end"]), _session_text(row)) for row in self.sessions().to_pylist()]
        lines += [
            (str(row["entry_timestamp"]), _trade_text(row)) for row in self.trades().to_pylist()
        ]
        for time, text in sorted(lines):
            yield f"{time} {text}"

    def _json(self, name: str) -> dict[str, Any]:
        file = self.entry.report_file(name)
        try:
            document: dict[str, Any] = file.read_json()
        except (OSError, ValueError) as error:
            raise ResultError(f"{file.path}: cannot be read ({error}); run it again") from error
        return document


def _session_text(row: Mapping[str, Any]) -> str:
    outcome = row["not_traded"] or f"{row['entries']} entries"
    if row["lockout"]:
        outcome += f", locked out: {row['lockout']}"
    edges = f"{row['or_low']} to {row['or_high']}" if row["or_high"] else "no bars"
    return f"{row['symbol']} opening range of {row['or_minutes']} minutes: {edges}; {outcome}"


def _trade_text(row: Mapping[str, Any]) -> str:
    return (
        f"{row['trade_id']} {row['direction']} at {row['entry_price']:g}, {row['exit_reason']} at "
        f"{row['exit_price']:g}: {row['realized_r']:+.2f}R"
    )


def is_orb(entry: ResultEntry) -> bool:
    """Return whether a run is one of this strategy, with its tables."""
    return entry.report_path is not None and entry.report_file(METRICS).is_there()


def export_study(
    entry: ResultEntry,
    folder: Path,
    configuration: Mapping[str, Any],
    *,
    with_reports: bool,
    with_log: bool,
) -> Path:
    """Write the files of a run into a folder of their own.

    Parameters
    ----------
    entry
        The stored run.
    folder
        Where to write; it is made.
    configuration
        What to write as ``config.json``, beside the run's id and the hash of its configuration.
    with_reports
        Whether every symbol gets an HTML page.
    with_log
        Whether ``backtest_run.log`` is written.

    Raises
    ------
    ResultError
        If the run cannot be read, or the folder not be written.
    """
    from odum_assets.results.orb.page import report_html

    run = OrbRun(entry)
    symbols = run.symbols
    names = [
        *(
            f"{symbol}_{kind}"
            for symbol in symbols
            for kind in ("trades.parquet", "metrics.json", "equity.parquet")
        ),
        "all_trades.parquet",
        "all_trades.csv",
        "combined_equity.parquet",
        "factor_snapshots.parquet",
        "sessions.parquet",
        METRICS,
    ]
    identity = {"run_id": entry.run_id, "config_hash": entry.metadata().get("config_hash")}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            with entry.report_file(name).opened() as path:
                shutil.copyfile(path, folder / name)
        (folder / "config.json").write_text(json_text({**identity, **configuration}), "utf-8")
        if with_log:
            (folder / "backtest_run.log").write_text(
                "".join(f"{line}\n" for line in run.log_lines()), "utf-8"
            )
        for symbol in symbols if with_reports else []:
            (folder / f"{symbol}_report.html").write_text(report_html(run, symbol), "utf-8")
    except OSError as error:
        raise ResultError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); the run itself is "
            f"stored as {entry.run_id}"
        ) from error
    return folder
