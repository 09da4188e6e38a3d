"""Generated bars: sessions of real dates with regimes, daily bars with crossovers, US holidays."""

from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from odum_assets.bars.sessions import SessionRules
from odum_assets.bars.us_calendar import early_closes, holidays
from odum_assets.errors import ConfigError
from odum_assets.raw.sample.ohlcv import OhlcvSpec, crossovers, make_ohlcv
from odum_assets.raw.sample.sessions import REGIMES, SessionSpec, make_sessions

NEW_YORK = SessionRules(
    "rth",
    time(9, 30),
    time(16),
    "America/New_York",
    frozenset(holidays(2024)),
    dict.fromkeys(early_closes(2024), time(13)),
)


def _bars(first: date, last: date, symbol: str = "SPY", **given: Any) -> pa.Table:
    return make_sessions(SessionSpec(**given), symbol, first, last, NEW_YORK.bounds)


def _column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


# --- sessions -----------------------------------------------------------------------------------


def test_sessions_have_real_hours_holidays_and_half_days() -> None:
    table = _bars(date(2024, 11, 25), date(2024, 12, 2))
    ends = table["timestamp"].to_pylist()
    by_day = {day: [end for end in ends if end.date() == day] for day in {e.date() for e in ends}}
    assert {day: len(bars) for day, bars in by_day.items()} == {
        date(2024, 11, 25): 390,
        date(2024, 11, 26): 390,
        date(2024, 11, 27): 390,
        date(2024, 11, 29): 210,
        date(2024, 12, 2): 390,
    }
    assert min(ends) == datetime(2024, 11, 25, 14, 31, tzinfo=UTC)


def test_the_clock_moves_sessions_in_utc() -> None:
    ends = _bars(date(2024, 3, 8), date(2024, 3, 11))["timestamp"].to_pylist()
    assert [min(e for e in ends if e.day == day).hour for day in (8, 11)] == [14, 13]


def test_a_session_is_the_same_whichever_are_made_with_it() -> None:
    alone = _bars(date(2024, 5, 8), date(2024, 5, 8))
    among = _bars(date(2024, 5, 6), date(2024, 5, 10))
    day = date(2024, 5, 8)
    kept = among.filter(pa.array([end.date() == day for end in among["timestamp"].to_pylist()]))
    assert kept.equals(alone)
    assert not _bars(date(2024, 5, 8), date(2024, 5, 8), symbol="QQQ").equals(alone)
    assert not _bars(date(2024, 5, 8), date(2024, 5, 8), seed=2).equals(alone)
    assert not _bars(date(2024, 5, 9), date(2024, 5, 9)).equals(alone)


def test_bars_are_bars_on_the_tick() -> None:
    table = _bars(date(2024, 1, 1), date(2024, 3, 31))
    opens, high, low, close = (_column(table, name) for name in ("open", "high", "low", "close"))
    assert (high >= np.maximum(opens, close)).all()
    assert (low <= np.minimum(opens, close)).all()
    assert (low > 0).all()
    assert np.array_equal(close, np.round(close, 2))
    assert (_column(table, "volume") >= 1).all()


@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_shows(regime: str) -> None:
    table = _bars(date(2024, 1, 1), date(2024, 12, 31), regime=regime)
    close = np.log(_column(table, "close"))
    days = np.array([end.toordinal() for end in table["timestamp"].to_pylist()])
    returns = np.diff(close)[np.diff(days) == 0]
    drift = {"trend_up": 2e-4, "trend_down": -2e-4}.get(regime, 0.0)
    assert returns.mean() == pytest.approx(drift, abs=2.5e-5)
    spread = 0.0015 * (1.5 if regime == "choppy" else 1.0)
    assert returns.std() == pytest.approx(spread, rel=0.02)


def test_volume_has_its_shape() -> None:
    def minute(profile: str) -> np.ndarray:
        table = _bars(date(2024, 1, 2), date(2024, 6, 28), volume_profile=profile)
        volume = _column(table, "volume")
        return volume[: len(volume) // 390 * 390].reshape(-1, 390).mean(axis=0)

    edge, middle = slice(0, 30), slice(180, 210)
    assert minute("u_shape")[edge].mean() > 1.15 * minute("u_shape")[middle].mean()
    spike = minute("morning_spike")
    assert spike[edge].mean() > 1.3 * spike[-30:].mean()
    assert minute("flat")[edge].mean() == pytest.approx(minute("flat")[middle].mean(), rel=0.05)


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(ConfigError, match="regime: found bull, allowed mixed, trend_up"):
        SessionSpec(regime="bull")
    with pytest.raises(ConfigError, match="no session from 2024-07-04"):
        _bars(date(2024, 7, 4), date(2024, 7, 4))


# --- daily bars ---------------------------------------------------------------------------------


def test_daily_bars_are_those_of_the_seed_in_form() -> None:
    table = make_ohlcv(OhlcvSpec())
    assert table.column_names == ["Date", "Open", "High", "Low", "Close", "Volume"]
    dates = table["Date"].to_pylist()
    assert (len(dates), dates[0]) == (1_000, date(2020, 1, 1))
    assert all(day.weekday() < 5 for day in dates)
    opens, high, low, close = (_column(table, name) for name in ("Open", "High", "Low", "Close"))
    assert opens[0] == 100
    assert np.array_equal(opens[1:], close[:-1])
    assert (high >= np.maximum(opens, close)).all()
    assert (low <= np.minimum(opens, close)).all()
    assert make_ohlcv(OhlcvSpec()).equals(table)


@pytest.mark.parametrize("seed", range(12))
def test_every_pair_crosses_both_ways(seed: int) -> None:
    spec = OhlcvSpec(seed=seed)
    close = _column(make_ohlcv(spec), "Close")
    for (fast, slow), (up, down) in crossovers(close, spec.ma_crossover_pairs).items():
        averages = [
            np.convolve(close, np.ones(length) / length, "valid")[slow - length :]
            for length in (fast, slow)
        ]
        above = averages[0] > averages[1]
        assert up == int((above[1:] & ~above[:-1]).sum()) > 0
        assert down > 0


def test_crossovers_that_cannot_be_ensured_are_an_error() -> None:
    with pytest.raises(ConfigError, match="averages of 50 and 200 cannot cross"):
        OhlcvSpec(n_days=150, ma_crossover_pairs=((50, 200),))
    still = OhlcvSpec(
        n_days=60, sigma=0.0, trend_strength=0.0, jump_prob=0.0, ma_crossover_pairs=((5, 20),)
    )
    with pytest.raises(ConfigError, match="did not cross both ways"):
        make_ohlcv(still)


# --- holidays -----------------------------------------------------------------------------------

KNOWN = {
    2011: "01-17 02-21 04-22 05-30 07-04 09-05 11-24 12-26",
    2021: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
}
HALF = {2011: "11-25", 2024: "07-03 11-29 12-24", 2026: "11-27 12-24"}


@pytest.mark.parametrize("year", KNOWN)
def test_holidays_are_those_of_the_exchange(year: int) -> None:
    assert [f"{day:%m-%d}" for day in holidays(year)] == KNOWN[year].split()


@pytest.mark.parametrize("year", HALF)
def test_half_days_are_those_of_the_exchange(year: int) -> None:
    assert [f"{day:%m-%d}" for day in early_closes(year)] == HALF[year].split()
