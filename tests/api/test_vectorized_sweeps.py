"""Vectorized sweeps that the service starts: planned, refused, carried out, read."""

import json
import uuid
from typing import Any

import pyarrow.parquet as pq
import pytest
from barservice import BARS, NAME
from live import Live

START = "/api/v1/sweeps/vectorized"
GRID = {"config": NAME, "fast": "5:15:5", "slow": "10,30", "first_day": "2021-02-01"}


@pytest.fixture(scope="module")
def sweep(bars_live: Live) -> dict[str, Any]:
    """A sweep that was started and has ended."""
    body = {**GRID, "last_day": "2021-12-31", "side": "long,long_short", "verify": 2}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    reply = bars_live.post(START, body, **key)
    assert reply.status == 202, reply.data
    started = reply.json
    address = f"/api/v1/sweeps/{started['id']}"
    assert reply.headers["Location"] == address
    # The address is good from the start, and a repeat starts nothing.
    first = bars_live.get(address).json
    assert (first["kind"], first["config"]) == ("vectorized", NAME)
    again = bars_live.post(START, body, **key).json
    assert (again["id"], again["dagster_run_id"]) == (started["id"], started["dagster_run_id"])
    # It is in the list before it has a variant.
    listed = bars_live.get(f"/api/v1/sweeps?config={NAME}").json["sweeps"]
    (mine,) = [each for each in listed if each["id"] == started["id"]]
    assert (mine["kind"], mine["dagster_run_id"]) == ("vectorized", started["dagster_run_id"])
    assert mine["status"] in ("queued", "running")
    others = bars_live.get("/api/v1/sweeps?config=another").json["sweeps"]
    assert started["id"] not in [each["id"] for each in others]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = bars_live.get(address).json
        return None if found["status"] in ("queued", "running") else found

    found = bars_live.wait("end of the sweep", ended, 180)
    return {**found, "started": started}


def test_a_grid_is_run_and_verified_under_the_id_that_was_promised(
    sweep: dict[str, Any], bars_live: Live
) -> None:
    # Pairs whose fast length is not below the slow one are left out.
    pairs = [(5, 10), (5, 30), (10, 30), (15, 30)]
    assert sweep["status"] == "succeeded", sweep
    assert sweep["variants"] == sweep["started"]["variants"] == 2 * len(pairs)
    varied = [tuple(row["varied"].values()) for row in sweep["rows"]]
    assert sorted(varied) == sorted(
        (*pair, side) for pair in pairs for side in ("long", "long_short")
    )
    proof = sweep["facts"]["proof"]
    assert (len(proof["best"]), len(proof["random"])) == (2, 2)
    chosen = {number: sweep["rows"][number - 1] for number in proof["best"] + proof["random"]}
    assert proof["fills"] == sum(row["figures"]["fills"] for row in chosen.values()) > 0
    returns = [row["figures"]["total_return"] for row in sweep["rows"]]
    best = [returns[number - 1] for number in proof["best"]]
    assert sorted(returns)[-2:] == sorted(best)
    assert sweep["dagster_run_id"] == sweep["started"]["dagster_run_id"]

    listed = bars_live.get(f"/api/v1/sweeps?config={NAME}").json["sweeps"]
    assert sweep["id"] in [each["id"] for each in listed if each["kind"] == "vectorized"]


def test_the_file_is_that_of_the_command(sweep: dict[str, Any], bars_live: Live) -> None:
    from odum_assets.config import load_config
    from odum_assets.orchestration.vsweep_requests import VsweepOptions
    from odum_assets.results.bar_sweep import run_bar_sweep

    loaded = load_config(bars_live.folder / f"configs/{NAME}.json")
    given = {name: value for name, value in GRID.items() if name != "config"}
    options = VsweepOptions(**given, last_day="2021-12-31", side="long,long_short")
    stored = run_bar_sweep(loaded, bars_live.settings, options.sweep_request(loaded))
    own = pq.read_table(stored.path.with_name(f"{sweep['id']}.parquet"))
    assert own.equals(stored.table)
    facts = json.loads((own.schema.metadata or {})[b"odum.vsweep"])
    assert (facts["id"], facts["content_id"]) == (sweep["id"], stored.facts["id"])
    stored.path.unlink()


def test_a_plan_says_what_a_grid_comes_to(bars_live: Live) -> None:
    plan = bars_live.post(f"{START}/plan", {**GRID, "last_day": "2021-12-31"}).json
    # Both years are whole partitions of daily bars; 2021 alone is asked for.
    assert plan["variants"] == 4
    assert plan["axes"] == {"fast": 3, "slow": 2}
    assert (plan["days"], plan["first_day"], plan["converts"]) == (1, "2021-01-01", 0)
    everything = {"config": NAME, "fast": "5", "slow": "20"}
    plan = bars_live.post(f"{START}/plan", everything).json
    assert (plan["variants"], plan["days"], plan["rows"]) == (1, 2, BARS)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fast": "5:x"}, "fast: found 5:x, allowed whole numbers from 1"),
        ({"fast": None}, "fast is missing: a sweep of MA_CROSS needs it"),
        ({"fast": "30", "slow": "10"}, "fast and slow: no fast length is below a slow one"),
        ({"fast": "1:5000:1", "slow": "1:5000:1"}, "fast and slow: more than 1,000,000 variants"),
        ({"side": "short"}, "side: found short, allowed long, long_short, or both"),
        ({"threshold": "0.5"}, "threshold: not a parameter of MA_CROSS"),
        ({"fixed_size": "1", "percent_size": "0.5"}, "percent_size"),
        ({"last_day": None}, "first_day 2021-02-01 and last_day None: give both"),
        ({"last_day": "9999-12-31"}, "within 100 years"),
        ({"instrument": "ETH"}, "instrument: btc_daily has no ETH; name one of"),
        ({"verify": -1}, "body.verify"),
    ],
)
def test_values_that_cannot_be_used_are_refused_where_they_are(
    bars_live: Live, change: dict[str, Any], text: str
) -> None:
    body = {**GRID, "last_day": "2021-12-31", **change}
    for path in (START, f"{START}/plan"):
        reply = bars_live.post(path, body)
        assert (reply.status, text in reply.json["detail"]) == (422, True), reply.json


def test_days_without_bars_are_refused(bars_live: Live) -> None:
    body = {**GRID, "first_day": "2010-01-04", "last_day": "2010-02-01"}
    reply = bars_live.post(f"{START}/plan", body)
    assert (reply.status, reply.json["type"].rpartition(":")[2]) == (409, "missing-data")
    assert "from 2010-01-04 to 2010-02-01 there are neither raw files nor" in reply.json["detail"]
    reply = bars_live.post(START, {**GRID, "config": "nowhere"})
    assert reply.status == 404
