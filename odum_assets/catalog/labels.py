"""Columns that repeat few texts (sides, exchanges, symbols), judged once per distinct value."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column, kernels
from odum_assets.instruments import InstrumentKey, Product
from odum_assets.instruments.keys import MONTHS

NO_AGGRESSOR, BUY, SELL = 0, 1, 2
_BUYS = frozenset({"1", "BUY", "BUYER", "AGGRESSOR_BUY", "B"})
_SELLS = frozenset({"2", "SELL", "SELLER", "AGGRESSOR_SELL", "S"})

# What exchanges call themselves in raw files, by venue; punctuation and case do not matter.
_EXCHANGES = {
    "BINANCE": {"BINANCE", "BINANCESPOT"},
    "BINANCE-FUTURES": {"BINANCEFUTURES", "BINANCEDELIVERY"},
    "BYBIT": {"BYBIT", "BYBITSPOT"},
    "OKX": {"OKX", "OKEX"}
    | {f"OK{x}{p}" for x in ("X", "EX") for p in ("SWAP", "FUTURES", "SPOT")},
    "DERIBIT": {"DERIBIT"},
}
_MONTH_CODES = "FGHJKMNQUVXZ"


def classify_labels(column: Column, classify: Callable[[object], int]) -> npt.NDArray[np.int8]:
    """Return the code of each row of a column of labels.

    Parameters
    ----------
    column : pa.Array
        n labels, plain or dictionary-encoded.
    classify : callable
        Called once per distinct label, and with None for null.

    Returns
    -------
    ndarray of int8, shape (n,)
        The codes.
    """
    encoded: Any = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    distinct = _texts(encoded.dictionary)
    codes = np.array([*map(classify, distinct), classify(None)], np.int8)
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(len(distinct))
    picked: npt.NDArray[np.int8] = codes[indices.to_numpy(zero_copy_only=False)]
    return picked


def _texts(labels: Column) -> list[object]:
    """Return labels as Python values; what a file calls text need not be UTF-8."""
    if pa.types.is_integer(labels.type) or pa.types.is_null(labels.type):
        return labels.to_pylist()
    raw = kernels.cast(labels, pa.large_binary()).to_pylist()
    return [None if label is None else label.decode(errors="replace") for label in raw]


def side_code(label: object) -> int:
    """Return `BUY` or `SELL` for the spellings in use, `NO_AGGRESSOR` for anything else."""
    text = str(label).strip().upper()
    if text in _BUYS:
        return BUY
    return SELL if text in _SELLS else NO_AGGRESSOR


class IdentityCheck:
    """Tell whether rows belong to the instrument of the partition.

    Parameters
    ----------
    key : InstrumentKey
        The instrument of the partition.
    """

    def __init__(self, key: InstrumentKey) -> None:
        self._keys = {_squeeze(str(key).partition("@")[0])}
        self._exchanges = _EXCHANGES.get(key.venue, {_squeeze(key.venue)})
        self._symbols = _symbol_spellings(key)

    def mismatches(self, role: str, column: Column) -> npt.NDArray[np.bool_] | None:
        """Return which rows name another exchange or symbol; None if none does.

        Parameters
        ----------
        role : str
            ``exchange``, ``symbol`` or ``instrument_key``.
        column : pa.Array
            The labels, n rows.
        """
        known = {
            "exchange": self._exchanges,
            "symbol": self._symbols,
            "instrument_key": self._keys,
        }[role]

        def classify(label: object) -> int:
            text = str(label).partition("@")[0] if role == "instrument_key" else str(label)
            return 0 if label is not None and _squeeze(text) in known else 1

        codes = classify_labels(column, classify)
        return codes.astype(np.bool_) if codes.any() else None


def _squeeze(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def _symbol_spellings(key: InstrumentKey) -> set[str]:
    """Return the spellings of the instrument's symbol on its venue, squeezed."""
    if key.is_listed:
        return {_squeeze(key.symbol)}
    pair = key.base + key.quote
    if key.product is Product.SPOT_PAIR:
        return {pair}
    if key.product is Product.PERPETUAL:
        names = {pair, f"{pair}SWAP", f"{pair}PERP", f"{pair}PERPETUAL"}
        # Deribit leaves USD out (BTC-PERPETUAL), Bybit USDC (BTCPERP).
        if key.quote == "USD":
            names.add(f"{key.base}PERPETUAL")
        if key.quote == "USDC":
            names.add(f"{key.base}PERP")
        return names
    expiry = key.expiry
    spellings = {_squeeze(key.symbol)}
    if expiry is not None:
        month = MONTHS[expiry.month - 1]
        dates = {f"{expiry:%y%m%d}", f"{expiry:%Y%m%d}", f"{expiry.day}{month}{expiry:%y}"}
        dates |= {f"{expiry:%d}{month}{expiry:%y}", f"{_MONTH_CODES[expiry.month - 1]}{expiry:%y}"}
        spellings |= {pair + text for text in dates} | {key.base + text for text in dates}
    return spellings
