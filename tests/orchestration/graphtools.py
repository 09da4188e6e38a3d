"""What the tests of the graph share: names, and what the sensor of raw days reports."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from odum_assets.orchestration.assets.raw import unreported
from odum_assets.orchestration.launch import Graph
from odum_assets.orchestration.project import find_raw

REPO = Path(__file__).parents[2]
BTC = "binance_futures_btcusdt_l2_trades_config"
ETH = "binance_futures_ethusdt_l2_trades_config"
BTC_KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
BTC_SLUG = "binance_futures_perpetual_btc_usdt"
FIRST_DAY = dt.date(2024, 1, 1)


def report_raw_files(
    instance: dg.DagsterInstance, graph: Graph, days: Sequence[dt.date]
) -> list[dg.AssetKey]:
    """Report the raw files of days as the sensor does, and return which are new or changed."""
    project = graph.project
    files = [
        (source, day, found)
        for day in days
        for source in project.sources
        if (found := find_raw(source, day, project.settings)) is not None
    ]
    events = list(unreported(instance, files))
    for event in events:
        instance.report_runless_asset_event(event)
    return [each.asset_key for each in events if isinstance(each, dg.AssetMaterialization)]
