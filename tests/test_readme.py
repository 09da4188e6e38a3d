"""The README against the project: its commands, its configuration reference, its strategy.

``python tests/test_readme.py`` writes the tables of the configuration reference anew.
"""

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
import pytest
import typer.main
from pydantic import BaseModel

from odum_assets.cli.main import app
from odum_assets.config import RunConfig
from odum_assets.config.schema import json_schema
from odum_assets.orchestration.sensors import STABLE_SECS
from odum_assets.settings import Settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- configuration reference: begin -->\n", "<!-- configuration reference: end -->\n"
BTC = "binance_futures_btcusdt_l2_trades_config"
DAY = "2024-01-01"


# --- the configuration reference, made from the model's JSON Schema ------------------------------


def reference() -> str:
    """Return the Markdown tables of every section and key."""
    schema = json_schema()
    parts = []
    plain = []
    for name, spec in schema["properties"].items():
        target = _resolved(schema, spec)
        if "properties" not in target:
            plain.append((name, spec, name in schema["required"]))
            continue
        rows = list(_rows(schema, target, ""))
        needed = "" if name in schema["required"] else " (optional)"
        parts.append(f"#### `{name}`{needed}\n\n{target['description']}\n\n" + _table(rows))
    parts.append("#### Keys of the top level\n\n" + _table([_row(schema, *each) for each in plain]))
    return "\n".join(parts)


def _rows(schema: dict[str, Any], section: dict[str, Any], prefix: str) -> Iterator[list[str]]:
    required = section.get("required", [])
    for name, spec in section["properties"].items():
        target = _resolved(schema, spec)
        if "properties" in target:
            yield from _rows(schema, target, f"{prefix}{name}.")
            continue
        yield _row(schema, f"{prefix}{name}", spec, name in required)
        if "discriminator" in spec:
            for kind, ref in spec["discriminator"]["mapping"].items():
                params = _resolved(schema, _resolved(schema, {"$ref": ref})["properties"]["params"])
                for each, inner in params["properties"].items():
                    yield _row(schema, f"{prefix}{name}.params.{each}", inner, False, kind)
        item = _resolved(schema, spec.get("items", {}))
        if "properties" in item:
            yield from _rows(schema, item, f"{prefix}{name}[].")


def _row(
    schema: dict[str, Any], name: str, spec: dict[str, Any], required: bool, kind: str = ""
) -> list[str]:
    default = "required" if required else f"`{json.dumps(_number(spec.get('default')))}`"
    meaning = f"{kind}: {spec['description']}" if kind else spec["description"]
    return [f"`{name}`", _allowed(schema, spec), default, meaning]


def _allowed(schema: dict[str, Any], spec: dict[str, Any]) -> str:
    spec = _resolved(schema, spec)
    if "discriminator" in spec:
        kinds = ", ".join(f"`{kind}`" for kind in spec["discriminator"]["mapping"])
        return f"object: `type` ({kinds}) and `params`"
    if "anyOf" in spec:
        choices = [each for each in spec["anyOf"] if each.get("type") != "null"]
        numeric = [each for each in choices if each.get("type") == "number"]
        text = _allowed(schema, (numeric or choices)[0])
        return text if len(choices) == len(spec["anyOf"]) else f"{text} or `null`"
    if "enum" in spec:
        return ", ".join(f"`{each}`" for each in spec["enum"])
    low = [f"from {spec['minimum']:.15g}"] if "minimum" in spec else []
    low += [f"above {spec['exclusiveMinimum']:g}"] if "exclusiveMinimum" in spec else []
    high = [f"up to {spec['maximum']:.15g}"] if "maximum" in spec else []
    return " ".join([spec["type"], *low, *(high if spec.get("maximum", 0) < 1e9 else [])])


def _resolved(schema: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in spec:
        return spec
    target: dict[str, Any] = schema["$defs"][spec["$ref"].rsplit("/", 1)[-1]]
    return target


def _number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value


def _table(rows: list[list[str]]) -> str:
    head = "| key | allowed | default | meaning |\n|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def test_the_configuration_reference_is_that_of_the_model() -> None:
    text = README.read_text(encoding="utf-8")
    found = text.split(BEGIN)[1].split(END)[0]
    assert found == reference(), "run: python tests/test_readme.py"


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield info.alias or name
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _keys(info.annotation)


def test_every_key_and_variable_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    variables = [str(info.validation_alias) for info in Settings.model_fields.values()]
    for name in (*_keys(RunConfig), *variables, STABLE_SECS, "DAGSTER_HOME", "ODUM_TEST_DATA"):
        assert re.search(rf"\b{name}\b" if name[0].isalpha() else re.escape(name), text), name


# --- commands -----------------------------------------------------------------------------------


def _blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Return the commands of the README's code blocks, continued lines joined, comments off."""
    found = []
    for block in _blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found.append(shlex.join(words))
    return found


def _click_of(words: list[str]) -> tuple[click.Command, list[str]]:
    from odum_assets.cli.run_backtest import app as run_backtest

    if words[0] == "run-backtest":
        return typer.main.get_command(run_backtest), words[1:]
    command, rest = typer.main.get_command(app), words[1:]
    while (inner := getattr(command, "commands", None)) is not None and rest:
        command, rest = inner[rest[0]], rest[1:]
    return command, rest


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[0] in ("odum", "run-backtest"):
        command, rest = _click_of(words)
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} - {"--help"} <= options
    else:
        assert words[0] in ("cp", "mkdir", "git", "cd", "dagster")


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    root = typer.main.get_command(app)
    for name, command in getattr(root, "commands", {}).items():
        for inner in getattr(command, "commands", None) or [""]:
            assert f"`odum {name} {inner}".rstrip() in text


# --- the strategy -------------------------------------------------------------------------------


@pytest.mark.e2e
def test_the_strategy_of_the_readme_runs(tmp_path: Path) -> None:
    (source,) = (block for block in _blocks("python") if "OdumStrategy" in block)
    section = next(each for each in map(json.loads, _blocks("json")) if "strategy" in each)
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
    (source,) = (block for block in _blocks("python") if "ParquetDataCatalog" in block)
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


def main() -> None:
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    README.write_text(before + BEGIN + reference() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
