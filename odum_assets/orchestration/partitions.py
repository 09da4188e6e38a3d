"""The one partitioning that all assets share."""

from datetime import date

import dagster as dg


def daily_partitions(start: date) -> dg.DailyPartitionsDefinition:
    """Return the daily partitioning in UTC.

    Today is a partition too (``end_offset=1``): a day folder that is being delivered can be seen.

    Parameters
    ----------
    start : date
        First day. A day before it is no partition anywhere, so it must precede the oldest data.
    """
    return dg.DailyPartitionsDefinition(start_date=start.isoformat(), timezone="UTC", end_offset=1)
