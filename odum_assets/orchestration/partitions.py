"""The partitionings of assets: days, and years for daily bars."""

from datetime import date
from functools import cache

import dagster as dg


@cache
def daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """Return the daily partitioning in UTC.

    Today is a partition too (``end_offset=1``): a day folder that is being delivered can be seen.

    Parameters
    ----------
    start : date
        First day. A day before it is no partition anywhere, so it must precede the oldest data.
    """
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)


@cache
def yearly_partitions() -> dg.TimeWindowPartitionsDefinition:
    """Return the partitioning in years, each named after its first day; this year is one, too.

    Few enough to begin with the first year that nanoseconds since 1970 can say.
    """
    return dg.TimeWindowPartitionsDefinition(
        start="1971-01-01",
        fmt="%Y-%m-%d",
        cron_schedule="0 0 1 1 *",
        timezone="UTC",
        end_offset=1,
    )
