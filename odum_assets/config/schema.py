"""The JSON Schema of run configurations, for editors and for ``odum config schema``."""

from collections.abc import Mapping
from datetime import time
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.model import RunConfig

_KEYWORDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "decimal_places": None,
}
"""JSON Schema's words for bounds that pydantic leaves in its own, None for what has no word."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a run configuration of either kind."""
    of_ticks, of_bars = schema_of(RunConfig), schema_of(BarsConfig)
    definitions = {**of_bars.pop("$defs"), **of_ticks.pop("$defs")}
    is_bars = {"required": ["kind"]}
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$defs": {**definitions, "RunConfig": of_ticks, "BarsConfig": of_bars},
        "if": is_bars,
        "then": {"$ref": "#/$defs/BarsConfig"},
        "else": {"$ref": "#/$defs/RunConfig"},
    }


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of one kind of configuration."""
    schema: dict[str, Any] = _translate(model.model_json_schema(schema_generator=_Generator))
    return schema


class _Generator(GenerateJsonSchema):
    """Write decimals as JSON numbers: pydantic would offer editors quoted text."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        bounds = {name: bound for name, bound in schema.items() if name in _KEYWORDS}
        return {"type": "number", **bounds}

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401 - pydantic's signature
        return _plain(dft.model_dump() if isinstance(dft, BaseModel) else dft)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    return list(value) if isinstance(value, tuple) else value


def _translate(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a schema in JSON Schema's words, descriptions on one line."""
    if isinstance(value, list):
        return [_translate(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {name: _translate(item) for name, item in value.items()}
    if isinstance(value.get("description"), str):
        schema["description"] = " ".join(value["description"].split())
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    if value.get("type") in ("number", "integer"):
        words = {_KEYWORDS.get(name, name): item for name, item in schema.items()}
        schema = {name: _plain(item) for name, item in words.items() if name is not None}
    return schema
