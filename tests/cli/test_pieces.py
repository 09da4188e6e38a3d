"""Figures as text, instruments in every spelling, times."""

import re

import pytest

from odum_assets.cli.rendering import amount, count, duration, percent, price, quantity, size
from odum_assets.config.instrument_names import spellings
from odum_assets.errors import InvalidRequestError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration.days import parse_time, require_time


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (amount(-1061.2, "USDT"), "-1,061.20 USDT"),
        (amount(1234.5, "USDT", sign=True), "+1,234.50 USDT"),
        (amount(0.00012, "BTC"), "0.00012000 BTC"),
        (amount(-0.001), "0.00"),
        (amount(0.00220396, "BTC", sign=True, is_named=False), "+0.00220396"),
        (amount(-14954.89, "USDT", is_named=False), "-14,954.89"),
        (amount(None, "USDT"), "n/a"),
        (amount(float("nan")), "n/a"),
        (percent(-0.3317), "-0.33%"),
        (percent(1.5), "+1.50%"),
        (percent(0.001), "0.00%"),
        (percent(None), "n/a"),
        (count(1234567), "1,234,567"),
        (count(None), "n/a"),
        (quantity(174.012), "174.012"),
        (quantity(1e-05), "0.00001"),
        (price(63867.97333911848), "63,867.9733"),
        (size(999), "999 B"),
        (size(55_400), "55.4 kB"),
        (size(None), "n/a"),
        (duration(3.21), "3.2 s"),
        (duration(3725), "1 h 02 min"),
    ],
)
def test_figures(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("key", "text", "same"),
    [
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BTCUSDT", True),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BTCUSDTBINANCEFUTURES", True),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BTCUSDTPERPBINANCEFUTURES", True),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "ETHUSDT", False),
        ("BYBIT:PERPETUAL:BTC-USDT@LIN", "BYBITPERPETUALBTCUSDT", True),
        ("BINANCE:SPOT_PAIR:BTC-USDT", "BTCUSDTPERP", False),
    ],
)
def test_spellings_of_an_instrument(key: str, text: str, same: bool) -> None:
    assert (text in spellings(parse_instrument_key(key))) is same


@pytest.mark.parametrize(
    "text", ["2023-05-23", "20230523", "2023-W21-2", "2023-05-23T02", " 2023-05-23 02:03:04.5"]
)
def test_what_is_advised_for_a_time_without_a_zone_is_taken(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse_time("start", text, None)
    advised = re.search(r"add Z for UTC: (.*)$", str(refused.value))
    assert advised is not None
    assert parse_time("start", advised[1], None) == require_time("start", advised[1])
