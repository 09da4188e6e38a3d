import itertools
import string
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from nautilus_trader.model import (
    CryptoFuture,
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    Price,
    Quantity,
)

from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.instruments.specs import currency_precision

OKX = "OKX:PERPETUAL:BTC-USDT@LIN"


def spec(text: str, *, multiplier: str = "1", price: int = 1, size: int = 3) -> InstrumentSpec:
    key = parse_instrument_key(text)
    return InstrumentSpec(
        key=key,
        price_precision=price,
        size_precision=size,
        multiplier=Decimal(multiplier),
        margin_init=Decimal("0.02"),
        margin_maint=Decimal("0.01"),
        settlement_currency=key.settlement_currency,
    )


def test_spot() -> None:
    instrument = nautilus_instrument(spec("BINANCE:SPOT_PAIR:BTC-USDT", price=2, size=5))

    assert isinstance(instrument, CurrencyPair)
    assert instrument.id.value == "BTC-USDT.BINANCE"
    assert (instrument.base_currency.code, instrument.quote_currency.code) == ("BTC", "USDT")
    assert str(instrument.price_increment) == "0.01"
    assert str(instrument.size_increment) == "0.00001"
    assert instrument.margin_init == Decimal("0.02")
    assert instrument.margin_maint == Decimal("0.01")


def test_linear_perpetual_counts_in_contracts() -> None:
    instrument = nautilus_instrument(spec("OKX:PERPETUAL:BTC-USDT@LIN", multiplier="0.01", size=0))

    assert isinstance(instrument, CryptoPerpetual)
    assert instrument.id.value == "BTC-USDT-PERP.OKX"
    assert instrument.settlement_currency.code == "USDT"
    assert not instrument.is_inverse
    assert str(instrument.size_increment) == "1"
    # 3 contracts of 0.01 BTC at 60,000 are 1,800 USDT.
    notional = instrument.notional_value(Quantity.from_str("3"), Price.from_str("60000.0"))
    assert str(notional) == "1800.00000000 USDT"


def test_inverse_perpetual_settles_in_the_base_currency() -> None:
    instrument = nautilus_instrument(spec("DERIBIT:PERPETUAL:BTC-USD@INV", size=0))

    assert isinstance(instrument, CryptoPerpetual)
    assert instrument.is_inverse
    assert instrument.settlement_currency.code == "BTC"
    # 30,000 USD at 60,000 are half a bitcoin.
    notional = instrument.notional_value(Quantity.from_str("30000"), Price.from_str("60000.0"))
    assert str(notional) == "0.50000000 BTC"


@pytest.mark.parametrize("expiry", ["241227", "20241227", "27DEC24"])
def test_future_expires_at_eight_utc(expiry: str) -> None:
    instrument = nautilus_instrument(spec(f"DERIBIT:FUTURE:BTC-USD-{expiry}", size=0))

    assert isinstance(instrument, CryptoFuture)
    assert instrument.id.value == f"BTC-USD-{expiry}.DERIBIT"
    assert instrument.expiration_utc == datetime(2024, 12, 27, 8, tzinfo=UTC)
    assert instrument.is_inverse
    assert instrument.settlement_currency.code == "BTC"
    assert instrument.underlying.code == "BTC"


def test_linear_future() -> None:
    instrument = nautilus_instrument(spec("BINANCE-FUTURES:FUTURE:ETH-USDT-240927"))

    assert isinstance(instrument, CryptoFuture)
    assert instrument.id.value == "ETH-USDT-240927.BINANCE_FUTURES"
    assert not instrument.is_inverse
    assert instrument.settlement_currency.code == "USDT"


@pytest.mark.parametrize("precision", [0, 8, 16])
def test_every_precision(precision: int) -> None:
    instrument = nautilus_instrument(
        spec("BYBIT:PERPETUAL:BTC-USDT@LIN", price=precision, size=precision)
    )

    assert instrument.price_precision == instrument.size_precision == precision
    assert Decimal(str(instrument.price_increment)) == Decimal(1).scaleb(-precision)


def test_a_coin_that_nautilus_does_not_know() -> None:
    unknown = spec("BINANCE:SPOT_PAIR:ZZCOIN9-USDT")
    instrument = nautilus_instrument(unknown)

    assert instrument.base_currency.code == "ZZCOIN9"  # type: ignore[union-attr]
    assert instrument.base_currency.precision == 8  # type: ignore[union-attr]
    assert nautilus_instrument(unknown).id == instrument.id


def test_a_multiplier_in_scientific_spelling() -> None:
    instrument = nautilus_instrument(
        replace(spec("OKX:PERPETUAL:BTC-USD@INV"), multiplier=Decimal("1E+2"))
    )

    assert str(instrument.multiplier) == "100"


def test_the_decimals_of_currencies_are_those_of_nautilus() -> None:
    letters = string.ascii_uppercase
    codes = ["".join(each) for n in (2, 3, 4) for each in itertools.product(letters, repeat=n)]
    known = {}
    for code in [*codes, "1INCH", "FDUSD", "PYUSD"]:
        try:
            known[code] = Currency.from_str(code, strict=True).precision
        except ValueError:
            continue
    assert {"USD", "JPY", "XRP", "USDT", "BTC"} <= set(known)
    assert known == {code: currency_precision(code) for code in known}


def test_zeros_at_the_end_of_a_multiplier_are_no_digits() -> None:
    written = nautilus_instrument(spec(OKX, multiplier=f"0.01{'0' * 20}", size=0))
    assert written.multiplier == nautilus_instrument(spec(OKX, multiplier="0.01")).multiplier
