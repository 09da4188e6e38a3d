"""A run's fills, taken through the reference account, must give the run's own figures."""

from decimal import Decimal

import pandas as pd
from reference import Reference
from tinydays import Outcome

from odum_assets.config import LoadedConfig, instrument_spec

D = Decimal


def agrees_with_reference(run: Outcome, loaded: LoadedConfig, raw: pd.DataFrame) -> Reference:
    """Replay the fills of a run and compare cash, position, profit, costs and drawdown.

    Parameters
    ----------
    run : Outcome
        A run in report mode, without funding.
    loaded : LoadedConfig
        Its configuration.
    raw : pd.DataFrame
        Raw trades of its days in order of arrival; their prices mark the equity.

    Returns
    -------
    Reference
        The account after the last fill.
    """
    config = loaded.config
    other = Reference(
        D(config.venue.starting_balance),
        D("1e-8"),
        instrument_spec(loaded).multiplier,
        inverse=loaded.key.is_inverse,
        cash_account=config.venue.account_type == "CASH",
    )
    times = (raw["local_timestamp"] * 1000).tolist()
    digits = config.instrument.price_precision
    prices = [round(D(price), digits) for price in raw["price"]]
    interval = config.metrics.equity_interval_secs * 10**9

    # Equity at whole intervals and at the end: peak and fall.
    moments = list(range((times[0] // interval + 1) * interval, times[-1] + 2, interval))
    rows = iter(zip(times, prices, strict=True))
    row = next(rows, None)
    fills = iter(run.fills)
    fill = next(fills, None)
    peak = other.start
    worst = worst_share = D(0)
    seen = D(0)
    for moment in [*moments, None]:
        while row is not None and (moment is None or row[0] <= moment):
            seen, row = row[1], next(rows, None)
        while fill is not None and (moment is None or fill["timestamp"] <= moment):
            sign = 1 if fill["side"] == "buy" else -1
            gain = other.add(
                fill["position_id"], sign * fill["quantity"], fill["price"], fill["commission"]
            )
            assert fill["realized_pnl"] == gain
            assert fill["balance"] == other.cash
            assert fill["position_quantity"] == other.position
            fill = next(fills, None)
        equity = other.equity(seen)
        peak = max(peak, equity)
        worst = min(worst, equity - peak)
        worst_share = min(worst_share, (equity - peak) / peak)

    assert run.summary["account"]["final_balance"] == float(other.cash)
    assert run.summary["account"]["final_equity"] == float(other.equity(seen))
    assert run.summary["pnl_breakdown"]["realized"] == float(other.realized)
    assert run.summary["pnl_breakdown"]["commissions"] == float(other.commissions)
    assert run.summary["position"]["quantity"] == float(other.position)
    assert run.summary["drawdown"]["max_drawdown_amount"] == float(worst)
    assert run.summary["drawdown"]["max_drawdown"] == float(worst_share)
    assert run.summary["pnl"] == float(other.realized - other.commissions)
    assert run.summary["trades"]["total_trades"] == len(other.trips)
    nets = [gain - commission for _, gain, commission in other.trips]
    assert run.summary["trades"]["winning_trades"] == sum(each > 0 for each in nets)
    assert run.summary["fills"] == len(run.fills)
    return other
