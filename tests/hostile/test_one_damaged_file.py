"""One damaged file is one damaged file: it is named, and everything else goes on."""

import json

import pytest
from hostileproject import BTC, DAY, Project

ETH = "binance_futures_ethusdt_l2_trades_config"
RUN = ("backtest", BTC, "--day", str(DAY), "--fast", "--snapshot-mode", "trades")
HALF = '{"instrument": '


# --- configurations -----------------------------------------------------------------------------


def test_a_half_written_configuration_stops_no_other(project: Project) -> None:
    project.sample()
    half = project.root / "configs" / "half.json"
    half.write_text(HALF)
    code, printed = project.odum(*RUN)
    assert code == 0, printed
    assert f"! left out: {half}: not JSON at line 1" in printed
    for command in (("data", "list"), ("convert", BTC, "--all")):
        code, printed = project.odum(*command)
        assert code == 0, printed
        assert "half.json: not JSON" in printed
    code, printed = project.odum("backtest", "half", "--day", str(DAY))
    assert code == 1
    assert "half.json: not JSON" in printed


def test_a_configuration_of_another_source_stops_no_other(project: Project) -> None:
    project.sample()
    project.config("aaa_gcs", data_source="gcs")
    code, printed = project.odum(*RUN)
    assert code == 0, printed
    assert "aaa_gcs.json: data_source is" in printed
    for command in (("backtest", "aaa_gcs", "--day", str(DAY)), ("config", "validate", "aaa_gcs")):
        code, printed = project.odum(*command)
        assert code == 1
        assert "reading from Google Cloud Storage is not wired yet" in printed


def test_validate_says_what_a_run_would(project: Project) -> None:
    project.config("second")
    project.config("odd", instrument={"price_precision": 2})
    code, printed = project.odum("config", "validate", "odd")
    assert code == 1
    assert "instrument.price_precision: found 2, but" in printed
    code, printed = project.odum("backtest", "odd", "--day", str(DAY))
    assert code == 1
    assert "instrument.price_precision: found 2, but" in printed
    assert project.odum("config", "validate", BTC, "second")[0] == 0
    assert project.odum("config", "validate")[0] == 1


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"path": "momentum:Momentun"}, "momentum has no class Momentun"),
        ({"path": "nowhere:Momentum"}, "module nowhere cannot be imported"),
        ({"path": "momentum:Momentum", "params": {"windw": 1}}, "strategy.params.windw"),
    ],
)
def test_validate_loads_the_strategy(
    project: Project, monkeypatch: pytest.MonkeyPatch, strategy: dict[str, object], why: str
) -> None:
    (project.root / "momentum.py").write_text(
        "from pydantic import BaseModel\n"
        "from odum_assets.backtest.strategies.base import OdumStrategy\n\n\n"
        "class Momentum(OdumStrategy):\n"
        "    class Params(BaseModel, extra='forbid'):\n"
        "        window: int = 1\n"
    )
    monkeypatch.syspath_prepend(str(project.root))
    file = project.config()
    content = json.loads(file.read_text())
    content["strategy"] = {"name": "Own", **strategy}
    file.write_text(json.dumps(content))
    code, printed = project.odum("config", "validate", BTC)
    assert code == 1, printed
    assert why in printed.replace("\n", " ")
    content["strategy"] = {"name": "Own", "path": "momentum:Momentum", "params": {"window": 2}}
    file.write_text(json.dumps(content))
    code, printed = project.odum("config", "validate", BTC)
    assert code == 0, printed
