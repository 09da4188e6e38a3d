"""Commands over stored results when one of them is damaged, or files of it are gone."""

import json
import shutil
from pathlib import Path

import pytest
from commands import BTC, Odum

FIGURE = '"total_return_pct"'


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two results of `made`, to be damaged."""
    (tmp_path / "results" / "fast").mkdir(parents=True)
    for path in sorted((made / "data" / "results" / "fast").glob("*.json"))[:2]:
        shutil.copy(path, tmp_path / "results" / "fast")
    shutil.copytree(made / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("ODUM_RESULTS_PATH", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.mark.parametrize("damage", ["half", "deep", "figure gone", "no run id", "folder"])
def test_a_damaged_result_is_named_and_the_others_are_listed(
    copied: Path, odum: Odum, damage: str
) -> None:
    first, second = sorted((copied / "fast").glob("*.json"))
    damaged = first
    if damage == "half":
        first.write_bytes(first.read_bytes()[:500])
    elif damage == "deep":
        first.write_bytes(b'{"a":' * 100_000)
    elif damage == "figure gone":
        first.write_text(first.read_text().replace(FIGURE, '"no_such_figure"'))
    elif damage == "no run id":
        damaged = first.rename(first.with_name("copy of it.json"))
    else:
        first.unlink()
        first.mkdir()
    for options in ((), ("--sort", "return"), ("--sort", "pnl"), ("--config", BTC)):
        listed = odum("results", "list", *options)
        assert listed.code == 1
        assert second.stem in listed.out
        assert first.stem not in listed.out
        assert f"! {damaged}: " in listed.err
    found = odum("results", "list", "--json").json
    assert [each["run_id"] for each in found["results"]] == [second.stem]
    assert len(found["problems"]) == 1
    assert odum("results", "show", second.stem).code == 0
    rebuilt = odum("registry", "rebuild")
    assert rebuilt.code == (0 if damage == "figure gone" else 1)
    assert (str(damaged) in rebuilt.err) == (damage != "figure gone")


def test_a_report_that_is_gone_is_said_to_be(copied: Path, odum: Odum) -> None:
    first = min((copied / "fast").glob("*.json"))
    document = json.loads(first.read_text())
    document["mode"] = document["metadata"]["mode"] = "report"
    first.write_text(json.dumps(document))
    report = copied / "report" / first.stem
    report.mkdir(parents=True)
    (report / "fills.parquet").write_bytes(b"x")
    assert odum("registry", "rebuild").code == 0
    assert odum("registry", "check").code == 0
    shown = odum("results", "show", first.stem)
    assert f"results/report/{first.stem}" in shown.out
    assert "is gone" not in shown.err

    shutil.rmtree(report)
    shown = odum("results", "show", first.stem)
    assert str(report) not in shown.out
    assert f"! the report folder results/report/{first.stem} does not exist" in shown.err
    assert "report" not in odum("results", "show", first.stem, "--json").json["files"]
    checked = odum("registry", "check")
    assert checked.code == 1
    assert (
        f"1 runs are registered with a report that no longer exists ({first.stem})" in checked.err
    )
    assert odum("registry", "rebuild").code == 0
    assert odum("registry", "check").code == 0


def test_a_damaged_registry_is_rebuilt(copied: Path, odum: Odum) -> None:
    assert odum("registry", "rebuild").code == 0
    database = copied / "registry.sqlite"
    database.write_text("no database, but text\n" * 2_000)
    checked = odum("registry", "check")
    assert "registry: has problems" in checked.out
    assert checked.code == 1
    assert "odum registry rebuild, which renames the file" in checked.err
    upgraded = odum("registry", "upgrade")
    assert upgraded.code == 1
    assert "odum registry rebuild" in upgraded.err
    rebuilt = odum("registry", "rebuild")
    assert rebuilt.code == 0
    assert "2 runs registered" in rebuilt.out
    (kept,) = copied.glob("registry.sqlite.damaged-*")
    assert f"! the database was damaged; it was renamed to {kept}" in rebuilt.err
    assert odum("registry", "check").code == 0
    assert odum("registry", "upgrade").code == 0
