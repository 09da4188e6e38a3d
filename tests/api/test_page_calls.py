"""What the results page asks for: plan, verify, sweep, coverage, note, facets, over sockets."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from live import DAYS, KEY, Live
from service import BTC, THROTTLED, Service

from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.figures_file import figures_table, sweep_facts
from odum_assets.results.store import ResultStore
from odum_assets.results.sweep import VariantResult
from odum_assets.results.variant_files import write_variants

OWN_DAY = date(2024, 3, 1)
"""A day that no other test of the service uses."""


def _own_day(live: Live, trades: int) -> None:
    spec = SampleSpec(
        keys=(KEY,), start=OWN_DAY, days=1, trades_per_day=trades, books_per_day=300, hours=(12, 13)
    )
    write_sample(live.folder / "data", spec)


def _verified(live: Live, run_id: str) -> dict[str, object]:
    """Verify a run and return the payload of the event that tells how it ended."""
    address = f"/api/v1/runs/{run_id}/events?event_type=verified"
    before = len(live.get(address).json["events"])
    started = live.post(f"/api/v1/runs/{run_id}/verify", None)
    assert started.status == 202, started.data
    again = live.post(f"/api/v1/runs/{run_id}/verify", None)
    assert again.json["dagster_run_id"] == started.json["dagster_run_id"]
    status = started.headers["Location"]
    live.wait(
        "end of the verification",
        lambda: live.get(status).json["status"] in ("succeeded", "failed"),
        300,
    )
    events = live.get(address).json["events"]
    assert len(events) == before + 1
    payload: dict[str, object] = events[-1]["payload"]
    assert payload["dagster_run_id"] == started.json["dagster_run_id"]
    return payload


@pytest.mark.timeout(1_200)
def test_a_run_is_planned_made_and_verified_whatever_has_changed(live: Live) -> None:
    _own_day(live, 400)
    body = {"config": BTC, "day": str(OWN_DAY)}
    plan = live.post("/api/v1/plan", body).json
    assert (plan["kind"], plan["runs"], plan["converts"], plan["rows"]) == ("day", 1, 3, None)
    assert [part["state"] for part in plan["partitions"]] == ["□"] * 3
    missing = live.post("/api/v1/plan", {"config": BTC, "day": "2024-02-01"})
    assert (missing.status, missing.json["type"]) == (409, "urn:odum:problem:missing-data")
    # Nothing was started by asking.
    assert live.get(f"/api/v1/runs?partition={OWN_DAY}").json["total"] == 0
    run_id = live.launch(**body)
    assert live.wait_ended(run_id, 300)["status"] == "succeeded"
    plan = live.post("/api/v1/plan", body).json
    assert (plan["converts"], plan["seconds_from"] >= 1) == (0, True)
    assert plan["rows"] == sum(part["rows"] for part in plan["partitions"]) > 0
    assert plan["seconds"] > 0
    assert any("day_covered" in text for text in plan["warnings"])

    assert live.registered(run_id)["verified"] is None
    payload = _verified(live, run_id)
    digest = live.registered(run_id)["digest"]
    assert (payload["equal"], payload["expected"], payload["found"]) == (True, digest, digest)
    assert live.registered(run_id)["verified"] is True
    # Other trades in the catalog: another digest, and it says which input has changed.
    _own_day(live, 500)
    loaded, settings = load_config(live.folder / f"configs/{BTC}.json"), live.settings
    source = raw_path(loaded, DataType.TRADES, OWN_DAY, settings)
    spec = instrument_spec(loaded)
    root = settings.catalog_path
    convert_partition(source, loaded.key, spec, DataType.TRADES, OWN_DAY, root)
    payload = _verified(live, run_id)
    assert payload["equal"] is False
    assert f"trades {OWN_DAY}" in payload["changed_inputs"]  # type: ignore[operator]
    assert (live.registered(run_id)["verified"], live.registered(run_id)["digest"]) == (
        False,
        digest,
    )
    found = live.get("/api/v1/runs?verified=false").json["runs"]
    assert [run["run_id"] for run in found] == [run_id]
    # Without the partition it cannot be run again, which is neither equal nor not.
    (root / "manifests" / loaded.key.slug / "trades" / f"{OWN_DAY}.json").unlink()
    payload = _verified(live, run_id)
    assert (payload["equal"], payload["found"]) == (None, None)
    assert str(OWN_DAY) in str(payload["error"])
    assert live.registered(run_id)["verified"] is None
    assert live.get("/api/v1/runs?verified=false").json["total"] == 0
    # It is told after a rebuild, too, and goes with the result.
    file = live.folder / f"data/results/verifications/{run_id}.json"
    assert file.is_file()
    assert live.ask("DELETE", f"/api/backtest/results/{run_id}").json["deleted"]
    assert not file.exists()


@pytest.mark.timeout(600)
def test_a_sweep_fills_in_while_it_runs(live: Live) -> None:
    vary = {"execution.latency.insert_ms": [5, 0], "venue.taker_fee": [0.0005, 0.001]}
    body = {"config": BTC, "day": DAYS[0], "mode": "fast", "vary": vary}
    started = live.post("/api/v1/sweeps", body, Idempotency_Key="one")
    assert started.status == 202, started.data
    address = started.headers["Location"]
    assert address == f"/api/v1/sweeps/{started.json['id']}"
    assert live.post("/api/v1/sweeps", body, Idempotency_Key="one").json["id"] in address
    # There is something to look at from the first moment.
    assert live.get(address).json["status"] in ("queued", "running")
    live.wait("end of the sweep", lambda: live.get(address).json["status"] == "succeeded", 300)
    sweep = live.get(f"{address}?sort=-pnl&limit=3").json
    assert (sweep["variants"], sweep["total"], len(sweep["rows"])) == (4, 4, 3)
    assert [(axis["name"], axis["values"]) for axis in sweep["axes"]] == [
        ("insert_ms", [0, 5]),
        ("taker_fee", [0.0005, 0.001]),
    ]
    profits = [row["figures"]["pnl"] for row in sweep["rows"]]
    assert profits == sorted(profits, reverse=True)
    assert sweep["rows"][0]["varied"]["venue.taker_fee"] == 0.0005
    run = live.registered(sweep["rows"][0]["run_id"])
    assert (run["sweep_id"], run["pnl"]) == (sweep["id"], profits[0])
    assert any("not covered" in flag for flag in sweep["rows"][0]["flags"])
    listed = live.get("/api/v1/sweeps").json["sweeps"]
    found = next(each for each in listed if each["id"] == sweep["id"])
    assert found["by_status"] == {"succeeded": 4}
    assert found["dagster_run_id"] == started.json["dagster_run_id"]
    for refused in (
        {**body, "vary": {"instrument.id": ["X"]}},
        {**body, "vary": {}},
        {**body, "vary": {"venue.taker_fee": [0] * 200, "venue.maker_fee": [0] * 200}},
    ):
        assert live.post("/api/v1/sweeps", refused).status == 422
    assert live.get("/api/v1/sweeps/SWP_BNF_BTC_20240101_00000000_99a518_1a4d0a").status == 404
    assert live.get("/api/v1/sweeps/none").status == 404
    assert live.get(f"{address}?sort=-size").status == 422


def test_a_vectorized_sweep_is_shown_like_another(service: Service) -> None:
    table = pa.table(
        {
            "fast": [5, 5, 10],
            "slow": [20, 40, 40],
            "return_pct": [1.5, None, -2.0],
            "cagr_pct": [None] * 3,
            "sharpe": [0.5, 2.0, None],
            "max_drawdown_pct": [-3.0, -1.0, -9.0],
            "trades": [4, 0, 7],
            "win_rate": [25.0, None, 50.0],
            "profit_factor": [1.1, None, 0.4],
            "fees": [3.5, 0.0, 9.0],
            "fills": [8, 0, 14],
            "final_equity": [10_150.0, 10_000.0, 9_800.0],
        }
    )
    facts = {
        "id": "0123456789ab",
        "config": "spy_ma_cross",
        "instrument": "SPY",
        "currency": "USD",
        "variants": 3,
    }
    path = service.settings.results_path / "vsweeps/spy_ma_cross_0123456789ab.parquet"
    write_variants(table, facts, path)
    listed = service.get("/api/v1/sweeps?config=spy_ma_cross").json["sweeps"]
    assert [(each["id"], each["kind"], each["variants"]) for each in listed] == [
        ("0123456789ab", "vectorized", 3)
    ]
    sweep = service.get("/api/v1/sweeps/0123456789ab?sort=-sharpe_ratio").json
    assert [(axis["name"], axis["values"]) for axis in sweep["axes"]] == [
        ("fast", [5, 10]),
        ("slow", [20, 40]),
    ]
    assert [row["number"] for row in sweep["rows"]] == [2, 1, 3]
    figures = sweep["rows"][1]["figures"]
    assert (figures["total_return"], figures["max_drawdown"], figures["cagr"]) == (
        0.015,
        -0.03,
        None,
    )

    def numbers(query: str) -> list[int]:
        reply = service.get(f"/api/v1/sweeps/0123456789ab?{query}")
        assert reply.status == 200, reply.data
        return [row["number"] for row in reply.json["rows"]]

    assert numbers("where=slow:40&sort=-fast") == [3, 2]
    assert numbers("where=total_return>-1,fast<10") == [1]
    assert numbers("where=sharpe_ratio:null") == [3]
    assert numbers("where=strategy.params.fast>=5&sort=slow,-fast&limit=2&offset=1") == [3, 2]
    columns = service.get(
        "/api/v1/sweeps/0123456789ab/columns?figures=total_return,fills&where=fast:5"
    ).json
    assert (columns["number"], columns["chosen"]) == ([1, 2, 3], [1, 2])
    assert columns["at"] == [[0, 0, 1], [0, 1, 1]]
    assert columns["values"] == {"total_return": [0.015, None, -0.02], "fills": [8, 0, 14]}
    assert columns["run_id"] == [None] * 3
    for wrong in ("?where=size>1", "?where=fast", "?sort=size", "/columns?figures=size"):
        assert service.get(f"/api/v1/sweeps/0123456789ab{wrong}").status == 422
    path.write_bytes(b"damaged")
    assert service.get("/api/v1/sweeps?config=spy_ma_cross").json["sweeps"] == []
    path.unlink()


def test_a_sweep_that_kept_figures_only_is_shown_like_another(service: Service) -> None:
    runs = service.get("/api/v1/runs?status=succeeded&limit=1").json["runs"]
    stored = ResultStore(service.settings.results_path).entry(runs[0]["run_id"])
    summary, metadata = stored.summary(), stored.metadata()
    varied: list[dict[str, Any]] = [{"venue.taker_fee": fee} for fee in (0.1, 0.2, 0.3)]
    poorer = {**summary, "pnl": summary["pnl"] - 1}
    variants = [
        VariantResult(varied[0], None, "a" * 64, None, {}, ("odd",), poorer),
        VariantResult(varied[1], None, "b" * 64, None, {}, (), summary),
        VariantResult(varied[2], None, None, "no balance", {}, ()),
    ]
    sweep_id = "SWP_BNF_BTC_20240101_00000000_16c532_75e310"
    facts = sweep_facts(metadata, variants, {"id": sweep_id, "currency": "USDT"})
    path = service.settings.results_path / f"vsweeps/{sweep_id}.parquet"
    write_variants(figures_table(variants, ["x", "y", "z"]), facts, path)
    listed = service.get("/api/v1/sweeps").json["sweeps"]
    found = next(each for each in listed if each["id"] == sweep_id)
    assert (found["kind"], found["variants"]) == ("vectorized", 3)
    assert found["partition"] == metadata["partition"]
    assert found["by_status"] == {"succeeded": 2, "failed": 1}
    sweep = service.get(f"/api/v1/sweeps/{sweep_id}?sort=-pnl").json
    assert [row["number"] for row in sweep["rows"]] == [2, 1, 3]
    assert sweep["rows"][0]["figures"]["pnl"] == summary["pnl"]
    assert sweep["rows"][1]["flags"] == ["odd"]
    assert [row["error"] for row in sweep["rows"]] == [None, None, "no balance"]
    assert [axis["path"] for axis in sweep["axes"]] == ["venue.taker_fee"]
    assert service.get(f"/api/v1/sweeps/{sweep_id}?sort=nothing").status == 422
    path.unlink()


def test_a_calendar_tells_of_every_day_and_a_partition_of_its_runs(service: Service) -> None:
    coverage = service.get("/api/v1/coverage?first_day=2023-12-31&last_day=2024-01-02")
    assert coverage.status == 200, coverage.data
    assert coverage.json["days"] == ["2023-12-31", "2024-01-01", "2024-01-02"]
    rows = {row["data_type"]: row for row in coverage.json["rows"]}
    assert rows["trades"]["state"] == "·■·"
    assert rows["trades"]["configs"] == [BTC, THROTTLED]
    assert rows["trades"]["checks"] == [None, "warned", None]
    known = {"If_None_Match": coverage.headers["ETag"]}
    again = "/api/v1/coverage?first_day=2023-12-31&last_day=2024-01-02"
    assert service.get(again, **known).status == 304
    for wrong in (
        "first_day=2024-01-02&last_day=2024-01-01",
        "first_day=1990-01-01&last_day=2024-01-01",
    ):
        assert service.get(f"/api/v1/coverage?{wrong}").status == 422
    part = service.get(f"/api/v1/catalog/{KEY}/trades/2024-01-01").json
    assert (part["state"], part["manifest"]["rows_written"]) == ("■", rows["trades"]["rows"][1])
    failed = {verdict["check"] for verdict in part["verdicts"] if not verdict["passed"]}
    assert failed == {"day_covered"}
    assert {run["config_name"] for run in part["runs"]} == {BTC, THROTTLED}
    assert all(run["current"] for run in part["runs"])
    assert service.get(f"/api/v1/catalog/{KEY}/trades/2024-01-05").json["state"] == "·"
    assert service.get("/api/v1/catalog/NO:SUCH:THING/trades/2024-01-01").status == 404


def test_an_overview_is_a_run_and_its_result(service: Service) -> None:
    runs = service.get("/api/v1/runs").json["runs"]
    done = next(run["run_id"] for run in runs if run["status"] == "succeeded")
    found = service.get(f"/api/v1/runs/{done}/overview")
    run = service.get(f"/api/v1/runs/{done}")
    result = service.get(f"/api/backtest/results/{done}")
    assert found.data == b'{"run":%b,"result":%b}' % (run.data, result.data)
    packed = service.get(f"/api/v1/runs/{done}/overview", Accept_Encoding="gzip")
    assert packed.json == found.json
    assert packed.headers["ETag"] != found.headers["ETag"]
    known = service.get(f"/api/v1/runs/{done}/overview", If_None_Match=found.headers["ETag"])
    assert known.status == 304
    unknown = "BNF_BTC_20240101_00000000_000000_000000"
    assert service.get(f"/api/v1/runs/{unknown}/overview").status == 404
    # A result whose file is gone is null: the call for the result says what is wrong.
    file = service.settings.results_path / f"fast/{done}.json"
    aside = file.rename(file.with_suffix(".aside"))
    try:
        found = service.get(f"/api/v1/runs/{done}/overview").json
        assert (found["run"]["run_id"], found["result"]) == (done, None)
        assert service.get(f"/api/backtest/results/{done}").status == 404
    finally:
        aside.rename(file)


def test_a_note_is_replaced_by_who_has_read_it(service: Service) -> None:
    run_id = service.get("/api/v1/runs?limit=1").json["runs"][0]["run_id"]
    address = f"/api/v1/runs/{run_id}/note"
    empty = service.get(address)
    assert empty.json == {"text": "", "tags": [], "star": False}
    note = {"text": "<b>odd</b> Ünï", "tags": ["paper", "a1"], "star": True}
    put = service.ask("PUT", address, note, If_Match=empty.headers["ETag"])
    assert (put.status, put.json["tags"]) == (200, ["a1", "paper"])
    assert service.get(address).headers["ETag"] == put.headers["ETag"]
    assert service.ask("PUT", address, note, If_Match=empty.headers["ETag"]).status == 412
    assert service.ask("PUT", address, note).status == 428
    assert service.ask("PUT", address, {"tags": ["no spaces"]}, If_Match="*").status == 422
    # The older call knows nothing of the star, and keeps it.
    older = f"/api/v1/runs/{run_id}/annotations"
    assert service.ask("PUT", older, {"tags": ["paper"], "note": "kept"}).status == 200
    assert service.get(address).json == {"text": "kept", "tags": ["paper"], "star": True}

    def found(query: str) -> list[str]:
        runs = service.get(f"/api/v1/runs?{query}").json["runs"]
        return [run["run_id"] for run in runs]

    listed = service.get("/api/v1/runs?star=true").json["runs"]
    assert [(run["run_id"], run["star"], run["tags"]) for run in listed] == [
        (run_id, True, ["paper"])
    ]
    assert found("tag=paper") == found("q=KEPT") == found("q=kept%20btc") == [run_id]
    assert run_id not in found("star=false")
    facets = service.get("/api/v1/runs/facets").json
    assert (facets["star"], facets["tag"]) == (1, [{"value": "paper", "runs": 1}])
    current = service.get(address).headers["ETag"]
    assert service.ask("PUT", address, {}, If_Match=current).status == 200
    assert not (service.settings.results_path / f"annotations/{run_id}.json").exists()
    assert found("star=true") == found("tag=paper") == []


def test_runs_are_found_by_words_bounds_and_warnings_and_counted(service: Service) -> None:
    def ask(query: str) -> list[dict[str, object]]:
        reply = service.get(f"/api/v1/runs?{query}")
        assert reply.status == 200, reply.data
        runs: list[dict[str, object]] = reply.json["runs"]
        return runs

    everything = ask("sort=pnl")
    profits = [float(str(run["pnl"])) for run in everything]
    assert len(everything) == 3
    assert [run["pnl"] for run in ask(f"min_pnl={profits[1]}&sort=pnl")] == profits[1:]
    assert ask(f"max_pnl={profits[0]}&min_pnl={profits[0]}")[0]["run_id"] == everything[0]["run_id"]
    assert len(ask("q=2024-01-01%20binance")) == 3
    assert {run["config_name"] for run in ask(f"q={THROTTLED}")} == {THROTTLED}
    assert ask("q=50%25") == ask("q=no_such") == []
    flagged = sum(bool(run["flag_count"]) for run in everything)
    assert len(ask("flagged=true")) == flagged
    assert len(ask("flagged=false")) == 3 - flagged
    for wrong in ("min_pnl=nan", "min_currency=1", "q=" + "x" * 300, "min_pnl=1e99"):
        assert service.get(f"/api/v1/runs?{wrong}").status == 422
    facets = service.get(f"/api/v1/runs/facets?config_name={THROTTLED}").json
    assert facets["total"] == 1
    # What is chosen shows the others, too; what is not, only what is left.
    counts = {each["value"]: each["runs"] for each in facets["config_name"]}
    assert counts == {BTC: 2, THROTTLED: 1}
    assert facets["detail"] == [{"value": "report", "runs": 1}]
    assert facets["status"] == [{"value": "succeeded", "runs": 1}]


def test_a_configuration_is_checked_while_it_is_written(service: Service) -> None:
    address = "/api/configs/validate"
    schema = service.get("/api/configs/schema").json
    assert {"RunConfig", "BarsConfig"} <= schema["$defs"].keys()
    config = service.get(f"/api/configs/{BTC}").json
    whole = service.post(address, {"name": BTC, "config": config}).json
    assert (whole["valid"], whole["problems"]) == (True, [])
    assert whole["hash"] == next(
        each["hash"] for each in service.get("/api/configs").json["configs"] if each["name"] == BTC
    )
    config["venue"]["maker_fee"], config["nonsens"] = "much", 1
    del config["instrument"]["id"]
    wrong = service.post(address, {"name": "new_one", "config": config}).json
    assert (wrong["valid"], wrong["hash"]) == (False, None)
    found = {each["path"]: (each["found"], each["allowed"]) for each in wrong["problems"]}
    assert found["venue.maker_fee"] == ('"much"', "a number")
    assert found["nonsens"][0] == "nonsens"
    assert found["instrument.id"][0] is None
    # Valid by itself, and another instrument's precision than its neighbors say.
    other = service.get(f"/api/configs/{BTC}").json
    other["instrument"]["price_precision"] = 3
    assert service.post(address, {"config": other}).json["valid"] is True
    against = service.post(address, {"name": "other", "config": other}).json
    assert against["valid"] is False
    assert str(Path(service.folder)) not in against["problems"][0]["text"]
    reach = service.get(f"/api/configs/{BTC}").json
    reach["strategy"] = {"name": "Own", "path": "os:system"}
    refused = service.post(address, {"config": reach}).json
    assert [each["path"] for each in refused["problems"]] == ["strategy.path"]
    assert service.post(address, {"name": "../a", "config": {}}).status == 422
    assert service.get(f"/api/configs/{BTC}").json["venue"]["maker_fee"] != "much"
