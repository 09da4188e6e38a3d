"""Parameters of a strategy arrive as they stand in the JSON of the configuration."""

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tinydays import CONFIGS, DAY, LINEAR, NOON, Market

from odum_assets.backtest.request import RunRequest
from odum_assets.config import LoadedConfig, load_config
from odum_assets.config.exact_json import read_json
from odum_assets.config.hashing import content_hash
from odum_assets.config.variants import make_variants, parse_vary
from odum_assets.errors import BacktestError, ConfigError
from odum_assets.results.store import ResultStore
from odum_assets.results.sweep import run_sweep
from odum_assets.results.verify import request_of, verify_result

MODULE = """
import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from odum_assets.backtest.strategies.base import OdumStrategy


class Kind(Enum):
    FAST = "fast"


class Typed(TypedDict):
    level: Decimal


@dataclass
class Plain:
    level: Decimal | None


class Nested(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    level: Annotated[Decimal, Field(gt=0)]
    ladder: tuple[Decimal, ...] = ()
    kind: Kind = Kind.FAST
    day: date = date(2024, 1, 1)


class Params(BaseModel):
    model_config = ConfigDict(extra="allow")

    ratio: float = 1.0
    strict: Annotated[float, Field(strict=True)] = 1.0
    whole: int = 1
    exact: Decimal = Decimal(1)
    maybe: Decimal | None = None
    other_name: Decimal = Field(default=Decimal(1), alias="otherName")
    either: float | str = 1.0
    both: Decimal | str = Decimal(1)
    anything: Any = None
    listed: list = []
    table: dict = {}
    levels: dict[str, list[Decimal]] = {}
    typed: Typed = {"level": Decimal(1)}
    plain: Plain = Plain(Decimal(1))
    nested: Nested | None = None


class Writes(OdumStrategy):
    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        found = {name: getattr(params, name) for name in Params.model_fields}
        found |= params.model_extra
        if params.nested is not None:
            found |= {"nested": dict(params.nested)}
        Path("seen.json").write_text(json.dumps({name: repr(each) for name, each in found.items()}))
"""

LONG = "0.12345678901234567890123456789"
PARAMS = f"""{{
    "ratio": 0.5, "strict": 0.25, "whole": 20, "exact": {LONG}, "maybe": 1234567890123456.789012,
    "otherName": {LONG}, "either": 0.5, "both": 0.5, "anything": 0.1,
    "listed": [0.25, 3, {{"deep": [1e-5, 1.0]}}], "table": {{"a": [0.25], "b": -2.5e3}},
    "levels": {{"up": [0.1, {LONG}]}}, "typed": {{"level": {LONG}}}, "plain": {{"level": {LONG}}},
    "nested": {{"level": {LONG}, "ladder": [0.1, {LONG}], "kind": "fast", "day": "2024-03-05",
               "beside": 0.75}},
    "extra": 0.5, "long_extra": {LONG}, "text": "0.5", "flag": true, "nothing": null
}}"""
ARRIVED = {
    "ratio": "0.5",
    "strict": "0.25",
    "whole": "20",
    "exact": f"Decimal('{LONG}')",
    "maybe": "Decimal('1234567890123456.789012')",
    "other_name": f"Decimal('{LONG}')",
    "either": "0.5",
    "both": "Decimal('0.5')",
    "anything": "0.1",
    "listed": "[0.25, 3, {'deep': [1e-05, 1.0]}]",
    "table": "{'a': [0.25], 'b': -2500.0}",
    "levels": f"{{'up': [Decimal('0.1'), Decimal('{LONG}')]}}",
    "typed": f"{{'level': Decimal('{LONG}')}}",
    "plain": f"Plain(level=Decimal('{LONG}'))",
    "nested": (
        f"{{'level': Decimal('{LONG}'), 'ladder': (Decimal('0.1'), Decimal('{LONG}')), "
        "'kind': <Kind.FAST: 'fast'>, 'day': datetime.date(2024, 3, 5), 'beside': 0.75}"
    ),
    "extra": "0.5",
    # What json.loads gives: an untyped number is a float.
    "long_extra": "0.12345678901234568",
    "text": "'0.5'",
    "flag": "True",
    "nothing": "None",
}


@pytest.fixture
def place(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    (tmp_path / "my_writes.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    market.trades([(NOON + second, "buy", "64000.0", "5") for second in (1, 2, 3)])
    return market


def _config(params: str) -> LoadedConfig:
    """Return a configuration from a file with these parameters."""
    content = json.loads((CONFIGS / f"{LINEAR}.json").read_text(encoding="utf-8"))
    content["strategy"] = {"name": "Own", "path": "my_writes:Writes", "params": "PARAMS"}
    path = Path("written.json")
    path.write_text(json.dumps(content).replace('"PARAMS"', params), encoding="utf-8")
    return load_config(path)


def _seen() -> dict[str, str]:
    found: dict[str, str] = json.loads(Path("seen.json").read_text())
    Path("seen.json").unlink()
    return found


def test_numbers_arrive_as_the_model_declares_them(place: Market) -> None:
    config = _config(PARAMS)
    run = place.run(config)
    assert _seen() == ARRIVED

    # Stored as numbers with all their digits, wherever the record lies.
    assert run.result.report_path is not None
    document = read_json(run.result.fast_path.read_text(encoding="utf-8"))
    metadata = read_json((run.result.report_path / "metadata.json").read_text(encoding="utf-8"))
    assert document["metadata"] == metadata
    assert metadata["config"]["strategy"]["params"] == read_json(PARAMS)
    assert json.loads(json.dumps(run.metadata))["config"]["strategy"]["params"]["extra"] == 0.5

    # The record is the configuration: its hash is that of the file, and it runs the same again.
    entry = ResultStore(place.settings.results_path).entry(run.result.run_id)
    recorded = request_of(entry).config
    assert recorded.content_hash == config.content_hash == metadata["config_hash"]
    found = verify_result(run.result.run_id, place.settings)
    assert found.equal
    assert found.changed_inputs == ()
    assert _seen() == ARRIVED


def test_numbers_arrive_through_a_sweep(place: Market) -> None:
    config = _config('{"nested": {"level": 0.5}}')
    paths = {
        "strategy.params.anything": "0.5",
        "strategy.params.exact": LONG,
        "strategy.params.nested.level": LONG,
        "strategy.params.listed": "[0.25]",
    }
    given = {name: parse_vary(f"{name}={value}")[1][0] for name, value in paths.items()}
    # The one that runs last is the one that is seen.
    variants = make_variants(config, [{"strategy.params.anything": 1.5}, given])
    request = RunRequest(config, (DAY,), DAY.isoformat(), mode="fast", snapshot_mode="trades")
    swept = run_sweep(request, variants, place.settings, slots=1)
    assert [each.error for each in swept.variants] == [None, None]
    seen = _seen()
    assert (seen["anything"], seen["listed"]) == ("0.5", "[0.25]")
    assert seen["exact"] == f"Decimal('{LONG}')"
    assert f"'level': Decimal('{LONG}')" in seen["nested"]

    entry = ResultStore(place.settings.results_path).entry(str(swept.variants[1].run_id))
    metadata = read_json(entry.fast_path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["sweep"]["varied"] == {
        name: Decimal(value) if name != "strategy.params.listed" else [Decimal("0.25")]
        for name, value in paths.items()
    }
    again = request_of(entry).config
    assert again.content_hash == variants[1].config.content_hash
    assert verify_result(entry.run_id, place.settings).equal
    assert _seen() == seen


def test_an_old_record_with_text_stays_readable(place: Market) -> None:
    config = _config('{"ratio": 0.5, "exact": 0.5}')
    run = place.run(config)
    path = run.result.fast_path
    document = json.loads(path.read_text(encoding="utf-8"))
    document["metadata"]["config"]["strategy"]["params"] = {"ratio": "0.5", "exact": "0.5"}
    del document["metadata"]["strategy_modules"]
    path.write_text(json.dumps(document), encoding="utf-8")
    found = verify_result(run.result.run_id, place.settings)
    assert (found.equal, found.changed_inputs) == (True, ())
    assert (_seen()["ratio"]) == "0.5"


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        ('{"strict": "0.25"}', "strategy.params.strict: Input should be a valid number"),
        ('{"whole": 2.5}', "strategy.params.whole: Input should be a valid integer"),
        ('{"nested": {"level": -0.5}}', "strategy.params.nested.level: Input should be greater"),
    ],
)
def test_numbers_of_another_type_are_refused(place: Market, params: str, cause: str) -> None:
    with pytest.raises(BacktestError) as caught:
        place.run(_config(params))
    assert cause in str(caught.value)
    assert place.stored() == []


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("params", "path"),
    [
        ('{"a": 1e350}', "strategy.params.a: found 1E+350, allowed 0 and sizes from"),
        ('{"a": {"b": [0, -1e-390]}}', "strategy.params.a.b[1]: found -1E-390, allowed"),
    ],
)
def test_numbers_that_no_float_holds_are_refused_in_the_file(params: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _config(params)
    assert path in str(caught.value)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_values_that_json_does_not_have_are_refused_in_a_sweep(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"strategy\.params\.ratio: found"):
        make_variants(_config("{}"), [{"strategy.params.ratio": value}])


@pytest.mark.usefixtures("place")
def test_a_dump_of_a_configuration_has_numbers() -> None:
    config = _config(PARAMS)
    for content in (
        config.config.model_dump(mode="json", by_alias=True),
        json.loads(config.config.model_dump_json(by_alias=True)),
    ):
        params = content["strategy"]["params"]
        assert params["extra"] == 0.5
        assert params["listed"] == [0.25, 3, {"deep": [1e-05, 1.0]}]
        assert params["table"] == {"a": [0.25], "b": -2500}
    short = _config('{"a": 0.5, "b": [0.1, 2]}')
    again = type(short.config).model_validate(short.config.model_dump(mode="json", by_alias=True))
    assert content_hash(again) == short.content_hash
    renamed = replace(short, name="other")
    assert renamed.content_hash == content_hash(short.config)
