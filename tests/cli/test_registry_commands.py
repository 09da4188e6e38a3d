"""``odum registry``: upgrade, check, rebuild, as a person uses them."""

import shutil
from pathlib import Path

import pytest
from commands import Odum


@pytest.fixture
def results(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results without a registry."""
    copied = tmp_path / "results"
    shutil.copytree(
        project / "data/results",
        copied,
        ignore=shutil.ignore_patterns("registry.sqlite*", "failed"),
    )
    monkeypatch.setenv("ODUM_RESULTS_PATH", str(copied))
    return copied


def test_runs_of_commands_register_themselves(project: Path, odum: Odum) -> None:
    checked = odum("registry", "check", "--json")
    assert (checked.code, checked.json["problems"]) == (0, [])
    assert len(list((project / "data/results/fast").iterdir())) == 2
    assert checked.json["runs"] == odum("results", "list", "--json").json["total"] == 2


def test_a_registry_is_made_checked_and_made_anew(results: Path, odum: Odum) -> None:
    files = sorted((results / "fast").glob("*.json"))
    missing = odum("registry", "check")
    assert missing.code == 1
    assert "odum registry upgrade" in missing.err

    made = odum("registry", "upgrade", "--json")
    assert (made.code, made.json["filled"]["runs"]) == (0, len(files))
    assert odum("registry", "upgrade", "--json").json["filled"] is None
    assert "good" in odum("registry", "check").out

    files[0].rename(results / "kept.json")
    gone = odum("registry", "check")
    assert gone.code == 1
    assert files[0].stem in gone.err
    assert "odum registry rebuild" in gone.err
    anew = odum("registry", "rebuild", "--json").json
    assert anew == {"runs": len(files) - 1, "pending": 0, "problems": [], "set_aside": None}
    assert odum("registry", "check").code == 0


def test_a_damaged_result_is_named_and_the_others_stay(results: Path, odum: Odum) -> None:
    damaged, *others = (results / "fast").glob("*.json")
    damaged.write_text("{")
    ran = odum("registry", "rebuild")
    assert ran.code == 1
    assert str(damaged) in ran.err
    assert ran.out.startswith(f"{len(others)} run")


def test_a_wrong_database_url_is_an_error_of_one_line(
    results: Path, odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert results.is_dir()
    monkeypatch.setenv("DATABASE_URL", "mysql://odum:secret@localhost/db")
    ran = odum("registry", "check")
    assert ran.code == 1
    assert "DATABASE_URL: mysql:// cannot be used" in ran.err
    assert "secret" not in ran.err
