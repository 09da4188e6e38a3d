"""Sample data: the files are checked with plain pandas, not with the generator's own arrays."""

import dataclasses
import datetime as dt
import itertools
import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odum_assets.errors import ConfigError, DataError
from odum_assets.raw.sample import DEFAULT_KEYS, SampleSpec, write_sample

BTC, ETH = DEFAULT_KEYS
START = dt.date(2024, 5, 6)
STEPS = {BTC: (1, 3), ETH: (2, 3)}
DAY_US = 86_400_000_000
SMALL = SampleSpec(keys=(BTC,), start=START, days=1, trades_per_day=500, books_per_day=400)


def read(root: Path, data_type: str, key: str = BTC, day: dt.date = START) -> pd.DataFrame:
    return pq.read_table(path_of(root, data_type, key, day)).to_pandas()


def path_of(root: Path, data_type: str, key: str, day: dt.date) -> Path:
    folder = root / "raw_tick_data" / "by_date" / f"day-{day}" / f"data_type-{data_type}"
    return folder / f"{key}.parquet"


def midnight_us(day: dt.date) -> int:
    return int(pd.Timestamp(day).value) // 1000


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("usual")
    write_sample(root, SampleSpec(start=START, days=2))
    return root


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rough")
    spec = SampleSpec(
        keys=(BTC,),
        start=START,
        days=1,
        trades_per_day=200_000,
        books_per_day=86_400,
        irregularities=True,
    )
    write_sample(root, spec)
    return root


@pytest.fixture(params=["usual", "rough"])
def any_root(request: pytest.FixtureRequest) -> Path:
    root: Path = request.getfixturevalue(request.param)
    return root


def with_snapshot(root: Path, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join each trade with the snapshot before it in exchange time, by pandas."""
    book = read(root, "book_snapshot_5", key).sort_values("timestamp", ignore_index=True)
    book["snapshot"] = book.index
    trades = read(root, "trades", key)
    trades["number"] = trades["id"].astype("int64")
    trades = trades.sort_values("number", ignore_index=True)
    joined = pd.merge_asof(
        trades,
        book.drop(columns=["exchange", "symbol", "local_timestamp"]),
        on="timestamp",
        allow_exact_matches=False,
    )
    return joined, book


def level_of(joined: pd.DataFrame) -> pd.DataFrame:
    """Find the level whose price each trade has, and what that level shows."""
    level = pd.Series(-1, index=joined.index)
    shown = pd.Series(np.nan, index=joined.index)
    for side, name in (("buy", "asks"), ("sell", "bids")):
        for number in range(5):
            hit = (joined["side"] == side) & (joined["price"] == joined[f"{name}[{number}].price"])
            level[hit] = number
            shown[hit] = joined.loc[hit, f"{name}[{number}].amount"]
    return joined.assign(level=level, shown=shown)


class TestFiles:
    def test_columns_and_types_are_those_of_tardis(self, usual: Path) -> None:
        text, whole, number = pa.string(), pa.int64(), pa.float64()
        times = [("timestamp", whole), ("local_timestamp", whole)]
        head: list[tuple[str, pa.DataType]] = [("exchange", text), ("symbol", text), *times]
        levels: list[tuple[str, pa.DataType]] = [
            (f"{side}[{level}].{what}", number)
            for level in range(5)
            for side in ("asks", "bids")
            for what in ("price", "amount")
        ]
        expected: dict[str, list[tuple[str, pa.DataType]]] = {
            "trades": [("id", text), ("side", text), ("price", number), ("amount", number)],
            "book_snapshot_5": levels,
            "derivative_ticker": [
                ("funding_timestamp", whole),
                ("funding_rate", number),
                ("predicted_funding_rate", number),
                ("open_interest", number),
                ("last_price", number),
                ("index_price", number),
                ("mark_price", number),
            ],
        }
        for data_type, columns in expected.items():
            schema = pq.read_schema(path_of(usual, data_type, ETH, START))
            assert schema.equals(pa.schema(head + columns))
            first = read(usual, data_type, ETH).iloc[0]
            assert (first["exchange"], first["symbol"]) == ("binance-futures", "ETHUSDT")

    @pytest.mark.real_data
    def test_columns_and_types_are_those_of_real_files(self, usual: Path) -> None:
        folder = os.environ.get("ODUM_TEST_DATA")
        if folder is None:
            pytest.skip("ODUM_TEST_DATA does not name the folder of real market data")
        for data_type in ("trades", "book_snapshot_5"):
            real = pq.read_schema(path_of(Path(folder), data_type, BTC, dt.date(2024, 7, 19)))
            made = pq.read_schema(path_of(usual, data_type, BTC, START))
            assert made.equals(real.remove_metadata())

    def test_same_request_gives_same_bytes(self, tmp_path: Path) -> None:
        spec = dataclasses.replace(SMALL, irregularities=True)
        first = write_sample(tmp_path, spec)
        content = [file.path.read_bytes() for file in first]
        assert write_sample(tmp_path, spec) == first
        assert [file.path.read_bytes() for file in first] == content
        assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".parquet"}

    def test_day_made_alone_equals_day_of_a_batch(self, tmp_path: Path) -> None:
        batch = dataclasses.replace(SMALL, keys=(ETH, BTC), days=3)
        alone = dataclasses.replace(SMALL, start=START + dt.timedelta(days=1))
        together = write_sample(tmp_path / "batch", batch)
        hashes = {(f.key, f.day, f.data_type): f.sha256 for f in together}
        files = write_sample(tmp_path / "alone", alone)
        assert len(files) == 3
        assert all(hashes[f.key, f.day, f.data_type] == f.sha256 for f in files)
        assert len(set(hashes.values())) == len(hashes) == 18

    def test_another_seed_gives_other_data(self, tmp_path: Path) -> None:
        one = write_sample(tmp_path, SMALL)
        two = write_sample(tmp_path, dataclasses.replace(SMALL, seed=SMALL.seed + 1))
        assert not {f.sha256 for f in one} & {f.sha256 for f in two}

    def test_progress_counts_files(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []
        spec = dataclasses.replace(SMALL, keys=(BTC, "BINANCE:SPOT_PAIR:BTC-USDT"), days=2)
        files = write_sample(tmp_path, spec, lambda done, total: seen.append((done, total)))
        assert seen == [(number, 10) for number in range(1, 11)]
        spot = [file for file in files if "SPOT_PAIR" in file.key]
        assert {file.data_type for file in spot} == {"trades", "book_snapshot_5"}
        for file in files:
            assert pq.read_metadata(file.path).num_rows == file.rows

    def test_row_groups_hold_a_hundred_thousand_rows(self, rough: Path) -> None:
        metadata = pq.read_metadata(path_of(rough, "trades", BTC, START))
        assert (metadata.num_rows, metadata.num_row_groups) == (200_000, 2)
        assert metadata.row_group(0).column(0).compression == "ZSTD"


class TestTimes:
    @pytest.mark.parametrize("data_type", ["trades", "book_snapshot_5", "derivative_ticker"])
    def test_arrival_is_sorted_later_than_exchange_and_inside_the_day(
        self, any_root: Path, data_type: str
    ) -> None:
        data = read(any_root, data_type)
        assert data["local_timestamp"].is_monotonic_increasing
        latency = data["local_timestamp"] - data["timestamp"]
        assert latency.min() > 0
        assert 10_000 < latency.median() < 60_000
        assert data["timestamp"].min() >= midnight_us(START)
        assert data["local_timestamp"].max() < midnight_us(START) + DAY_US

    def test_usual_days_are_in_exchange_order(self, usual: Path) -> None:
        assert read(usual, "trades")["timestamp"].is_monotonic_increasing
        assert read(usual, "book_snapshot_5")["timestamp"].is_monotonic_increasing

    def test_ids_increase_over_days(self, usual: Path) -> None:
        days = [read(usual, "trades", BTC, START + dt.timedelta(days=n)) for n in (0, 1)]
        ids = pd.concat(days)["id"].astype("int64")
        assert (ids.diff().dropna() > 0).all()
        assert set(days[0]["id"].astype("int64").diff().dropna()) == {1}

    def test_activity_is_clustered_and_follows_the_session(self, usual: Path) -> None:
        trades = read(usual, "trades")
        minute = (trades["timestamp"] - midnight_us(START)) // 60_000_000
        count = np.bincount(minute, minlength=1440)
        assert count.var() > 5 * count.mean()  # Poisson arrivals would have a ratio of 1
        assert count[13 * 60 : 17 * 60].mean() > 1.5 * count[3 * 60 : 6 * 60].mean()

    def test_session_hours_hold_all_rows(self, tmp_path: Path) -> None:
        write_sample(tmp_path, dataclasses.replace(SMALL, hours=(13, 14)))
        for data_type in ("trades", "book_snapshot_5", "derivative_ticker"):
            data = read(tmp_path, data_type)
            hour = (data[["timestamp", "local_timestamp"]] - midnight_us(START)) // 3_600_000_000
            assert (hour == 13).all().all()

    def test_irregularities_are_there(self, rough: Path) -> None:
        trades, book = read(rough, "trades"), read(rough, "book_snapshot_5")
        assert 100 < (trades["timestamp"].diff() < 0).sum() < 10_000
        assert 1 < (book["timestamp"].diff() < 0).sum() < 5_000
        assert (trades["timestamp"].diff() == 0).mean() > 0.5
        assert (trades["local_timestamp"].diff() == 0).sum() > 1000
        ids = np.sort(trades["id"].astype("int64"))
        assert set(np.diff(ids)) == {1, 2}
        minute = np.bincount((trades["timestamp"] - midnight_us(START)) // 60_000_000)
        assert minute.max() > 8 * minute.mean()


class TestBook:
    @pytest.mark.parametrize("key", [BTC, ETH])
    def test_book_is_ordered_and_never_crossed(self, usual: Path, key: str) -> None:
        book = read(usual, "book_snapshot_5", key)
        for (side, sign), level in itertools.product((("asks", 1), ("bids", -1)), range(4)):
            step = book[f"{side}[{level + 1}].price"] - book[f"{side}[{level}].price"]
            assert (sign * step > 0).all()
        assert (book.filter(like=".amount") > 0).all().all()
        tick = 10.0 ** -STEPS[key][0]
        spread = ((book["asks[0].price"] - book["bids[0].price"]) / tick).round()
        assert spread.between(1, 3).all()
        assert spread.mean() < 1.3

    @pytest.mark.parametrize("key", [BTC, ETH])
    def test_values_have_no_more_decimals_than_allowed(self, usual: Path, key: str) -> None:
        for data_type in ("trades", "book_snapshot_5"):
            data = read(usual, data_type, key)
            for what, decimals in zip(("price", "amount"), STEPS[key], strict=True):
                for name in data.filter(regex=rf"(^|\.){what}$").columns:
                    text = data[name].astype(str).str.split(".").str[1]
                    assert text.str.len().max() <= decimals

    def test_price_continues_over_midnight(self, tmp_path: Path) -> None:
        # The walk's anchor lies between the first two days.
        start = dt.date(2023, 12, 30)
        write_sample(tmp_path, SampleSpec(start=start, days=5, keys=(BTC,)))
        days = [
            read(tmp_path, "book_snapshot_5", BTC, start + dt.timedelta(days=n)) for n in range(5)
        ]
        mids = [(day["asks[0].price"] + day["bids[0].price"]) / 2 for day in days]
        for before, after in itertools.pairwise(mids):
            assert abs(after.iloc[0] / before.iloc[-1] - 1) < 1e-5
        assert mids[2].iloc[0] == pytest.approx(60_000, abs=0.2)
        for mid in mids:
            assert 0.005 < mid.max() / mid.min() - 1 < 0.2
            assert mid.nunique() > 1000

    def test_prices_stay_plausible_over_years(self, tmp_path: Path) -> None:
        for year in range(2012, 2036, 3):
            spec = dataclasses.replace(SMALL, start=dt.date(year, 3, 1))
            write_sample(tmp_path, spec)
            price = read(tmp_path, "trades", BTC, spec.start)["price"]
            assert price.between(12_000, 300_000).all()


class TestTradesAgreeWithBook:
    @pytest.mark.parametrize(
        ("root", "key"), [("usual", BTC), ("usual", ETH), ("rough", BTC)], ids=str
    )
    def test_each_trade_is_at_a_level_of_the_snapshot_before_it(
        self, request: pytest.FixtureRequest, root: str, key: str
    ) -> None:
        joined, _ = with_snapshot(request.getfixturevalue(root), key)
        trades = level_of(joined)
        assert (trades["level"] >= 0).all()
        assert (trades["level"] == 0).mean() > 0.9
        assert (trades["level"] > 0).any()
        assert (trades["amount"] <= trades["shown"]).all()
        group = trades.groupby(["snapshot", "side", "level"])
        left = group["shown"].first() - group["amount"].sum()
        assert left.min() > -1e-9

    def test_order_through_levels_takes_each_whole_and_moves_the_price(self, usual: Path) -> None:
        joined, book = with_snapshot(usual, BTC)
        trades = level_of(joined)
        group = trades.groupby(["snapshot", "side", "level"])
        table = pd.DataFrame({"taken": group["amount"].sum(), "shown": group["shown"].first()})
        table = table.reset_index()
        deepest = table.groupby(["snapshot", "side"])["level"].transform("max")
        passed = table[table["level"] < deepest]
        assert len(passed) > 50
        np.testing.assert_allclose(passed["taken"], passed["shown"], rtol=0, atol=1e-9)
        # Levels are passed without leaving one out, and the next snapshot lies beyond them.
        assert (
            table.groupby(["snapshot", "side"])["level"].count()
            == deepest.groupby([table["snapshot"], table["side"]]).first() + 1
        ).all()
        for side, name, sign in (("buy", "asks", 1), ("sell", "bids", -1)):
            rows = table[(table["side"] == side) & (table["level"] > 0)]
            reached = book[f"{name}[1].price"].to_numpy()[rows["snapshot"]]
            after = book[f"{name}[0].price"].to_numpy()[rows["snapshot"] + 1]
            assert (sign * (after - reached) >= 0).all()

    def test_no_trade_arrives_before_its_snapshot(self, usual: Path) -> None:
        joined, book = with_snapshot(usual, BTC)
        arrival = book["local_timestamp"].to_numpy()[joined["snapshot"]]
        assert (joined["local_timestamp"] > arrival).all()

    def test_both_sides_trade_and_sizes_are_heavy_tailed(self, usual: Path) -> None:
        trades = read(usual, "trades")
        assert 0.4 < (trades["side"] == "buy").mean() < 0.6
        assert set(trades["side"]) == {"buy", "sell"}
        assert trades["amount"].quantile(0.99) > 30 * trades["amount"].median()


class TestTicker:
    def test_funding_moment_is_the_next_of_three_a_day(self, usual: Path) -> None:
        ticker = read(usual, "derivative_ticker")
        ahead = ticker["funding_timestamp"] - ticker["timestamp"]
        assert ahead.between(1, 8 * 3_600_000_000).all()
        hours = (ticker["funding_timestamp"].unique() - midnight_us(START)) // 3_600_000_000
        assert hours.tolist() == [8, 16, 24]
        assert ticker["funding_rate"].abs().max() < 0.002
        assert ticker["funding_rate"].round(8).equals(ticker["funding_rate"])
        assert 2e6 < ticker["timestamp"].diff().median() < 1e7

    def test_rate_settles_before_funding(self, usual: Path) -> None:
        ticker = read(usual, "derivative_ticker")
        for _, rows in ticker.groupby("funding_timestamp"):
            settled = rows["funding_rate"].iloc[-1]
            assert (rows["funding_rate"].tail(12) - settled).abs().max() < 1e-6

    def test_prices_follow_book_and_trades(self, usual: Path) -> None:
        ticker, trades = read(usual, "derivative_ticker"), read(usual, "trades")
        joined = pd.merge_asof(ticker, trades[["timestamp", "price"]], on="timestamp").dropna(
            subset="price"
        )
        assert (joined["last_price"] == joined["price"]).all()
        book = read(usual, "book_snapshot_5")
        joined = pd.merge_asof(ticker, book[["timestamp", "bids[0].price"]], on="timestamp")
        for column in ("index_price", "mark_price"):
            assert (joined[column] / joined["bids[0].price"] - 1).abs().max() < 2e-3
        assert (ticker["open_interest"] > 0).all()


class TestOtherMarkets:
    @pytest.mark.parametrize(
        ("key", "exchange", "symbol", "tick", "lot"),
        [
            ("BINANCE:SPOT_PAIR:BTC-USDT", "binance", "BTCUSDT", "0.01", "0.00001"),
            ("BYBIT:PERPETUAL:ETH-USDT@LIN", "bybit", "ETHUSDT", "0.01", "0.01"),
            ("OKX:PERPETUAL:BTC-USDT", "okex-swap", "BTC-USDT-SWAP", "0.1", "0.01"),
            ("OKX:PERPETUAL:BTC-USD@INV", "okex-swap", "BTC-USD-SWAP", "0.5", "1"),
            ("DERIBIT:PERPETUAL:BTC-USD", "deribit", "BTC-PERPETUAL", "0.5", "10"),
            ("DERIBIT:FUTURE:ETH-USD-241227@INV", "deribit", "ETH-27DEC24", "0.05", "1"),
            ("BINANCE-FUTURES:PERPETUAL:SOL-USDT", "binance-futures", "SOLUSDT", "0.01", "0.001"),
        ],
    )
    def test_known_and_generic_markets(
        self, tmp_path: Path, key: str, exchange: str, symbol: str, tick: str, lot: str
    ) -> None:
        write_sample(tmp_path, dataclasses.replace(SMALL, keys=(key,)))
        trades = read(tmp_path, "trades", key)
        assert set(trades["exchange"]) == {exchange}
        assert set(trades["symbol"]) == {symbol}
        assert all(Decimal(str(price)) % Decimal(tick) == 0 for price in trades["price"])
        assert all(Decimal(str(amount)) % Decimal(lot) == 0 for amount in trades["amount"])

    def test_smallest_usual_day(self, tmp_path: Path) -> None:
        write_sample(tmp_path, dataclasses.replace(SMALL, trades_per_day=1, books_per_day=2))
        joined, book = with_snapshot(tmp_path, BTC)
        assert (len(joined), len(book)) == (1, 2)

    @pytest.mark.parametrize(("trades", "books"), [(1, 2), (3, 2), (50, 2), (2, 300)])
    def test_few_rows(self, tmp_path: Path, trades: int, books: int) -> None:
        spec = dataclasses.replace(
            SMALL, trades_per_day=trades, books_per_day=books, irregularities=True
        )
        write_sample(tmp_path, spec)
        joined, book = with_snapshot(tmp_path, BTC)
        assert (len(joined), len(book)) == (trades, books)
        assert (level_of(joined)["level"] >= 0).all()


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"days": 0}, "days"),
            ({"days": -1}, "days"),
            ({"trades_per_day": 0}, "trades_per_day"),
            ({"books_per_day": 1}, "books_per_day"),
            ({"hours": (13, 14), "books_per_day": 500_000}, "books_per_day"),
            ({"seed": -1}, "seed"),
            ({"hours": (9, 9)}, "hours"),
            ({"start": dt.date(1999, 1, 1)}, "start"),
            ({"keys": ()}, "keys"),
            ({"keys": (BTC, BTC)}, "keys"),
            ({"keys": ("BTC-USDT.BINANCE",)}, "BTC-USDT.BINANCE"),
            ({"keys": ("DERIBIT:OPTION:BTC-USD-241227-60000-C",)}, "OPTION"),
            ({"keys": ("DERIBIT:FUTURE:BTC-USD",)}, "FUTURE"),
            ({"keys": ("DERIBIT:FUTURE:BTC-USD-241399",)}, "241399"),
        ],
    )
    def test_request_is_refused_by_name(self, change: dict[str, object], named: str) -> None:
        with pytest.raises(ConfigError, match=named):
            dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]

    def test_url_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="gs://bucket"):
            write_sample("gs://bucket", SMALL)

    def test_folder_that_cannot_be_written_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "raw_tick_data").write_text("not a folder")
        with pytest.raises(DataError, match="raw_tick_data"):
            write_sample(tmp_path, SMALL)
