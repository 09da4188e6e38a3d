"""Write the generated parts of the pages in this folder; ``make docs`` runs it.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``. What it says comes from the
code: the models of configurations, run configs and environment variables, the commands, the routes
of the service, the targets of the Makefile. ``tests/test_documentation.py`` fails when a page is
not what is written here.
"""

import inspect
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent / "web" / "openapi.json"
PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)

type Schema = dict[str, Any]


def pages() -> list[Path]:
    """Return the pages with generated parts."""
    found = sorted(FOLDER.glob("*.md"))
    return [path for path in found if PART.search(path.read_text(encoding="utf-8"))]


def generated(path: Path) -> str:
    """Return the text of a page as it should be."""
    text = path.read_text(encoding="utf-8")
    return PART.sub(lambda part: f"{part[1]}\n{GENERATED[part[2]]()}\n{part[3]}", text)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = ([each.replace("|", "\\|") for each in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


# --- run configurations and run configs, from their JSON Schemas --------------------------------

_KEYS = ["key", "allowed", "default", "meaning"]


def configuration() -> str:
    """Return a table for every section of a run configuration for ticks."""
    return _sections("RunConfig")


def bars_configuration() -> str:
    """Return a table for every section of a run configuration for bars."""
    return _sections("BarsConfig")


def _sections(model: str) -> str:
    from odum_assets.config.schema import json_schema

    schema = json_schema()
    parts, top = _section_parts(schema, schema["$defs"][model])
    return "\n".join([*parts, f"### Keys of the top level\n\n{_table(_KEYS, top)}"])


def orb_parameters() -> str:
    """Return a table for every section of the parameters of the opening-range breakout."""
    from odum_assets.bars.orb.params import OrbParams

    schema = OrbParams.model_json_schema()
    return "\n".join(_section_parts(schema, schema)[0])


def _section_parts(schema: Schema, top_level: Schema) -> tuple[list[str], list[list[str]]]:
    """Return a part for every section, and the rows of the keys that are none."""
    parts, top, needed = [], [], top_level.get("required", [])
    for name, spec in top_level["properties"].items():
        section = _resolved(schema, spec)
        if "properties" not in section:
            top.append(_row(schema, name, spec, required=name in needed))
            item = _resolved(schema, spec.get("items", {}))
            if "properties" in item:
                rows = list(_rows(schema, item, ""))
                parts.append(f"### `{name}[]`\n\n{item['description']}\n\n{_table(_KEYS, rows)}")
            continue
        optional = "" if name in needed else " (optional)"
        rows = list(_rows(schema, section, ""))
        parts.append(f"### `{name}`{optional}\n\n{section['description']}\n\n{_table(_KEYS, rows)}")
    return parts, top


def run_configs() -> str:
    """Return a table for what runs take in common, and one for what each kind takes besides."""
    from odum_assets.orchestration import requests, run_config

    shared = requests.RunOptions
    kinds = {
        "Every backtest": shared,
        "A day's result": run_config.ResultConfig,
        "A window": run_config.WindowConfig,
        "A sweep": run_config.SweepConfig,
        "A vectorized sweep": run_config.VsweepConfig,
        "A catalog partition": run_config.ConvertConfig,
    }
    parts = []
    for title, model in kinds.items():
        schema = model.model_json_schema()
        known = set() if model is shared else {f"`{name}`" for name in shared.model_fields}
        rows = [row for row in _rows(schema, schema, "") if row[0] not in known]
        parts.append(f"### {title}\n\n{_table(_KEYS, rows)}")
    return "\n".join(parts)


def _rows(schema: Schema, section: Schema, prefix: str) -> Iterator[list[str]]:
    required = section.get("required", [])
    for name, spec in section["properties"].items():
        target = _resolved(schema, spec)
        if "properties" in target:
            yield from _rows(schema, target, f"{prefix}{name}.")
            continue
        yield _row(schema, f"{prefix}{name}", spec, required=name in required)
        if "discriminator" in spec:
            for kind, ref in spec["discriminator"]["mapping"].items():
                member, path = _resolved(schema, {"$ref": ref})["properties"], f"{prefix}{name}"
                tag = spec["discriminator"]["propertyName"]
                if "params" in member:
                    path += ".params"
                    member = _resolved(schema, member["params"])["properties"]
                for inner, value in member.items():
                    if inner != tag:
                        is_required = "default" not in value
                        yield _row(
                            schema, f"{path}.{inner}", value, required=is_required, kind=kind
                        )
        item = _resolved(schema, spec.get("items", {}))
        if "properties" in item:
            yield from _rows(schema, item, f"{prefix}{name}[].")


def _row(
    schema: Schema, name: str, spec: Schema, *, required: bool = False, kind: str = ""
) -> list[str]:
    default = "required" if required else f"`{json.dumps(_number(spec.get('default')))}`"
    meaning = f"{kind}: {spec['description']}" if kind else spec["description"]
    return [f"`{name}`", _allowed(schema, spec), default, " ".join(meaning.split())]


def _allowed(schema: Schema, spec: Schema) -> str:
    spec = _resolved(schema, spec)
    if "discriminator" in spec:
        kinds = ", ".join(f"`{kind}`" for kind in spec["discriminator"]["mapping"])
        tag = spec["discriminator"]["propertyName"]
        return f"object: `{tag}` ({kinds})" + (" and `params`" if tag == "type" else "")
    if "anyOf" in spec:
        choices = [choice for choice in spec["anyOf"] if choice.get("type") != "null"]
        numeric = [choice for choice in choices if choice.get("type") == "number"]
        text = _allowed(schema, (numeric or choices)[0])
        return text if len(choices) == len(spec["anyOf"]) else f"{text} or `null`"
    if "enum" in spec:
        return ", ".join(f"`{value}`" for value in spec["enum"])
    low = [f"from {spec['minimum']:.15g}"] if "minimum" in spec else []
    low += [f"above {spec['exclusiveMinimum']:g}"] if "exclusiveMinimum" in spec else []
    high = [f"up to {spec['maximum']:.15g}"] if "maximum" in spec else []
    return " ".join([spec["type"], *low, *(high if spec.get("maximum", 0) < 1e9 else [])])


def _resolved(schema: Schema, spec: Schema) -> Schema:
    if "$ref" not in spec:
        return spec
    target: Schema = schema["$defs"][spec["$ref"].rsplit("/", 1)[-1]]
    return target


def _number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value


# --- environment variables ----------------------------------------------------------------------


def variables() -> str:
    """Return a table of the variables of the project."""
    from odum_assets.settings import Settings

    return _variables(Settings)


def service_variables() -> str:
    """Return a table of the variables of the service."""
    from odum_assets.api.options import ServiceOptions

    return _variables(ServiceOptions)


def _variables(model: Any) -> str:
    rows = []
    for field in model.model_fields.values():
        default = field.default
        if isinstance(default, bool):
            text = f"`{str(default).lower()}`"
        else:
            text = "" if default in (None, ()) else f"`{default}`"
        rows.append([f"`{field.validation_alias}`", text, field.description])
    return _table(["variable", "default", "meaning"], rows)


# --- commands -----------------------------------------------------------------------------------


_VALUES = {int: "NUMBER", float: "NUMBER", str: "TEXT", bool: ""}


def overview() -> str:
    """Return a table of every command with the first paragraph of its help."""
    rows = []
    for name, command in commands():
        rows.append([f"[`{name}`](#{name.replace(' ', '-')})", _help(command)[0].split("\n\n")[0]])
    return _table(["command", "what it does"], rows)


def command_reference() -> str:
    """Return the help of every command: text, examples, arguments and options."""
    parts = []
    for name, command in commands():
        paragraphs, examples = _help(command)
        part = [f"### `{name}`", *paragraphs.split("\n\n")]
        if examples:
            part.append(f"```sh\n{examples}\n```")
        shown = [each for each in command.params if "--help" not in each.opts and not each.hidden]
        rows = [_parameter(each) for each in shown]
        if rows:
            part.append(_table(["option", "meaning"], rows).rstrip("\n"))
        parts.append("\n\n".join(part) + "\n")
    return "\n".join(parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command with its name, in the order of ``--help``."""
    import typer.main

    from odum_assets.cli.main import app
    from odum_assets.cli.run_backtest import app as run_backtest

    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner, subcommand in getattr(command, "commands", {"": command}).items():
            yield f"odum {name} {inner}".rstrip(), subcommand
    yield "run-backtest", typer.main.get_command(run_backtest)


def _help(command: Any) -> tuple[str, str]:
    """Return the paragraphs of a command's help, and its examples, one a line."""
    text, _, examples = re.sub(
        r"\[/?(?:dim|bold)?\]", "", inspect.cleandoc(command.help)
    ).partition("Example")
    lines = [line.strip() for line in examples.partition(":")[2].splitlines() if line.strip()]
    paragraphs = (" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))
    return "\n\n".join(paragraphs), "\n".join(lines)


def _parameter(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor.annotation
    # Lists have a metavar.
    choices = (
        [each.value for each in kind] if inspect.isclass(kind) and issubclass(kind, Enum) else []
    )
    value = parameter.metavar or ("CHOICE" if choices else _VALUES[kind])
    if parameter.param_type_name == "argument":
        name = f"`{value}`"
    else:
        given = "" if parameter.is_flag else f" {value}"
        names = [*parameter.opts, *parameter.secondary_opts]
        name = ", ".join(f"`{option}{given}`" for option in names)
    parts = [" ".join((parameter.help or "").split())]
    if choices:
        parts.append(f"Allowed: {', '.join(f'`{choice}`' for choice in choices)}.")
    default = getattr(parameter.default, "value", parameter.default)
    if parameter.required:
        parts.append("Required.")
    elif isinstance(default, str | int | float | date) and not isinstance(default, bool):
        parts.append(f"Default: `{default}`.")
    return [name, " ".join(filter(None, parts))]


# --- service and make targets -------------------------------------------------------------------


def service_document() -> Schema:
    """Return the OpenAPI document of the service without a token."""
    from odum_assets.api.app import build_app
    from odum_assets.api.options import ServiceOptions
    from odum_assets.settings import load_settings

    document: Schema = build_app(load_settings(), ServiceOptions(token=None)).openapi()
    return document


def service_text() -> str:
    """Return the text of the stored document, which the types of the page are made of."""
    return json.dumps(service_document(), indent=1, ensure_ascii=False) + "\n"


def routes() -> str:
    """Return a table of every route of the service, by its tag."""
    document = service_document()
    parts = []
    for tag in document["tags"]:
        rows = [
            [f"`{method.upper()} {path}`", _first_line(operation["description"])]
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            if tag["name"] in operation["tags"]
        ]
        head = f"**{tag['name'].capitalize()}.** {tag['description']}"
        parts.append(f"{head}\n\n{_table(['request', 'what it does'], rows)}")
    return "\n".join(parts)


def _first_line(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def make_targets() -> str:
    """Return a table of the targets of the Makefile."""
    text = (FOLDER.parent / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z-]+):.*?## (.*)$", text, re.MULTILINE)
    return _table(["target", "what it does"], [[f"`make {name}`", what] for name, what in found])


def uncovered() -> str:
    """Return a table of what the kernel does not cover."""
    from odum_assets.backtest.coverage import UNCOVERED

    rows = [[f"`{each.name}`" if "." in each.name else each.name, each.why] for each in UNCOVERED]
    return _table(["not covered", "why"], rows)


GENERATED: dict[str, Callable[[], str]] = {
    "uncovered": uncovered,
    "configuration": configuration,
    "bars configuration": bars_configuration,
    "orb parameters": orb_parameters,
    "run configs": run_configs,
    "variables": variables,
    "service variables": service_variables,
    "overview": overview,
    "commands": command_reference,
    "routes": routes,
    "make targets": make_targets,
}


def main() -> None:
    """Write the generated parts of every page, and the OpenAPI document of the service."""
    for path in pages():
        path.write_text(generated(path), encoding="utf-8")
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(service_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
