"""Whatever a configuration file holds: it loads, or a `ConfigError` says where and what is allowed.

Mutations of the shipped configurations, and files that are no configurations at all.
"""

import copy
import json
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hostilefile import examples, place
from hypothesis import given
from hypothesis import strategies as st

from odum_assets.config import LoadedConfig, load_config, load_configs
from odum_assets.config.hashing import canonical_json
from odum_assets.config.resolve import catalog_root, effective_settings, instrument_spec
from odum_assets.errors import ConfigError
from odum_assets.settings import Settings

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*_config.json"))
DOCUMENTS = [json.loads(path.read_text()) for path in SHIPPED]


class Raw:
    """A piece of JSON text that `json.dumps` would not write."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Raw({self.text[:60]})"


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        [
            *map(
                Raw,
                [
                    "NaN",
                    "-Infinity",
                    "1e999999999999999999999",
                    "-1e-999999999999999999999",
                    "1e400",
                    "1E+999999",
                    "1e-999999",
                    "9" * 5000,
                    "0." + "3" * 5000,
                    "1000000000000",
                    "1e12",
                    "0.00000000000000000001",
                    "-0",
                    "1.0",
                    '"\\ud800"',
                    '"\\u0000"',
                    "[" * 200 + "]" * 200,
                    '{"a":' * 200 + "1" + "}" * 200,
                    '{"side":"buy","price":1000000000000,"amount":1000000000000}',
                    '[{"side":"buy","price":1e12,"amount":1e-16}]',
                    '{"a":1,"a":2}',
                ],
            ),
            "",
            " ",
            "~nobody-here/data",
            "~",
            "../../etc",
            "/etc/passwd",
            "a\x00b",
            "\ud800",
            "\u202e\u4e2d\u6587",
            "x" * 5000,
            "raw_tick_data/day-*/../x/",
            "raw_tick_data/day-*/",
            "raw_tick_data/day-*/BINANCE-FUTURES:PERPETUAL:ETH-USDT.parquet",
            "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
            "BTC-USDT.BINANCE",
            "2024-01-01T00:00:00Z",
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "TWAP",
            "sys:exit",
            "L1_MBP",
            [],
            {},
            [[]],
            {"": None},
            {"type": "TWAP", "params": {"horizon_secs": 1e-300}},
            {"type": "VWAP", "params": {"intervals": 10**30}},
            {"type": ["TWAP"]},
            {"type": None},
            {"USDT_USD": 0},
            {"USDT_USD": 1, "USDT_EUR": 2},
        ]
    ),
    st.dictionaries(st.text(max_size=6), st.integers(), max_size=3),
    st.lists(st.integers(), max_size=3),
)

KEYS = st.sampled_from(
    [
        "multiplier",
        "environment",
        "quality",
        "metrics",
        "fx_stub",
        "orders",
        "exec_algorithm",
        "params",
        "path",
        "parquet_root",
        "instrument_file_pattern",
        "derivative_ticker_path",
        "margin_init",
        "leverage",
        "UNIFIED_CLOUD_LOCAL_PATH",
        "DATA_CATALOG_PATH",
        "max_gap_secs",
        "max_duplicate_ids",
        "equity_interval_secs",
        "$schema",
        "",
        "\ud800",
        "__proto__",
    ]
)


def _paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a document."""
    found = [here]
    if isinstance(value, dict):
        for key, item in value.items():
            found += _paths(item, (*here, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += _paths(item, (*here, index))
    return found


def _at(document: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        document = document[part]
    return document


def _text_of(value: Any, twice: frozenset[str]) -> str:
    """Return JSON text, with pieces as they are and some keys given twice."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_text_of(item, twice)}" for key, item in value.items()]
        items += [each for key, each in zip(value, items, strict=True) if key in twice]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text_of(item, twice) for item in value) + "]"
    return json.dumps(value)


def _change(draw: st.DrawFn, document: Any) -> None:
    """Make one thing wrong in a document."""
    path = draw(st.sampled_from([each for each in _paths(document) if each] or [()]))
    if not path:
        return
    parent = _at(document, path[:-1])
    what = draw(st.sampled_from(["replace", "replace", "delete", "add", "rename", "move"]))
    if what == "replace":
        parent[path[-1]] = copy.deepcopy(draw(JUNK))
    elif what == "delete":
        del parent[path[-1]]
    elif what == "add" and isinstance(parent, dict):
        parent[draw(KEYS)] = copy.deepcopy(draw(JUNK))
    elif what == "rename" and isinstance(parent, dict):
        parent[draw(st.text(max_size=5))] = parent.pop(path[-1])
    else:
        document[draw(KEYS)] = copy.deepcopy(parent)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a shipped configuration with some things wrong, as the bytes of a file."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 4))):
        _change(draw, document)
    twice = draw(st.sampled_from([frozenset(), frozenset({"price_precision", "venue"})]))
    text = _text_of(document, twice).encode("utf-8", "surrogatepass")
    damage = draw(st.sampled_from([None] * 8 + ["cut", "byte", "bom", "utf-16"]))
    if damage == "cut":
        text = text[: draw(st.integers(0, len(text)))]
    elif damage == "byte":
        spot = draw(st.integers(0, len(text) - 1))
        text = text[:spot] + bytes([draw(st.integers(0, 255))]) + text[spot + 1 :]
    elif damage == "bom":
        text = b"\xef\xbb\xbf" + text
    elif damage == "utf-16":
        text = text.decode("utf-8", "replace").encode("utf-16")
    return text


def _is_usable(loaded: LoadedConfig) -> None:
    """Use a configuration that loads: what follows from it must not fail either."""
    assert len(loaded.content_hash) == 64
    assert loaded.key.nautilus_id
    instrument_spec(loaded)
    settings = Settings()
    try:
        catalog_root(loaded, settings)
    except ConfigError as error:
        text = str(error)
        assert "bucket" in text or "Google Cloud Storage" in text
    os.fsencode(effective_settings(loaded, settings).raw_root)
    os.fsencode(effective_settings(loaded, settings).catalog_path)
    json.loads(loaded.config.model_dump_json(by_alias=True))
    json.dumps(loaded.config.model_dump(mode="json", by_alias=True), allow_nan=False)
    quality = loaded.config.quality
    policies = {"partial_days", "missing_days", "missing_funding"}
    assert all(float(value) < 1e300 for value in quality.model_dump(exclude=policies).values())


def _check(content: bytes) -> None:
    with place() as folder:
        path = folder / "some_config.json"
        path.write_bytes(content)
        try:
            loaded = load_config(path)
        except ConfigError as error:
            text = str(error)
            lines = text.splitlines()
            assert lines
            for line in lines:
                assert line.startswith(f"{path}: "), line
                assert line.removeprefix(f"{path}: ").strip()
                assert len(line) < 3000
                line.encode()
            with pytest.raises(ConfigError) as again:
                load_configs(folder)
            assert str(again.value) == text
            return
        _is_usable(loaded)
        assert load_configs(folder) == [loaded]


@examples(150)
@given(content=mutated())
def test_a_mutated_configuration_loads_or_says_why_not(content: bytes) -> None:
    _check(content)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(10_000)
@given(content=mutated())
def test_many_mutated_configurations(content: bytes) -> None:
    _check(content)


@examples(100)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: t.encode())))
def test_any_bytes_are_refused_by_name(content: bytes) -> None:
    with place() as folder:
        path = folder / "some_config.json"
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_config(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("depth", [10, 64, 65, 100, 300, 900, 5_000, 200_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_parameters_may_be_nested_but_not_without_end(
    tmp_path: Path, depth: int, pair: str
) -> None:
    document = copy.deepcopy(DOCUMENTS[0])
    opened = "[" if pair == "[]" else '{"a":'
    nested = opened * depth + "1" + pair[1] * depth
    document["strategy"] = {"name": "Own", "path": "mine:Mine", "params": {"deep": Raw(nested)}}
    path = tmp_path / "deep.json"
    path.write_text(_text_of(document, frozenset()))
    if depth > 60:
        with pytest.raises(ConfigError, match=r"deep\.json: .*nested too deeply"):
            load_config(path)
    else:
        _is_usable(load_config(path))


def test_a_folder_a_pipe_and_a_strange_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    strange = os.fsdecode(b"b\xff\n.json")
    (tmp_path / strange).write_text("{}")
    for name in ("folder.json", "pipe.json", strange):
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path / name)
        str(caught.value).encode()
    with pytest.raises(ConfigError) as caught:
        load_configs(tmp_path)
    for name in ("folder.json", "pipe.json", "file name"):
        assert name in str(caught.value)
    with pytest.raises(ConfigError, match="no such folder"):
        load_configs(tmp_path / "missing\x00")


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"side": "buy", "price": 10**12, "amount": 1}, None),
        ({"side": "buy", "price": Raw("1e-300"), "amount": 1}, "decimals"),
        ({"side": "buy", "price": 1, "amount": Raw("999999999999.9999999999999999")}, None),
        ({"side": "buy", "price": 1, "amount": Raw("0.00000000000000001")}, "decimals"),
    ],
)
def test_orders_of_any_size_are_judged_exactly(
    tmp_path: Path, order: dict[str, Any], text: str | None
) -> None:
    document = copy.deepcopy(DOCUMENTS[0])
    document["instrument"] |= {"price_precision": 16, "size_precision": 16}
    document["strategy"]["orders"] = [order]
    path = tmp_path / "orders.json"
    path.write_text(_text_of(document, frozenset()))
    if text is None:
        loaded = load_config(path)
        (found,) = loaded.config.strategy.orders
        for name in ("price", "amount"):
            given = order[name]
            number = Decimal(given.text if isinstance(given, Raw) else given)
            assert getattr(found, name) == number
    else:
        with pytest.raises(ConfigError, match=text):
            load_config(path)


def test_the_hash_of_any_number_tells_it_from_its_neighbors() -> None:
    draw = random.Random(7)  # noqa: S311 - not for secrets
    for _ in range(300):
        number = Decimal(draw.randrange(1, 10**30)).scaleb(draw.randrange(-40, 40))
        # Spelled with another exponent it is the same number; one digit on, another.
        same = f"{number:f}0" if "." in f"{number:f}" else f"{number:f}.0"
        assert canonical_json(number) == canonical_json(Decimal(same))
        digit = Decimal((0, (1,), int(number.as_tuple().exponent)))
        assert canonical_json(number) != canonical_json(Decimal(int(number / digit) + 1) * digit)
