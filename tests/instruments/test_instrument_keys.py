from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odum_assets.errors import ConfigError
from odum_assets.instruments import (
    InstrumentKey,
    Product,
    contract_multiplier,
    parse_dotted_id,
    parse_instrument_key,
)


@pytest.mark.parametrize(
    ("text", "slug", "nautilus_id", "settlement", "is_inverse", "run_id_part"),
    [
        (
            "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
            "binance_futures_perpetual_btc_usdt",
            "BTC-USDT-PERP.BINANCE_FUTURES",
            "USDT",
            False,
            "BNF_BTC",
        ),
        (
            "BINANCE:SPOT_PAIR:ETH-USDT",
            "binance_spot_pair_eth_usdt",
            "ETH-USDT.BINANCE",
            "USDT",
            False,
            "BN_ETH",
        ),
        (
            "BYBIT:PERPETUAL:BTC-USDT@LIN",
            "bybit_perpetual_btc_usdt_lin",
            "BTC-USDT-PERP.BYBIT",
            "USDT",
            False,
            "BYB_BTC",
        ),
        (
            "DERIBIT:PERPETUAL:BTC-USD@INV",
            "deribit_perpetual_btc_usd_inv",
            "BTC-USD-PERP.DERIBIT",
            "BTC",
            True,
            "DER_BTC",
        ),
        (
            "DERIBIT:FUTURE:BTC-USD-27DEC24",
            "deribit_future_btc_usd_27dec24",
            "BTC-USD-27DEC24.DERIBIT",
            "BTC",
            True,
            "DER_BTC241227",
        ),
        (
            "OKX:FUTURE:BTC-USD-241227@LIN",
            "okx_future_btc_usd_241227_lin",
            "BTC-USD-241227.OKX",
            "USD",
            False,
            "OKX_BTC241227",
        ),
        (
            "DERIBIT:SPOT_PAIR:BTC-USD",
            "deribit_spot_pair_btc_usd",
            "BTC-USD.DERIBIT",
            "USD",
            False,
            "DER_BTC",
        ),
    ],
)
def test_spellings_of_a_key(
    text: str, slug: str, nautilus_id: str, settlement: str, is_inverse: bool, run_id_part: str
) -> None:
    key = parse_instrument_key(text)

    assert str(key) == text
    assert key.slug == slug
    assert key.nautilus_id == nautilus_id
    assert key.settlement_currency == settlement
    assert key.is_inverse is is_inverse
    assert f"{key.venue_code}_{key.short_name}" == run_id_part


def test_a_venue_may_be_spelled_with_an_underscore() -> None:
    key = parse_instrument_key("BINANCE_FUTURES:PERPETUAL:BTC-USDT")

    assert key == InstrumentKey("BINANCE-FUTURES", Product.PERPETUAL, "BTC-USDT")


@pytest.mark.parametrize("text", ["241227", "20241227", "27DEC24"])
def test_expiry_in_every_spelling(text: str) -> None:
    key = parse_instrument_key(f"DERIBIT:FUTURE:BTC-USD-{text}")

    assert key.expiry == date(2024, 12, 27)
    assert key.symbol == f"BTC-USD-{text}"


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_any_expiry_reads_back(day: date) -> None:
    months = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905
    named = f"{day.day}{months[day.month - 1]}{day:%y}"
    for text in (f"{day:%y%m%d}", f"{day:%Y%m%d}", named):
        assert parse_instrument_key(f"OKX:FUTURE:BTC-USD-{text}").expiry == day


def test_only_a_future_expires() -> None:
    assert parse_instrument_key("BINANCE-FUTURES:PERPETUAL:BTC-USDT").expiry is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("BTC-USDT.BINANCE", "BINANCE:SPOT_PAIR:BTC-USDT"),
        ("BTC-USDT.BINANCE-FUTURES", "BINANCE-FUTURES:PERPETUAL:BTC-USDT"),
        ("BTC-USDT.OKX", "OKX:PERPETUAL:BTC-USDT"),
        ("BTC-USDT-PERP.BINANCE_FUTURES", "BINANCE-FUTURES:PERPETUAL:BTC-USDT"),
        ("BTC-USD-241227.DERIBIT", "DERIBIT:FUTURE:BTC-USD-241227"),
    ],
)
def test_dotted_ids(text: str, expected: str) -> None:
    assert str(parse_dotted_id(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("DERIBIT:OPTION:BTC-USD-241227-50000-CALL", "options are not supported yet: DERIBIT:OPTI"),
        ("BTCUSDT", "'BTCUSDT' is not an instrument key; write VENUE:TYPE:SYMBOL"),
        ("KRAKEN:SPOT_PAIR:BTC-USD", "unknown venue 'KRAKEN'; known venues: BINANCE, BINANCE-FUT"),
        ("BYBIT:SWAP:BTC-USDT", "unknown product 'SWAP'"),
        ("BYBIT:PERPETUAL:BTC-USDT@QUANTO", "unknown suffix '@QUANTO'"),
        ("BYBIT:PERPETUAL:BTC-USDT@", "unknown suffix '@'"),
        ("BYBIT:PERPETUAL:BTCUSDT", "is not BASE-QUOTE in capital letters"),
        ("BYBIT:PERPETUAL:btc-usdt", "is not BASE-QUOTE in capital letters"),
        ("BYBIT:PERPETUAL:BTC-USDT-241227", "is not BASE-QUOTE in capital letters"),
        ("BYBIT:PERPETUAL:BTC-Ü", "is not BASE-QUOTE in capital letters"),
        ("BYBIT:FUTURE:BTC-USDT", "is not BASE-QUOTE-EXPIRY"),
        ("BYBIT:FUTURE:BTC-USDT-241331", "expiry '241331'"),
        ("BYBIT:FUTURE:BTC-USDT-31FEB24", "expiry '31FEB24'"),
        ("BYBIT:FUTURE:BTC-USDT-27XXX24", "expiry '27XXX24'"),
        ("BINANCE:PERPETUAL:BTC-USDT", "BINANCE has no PERPETUAL"),
        ("BINANCE-FUTURES:SPOT_PAIR:BTC-USDT", "BINANCE-FUTURES has no SPOT_PAIR"),
        ("BINANCE:SPOT_PAIR:BTC-USDT@LIN", "spot has no margin: leave out @LIN"),
        ("BYBIT:PERPETUAL:BTC-USDT@INV", "inverse contracts are quoted in USD, not USDT"),
    ],
)
def test_unusable_keys_say_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_instrument_key(text)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BTC-USDT", "is not an instrument id"),
        ("BTC-USDT.KRAKEN", "unknown venue 'KRAKEN'"),
        ("BTC-USD-241227-50000-C.DERIBIT", "options are not supported yet"),
    ],
)
def test_unusable_dotted_ids_say_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_dotted_id(text)


@given(st.text(max_size=40) | st.from_regex(r"[A-Z-]+:[A-Z_]+:[A-Z0-9@-]+", fullmatch=True))
def test_any_text_is_a_key_or_a_config_error(text: str) -> None:
    try:
        key = parse_instrument_key(text)
    except ConfigError:
        return
    assert parse_instrument_key(str(key)) == key


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("BINANCE:SPOT_PAIR:BTC-USDT", "1"),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USDT", "1"),
        ("BINANCE-FUTURES:PERPETUAL:BTC-USD", "100"),
        ("BYBIT:PERPETUAL:BTC-USDT@LIN", "1"),
        ("BYBIT:PERPETUAL:BTC-USD@INV", "1"),
        ("DERIBIT:PERPETUAL:ETH-USD", "1"),
        ("OKX:SPOT_PAIR:SOL-USDT", "1"),
        ("OKX:PERPETUAL:BTC-USDT@LIN", "0.01"),
        ("OKX:PERPETUAL:ETH-USDT@LIN", "0.1"),
        ("OKX:FUTURE:BTC-USD-241227", "100"),
        ("OKX:PERPETUAL:ETH-USD@INV", "10"),
    ],
)
def test_contract_sizes(text: str, size: str) -> None:
    assert str(contract_multiplier(parse_instrument_key(text))) == size


def test_an_unknown_contract_size_is_not_guessed() -> None:
    with pytest.raises(ConfigError, match="give it, in XRP per contract"):
        contract_multiplier(parse_instrument_key("OKX:PERPETUAL:XRP-USDT"))
