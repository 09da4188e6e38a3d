from datetime import date

import pyarrow as pa
import pytest

from odum_assets.catalog.labels import BUY, NO_AGGRESSOR, SELL, IdentityCheck, side_code
from odum_assets.instruments import InstrumentKey, parse_instrument_key


class _German(date):
    """A date on a machine whose language is German."""

    def strftime(self, format: str) -> str:  # noqa: A002 - the name of the base class
        return super().strftime(format.replace("%b", "Dez"))


def test_months_do_not_depend_on_the_language_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(InstrumentKey, "expiry", property(lambda _: _German(2024, 12, 27)))
    check = IdentityCheck(parse_instrument_key("DERIBIT:FUTURE:BTC-USD-241227"))
    assert check.mismatches("symbol", pa.array(["BTC-27DEC24"])) is None


@pytest.mark.parametrize(
    ("label", "code"),
    [
        *((label, BUY) for label in ("buy", "BUYER", "B", "1", 1, "Aggressor_Buy", " buy ")),
        *((label, SELL) for label in ("sell", "SELLER", "s", "2", 2, "AGGRESSOR_SELL")),
        *((label, NO_AGGRESSOR) for label in (None, "", "unknown", 0, 3, "buyy")),
    ],
)
def test_sides(label: object, code: int) -> None:
    assert side_code(label) == code


@pytest.mark.parametrize(
    ("key", "exchange", "symbols", "others"),
    [
        (
            "BINANCE:SPOT_PAIR:BTC-USDT",
            "binance",
            ["BTCUSDT", "btcusdt"],
            ["BTCUSDC", "BTCUSDTPERP"],
        ),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "binance-futures", ["BTCUSDT"], ["ETHUSDT", ""]),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USD", "binance-delivery", ["BTCUSD_PERP"], ["BTCUSDT"]),
        ("BYBIT:PERPETUAL:BTC-USD", "bybit", ["BTCUSD"], ["BTCUSDT", "BTCUSDZ24"]),
        ("OKX:PERPETUAL:BTC-USDT", "okex-swap", ["BTC-USDT-SWAP"], ["BTC-USD-SWAP"]),
        ("DERIBIT:PERPETUAL:BTC-USD", "deribit", ["BTC-PERPETUAL"], ["ETH-PERPETUAL"]),
        ("DERIBIT:FUTURE:BTC-USD-241227", "deribit", ["BTC-27DEC24"], ["BTC-28DEC24"]),
        ("BYBIT:FUTURE:BTC-USD-241227", "bybit", ["BTCUSDZ24"], ["BTCUSDH25"]),
        (
            "BINANCE-FUTURES:FUTURE:BTC-USDT-241227",
            "binance-futures",
            ["BTCUSDT_241227"],
            ["BTCUSDT"],
        ),
    ],
)
def test_symbols_as_exchanges_write_them(
    key: str, exchange: str, symbols: list[str], others: list[str]
) -> None:
    check = IdentityCheck(parse_instrument_key(key))
    assert check.mismatches("exchange", pa.array([exchange, exchange.upper()])) is None
    assert check.mismatches("symbol", pa.array(symbols)) is None
    mismatches = check.mismatches("symbol", pa.array([*symbols, *others, None]))
    assert mismatches is not None
    assert list(mismatches) == [False] * len(symbols) + [True] * (len(others) + 1)
    wrong = check.mismatches("exchange", pa.array([exchange, "kraken"]))
    assert wrong is not None
    assert list(wrong) == [False, True]
