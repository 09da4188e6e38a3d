"""The entry point of the Dagster code location; nothing else belongs here."""

from odum_assets.orchestration.build import build_definitions

defs = build_definitions()
