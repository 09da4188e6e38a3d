"""Several processes at the same thing: one wins, nobody breaks, and what is there is right."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from ground import DATA_TYPES, EDITIONS, Ground
from killing import Dice, Work, results_tree, watched
from pieces import CONFIG, DAY

from odum_assets.results.store import ResultStore
from odum_assets.storage.locks import hold_lock

ROUNDS = int(os.environ.get("KILLS", "300"))


def rounds(few: int, share: float) -> pytest.MarkDecorator:
    """Play a few rounds in the default suite, and a share of KILLS in the torture."""
    torture = pytest.mark.torture, pytest.mark.timeout(7200)
    many = max(round(ROUNDS * share), 1)
    given = [pytest.param(few, id="few"), pytest.param(many, id="many", marks=torture)]
    return pytest.mark.parametrize("count", given)


@rounds(few=2, share=0.2)
def test_two_conversions_of_one_partition(
    ground: Ground, dice: Dice, tmp_path: Path, count: int
) -> None:
    """With a reader beside them, and a new delivery before each round."""
    project = ground.copy(tmp_path / "project")
    with watched(project, ground.expected) as end:
        for number in range(count):
            edition = EDITIONS[(number + 1) % len(EDITIONS)]
            ground.deliver(project, edition)
            works = [Work.piece(project, "convert", each) for each in (*DATA_TYPES, "trades")]
            dice.random.shuffle(works)
            for work in works:
                work.go()
            for work in works:
                work.require()
            assert ground.wrong_in_catalog(project, edition) == set(), number
        seen = end()
    assert seen.wrong == []


def test_the_second_conversion_waits_and_has_nothing_to_do(ground: Ground, tmp_path: Path) -> None:
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "trades").go().require()
    (data,) = project.glob("data/catalog/data/trades/*/*.parquet")
    inode = data.stat().st_ino
    (lock,) = project.glob(f"data/catalog/.locks/*.trades.{DAY}.lock")
    works = [Work.piece(project, "convert", "trades") for _ in range(2)]
    with hold_lock(lock):
        for work in works:
            work.go()
        time.sleep(0.3)
        assert [work.process.poll() for work in works] == [None, None]
    for work in works:
        work.require()
    assert data.stat().st_ino == inode


@rounds(few=2, share=0.2)
def test_two_processes_publish_one_result(
    ground: Ground, dice: Dice, tmp_path: Path, count: int
) -> None:
    """Of one id and of two: the store holds each id once, whole, as one of the two wrote it."""
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    Work.piece(project, "backtest", "report").go().require()
    store = ResultStore(project / "data/results")
    given = store.current(CONFIG, str(DAY))
    assert given is not None
    assert given.report_path is not None
    documents = tmp_path / "documents"
    documents.mkdir()
    with watched(project, ground.expected) as end:
        for number in range(count):
            same = number % 2 == 0
            ids = [f"{given.run_id[:-6]}{2 * number + each:06x}" for each in range(2)]
            works = []
            for place, run_id in enumerate([ids[0], ids[0] if same else ids[1]]):
                text = json.dumps(given.document).replace(given.run_id, run_id)
                (documents / f"{place}.json").write_text(text)
                report = project / f"data/results/.staging/made-{place}"
                shutil.copytree(given.report_path, report)
                for name in ("summary.json", "metadata.json"):
                    content = (report / name).read_text().replace(given.run_id, run_id)
                    (report / name).write_text(content)
                document = str(documents / f"{place}.json")
                works.append(Work.piece(project, "publish", document, str(report)))
            dice.random.shuffle(works)
            for work in works:
                work.go()
            codes = sorted(work.finish() for work in works)
            assert codes == ([0, 1] if same else [0, 0]), [work.errors for work in works]
            if same:
                (refused,) = [work.errors for work in works if work.process.returncode]
                assert "has a result of this id already, it stays as it is" in refused
            latest = store.current(CONFIG, str(DAY))
            assert latest is not None
            assert latest.run_id in ids
            for place in range(2):
                shutil.rmtree(project / f"data/results/.staging/made-{place}", ignore_errors=True)
            for each in results_tree(store.root):
                assert set(each.items()) < set(ground.results["report"].items())
        seen = end()
    assert seen.wrong == []
    assert len(store.entries()) == 1 + count + count // 2


@rounds(few=1, share=0.03)
def test_two_backtests_of_one_day(ground: Ground, dice: Dice, tmp_path: Path, count: int) -> None:
    """While the day is converted again: both end well, with the same digest."""
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    with watched(project, ground.expected) as end:
        for _ in range(count):
            works = [Work.piece(project, "backtest", mode) for mode in ("fast", "report")]
            works.append(Work.piece(project, "convert", "trades", "force"))
            dice.random.shuffle(works)
            for work in works:
                work.go()
            for work in works:
                work.require()
        seen = end()
    assert seen.wrong == []
    assert len(results_tree(project / "data/results")) == 2 * count
    assert ground.wrong_in_catalog(project, "first") == set()
    digests = {entry.digest for entry in ResultStore(project / "data/results").entries()}
    assert digests == set(ground.expected["digests"])
