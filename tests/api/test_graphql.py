"""GraphQL on the running service: the documents of the earlier service, both engines, limits."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from barmarket import BarMarket
from barservice import BARS, CONFIG, NAME, SYMBOL, daily_bars, form
from live import Live
from seeddocuments import (
    FILE_INPUT,
    ML_VARIABLES,
    RUN_ML,
    RUN_VECTORIZED,
    RUN_WITH_FILE,
    RUN_WITH_FILE_SHORT,
)
from service import Reply, Service, lay_out, settings_of
from sklearn.linear_model import LogisticRegression

from odum_assets.api.bar_backtests import (
    BacktestTerms,
    BarBacktest,
    select_bars,
    vectorized_reply,
)
from odum_assets.api.graphql import serving
from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service as OwnService
from odum_assets.bars.sessions import SessionRules
from odum_assets.catalog import convert_partition
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.config import load_config, raw_path
from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType
from odum_assets.utc import DAY_NS

EVENT_DRIVEN = RUN_VECTORIZED.replace("run_vectorized_backtest", "run_event_driven_backtest")


def model() -> bytes:
    rows = np.random.default_rng(4).normal(size=(80, 5))
    content: bytes = skops.io.dumps(LogisticRegression().fit(rows, rows[:, 3] > rows[:, 0]))
    return content


def ask(service: Service, document: str, variables: Any = None) -> dict[str, Any]:
    reply = service.post("/graphql", {"query": document, "variables": variables})
    assert reply.status == 200, reply.data
    answer: dict[str, Any] = reply.json
    return answer


def data_of(service: Service, document: str, variables: Any = None) -> Any:
    answer = ask(service, document, variables)
    assert "errors" not in answer, answer
    return answer["data"]


def refusal(service: Service, document: str, variables: Any = None) -> dict[str, Any]:
    answer = ask(service, document, variables)
    (error,) = answer["errors"]
    found: dict[str, Any] = error
    return found


def with_file(service: Service, document: str, variables: Any, content: bytes) -> Reply:
    operations = {"query": document, "variables": {"file": None, **variables}}
    body, kind = form(
        operations=json.dumps(operations),
        map=json.dumps({"0": ["variables.file"]}),
        **{"0": ("my_model.skops", content)},
    )
    return service.post("/graphql", body, Content_Type=kind)


def crossover(**values: Any) -> dict[str, Any]:
    fetched = {"symbol": "BTCUSDT", "interval": "1d", "limit": 1000}
    lengths = {"fast_ma_period": 5, "slow_ma_period": 20}
    return {"input": {"fetch_input": fetched, "strategy": lengths, **values}}


@pytest.mark.parametrize("terms", [
    {},
    {"side": "long_short", "initCash": 250_000.0, "percentSize": 0.9, "fees": 0.0004},
    {"fixed_size": 0.25, "slippage": 0.0},
])  # fmt: skip
def test_both_engines_answer_alike(bars_live: Live, terms: dict[str, Any]) -> None:
    variables = crossover(**terms)
    vectorized = data_of(bars_live, RUN_VECTORIZED, variables)["run_vectorized_backtest"]
    event_driven = data_of(bars_live, EVENT_DRIVEN, variables)["run_event_driven_backtest"]
    assert vectorized["metrics"]["total_trades"] > 5
    assert len(vectorized["data"]) == BARS
    for row, other in zip(vectorized["data"], event_driven["data"], strict=True):
        assert (row["Date"], row["signal"]) == (other["Date"], other["signal"])
        assert row["portfolio_value"] == pytest.approx(other["portfolio_value"], rel=1e-9)
    for name, figure in vectorized.pop("metrics").items():
        assert figure == pytest.approx(event_driven["metrics"][name], rel=1e-6), name
    assert vectorized["strategy"] == {"fast_ma_period": 5, "slow_ma_period": 20}


def test_documents_with_a_model(bars_live: Live) -> None:
    content = model()
    uploaded = with_file(bars_live, RUN_WITH_FILE, {"input": FILE_INPUT}, content)
    assert uploaded.status == 200, uploaded.data
    found = uploaded.json["data"]["run_ml_backtest_with_file"]
    assert found["status"] == "completed"
    assert (found["symbol"], found["metrics"]["strategy_name"]) == (SYMBOL, "ML_SIGNALS")
    short = with_file(bars_live, RUN_WITH_FILE_SHORT, {"input": FILE_INPUT}, content).json
    names = ("total_return", "sharpe_ratio", "max_drawdown", "win_rate")
    figures = {name: found["metrics"][name] for name in names}
    assert short["data"]["run_ml_backtest_with_file"]["metrics"] == figures
    document = (
        "query ($id: String!) { getUserModels(userId: $id) { filename filePath relativePath } }"
    )
    (stored,) = data_of(bars_live, document, {"id": "user123"})["getUserModels"]
    for path in stored.values():
        variables = json.loads(json.dumps(ML_VARIABLES))
        variables["input"]["mlModel"]["modelPath"] = path
        again = data_of(bars_live, RUN_ML, variables)["runMlBacktest"]
        assert again["metrics"]["totalReturn"] == figures["total_return"]
        assert again["totalTrades"] == found["total_trades"]
        values = [row["portfolio_value"] for row in found["data"]]
        assert [row["portfolioValue"] for row in again["data"]] == values
    missing = refusal(bars_live, RUN_ML, ML_VARIABLES)
    assert (missing["extensions"]["code"], missing["path"]) == ("unknown-model", ["runMlBacktest"])
    history = "{ fetchBacktestHistory(limit: 100) { id symbol config status totalReturn } }"
    bars_live.wait_ended(found["id"])
    runs = {run["id"]: run for run in data_of(bars_live, history)["fetchBacktestHistory"]}
    assert runs[found["id"]] == {
        "id": found["id"],
        "symbol": SYMBOL,
        "config": NAME,
        "status": "succeeded",
        "totalReturn": pytest.approx(figures["total_return"]),
    }


def test_queries(bars_live: Live) -> None:
    document = """query ($input: FetchInput!) {
        health
        fetchCoinList { symbol interval config }
        fetchOhlcv(input: $input) { Date open high low close volume }
    }"""
    bounds = {"startDate": "2021-03-01", "end_date": "2021-03-31"}
    found = data_of(bars_live, document, {"input": {"symbol": "BTC-USDT", "limit": 7, **bounds}})
    assert found["health"] == "ok"
    assert found["fetchCoinList"] == [{"symbol": SYMBOL, "interval": "1d", "config": NAME}]
    days = [row["Date"] for row in found["fetchOhlcv"]]
    assert days == [f"2021-03-{day}" for day in range(25, 32)]
    at = (np.datetime64("2021-03-25") - np.datetime64("2021-01-01")).astype(int)
    bars, first = daily_bars(), found["fetchOhlcv"][0]
    assert first == {
        "Date": "2021-03-25",
        **{name: getattr(bars, name)[at] / 100 for name in ("open", "high", "low", "close")},
        "volume": bars.volume[at],
    }


def test_what_cannot_be_run(bars_live: Live) -> None:
    for values, code, text in (
        ({"useFallback": True}, "invalid-request", "no other strategy runs"),
        ({"symbol": "ETHUSDT"}, "invalid-request", "fetch_input has 'BTCUSDT'"),
        ({"fetch_input": {"symbol": "ETHUSDT"}}, "unknown-symbol", f"there is {SYMBOL} 1d"),
        ({"fetch_input": {"symbol": "BTCUSDT", "limit": 10**6}}, "invalid-request", "limit: "),
        ({"strategy": None}, "invalid-request", "there are no defaults"),
        ({"strategy": {"fastMaPeriod": 9, "slowMaPeriod": 9}}, "invalid-request", "found 9 and 9"),
        ({"initCash": -5}, "invalid-request", "init_cash: "),
        ({"period": "1h"}, "invalid-request", "period: "),
        ({"fixed_size": 1, "percent_size": 0.5}, "invalid-request", "give one of them"),
        ({"fixed_size": 1e-9}, "cannot-be-done", "whole number of lots"),
        ({"startDate": "2031-01-01"}, "cannot-be-done", "no bars inside of sessions"),
    ):
        error = refusal(bars_live, RUN_VECTORIZED, crossover(**values))
        assert error["extensions"]["code"] == code, error
        assert text in error["message"]
        assert error["path"] == ["run_vectorized_backtest"]
    hostile = with_file(bars_live, RUN_WITH_FILE, {"input": FILE_INPUT}, b"PK\x03\x04 not a zip")
    assert hostile.json["errors"][0]["extensions"] == {"code": "unsupported-model", "status": 415}
    assert data_of(bars_live, "{ health }") == {"health": "ok"}


def test_limits_of_documents(service: Service) -> None:
    deep = "{ __schema { types " + "{ fields { type " * 4 + "{ name }" + " } }" * 4 + " } }"
    aliases = " ".join(f"a{number}: health" for number in range(16))
    for document, text in (
        ("{ nothing }", "Cannot query field 'nothing'"),
        ("{ health", "Syntax Error"),
        (f"{{ {aliases} }}", "16 aliases; allowed are 15"),
        ("{" + " health" * 3_000 + " }", "tokens"),
        ("{ a" * 900 + " }" * 900, ""),
        ("{ fetchCoinList(limit: 501) { symbol } }", "allowed 1 to 500"),
        ("{ fetchBacktestHistory(limit: 0) { id } }", "allowed 1 to 500"),
        (deep, "depth"),
    ):
        error = refusal(service, document)
        assert text in error["message"]
    # CamelCase fields get aliases of ours: these do not count.
    fields = " ".join(["filePath modelName userId fileSize"] * 5)
    assert data_of(service, f'{{ getUserModels(userId: "ann") {{ {fields} }} }}')
    known = data_of(service, "{ __schema { queryType { name } mutationType { name } } }")
    assert known["__schema"]["mutationType"] == {"name": "Mutation"}


def test_requests_that_are_no_documents(service: Service) -> None:
    json_type, text_type = "application/json", "text/plain"
    for body, kind, status in (
        (b"[]", json_type, 400),
        (b"{", json_type, 400),
        (b'{"variables": {}}', json_type, 400),
        (b'{"query": "{ health }", "variables": []}', json_type, 400),
        (b'{"query": "{ health }"}', text_type, 415),
        (b'{"query": "' + b" " * 1_000_001 + b'"}', json_type, 413),
    ):
        refused = service.post("/graphql", body, Content_Type=kind)
        assert refused.status == status, refused.data
        assert refused.headers["Content-Type"] == "application/problem+json"
    for operations, places in (({"query": "{ health }"}, ["variables.file"]), ({}, ["query"])):
        parts = {"operations": json.dumps(operations), "map": json.dumps({"0": places})}
        body, kind = form(**parts)
        assert service.post("/graphql", body, Content_Type=kind).status == 400
    assert service.get("/graphql?query={health}").status == 405
    foreign = service.post("/graphql", {"query": "{ health }"}, Origin="https://other.example")
    assert foreign.status == 403


def test_without_the_extra_the_reply_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda _name: None)
    for route in serving.graphql_routes(None):  # type: ignore[arg-type]
        with pytest.raises(ProblemError, match=r"odum-assets\[graphql\]") as refused:
            asyncio.run(route.endpoint(None))
        assert refused.value.status == 501


def test_the_schema_is_shown(service: Service) -> None:
    shown = service.get("/graphql/sdl")
    assert shown.status == 200
    assert "run_ml_backtest_with_file(ml_model_file: Upload!, input: MLBacktestInput!)" in (
        shown.data.decode()
    )


def test_a_poor_catalog_is_refused_in_the_kernel_too(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / f"configs/{NAME}.json").write_text(json.dumps(CONFIG))
    loaded, settings = load_config(tmp_path / f"configs/{NAME}.json"), settings_of(tmp_path)
    market = BarMarket(tmp_path)
    market.settings = settings
    market.add(loaded, [daily_bars()])
    bars, (key,), kind = loaded.required_bars, loaded.keys, DataType("bars_1d")
    rules = BarRules(DAY_NS, "start", SessionRules.of(bars.session))
    service = OwnService(settings, ServiceOptions())
    terms = BacktestTerms(symbol="BTCUSDT", interval="1d")

    def reply() -> BarBacktest:
        return vectorized_reply(service.project(), select_bars(service, terms), terms, 5, 20)

    assert reply().total_trades > 5
    raw = raw_path(loaded, kind, date(2021, 1, 1), settings, key)
    table = pq.read_table(raw)
    every = np.where(np.arange(len(table)) % 2, 0.001, table["high"].to_numpy())
    pq.write_table(table.set_column(2, "high", pa.array(every)), raw)
    convert_partition(
        raw, key, bars.spec(key), kind, date(2021, 1, 1), settings.catalog_path, bars=rules
    )
    with pytest.raises(DataError, match="the catalog is not good enough"):
        reply()
