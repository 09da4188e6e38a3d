"""Processes killed at random and at every step: what a plain re-run then makes is what it must be.

Each round kills, runs the same again, and compares the catalog byte for byte and the results file
for file with undisturbed ones (see `killing.results_tree` for what is left out). A reader looks on
all the time. The default suite kills a dozen; ``make torture KILLS=300`` kills hundreds.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ground import DATA_TYPES, EDITIONS, Ground
from killing import ODUM, Dice, Target, Work, results_tree, wait_until_alone, watched
from pieces import CONFIG, DAY

KILLS = int(os.environ.get("KILLS", "300"))


def kills(few: int, share: float) -> pytest.MarkDecorator:
    """Kill a few times in the default suite, and a share of KILLS in the torture."""
    torture = pytest.mark.torture, pytest.mark.timeout(7200)
    many = max(round(KILLS * share), 1)
    given = [pytest.param(few, id="few")] if few else []
    return pytest.mark.parametrize("count", [*given, pytest.param(many, id="many", marks=torture)])


def until_killed(count: int, dice: Dice) -> Callable[[], bool]:
    """Go on until so many are killed, or far too many ended before."""
    return lambda: dice.kills < count and dice.late < 3 * count + 10


@kills(few=6, share=0.45)
def test_a_killed_conversion(ground: Ground, dice: Dice, tmp_path: Path, count: int) -> None:
    project = ground.copy(tmp_path / "project")
    now = dict.fromkeys(DATA_TYPES, "first")
    Work.piece(project, "convert", "all").go().require()
    with watched(project, ground.expected) as end:
        more = until_killed(count, dice)
        while more():
            edition = dice.random.choice([each for each in EDITIONS if each != now["trades"]])
            ground.deliver(project, edition)
            data_type = dice.random.choice(("trades", "trades", "book_snapshot_5"))
            work = Work.piece(project, "convert", data_type).go()
            dice.kill(work, data_type, ground.seconds[data_type], "group")
            Work.piece(project, "convert", "all").go().require()
            now = dict.fromkeys(DATA_TYPES, edition)
            assert ground.wrong_in_catalog(project, edition) == set(), (dice.kills, data_type)
        seen = end()
    assert seen.wrong == []
    assert seen.looks["_plain_manifest"] > count


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("edition", EDITIONS[1:])
def test_a_conversion_killed_before_every_step(
    ground: Ground, dice: Dice, tmp_path: Path, edition: str
) -> None:
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    with watched(project, ground.expected) as end:
        step = 0
        while True:
            step += 1
            ground.deliver(project, edition)
            work = Work.piece(project, "convert", "trades", KILL_AT_STEP=str(step)).go()
            killed = work.finish() < 0
            dice.count(killed)
            Work.piece(project, "convert", "all").go().require()
            assert ground.wrong_in_catalog(project, edition) == set(), step
            if not killed:
                break
            ground.deliver(project, "first")
            Work.piece(project, "convert", "all").go().require()
            assert ground.wrong_in_catalog(project, "first") == set(), step
        seen = end()
    assert step > 8
    assert seen.wrong == []


TICKS = ("tickdata/RUN.json", "tickdata/RUN.parquet")
"""What an export makes; a killed one may lack either."""


def check_results(ground: Ground, project: Path, mode: str, *, exported: bool = False) -> None:
    """Require that there is nothing but whole results, each like the undisturbed one."""
    found = results_tree(project / "data/results")
    assert found
    wanted = ground.results[mode]
    for each in found:
        different = set(each.items()) ^ set(wanted.items())
        assert different <= {(name, wanted[name]) for name in TICKS}, sorted(different)
        # Who finds the document, finds the table.
        assert TICKS[0] not in each or TICKS[1] in each
    assert not exported or any(TICKS[0] in each for each in found)
    assert ground.wrong_in_catalog(project, "first") == set()


@kills(few=3, share=0.2)
@pytest.mark.parametrize("mode", ["fast", "report"])
def test_a_killed_backtest(
    ground: Ground, dice: Dice, tmp_path: Path, mode: str, count: int
) -> None:
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    targets: tuple[Target, ...] = ("parent", "child", "group")
    with watched(project, ground.expected) as end:
        more = until_killed(count, dice)
        while more():
            for _ in range(3 if count > 10 else count):
                work = Work.piece(project, "backtest", mode).go()
                target = targets[dice.kills % 3] if count < 10 else dice.target()
                dice.kill(work, mode, ground.seconds[mode], target)
                wait_until_alone(project)
            Work.piece(project, "backtest", mode).go().require()
            check_results(ground, project, mode)
        seen = end()
    assert seen.wrong == []
    assert seen.looks["_product_results"] > count


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("mode", ["fast", "report"])
def test_a_backtest_killed_before_every_step(
    ground: Ground, dice: Dice, tmp_path: Path, mode: str
) -> None:
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    with watched(project, ground.expected) as end:
        step, killed = 0, True
        while killed:
            step += 1
            work = Work.piece(project, "backtest", mode, KILL_AT_STEP=str(step)).go()
            killed = work.finish() < 0
            dice.count(killed)
            wait_until_alone(project)
            if step % 4 == 0 or not killed:
                Work.piece(project, "backtest", mode).go().require()
                check_results(ground, project, mode)
        seen = end()
    assert step > 8
    assert seen.wrong == []


@kills(few=2, share=0.1)
def test_a_killed_export(ground: Ground, dice: Dice, tmp_path: Path, count: int) -> None:
    project = ground.copy(tmp_path / "project")
    Work.piece(project, "convert", "all").go().require()
    Work.piece(project, "backtest", "report").go().require()
    with watched(project, ground.expected) as end:
        more = until_killed(count, dice)
        while more():
            work = Work.piece(project, "ticks").go()
            dice.kill(work, "ticks", ground.seconds["ticks"], "group")
            Work.piece(project, "ticks").go().require()
            check_results(ground, project, "report", exported=True)
            for path in (project / "data/results/tickdata").iterdir():
                path.unlink()
        step, killed = 0, True
        while killed and count > 10:
            step += 1
            killed = Work.piece(project, "ticks", KILL_AT_STEP=str(step)).go().finish() < 0
            dice.count(killed)
        Work.piece(project, "ticks").go().require()
        check_results(ground, project, "report", exported=True)
        seen = end()
    assert seen.wrong == []


@kills(few=0, share=0.15)
def test_a_killed_command(ground: Ground, dice: Dice, tmp_path: Path, count: int) -> None:
    """The whole command, from raw files to the export; Dagster's state is not compared."""
    project = ground.copy(tmp_path / "project")
    command = [ODUM, "backtest", CONFIG, "--day", DAY, "--report", "--export-ticks"]
    duration = Work(project, command).require().took
    (undisturbed,) = results_tree(project / "data/results")
    del undisturbed["report/RUN/tearsheet.html"]
    with watched(project, ground.expected) as end:
        more = until_killed(count, dice)
        while more():
            for _ in range(3):
                if dice.random.random() < 0.3:
                    ground.deliver(project, "second")
                    convert = [ODUM, "convert", CONFIG, "--day", DAY]
                    work = Work(project, convert)
                    dice.kill(work, "convert", duration / 2, "group")
                    ground.deliver(project, "first")
                else:
                    work = Work(project, command)
                    dice.kill(work, "backtest", duration, dice.target())
                wait_until_alone(project)
            Work(project, command).require()
            for each in results_tree(project / "data/results"):
                # The killed ones may lack what is made of a result in the steps after it.
                each.pop("report/RUN/tearsheet.html", None)
                different = set(each.items()) ^ set(undisturbed.items())
                assert {name for name, _ in different} <= {*TICKS}, sorted(different)
            assert ground.wrong_in_catalog(project, "first") == set()
        seen = end()
    assert seen.wrong == []
