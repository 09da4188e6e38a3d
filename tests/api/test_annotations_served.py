"""Tags, notes, deleting, tearsheets, and runs by a part of their id, over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from service import BTC, Service, lay_out, make_results, serving

from odum_assets.results.tearsheet import write_tearsheet

RESULTS = "/api/backtest/results"
RUNS = "/api/v1/runs"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Service]:
    """A service on two results of its own, one in report mode."""
    lay_out(tmp_path)
    make_results(tmp_path, (BTC, "report"), (BTC, "fast"))
    with serving(tmp_path) as service:
        yield service


def _ids(service: Service) -> list[str]:
    return [each["run_id"] for each in service.get(RESULTS).json]


def test_tags_notes_parts_of_ids_and_deleting(own: Service) -> None:
    fast, report = _ids(own)
    assert own.get(f"{RESULTS}/last").json["run_id"] == fast
    assert own.get(f"{RESULTS}/{report[-6:]}").json["run_id"] == report
    assert own.get(f"{RUNS}/{report[-6:].upper()}").json["run_id"] == report
    assert own.get(f"{RUNS}/last/metrics").json["run_id"] == fast
    several = own.get(f"{RESULTS}/{report[:16]}")
    assert several.status == 409
    assert several.json["type"] == "urn:odum:problem:ambiguous-run"
    assert fast in several.json["detail"]
    for unknown in ("nothing", "zz", "%25", "a" * 70):
        assert own.get(f"{RESULTS}/{unknown}").status == 404

    address = f"{RUNS}/{report}/annotations"
    assert own.get(address).json == {"run_id": report, "tags": [], "note": ""}
    new = {"tags": ["paper", "a"], "note": "with queue position"}
    assert own.ask("PUT", address, new).json == {"run_id": report, **new, "tags": ["a", "paper"]}
    assert own.ask("PUT", address, {"tags": ["two words"]}).status == 422
    listed = {each["run_id"]: each for each in own.get(RESULTS).json}
    assert listed[report]["tags"] == ["a", "paper"]
    assert listed[report]["note"] == "with queue position"
    assert listed[fast]["tags"] == []
    assert listed[fast]["metadata"]["time_range"] == "2024-01-01"

    path = write_tearsheet(report, own.settings)
    page = own.get(f"{RESULTS}/{report}/tearsheet")
    assert page.data == path.read_bytes()
    assert page.headers["content-type"].startswith("text/html")
    # A browser shows it, and nothing in it can act for its reader.
    assert "content-disposition" not in page.headers
    assert "sandbox" in page.headers["content-security-policy"]
    assert own.get(f"{RESULTS}/{fast}/tearsheet").status == 404

    assert own.ask("DELETE", f"{RESULTS}/{report[-6:]}").status == 404
    planned = own.ask("DELETE", f"{RESULTS}/{report}?dry_run=true").json
    assert planned["deleted"] is False
    assert f"annotations/{report}.json" in planned["files"]
    assert _ids(own) == [fast, report]
    done = own.ask("DELETE", f"{RESULTS}/{report}").json
    assert done == {**planned, "deleted": True}
    assert _ids(own) == [fast]
    assert own.get(f"{RUNS}/{report}").status == 404
    assert own.ask("DELETE", f"{RESULTS}/{report}").status == 404
    left = [path for path in own.folder.joinpath("data/results").rglob("*") if report in path.name]
    assert left == []
