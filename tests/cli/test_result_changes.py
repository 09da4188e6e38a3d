"""Runs named by a part of their id, tagged, deleted, and listed as wide as the terminal is."""

import json
import re
import shutil
from pathlib import Path

import pytest
from commands import BTC, Odum

from odum_assets.backtest.request import RunRequest
from odum_assets.config import load_config
from odum_assets.errors import DataError
from odum_assets.results.failures import store_failure
from odum_assets.settings import load_settings


def _ids(odum: Odum) -> list[str]:
    return [each["run_id"] for each in odum("results", "list", "--json").json["results"]]


def _fail(folder: Path, text: str) -> str:
    from datetime import date

    request = RunRequest(
        load_config(folder / "configs" / f"{BTC}.json"), (date(2024, 1, 3),), "2024-01-03"
    )
    return store_failure(request, load_settings(), DataError(text))


@pytest.mark.usefixtures("project")
def test_every_command_takes_a_part_of_an_id(odum: Odum) -> None:
    newest, older = _ids(odum)
    assert odum("results", "show", "last", "--json").json["run_id"] == newest
    assert odum("results", "show", older[-6:].upper(), "--json").json["run_id"] == older
    compared = odum("results", "compare", newest[-6:], older[:16], "--json").json
    assert compared["run_ids"] == [newest, older]
    verified = odum("results", "verify", older[-6:], "--json")
    assert verified.json["run_id"] == older
    several = odum("results", "show", "BNF")
    assert several.code == 2
    assert newest in several.err
    assert older in several.err
    none = odum("results", "show", "nothing")
    assert none.code == 2
    assert "begins or ends with 'nothing'" in none.err


@pytest.mark.usefixtures("project")
def test_tags_and_notes_are_shown_listed_and_removed(odum: Odum) -> None:
    newest, older = _ids(odum)
    assert odum("results", "tag", "last", "paper", "v:boom:2").code == 0
    assert odum("results", "note", older, "see [red]x[/] :boom:").code == 0
    tagged = odum("results", "list", "--tag", "paper", "--json").json["results"]
    assert [(each["run_id"], each["tags"]) for each in tagged] == [(newest, ["paper", "v:boom:2"])]
    shown = odum("results", "show", older).out
    # As it was written: neither markup nor pictures.
    assert "see [red]x[/] :boom:" in shown
    assert odum("results", "tag", "last", "--remove", "paper", "--json").json["tags"] == [
        "v:boom:2"
    ]
    wrong = odum("results", "tag", "last", "two words")
    assert wrong.code == 1
    assert "two words" in wrong.err


def test_deleting_shows_first_and_leaves_nothing(project: Path, odum: Odum) -> None:
    newest, older = _ids(odum)
    planned = odum("results", "delete", newest[-6:], "--json").json
    assert planned["deleted"] is False
    assert [each["run_id"] for each in planned["runs"]] == [newest]
    assert _ids(odum) == [newest, older]
    done = odum("results", "delete", newest[-6:], "--yes", "--json").json
    assert done["deleted"] is True
    assert done["size_bytes"] == planned["size_bytes"] > 0
    assert _ids(odum) == [older]
    assert [path for path in (project / "data/results").rglob("*") if newest in path.name] == []
    assert odum("registry", "check").code == 0


def test_runs_without_a_result_are_listed_shown_and_deleted(project: Path, odum: Odum) -> None:
    run_id = _fail(project, "the raw file :boom: is gone\nput it back")
    listed = odum("results", "list", "--failed", "--json").json["runs"]
    assert [(each["run_id"], each["status"], each["time_range"]) for each in listed] == [
        (run_id, "failed", "2024-01-03")
    ]
    shown = odum("results", "show", run_id[-6:])
    assert shown.code == 0
    assert "the raw file :boom: is gone\nput it back" in shown.out
    assert run_id not in _ids(odum)
    assert odum("results", "delete", "--failed", "--yes").code == 0
    assert odum("results", "list", "--failed", "--json").json["runs"] == []


@pytest.mark.parametrize("width", [60, 100, 160])
def test_no_id_is_cut_and_no_line_is_too_long(
    project: Path, odum: Odum, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ids = [*_ids(odum), _fail(project, "why " * 40)]
    odum("results", "tag", ids[0], "a-tag-of-some-length", "another-one")
    out = odum("results", "list").out + odum("results", "list", "--failed").out
    assert all(run_id in out for run_id in ids)
    assert max(map(len, out.splitlines())) <= width
    assert ("drawdown" in out) is (width > 60)
    assert ("PnL" in out) is True
    # Every row has its figures whole.
    for record in odum("results", "list", "--json").json["results"]:
        assert re.search(rf"{record['run_id']}.*{abs(record['pnl']):,.2f}", out)


def test_a_folder_that_is_no_project_is_refused_at_once(
    tmp_path: Path, odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ODUM_CONFIGS_PATH", "ODUM_RESULTS_PATH", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for command in (["results", "list"], ["registry", "check"], ["dev"], ["serve"]):
        ran = odum(*command)
        assert ran.code == 2, command
        assert f"{tmp_path} is not a project" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_removed_report_is_noticed(project: Path, odum: Odum) -> None:
    assert odum("backtest", BTC, "--day", "2024-01-01").code == 0
    shown = odum("results", "show", "last", "--json").json
    shutil.rmtree(shown["files"]["report"])
    assert odum("registry", "check").code == 1
    after = odum("results", "show", "last")
    assert "does not exist" in after.err
    assert json.dumps(shown["files"]["report"]) not in after.out
    assert project.joinpath("data/results/fast", f"{shown['run_id']}.json").is_file()
