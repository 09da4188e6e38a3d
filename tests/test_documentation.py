"""The pages against the project: generated parts, keys, commands, links, programs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import generate_pages
import pytest
import typer.main
from pydantic import BaseModel

from odum_assets.cli.main import app
from odum_assets.config import RunConfig
from odum_assets.orchestration.checks import (
    CATALOG_CHECKS,
    SWEEP_CHECKS,
    VSWEEP_CHECKS,
    WINDOW_CHECKS,
)
from odum_assets.orchestration.sensors import STABLE_SECS
from odum_assets.settings import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
BTC = "binance_futures_btcusdt_l2_trades_config"
DAY = "2024-01-01"


# --- what is generated, and what is complete ----------------------------------------------------


@pytest.mark.parametrize("path", generate_pages.pages(), ids=lambda path: path.name)
def test_generated_parts_are_those_of_the_code(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == generate_pages.generated(path), "run: make docs"
    assert "<!-- generated: " not in generate_pages.PART.sub("", text), "a part without its end"


def test_the_stored_document_is_that_of_the_service() -> None:
    assert generate_pages.DOCUMENT.read_text("utf-8") == generate_pages.service_text(), (
        "run: make docs"
    )


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= 12 * 1024


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _keys(info.annotation)


def test_every_key_and_variable_is_in_the_reference() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    variables = [str(info.validation_alias) for info in Settings.model_fields.values()]
    for name in (*_keys(RunConfig), *variables, STABLE_SECS, "DAGSTER_HOME", "ODUM_TEST_DATA"):
        assert re.search(rf"\b{name}\b" if name[0].isalpha() else re.escape(name), text), name


def test_every_check_is_on_a_page() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    catalog = [check for checks in CATALOG_CHECKS.values() for check in checks]
    for name in {check.name for check in (*catalog, *WINDOW_CHECKS, *SWEEP_CHECKS, *VSWEEP_CHECKS)}:
        assert f"`{name}`" in text


# --- links --------------------------------------------------------------------------------------


def _prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"(?ms)^```.*?^```", "", path.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", _prose(path))
    for link in links:
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_page_is_linked_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    for path in PAGES[1:]:
        assert f"({path.relative_to(ROOT)})" in text


# --- commands -----------------------------------------------------------------------------------


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Return the commands of all code blocks, continued lines joined, comments off, each once."""
    found = {}
    for block in [block for page in PAGES for block in _blocks(page, "sh")]:
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found[shlex.join(words)] = None
    return list(found)


def _click_of(words: list[str]) -> tuple[click.Command, list[str]]:
    from odum_assets.cli.run_backtest import app as run_backtest

    if words[0] == "run-backtest":
        return typer.main.get_command(run_backtest), words[1:]
    command, rest = typer.main.get_command(app), words[1:]
    while (inner := getattr(command, "commands", None)) is not None and rest:
        command, rest = inner[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("line", commands())
def test_a_command_exists(line: str) -> None:
    words = shlex.split(line)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] in ("odum", "run-backtest"):
        command, rest = _click_of(words)
        command.make_context(words[0], rest)
    else:
        assert words[0] in (
            "cp",
            "export",
            "gcloud",
            "mkdir",
            "git",
            "cd",
            "dagster",
            "pip",
            "pre-commit",
        )


def test_every_command_is_on_the_page_of_commands() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    root = typer.main.get_command(app)
    for name, command in getattr(root, "commands", {}).items():
        for inner in getattr(command, "commands", None) or [""]:
            assert f"`odum {name} {inner}".rstrip() in text


# --- the strategy -------------------------------------------------------------------------------


def test_the_strategy_of_the_readme_is_the_one_that_a_new_project_has() -> None:
    assert _blocks(README, "python") == [
        (ROOT / "odum_assets/cli/new_project/momentum.py.txt").read_text("utf-8")
    ]
    section = json.loads((ROOT / "odum_assets/cli/new_project/strategy.json").read_text("utf-8"))
    assert [json.loads(block) for block in _blocks(README, "json")] == [section]


@pytest.mark.e2e
def test_the_strategy_of_the_readme_runs(tmp_path: Path) -> None:
    (source,) = _blocks(README, "python")
    section = json.loads(*_blocks(README, "json"))
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "momentum.py").write_text(source, encoding="utf-8")
    config = json.loads((ROOT / f"configs/{BTC}.json").read_text("utf-8")) | section
    (tmp_path / "configs/momentum_btcusdt.json").write_text(json.dumps(config), encoding="utf-8")

    _odum(tmp_path, "config validate --json")
    _odum(tmp_path, "data generate --days 1 --trades-per-day 3000 --books-per-day 3000 --json")
    _odum(tmp_path, f"backtest momentum_btcusdt --day {DAY} --json")
    (path,) = (tmp_path / "data/results/fast").iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["summary"]["fills"] >= 4
    assert result["metadata"]["config"]["strategy"]["path"] == "momentum:Momentum"
    shows = f"results show {result['run_id']}"
    for line in (shows, "results list", "data list", "config show momentum_btcusdt"):
        assert _odum(tmp_path, f"{line} --json")


@pytest.mark.e2e
def test_a_program_of_nautilus_alone_runs_on_the_catalog(tmp_path: Path) -> None:
    (source,) = _blocks(DOCS / "data.md", "python")
    assert "odum" not in source
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    _odum(tmp_path, "data generate --days 2 --trades-per-day 3000 --books-per-day 3000 --json")
    made = _odum(tmp_path, f"convert {BTC} --all --json")["partitions"]
    trades = sum(each["rows"] for each in made if each["data_type"] == "trades")
    assert trades >= 5_000
    (tmp_path / "program.py").write_text(source, encoding="utf-8")

    words = [sys.executable, "program.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"iterations={trades}" in done.stdout


def _odum(folder: Path, line: str) -> Any:
    words = [Path(sys.executable).with_name("odum"), *shlex.split(line)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ODUM_")}
    done = subprocess.run(words, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- what must not be in the repository ---------------------------------------------------------


def test_no_text_file_names_a_machine_path_or_a_package_host() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode != 0:
        pytest.skip("not a git repository")
    # Put together here, so that this file does not hold what it looks for.
    unwanted = re.compile(
        "|".join((r"/wo" r"rk/", r"/ho" r"me/\w", r"/Us" r"ers/\w", r"pyp" r"i\.org/simple",
                  r"file" r"s\.pythonhosted", r"--index-u" r"rl", r"--extra-index-u" r"rl"))
    )  # fmt: skip
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes())[:8000]:
            hits = unwanted.findall(content.decode("utf-8", "replace"))
            found += [f"{name}: {hit}" for hit in hits]
    assert found == []


@pytest.mark.e2e
def test_the_programs_of_the_page_on_pandas_run(tmp_path: Path) -> None:
    blocks = [block for block in _blocks(DOCS / "pandas.md", "python") if "polars" not in block]
    assert len(blocks) == 4
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    _odum(tmp_path, "data generate --days 1 --trades-per-day 3000 --books-per-day 3000 --json")
    _odum(tmp_path, f"backtest {BTC} --day {DAY} --json")
    (tmp_path / "program.py").write_text("\n".join(blocks), encoding="utf-8")

    words = [sys.executable, "-W", "error", "program.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "portfolio_value" not in done.stderr


@pytest.mark.e2e
def test_the_file_of_orders_of_the_page_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    _odum(tmp_path, "data generate --days 1 --trades-per-day 3000 --books-per-day 3000 --json")
    program = "\n".join(_blocks(DOCS / "strategies.md", "python")[:2])
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    for line in _blocks(DOCS / "strategies.md", "sh")[0].splitlines():
        _odum(tmp_path, f"{line.removeprefix('odum ')} --json")
    (path,) = (tmp_path / "data/results/fast").iterdir()
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["metadata"]["orders_file"]["orders"] == 24
    assert result["summary"]["fills"] >= 20
