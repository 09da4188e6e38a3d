"""A listed future that expires while it is held."""

import random
from typing import Any

from bar_replay import USD, replayed
from nautilus_trader.model import (
    AssetClass,
    FuturesContract,
    InstrumentId,
    Price,
    Quantity,
    Symbol,
)
from random_bars import random_series

from odum_assets.bars.broker import Bracket, Fill


class Holder:
    """Buy, rest a leg that does not fill, and try to buy once more after the expiry."""

    def __init__(self, broker: Any) -> None:
        self.broker, self.fills = broker, list[Fill]()

    def on_bar(self, index: int) -> None:
        if index == 3:
            self.broker.market(1, 2, "held")
            self.broker.bracket(Bracket("far", 1, 1, 9_000, 8_000, None))
        if index == 30:
            self.broker.market(1, 1, "late")

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)


def test_what_is_held_into_the_expiry_is_settled_at_the_last_price() -> None:
    series = random_series(random.Random(3), 50)  # noqa: S311
    expiry = int(series.close_time[20])
    contract = FuturesContract(
        instrument_id=InstrumentId.from_str("ESZ5.ARCA"),
        raw_symbol=Symbol("ESZ5"),
        asset_class=AssetClass.INDEX,
        underlying="ES",
        activation_ns=0,
        expiration_ns=expiry,
        currency=USD,
        price_precision=2,
        price_increment=Price(0.01, 2),
        multiplier=Quantity.from_str("1"),
        lot_size=Quantity.from_str("1"),
        ts_event=0,
        ts_init=0,
    )
    handlers: list[Holder] = []
    host = replayed(
        series,
        lambda broker: handlers.append(Holder(broker)) or handlers[-1],
        instruments=[contract],
    )
    bought, settled = handlers[0].fills
    assert (bought.leg, bought.quantity) == ("held", 2)
    assert (settled.leg, settled.side, settled.quantity) == ("expiry", -1, 2)
    assert settled.price == int(series.close[20])
    assert settled.time == expiry
    assert host.brokers[0].position == 0
