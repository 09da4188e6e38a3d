"""Generated days of every kind of contract: money is what an account in plain decimals says.

Fees are checked fill by fill too: a fraction of the notional value, rounded to the currency.
"""

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pandas as pd
import pytest
from replay import agrees_with_reference
from tinydays import CONTRACTS, INVERSE, LINEAR, SPOT, Market, variant

from odum_assets.config import instrument_spec
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample

D = Decimal
DAY = dt.date(2024, 1, 1)
CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "linear, limit": (LINEAR, {}, "both"),
    "linear, market, trades": (LINEAR, {"strategy": {"order_type": "MARKET"}}, "trades"),
    "linear, resting": (LINEAR, {"strategy": {"time_in_force": "GTC"}}, "book"),
    "linear, hedging": (LINEAR, {"venue": {"oms_type": "HEDGING"}}, "book"),
    # The sample trades coins: taken as contracts they need their decimals.
    "contracts": (CONTRACTS, {"instrument": {"size_precision": 3}}, "both"),
    "inverse": (INVERSE, {"venue": {"starting_balance": 1000}}, "both"),
    "inverse, rebate": (
        INVERSE,
        {
            "venue": {"starting_balance": 1000, "maker_fee": -0.0001},
            "strategy": {"time_in_force": "GTC"},
        },
        "book",
    ),
    "spot": (SPOT, {}, "both"),
    "spot, cash": (SPOT, {"venue": {"account_type": "CASH"}}, "both"),
}


@pytest.mark.parametrize("name", CASES)
def test_money_of_generated_days(name: str, market: Market) -> None:
    shipped, sections, mode = CASES[name]
    # Hedging keeps every position open: few of them are enough.
    rows = 150 if "hedging" in name else 900
    config = variant(shipped, metrics={"equity_interval_secs": 600}, **sections)
    write_sample(
        market.settings.raw_root,
        SampleSpec(
            keys=(str(config.key),),
            start=DAY,
            days=1,
            trades_per_day=rows,
            books_per_day=rows,
            irregularities=True,
        ),
    )
    for data_type in (DataType.TRADES, DataType.BOOK):
        assert market.convert(config, data_type, DAY).rows_rejected == 0
    run = market.run(config, (DAY,), snapshot_mode=mode)

    raw = pd.read_parquet(market.raw_file(DataType.TRADES, config, DAY))
    raw = raw.sort_values("local_timestamp", kind="stable")
    other = agrees_with_reference(run, config, raw)
    assert len(run.fills) > rows / 4
    assert other.commissions != 0
    assert abs(D(run.metadata["reconciliation"]["engine_difference"])) <= D(
        run.metadata["reconciliation"]["engine_tolerance"]
    )

    venue, multiplier = config.config.venue, instrument_spec(config).multiplier
    rates = {"maker": venue.maker_fee, "taker": venue.taker_fee, "simulated": venue.taker_fee}
    for fill in run.fills:
        value = fill["quantity"] * multiplier
        value = value / fill["price"] if config.key.is_inverse else value * fill["price"]
        fee = (value * rates[fill["liquidity"]]).quantize(D("1e-8"), ROUND_HALF_EVEN)
        assert abs(fill["commission"] - fee) <= D("1e-8")
