"""Quality figures agree with pandas, which computes them from the raw table in another way."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rawfiles import DAY, KEY, MIDNIGHT_NS, SPEC, books_table, write_raw

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.trade_ids import hash_texts, id_figures
from odum_assets.raw.layout import DataType


def raw_trades(rows: int, *, ids: list[str] | None = None) -> pd.DataFrame:
    """Return unordered trades with skewed clocks, gaps, equal times and duplicate ids."""
    random = np.random.default_rng(11)
    local = MIDNIGHT_NS // 1000 + random.integers(0, 86_000, rows) * 1_000_000
    local[local > local.min() + 40_000 * 10**6] += 300 * 10**6
    return pd.DataFrame(
        {
            "timestamp": local - random.integers(-2_000_000, 3_000_000, rows),
            "local_timestamp": local,
            "id": ids or [str(value) for value in random.integers(1, 4 * rows, rows)],
            "side": random.choice(["buy", "sell", "?"], rows),
            "price": random.integers(1, 9_999_999, rows) / 10,
            "amount": random.integers(1, 99_999, rows) / 1000,
        }
    )


def convert(frame: pd.DataFrame, tmp_path: Path) -> PartitionManifest:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    source = write_raw(table, tmp_path / "raw.parquet", 1000)
    return convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path / "catalog")


@pytest.mark.parametrize("rows", [2, 5_000, 150_000])
def test_trade_figures_agree_with_pandas(tmp_path: Path, rows: int) -> None:
    frame = raw_trades(rows)

    quality = convert(frame, tmp_path).quality

    ordered = frame.sort_values("local_timestamp", kind="stable")
    steps = ordered["local_timestamp"].diff().dropna()
    latency = (ordered["local_timestamp"] - ordered["timestamp"]) / 1000
    seconds = ordered["local_timestamp"] // 10**6
    span = (ordered["local_timestamp"].iloc[-1] - ordered["local_timestamp"].iloc[0]) / 1e6
    assert quality["out_of_order_rows"] == int((frame["local_timestamp"].diff() < 0).sum())
    assert quality["event_out_of_order_rows"] == int((ordered["timestamp"].diff() < 0).sum())
    assert quality["equal_ts_init_rows"] == int((steps == 0).sum())
    assert quality["gaps"]["max_s"] == steps.max() / 1e6
    assert quality["gaps"]["over_10s"] == int((steps > 10**7).sum())
    assert quality["gaps"]["over_60s"] == int((steps > 6 * 10**7).sum())
    assert [gap["seconds"] for gap in quality["gaps"]["largest"]] == [
        step / 1e6 for step in sorted(steps, reverse=True)[:5] if step > 10**6
    ]
    assert quality["latency"]["min_ms"] == latency.min()
    assert quality["latency"]["max_ms"] == latency.max()
    lower_median = latency.sort_values().iloc[(rows - 1) // 2]
    assert quality["latency"]["median_ms"] == pytest.approx(lower_median, abs=0.1)
    assert quality["latency"]["negative_rows"] == int((latency < 0).sum())
    assert quality["rate"]["max_per_second"] == int(seconds.value_counts().max())
    assert quality["rate"]["mean_per_second"] == pytest.approx(rows / span)
    assert quality["duplicate_ids"] == int(frame["id"].duplicated().sum())
    assert quality["sides"] == {
        side: int((frame["side"] == side).sum()) for side in ("buy", "sell")
    }
    assert (quality["price_min"], quality["price_max"]) == (
        frame["price"].min(),
        frame["price"].max(),
    )
    assert quality["volume"] == pytest.approx(frame["amount"].sum())


def test_of_equal_gaps_the_earliest_are_named_whatever_the_row_groups(tmp_path: Path) -> None:
    frame = raw_trades(40)
    frame["local_timestamp"] = MIDNIGHT_NS // 1000 + np.arange(40) * 2_000_000
    found = convert(frame, tmp_path).quality["gaps"]["largest"]
    assert [gap["start"] for gap in found] == [
        str(MIDNIGHT_NS + second * 10**9) for second in (0, 2, 4, 6, 8)
    ]


def test_a_sequence_of_ids_tells_its_skips(tmp_path: Path) -> None:
    ids = [str(value) for value in range(900, 1100) if value not in (950, 951, 1007)]
    figures = convert(raw_trades(197, ids=ids), tmp_path).quality
    assert (figures["id_skips"], figures["ids_missing"], figures["duplicate_ids"]) == (2, 3, 0)


def test_ids_that_are_no_sequence_have_no_skips(tmp_path: Path) -> None:
    figures = convert(raw_trades(200), tmp_path).quality
    assert (figures["id_skips"], figures["ids_missing"]) == (None, None)


def tracked(*chunks: list[str]) -> dict[str, Any]:
    return id_figures(pa.chunked_array([pa.array(chunk) for chunk in chunks]))


def test_duplicates_are_found_across_batches_and_kinds_of_ids() -> None:
    assert tracked(["1", "2"], ["2", "3"])["duplicate_ids"] == 1
    assert tracked(["3", "1"], ["2", "3"])["duplicate_ids"] == 1
    assert tracked(["1", "17"], ["a-17", "17", "a-17"])["duplicate_ids"] == 2
    assert tracked(["7", "8"], ["007", "-0", "0x8"])["duplicate_ids"] == 0
    assert tracked(["0", "1", "3"], ["-4", "3"])["duplicate_ids"] == 1
    assert tracked(["x" * 36, "x" * 35 + "y", "", "x" * 36])["duplicate_ids"] == 1


def test_hashes_tell_a_hundred_thousand_texts_apart() -> None:
    texts = [f"{value:x}-{value * 31:x}" for value in range(100_000)]
    assert len(np.unique(hash_texts(pa.array(texts)))) == 100_000
    assert (hash_texts(pa.array(texts).slice(7, 5)) == hash_texts(pa.array(texts[7:12]))).all()


def test_book_figures_agree_with_pandas(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    rows = 3_000
    bid = random.integers(639_990, 640_010, rows) / 10
    ask = random.integers(639_995, 640_030, rows) / 10
    table = books_table(
        sorted(random.integers(0, 80_000, rows)),
        levels=1,
        bid_price_0=list(bid),
        ask_price_0=list(ask),
    )
    source = write_raw(table, tmp_path / "raw.parquet", 700)
    manifest = convert_partition(source, KEY, SPEC, DataType.BOOK, DAY, tmp_path / "catalog")
    spread = pd.Series(np.round(ask - bid, 1))
    usual = spread[spread >= 0].sort_values()
    assert manifest.quality["crossed_books"] == int((spread < 0).sum())
    assert manifest.quality["locked_books"] == int((spread == 0).sum())
    assert manifest.quality["spread"]["median"] == usual.iloc[(len(usual) - 1) // 2]
    assert manifest.quality["spread"]["mean"] == pytest.approx(usual.mean())
