"""Quality figures computed once more from raw rows: pandas, lists and decimals, row by row."""

import math
from collections import Counter
from decimal import Decimal
from typing import Any

import pandas as pd

WIDTHS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)


def lower_quantile(values: "list[Any]", percent: int) -> Any:
    """Return the least value that at least so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def rates(frame: pd.DataFrame) -> dict[str, Any]:
    """Return rows per second of arrival, silent seconds included."""
    arrival = [int(each) for each in frame["local_timestamp"]]
    counted = Counter(each // 10**6 for each in arrival)
    seconds = [counted[second] for second in range(min(counted), max(counted) + 1)]
    span = (arrival[-1] - arrival[0]) / 1e6
    return {
        "median_per_second": lower_quantile(seconds, 50),
        "p99_per_second": lower_quantile(seconds, 99),
        "max_per_second": max(seconds),
        "mean_per_second": len(arrival) / span if span else None,
    }


def parts(frame: pd.DataFrame) -> tuple[int, pd.Series]:
    """Return the width of a part (s) and the part of each row, from zero."""
    seconds = frame["local_timestamp"] // 10**6
    first, last = int(seconds.iloc[0]), int(seconds.iloc[-1])
    width = next(each for each in WIDTHS if last // each - first // each + 1 <= 52)
    return width, seconds // width - first // width


def timeline(frame: pd.DataFrame) -> dict[str, Any]:
    """Return start (ns as text), width, and rows and mean latency (ms) of each part."""
    width, part = parts(frame)
    skew = [
        (Decimal(int(row.local_timestamp)) - int(row.timestamp)) / 1000
        for row in frame.itertuples(index=False)
    ]
    grouped: list[list[Decimal]] = [[] for _ in range(int(part.iloc[-1]) + 1)]
    for place, value in zip(part, skew, strict=True):
        grouped[int(place)].append(value)
    first = int(frame["local_timestamp"].iloc[0]) // 10**6
    return {
        "start": str(first // width * width * 10**9),
        "part_s": width,
        "rows": [len(each) for each in grouped],
        "latency_mean_ms": [
            float(f"{float(sum(each) / len(each)):.6g}") if each else None for each in grouped
        ],
    }


def latency(frame: pd.DataFrame) -> dict[str, Any]:
    """Return bounds and quantiles in ms; quantiles are cut to tenths, downwards."""
    exact = [int(each) for each in frame["local_timestamp"] - frame["timestamp"]]
    tenths = [each // 100 for each in exact]
    return {
        "min_ms": min(exact) / 1000,
        **{f"p{q:02}_ms": lower_quantile(tenths, q) / 10 for q in (1, 5, 95, 99)},
        "median_ms": lower_quantile(tenths, 50) / 10,
        "max_ms": max(exact) / 1000,
        "negative_rows": sum(each < 0 for each in exact),
    }


def distribution(frame: pd.DataFrame, start_ms: float, step_ms: float, bars: int) -> list[int]:
    """Return how many rows have a latency below the bars, in each, and above them."""
    tenths = [int(each) // 100 for each in frame["local_timestamp"] - frame["timestamp"]]
    first, step = round(start_ms * 10), round(step_ms * 10)
    found = Counter(min(max((each - first) // step, -1), bars) for each in tenths)
    return [found[bar] for bar in range(-1, bars + 1)]


def spreads(frame: pd.DataFrame, price_precision: int) -> dict[str, Any]:
    """Return spreads per book and by time, of books with two sides that are not crossed."""
    unit = Decimal(1).scaleb(-price_precision)
    books: list[tuple[int, Decimal | None, Decimal]] = []
    for row in frame[["local_timestamp", "bids[0].price", "asks[0].price"]].itertuples(index=False):
        bid, ask = (Decimal(repr(float(each))) for each in row[1:])
        known = bid > 0 and ask > 0 and ask >= bid
        books.append((int(row[0]), (ask - bid) / unit if known else None, (ask + bid) / 2 / unit))
    known_books = [(spread, middle) for _, spread, middle in books if spread is not None]
    ticks = [spread for spread, _ in known_books]
    held: Counter[Decimal] = Counter()
    by_part: dict[int, list[Decimal]] = {}
    highest: dict[int, Decimal] = {}
    _, part = parts(frame)
    for index, (time, spread, _) in enumerate(books):
        if spread is None:
            continue
        place = int(part.iloc[index])
        highest[place] = max(highest.get(place, spread), spread)
        if index + 1 < len(books):
            lasts = min(books[index + 1][0] - time, 10**7)
            held[spread] += lasts
            sums = by_part.setdefault(place, [Decimal(0), Decimal(0)])
            sums[0] += spread * lasts
            sums[1] += lasts
    total = sum(held.values())
    reached, by_time = 0, {}
    for spread in sorted(held):
        reached += held[spread]
        for percent in (50, 95):
            if reached * 100 >= total * percent:
                by_time.setdefault(percent, spread)
    count = int(part.iloc[-1]) + 1
    return {
        "books": len(ticks),
        "median": float(lower_quantile(ticks, 50) * unit),
        "mean": float(sum(ticks) / len(ticks) * unit),
        "ticks": [lower_quantile(ticks, q) for q in (5, 25, 50, 75, 95, 99)] + [max(ticks)],
        "bps": [
            float(lower_quantile([spread / middle * 10_000 for spread, middle in known_books], q))
            for q in (5, 25, 50, 75, 95, 99)
        ],
        "seconds": total / 1e6,
        "mean_ticks": float(sum(spread * time for spread, time in held.items()) / total),
        "median_ticks": by_time[50],
        "p95_ticks": by_time[95],
        "spread_mean": [
            float(by_part[place][0] / by_part[place][1] * unit)
            if place in by_part and by_part[place][1]
            else None
            for place in range(count)
        ],
        "spread_max": [
            float(highest[place] * unit) if place in highest else None for place in range(count)
        ],
    }
