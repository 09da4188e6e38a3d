"""Verifications are events of their run, on both databases and after a rebuild."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from resultfiles import stored

from odum_assets.registry.database import reading
from odum_assets.registry.queries import (
    RunFilter,
    count_runs,
    get_run,
    get_verified,
    list_events,
    list_runs,
)
from odum_assets.registry.register import rebuild, register_run
from odum_assets.results.store import ResultStore
from odum_assets.results.stored_file import ResultError
from odum_assets.results.verified import read_verifications, store_verification
from odum_assets.results.verify import Verification
from odum_assets.settings import Settings


def test_the_latest_verification_says_whether_a_run_repeats_itself(
    settings: Settings, registry: sa.Engine, sample: Path
) -> None:
    stored(sample, settings.results_path, 3)
    store = ResultStore(settings.results_path)
    rebuild(registry, store)
    with reading(registry) as connection:
        first, second, _ = (row["run_id"] for row in list_runs(connection).rows)
    _verify(store, settings, first, equal=True)
    _verify(store, settings, second, equal=True)
    _verify(store, settings, second, equal=False)
    for _ in ("registered", "rebuilt"):
        assert _outcomes(registry, first, second) == (True, False, 1, 1)
        rebuild(registry, store)
    # It could not be run again: nothing is known of it then.
    for number in range(25):
        store_verification(store, first, f"no data {number}", "run", "2024-01-01T00:00:00Z")
    register_run(settings, first)
    assert _outcomes(registry, first, second) == (None, False, 0, 1)
    with reading(registry) as connection:
        events = list_events(connection, first, event_type="verified", limit=100)
    # Who reads on from the last one misses none, though only the latest are kept.
    assert [event["payload"]["number"] for event in events] == list(range(6, 26))
    assert len({event["sequence"] - event["payload"]["number"] for event in events}) == 1
    assert events[-1]["payload"]["error"] == "no data 24"


def test_a_damaged_file_of_verifications_is_a_problem_of_a_rebuild_alone(
    settings: Settings, registry: sa.Engine, sample: Path
) -> None:
    stored(sample, settings.results_path, 1)
    store = ResultStore(settings.results_path)
    (run_id,) = (path.stem for path in (store.root / "fast").glob("*.json"))
    path = store.root / "verifications" / f"{run_id}.json"
    path.parent.mkdir()
    path.write_text("{")
    report = rebuild(registry, store)
    assert (report.runs, len(report.problems)) == (1, 1)
    assert str(path) in report.problems[0]
    with pytest.raises(ResultError, match="move it away"):
        read_verifications(store.file("verifications", path.name))
    with pytest.raises(ResultError, match=r"no (run|result)"):
        store_verification(store, run_id.replace("BTC", "ETH"), "x", "run", "2024-01-01T00:00:00Z")


def _verify(store: ResultStore, settings: Settings, run_id: str, *, equal: bool) -> None:
    digest = store.entry(run_id).digest
    outcome = Verification(run_id, digest, digest if equal else "0" * 64, ())
    store_verification(store, run_id, outcome, "run", "2024-01-01T00:00:00Z")
    register_run(settings, run_id)


def _outcomes(engine: sa.Engine, *run_ids: str) -> tuple[object, ...]:
    with reading(engine) as connection:
        runs = [get_run(connection, run_id) for run_id in run_ids]
        keys = [run["id"] for run in runs if run is not None]
        known = get_verified(connection, keys)
        counts = [count_runs(connection, RunFilter(verified=equal)) for equal in (True, False)]
    return *(known.get(key) for key in keys), *counts
