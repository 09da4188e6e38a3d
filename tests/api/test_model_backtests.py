"""A model that comes with a request, run through Dagster; what is refused, the service alive."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from barservice import BARS, FIRST, SYMBOL, daily_bars, form
from live import Live
from service import Reply
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from odum_assets.models import sandbox

MODEL = LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 1.0])
"""Its value is its only feature."""


def backtest(bars_live: Live, file: tuple[str, bytes], **fields: Any) -> Reply:
    given = {"user_id": "ann", "symbol": "BTCUSDT", **fields}
    body, content_type = form(file=file, **given)
    return bars_live.post("/api/models/backtest/ml", body, Content_Type=content_type)


def test_a_model_is_run_over_bars(bars_live: Live) -> None:
    done = backtest(
        bars_live, ("returns.skops", skops.io.dumps(MODEL)),
        feature_columns="Returns", threshold="0.005", limit="200", fees="0", slippage="0",
    )  # fmt: skip
    assert done.status == 200, done.data
    reply = done.json
    bars = daily_bars()
    returns = (bars.close[1:] / bars.close[:-1] - 1.0)[-200:]
    words = np.where(returns > 0.005, "buy", np.where(returns < -0.005, "sell", "hold")).tolist()
    assert [row["signal"] for row in reply["data"]] == words
    assert reply["data"][0]["Date"] == str(np.datetime64(FIRST + BARS - 200, "D"))
    # One unit bought at the open after a buy, sold at the open after a sell.
    cash, held, values = 10_000.0, 0, []
    opened, close = bars.open[-200:] / 100, bars.close[-200:] / 100
    for bar in range(200):
        word = words[bar - 1] if bar else "hold"
        change = int(word == "buy" and not held) - int(word == "sell" and held)
        cash, held = cash - change * opened[bar], held + change
        values.append(cash + held * close[bar])
    assert [row["portfolio_value"] for row in reply["data"]] == pytest.approx(values)
    assert reply["metrics"]["total_return"] == pytest.approx(100 * (values[-1] / 10_000 - 1))
    assert reply["metrics"]["strategy_name"] == "ML_SIGNALS"
    assert reply["total_trades"] == reply["winning_trades"] + reply["losing_trades"] > 20
    stored = bars_live.get(f"/api/backtest/results/{reply['id']}").json
    assert stored["metadata"]["config_name"] == "btc_daily"
    assert stored["metadata"]["overrides"]["venue.starting_balance"] == 10_000
    (sha256,) = stored["metadata"]["strategy_inputs"].values()
    (model,) = bars_live.get("/api/models/user/ann").json["data"]
    assert (model["sha256"], reply["symbol"]) == (sha256, SYMBOL)
    assert bars_live.wait_ended(reply["id"])["status"] == "succeeded"
    listed = {item["run_id"]: item for item in bars_live.get("/api/backtest/results").json}
    assert listed[reply["id"]]["metadata"]["overrides"]["starting_balance"] == 10_000


def test_onnx_runs_with_all_features(bars_live: Live) -> None:
    rows = np.random.default_rng(2).normal(size=(80, 14))
    model = LogisticRegression().fit(rows, rows[:, 8] > 0)
    content = to_onnx(model, rows[:1].astype(np.float32)).SerializeToString()
    done = backtest(bars_live, ("m.onnx", content), percent_size="0.5", side="long_short")
    assert done.status == 200, done.data
    assert len(done.json["data"]) == BARS
    assert done.json["metrics"]["win_rate"] is None or done.json["metrics"]["win_rate"] <= 100


def read_a_file(rows: Any) -> Any:
    return rows


def test_what_cannot_be_run_is_refused_and_the_service_lives(bars_live: Live) -> None:
    before = bars_live.get("/api/models/user/eve").json["total"]
    good = ("m.skops", skops.io.dumps(MODEL))
    hostile = skops.io.dumps(
        make_pipeline(FunctionTransformer(read_a_file), MODEL).fit([[1.0]], [1])
    )
    for file, fields, status, text in (
        (good, {"symbol": "DOGEUSDT"}, 404, f"there is {SYMBOL} 1d (btc_daily)"),
        (good, {"interval": "1m"}, 404, "no configuration for bars of 1m"),
        (("m.skops", b"\x08\x09nothing"), {}, 415, "the content is onnx, the name says skops"),
        (("m.h5", b"\x89HDF\r\n\x1a\n"), {}, 415, "convert it to ONNX"),
        (("m.onnx", b"\x08\x09" + bytes(50 * 1024**2)), {}, 413, "a model may have"),
        (good, {"user_id": "../eve"}, 422, "is not valid"),
        (good, {"threshold": "high"}, 422, "body.threshold"),
        (good, {"limit": "0"}, 422, "body.limit"),
        (good, {"fixed_size": "1", "percent_size": "1"}, 422, "give one of them"),
        (good, {"period": "1h"}, 422, "body.period"),
        (good, {"feature_columns": "Close,RSI"}, 422, "there is no RSI"),
        (good, {}, 422, "the model takes 1 features, the configuration gives 14"),
        (("m.skops", hostile), {"feature_columns": "Close"}, 422, "not on the list of trusted"),
        (("m.onnx", b"\x08\x09\x12\x00damaged"), {}, 422, "ONNX Runtime refuses the model"),
    ):
        refused = backtest(bars_live, file, **{"user_id": "eve", **fields})
        assert refused.status == status, (fields, refused.data)
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert text in refused.json["detail"], refused.data
    assert bars_live.get("/api/models/user/eve").json["total"] == before
    assert bars_live.get("/api/health").status == 200
    foreign = bars_live.post("/api/models/backtest/ml", b"x", Origin="https://other.example")
    assert foreign.status == 403


class Program:
    """A pickle that runs a program when it is loaded."""

    def __init__(self, *command: Any) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        function, *arguments = self.command
        return function, tuple(arguments)


@pytest.mark.skipif(not sandbox.is_supported(), reason="no sandbox here")
def test_a_program_in_a_model_is_contained(bars_live: Live) -> None:
    written = bars_live.folder / "written"
    for program in (
        Program(os.system, f"touch {written}"),
        Program(Path.write_text, written, "x"),
        Program(os.kill, bars_live.process.pid if bars_live.process else 0, 9),
        Program(bytearray, 1 << 34),
    ):
        refused = backtest(bars_live, ("m.pkl", pickle.dumps(program)), user_id="eve")
        assert refused.status == 422, refused.data
        assert refused.json["type"].endswith("unusable-model")
    assert not written.exists()
    assert bars_live.get("/api/models/user/eve").json["total"] == 0
    assert bars_live.get("/api/health").status == 200


def test_overrides_reach_no_further_than_a_configuration(bars_live: Live) -> None:
    file = str(bars_live.folder / "dagster.yaml")
    model = {"strategy": {"name": "ML_SIGNALS", "params": {"model": {"path": file}}}}
    for overrides, kind, text in (
        (model, "beyond-reach", "user and name of an uploaded model"),
        ({"data_catalog.parquet_root": "/etc"}, "invalid-options", "may not vary"),
        ({"strategy.params.fast": 30}, "invalid-strategy", "fast 30 is not below slow 20"),
        ({"venue.starting_balance": -1}, "invalid-options", "venue.starting_balance"),
    ):
        new = {"config": "btc_daily", "day": "2021-01-01", "overrides": overrides}
        refused = bars_live.post("/api/v1/runs", new)
        assert refused.status == 422, refused.data
        assert refused.json["type"].endswith(kind)
        assert text in refused.json["detail"]
