"""Partitions of a configuration for bars: which sessions they hold, which raw days these touch.

A result's partition is a session's date; for daily bars, of which a session has one, it is a year,
named after its first date. Partitions of the catalog are UTC days, in which bars open, and years.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

from odum_assets.bars.sessions import SessionRules
from odum_assets.utc import day_of_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from odum_assets.config import BarsConfig

__all__ = ["BarCalendar", "year_of"]


def year_of(day: date) -> date:
    """Return the first day of a day's year, which names the partition of daily bars."""
    return day.replace(month=1, day=1)


@dataclass(frozen=True)
class BarCalendar:
    """Sessions and partitions of a configuration for bars.

    Parameters
    ----------
    rules : SessionRules
        Its sessions.
    is_daily : bool
        Whether a bar is a session, so that partitions are years.
    """

    rules: SessionRules
    is_daily: bool

    @classmethod
    def of(cls, config: BarsConfig) -> Self:
        """Return the calendar of a configuration."""
        return cls(SessionRules.of(config.session), config.bars.is_daily)

    def partition_of(self, day: date) -> date:
        """Return the result's partition that a date belongs to."""
        return year_of(day) if self.is_daily else day

    def partitions(self, days: Iterable[date]) -> list[date]:
        """Return the result's partitions that dates belong to, each once, in order."""
        return sorted({self.partition_of(day) for day in days})

    def dates(self, partition: date) -> list[date]:
        """Return the dates with a session of a result's partition."""
        last = partition.replace(month=12, day=31) if self.is_daily else partition
        return self.rules.dates(partition, last)

    def dates_between(self, start: int, end: int) -> list[date]:
        """Return the sessions of which bars close in ``(start, end]``, in nanoseconds."""
        dates = self.rules.dates(
            day_of_ns(start) - timedelta(days=1), day_of_ns(end) + timedelta(days=1)
        )
        spans = ((day, self.rules.bounds(day)) for day in dates)
        return [
            day
            for day, bounds in spans
            if bounds is not None
            and (
                start < bounds[1] <= end if self.is_daily else bounds[0] < end and start < bounds[1]
            )
        ]

    def catalog_days(self, dates: Iterable[date]) -> list[date]:
        """Return the catalog partitions that hold the bars of sessions, in order."""
        if self.is_daily:
            return self.partitions(dates)
        return sorted({utc_day for day in dates for utc_day in self.rules.utc_days(day)})

    def bounds(self, partitions: Sequence[date]) -> tuple[int, int] | None:
        """Return the open of the first and the close of the last session of partitions.

        None where they have no session.
        """
        dates = [day for partition in partitions for day in self.dates(partition)]
        return self.rules.span(dates[0], dates[-1]) if dates else None

    def day_offsets(self) -> tuple[int, int]:
        """Return how far the UTC days of a session lie from its date: first and last.

        A year with a winter and a summer clock has every offset that there is.
        """
        dates = self.rules.dates(date(2024, 1, 1), date(2024, 12, 31))
        offsets = [(utc_day - day).days for day in dates for utc_day in self.rules.utc_days(day)]
        return min(offsets, default=0), max(offsets, default=0)
