"""NautilusTrader's interactive tearsheet, drawn from our own figures.

The engine's own statistics cannot be used: it purges closed orders, and its returns are daily, so a
one-day run has none.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_MONTH_DAYS = 31


def render_tearsheet(
    output: Path,
    equity_table: Path,
    title: str,
    run_info: dict[str, str],
    account_info: dict[str, str],
    statistics: dict[str, dict[str, Any]],
) -> None:
    """Draw a tearsheet into an HTML file.

    Parameters
    ----------
    output : Path
        The HTML file; its name must end in ``.html``.
    equity_table : Path
        The run's equity table.
    title : str
        Headline.
    run_info, account_info : dict[str, str]
        Rows of the first table.
    statistics : dict[str, dict[str, Any]]
        Rows of the second table: ``pnls``, ``returns`` and ``general``.
    """
    import pandas as pd
    from nautilus_trader.analysis import TearsheetConfig, create_tearsheet_from_stats

    table = pq.read_table(equity_table, columns=["timestamp", "portfolio_value"])
    equity = pd.Series(
        table["portfolio_value"].cast(pa.float64()).to_numpy(),
        index=pd.DatetimeIndex(table["timestamp"].to_pandas()),
    )
    returns = equity.pct_change().dropna()
    days = (equity.index[-1] - equity.index[0]).days if len(equity) else 0
    # Monthly, rolling and yearly charts of less than a month are empty.
    names = ["run_info", "stats_table", "equity", "drawdown", "distribution"]
    if days >= _MONTH_DAYS:
        names += ["monthly_returns", "rolling_sharpe", "yearly_returns"]
    config = TearsheetConfig(charts=_charts(names), title=title, height=1200 if days < 31 else 1800)
    create_tearsheet_from_stats(
        stats_pnls=statistics["pnls"],
        stats_returns=statistics["returns"],
        stats_general=statistics["general"],
        returns=returns,
        output_path=str(output),
        title=title,
        config=config,
        run_info=run_info,
        account_info=account_info,
    )


def _charts(names: list[str]) -> list[Any]:
    from nautilus_trader.analysis import config

    classes = {
        "run_info": config.TearsheetRunInfoChart,
        "stats_table": config.TearsheetStatsTableChart,
        "equity": config.TearsheetEquityChart,
        "drawdown": config.TearsheetDrawdownChart,
        "distribution": config.TearsheetDistributionChart,
        "monthly_returns": config.TearsheetMonthlyReturnsChart,
        "rolling_sharpe": config.TearsheetRollingSharpeChart,
        "yearly_returns": config.TearsheetYearlyReturnsChart,
    }
    return [classes[name]() for name in names]
