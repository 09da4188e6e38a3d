"""The store: run ids, whole results or none, and no way out of its folder."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tinydays import INVERSE, LOCKS, SPOT, Market, Outcome, moment, variant

from odum_assets.errors import OdumError
from odum_assets.results.run_id import is_run_id, new_run_id
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.storage.scratch import scratch_folder

ID = "BNF_BTC_20240305_12000000_018dd7_c54988"


def _document(run_id: str = ID, created: str = "2026-01-01T00:00:00.000Z") -> dict[str, Any]:
    return {
        "run_id": run_id,
        "mode": "fast",
        "summary": {"pnl": 1.5},
        "metadata": {
            "config_name": "some_config",
            "partition": "2024-03-05",
            "digest": "0" * 64,
            "created": created,
        },
    }


def _files(root: Path) -> list[str]:
    found = (str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())
    return sorted(name for name in found if name not in LOCKS)


@pytest.mark.parametrize("name", [SPOT, INVERSE])
def test_a_run_id_names_venue_coin_start_and_config(name: str) -> None:
    config = variant(name)
    run_id = new_run_id(config, moment(3661.23))
    pattern = rf"[A-Z]{{2,4}}_BTC_20240305_01010123_{config.content_hash[:6]}_[0-9a-f]{{6}}"
    assert re.fullmatch(pattern, run_id)
    assert is_run_id(run_id)
    assert new_run_id(config, moment(0)) != new_run_id(config, moment(0))


@pytest.mark.parametrize(
    "text",
    ["", "..", "../" + ID, ID + "/..", "/etc/passwd", ID + "\n", ID.lower(), f"{ID}.json", "*"],
)
def test_what_is_no_run_id_never_becomes_a_path(tmp_path: Path, text: str) -> None:
    assert not is_run_id(text)
    store = ResultStore(tmp_path)
    for method in (store.entry, store.fast_path, store.report_path, store.ticks_path):
        with pytest.raises(ResultError, match="is not a run id"):
            method(text)


def test_a_result_is_found_again(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    assert store.entries() == []
    assert store.current("some_config", "2024-03-05") is None
    entry = store.publish(_document(), None)
    assert store.entry(ID) == store.current("some_config", "2024-03-05") == entry
    assert (entry.summary(), entry.report_path, entry.mode) == ({"pnl": 1.5}, None, "fast")


def test_entries_are_newest_first_and_the_latest_is_current(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    ids = [f"BNF_BTC_20240305_12000000_018dd7_00000{digit}" for digit in (3, 1, 2)]
    for hour, run_id in enumerate(ids):
        store.publish(_document(run_id, f"2026-01-01T0{hour}:00:00.000Z"), None)
    assert [each.run_id for each in store.entries()] == ids[::-1]
    current = store.current("some_config", "2024-03-05")
    assert current is not None
    assert current.run_id == ids[-1]
    # A result that was removed by hand is no longer current.
    current.fast_path.unlink()
    assert store.current("some_config", "2024-03-05") is None


def test_an_unknown_run_names_near_ones(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    with pytest.raises(ResultError, match="see odum results list"):
        store.entry(ID)
    store.publish(_document(), None)
    with pytest.raises(ResultError, match=f"did you mean {ID}"):
        store.entry(ID[:-1] + "0")


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    path = store.publish(_document(), None).fast_path
    for content in ("{", "[]", '{"run_id": "x"}', ""):
        path.write_text(content)
        with pytest.raises(OdumError, match=re.escape(ID)):
            store.entries()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_is_stored_is_on_the_disk_in_the_order_in_which_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "results"
    folder = root / "work"
    folder.mkdir(parents=True)
    (folder / "orders.json").write_text("[]")
    done: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        done.append(("sync", str(Path(f"/proc/self/fd/{descriptor}").readlink())))

    def renamed(source: Path, target: Path) -> None:
        rename(source, target)
        done.append(("move", str(target)))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    ResultStore(root).publish({**_document(), "mode": "report"}, folder)
    steps = [
        ("sync", f"{folder}/orders.json"),
        ("sync", str(folder)),
        ("move", f"{root}/report/{ID}"),
        ("sync", f"{root}/report"),
        ("move", f"{root}/fast/{ID}.json"),
        ("sync", f"{root}/fast"),
        ("move", f"{root}/partitions/some_config/2024-03-05.json"),
        ("sync", f"{root}/partitions/some_config"),
    ]
    assert [each for each in done if each in steps] == steps
    # Folders that were not there before have a place that lasts, too.
    assert {("sync", str(root)), ("sync", f"{root}/partitions")} <= set(
        done[: done.index(steps[2])]
    )


def test_publishing_moves_the_report_and_writes_all(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "orders.json").write_text("[]")
    entry = store.publish({**_document(), "mode": "report"}, folder)
    assert entry.report_path == tmp_path / "results/report" / ID
    assert not folder.exists()
    assert _files(tmp_path / "results") == [
        f"fast/{ID}.json",
        "partitions/some_config/2024-03-05.json",
        f"report/{ID}/orders.json",
    ]


@pytest.mark.parametrize("in_the_way", ["report", "fast", "partitions"])
def test_publishing_that_fails_leaves_nothing(tmp_path: Path, in_the_way: str) -> None:
    root = tmp_path / "results"
    root.mkdir()
    (root / in_the_way).write_text("a file where a folder belongs")
    folder = tmp_path / "work"
    folder.mkdir()
    with pytest.raises(ResultError, match="cannot be read or written"):
        ResultStore(root).publish(_document(), folder)
    assert _files(root) == [in_the_way]
    assert not (root / "report" / ID).exists()


def test_a_figure_that_is_no_number_is_never_stored(tmp_path: Path) -> None:
    document = _document()
    document["summary"]["pnl"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        ResultStore(tmp_path).publish(document, None)
    assert _files(tmp_path) == []


def test_a_result_of_the_same_id_stays_as_it_is(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "results")
    for content in ("[]", "[1]"):
        (tmp_path / content).mkdir()
        (tmp_path / content / "orders.json").write_text(content)
    store.publish({**_document(), "mode": "report"}, tmp_path / "[]")
    before = _files(store.root)
    with pytest.raises(ResultError, match="has a result of this id already"):
        store.publish({**_document(), "mode": "report"}, tmp_path / "[1]")
    with pytest.raises(ResultError, match="has a result of this id already"):
        store.publish(_document(), None)
    assert _files(store.root) == before
    assert (store.report_path(ID) / "orders.json").read_text() == "[]"


def test_a_run_that_cannot_be_stored_says_so(market: Market) -> None:
    market.settings.results_path.mkdir()
    (market.settings.results_path / "fast").write_text("in the way")
    with pytest.raises(ResultError, match="cannot be read or written"):
        market.run()
    assert market.stored() == ["fast"]


def test_leftovers_of_dead_processes_are_swept(market: Market) -> None:
    """Alive is who holds the lock: process ids come again, and in a container they are the same."""
    results, views = market.settings.results_path, market.settings.catalog_path / ".views"
    store = ResultStore(results)
    with store.scratch() as alive, scratch_folder(views) as alive_view:
        for place in (results / ".staging", views):
            for name in ("work-dead", "keep"):
                (place / name).mkdir()
                (place / name / ".owner").touch()
        # It died between the report and the summary that makes it a result.
        (results / ".staging/work-dead/publishing").write_text(ID)
        store.report_path(ID).mkdir(parents=True)
        market.run()
        assert {each.name for each in alive.parent.glob("*")} == {alive.name, "keep", *_HIDDEN}
        assert {each.name for each in views.glob("*")} == {alive_view.name, "keep", ".lock"}
        assert not store.report_path(ID).exists()
    assert not alive.exists()
    assert not alive_view.exists()


_HIDDEN = (".lock", ".publish")


def test_fast_mode_keeps_the_summary_alone(market: Market) -> None:
    run: Outcome = market.run(mode="fast")
    assert run.result.report_path is None
    assert market.stored() == [
        f"fast/{run.result.run_id}.json",
        "partitions/binance_futures_btcusdt_l2_trades_config/2024-03-05.json",
    ]
