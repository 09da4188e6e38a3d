"""The entry point of the Dagster code location; nothing else belongs here."""

from odum_assets.orchestration.build import build_definitions
from odum_assets.orchestration.quick_exit import skip_last_collection

defs = build_definitions()
# Of code servers and of the processes of runs.
skip_last_collection()
