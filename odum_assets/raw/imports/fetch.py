"""Bars from services on the web: one small interface, one class for each service.

Another service is one more class with a `fetch`, and one more entry of `SERVICES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import pyarrow as pa

from odum_assets.errors import ConfigError, DataError, OdumError
from odum_assets.instruments.keys import parse_instrument_key

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """The bars of one symbol as a service sent them.

    Parameters
    ----------
    table : pa.Table
        Columns as a file may have them: a time with its zone, open, high, low, close, volume. Times
        are starts of bars.
    venue : str or None
        The venue of the symbol, when the service names one that is known here.
    timezone : str
        The zone of the exchange, in which dates of daily bars are.
    """

    table: pa.Table
    venue: str | None
    timezone: str


class BarService(Protocol):
    """Fetch bars of symbols."""

    def fetch(self, symbol: str, first: date, last: date, step: str) -> FetchedBars:
        """Return the bars of the days from first to last, both included.

        Raises
        ------
        OdumError
            If the service cannot be reached, or has no such bars.
        """
        ...


class FetchError(OdumError):
    """Report that a service sent no bars; the message has its words."""


class YahooBars:
    """Fetch bars from Yahoo Finance by yfinance.

    Prices are those that Yahoo calls unadjusted: without dividends, but with splits. They come as
    32-bit numbers; they are rounded to the decimals that Yahoo names for the symbol.
    """

    steps: Final = ("1m", "5m", "15m", "1h", "1d")
    _VENUES: Final = {
        **dict.fromkeys(("NMS", "NGM", "NCM"), "NASDAQ"),
        "PCX": "ARCA",
        "NYQ": "NYSE",
        "ASE": "AMEX",
        "BTS": "BATS",
        "CME": "CME",
        "CBT": "CBOT",
        "NYM": "NYMEX",
        "CMX": "COMEX",
    }
    """Venues by Yahoo's codes of exchanges."""

    def __init__(self) -> None:
        try:
            import yfinance
        except ImportError:
            raise FetchError(
                "fetching from Yahoo needs yfinance, which is not installed; run: make install, or "
                "pip install 'odum-assets[yahoo]'"
            ) from None
        self._library: Any = yfinance
        # Left alone, the library logs what went wrong and returns nothing.
        yfinance.config.debug.hide_exceptions = False

    def fetch(self, symbol: str, first: date, last: date, step: str) -> FetchedBars:
        """Return the bars of the days from first to last, both included."""
        ticker = self._library.Ticker(symbol)
        try:
            frame = ticker.history(
                start=first,
                end=last + timedelta(days=1),
                interval=step,
                auto_adjust=False,
                actions=False,
                prepost=False,
            )
            about = ticker.get_history_metadata()
        except Exception as error:
            # Its own errors, those of its HTTP client, and KeyErrors for unexpected replies.
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise FetchError(f"{symbol}: Yahoo sent no bars ({reason}).") from error
        return self.read(symbol, frame, about, step)

    @classmethod
    def read(
        cls, symbol: str, frame: pd.DataFrame, about: dict[str, Any], step: str
    ) -> FetchedBars:
        """Return what a frame of ``Ticker.history`` holds.

        Parameters
        ----------
        symbol : str
            The symbol, for messages.
        frame : pd.DataFrame
            An index of times with a zone, columns ``Open High Low Close Volume`` and others.
        about : dict
            Of ``Ticker.get_history_metadata``: ``exchangeName``, ``exchangeTimezoneName``,
            ``priceHint``.
        step : str
            The step of the bars; one that is not over yet is left out.

        Raises
        ------
        FetchError
            If the frame is empty.
        """
        if len(frame) == 0:
            raise FetchError(f"{symbol}: Yahoo has no bars of {step} in this time.")
        index: Any = frame.index
        zone = str(about.get("exchangeTimezoneName") or index.tz)
        starts = index.tz_convert("UTC")
        columns: dict[str, Any] = {"timestamp": pa.array(starts)}
        for name in ("Open", "High", "Low", "Close"):
            columns[name.lower()] = np.round(frame[name].to_numpy(float), _decimals(about))
        columns["volume"] = frame["Volume"].to_numpy()
        is_over = starts + timedelta(seconds=_SECONDS[step]) <= datetime.now(UTC)
        table = pa.table(columns).filter(pa.array(is_over))
        if table.num_rows == 0:
            raise FetchError(f"{symbol}: Yahoo has no bars of {step} that are over yet.")
        return FetchedBars(table, cls._VENUES.get(str(about.get("exchangeName"))), zone)


_SECONDS: Final = {"1m": 60, "5m": 300, "15m": 900, "1h": 3_600, "1d": 86_400}

SERVICES: Final[dict[str, type[BarService]]] = {"yahoo": YahooBars}
"""Services by the name that ``--source`` takes."""


def key_of(symbol: str, fetched: FetchedBars) -> str:
    """Return the instrument key of a symbol: an equity of the venue that the service names.

    Raises
    ------
    DataError
        If the service names no venue that is known here, or the symbol is none of an equity.
    """
    remedy = f"name it as {symbol}=VENUE:TYPE:SYMBOL, such as {symbol}=NASDAQ:EQUITY:QQQ"
    if fetched.venue is None:
        raise DataError(f"{symbol}: its venue is not known here; {remedy}")
    try:
        return str(parse_instrument_key(f"{fetched.venue}:EQUITY:{symbol.replace('-', '.')}"))
    except ConfigError as error:
        raise DataError(f"{symbol}: {error}; {remedy}") from None


def _decimals(about: dict[str, Any]) -> int:
    hint = about.get("priceHint")
    return hint if isinstance(hint, int) else 2
