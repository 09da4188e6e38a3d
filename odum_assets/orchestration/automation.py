"""The opt-in automation condition: make what is missing or outdated, as soon as it can be made.

The sensor ``raw_days`` does the same by requesting whole-day runs. Only one of the two may be on:
together they would run everything twice.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

_AC = dg.AutomationCondition

# Edges, not levels: a condition that stays true would ask for the same failed run for ever. Since
# the first evaluation counts as a reset, a report with an unchanged data version changes nothing.
_CHANGED = (
    _AC.any_deps_updated()
    .replace("newly_updated", _AC.data_version_changed())
    .since(_AC.newly_requested() | _AC.initial_evaluation())
)
_MISSING = _AC.missing().newly_true().since(_AC.newly_requested() | _AC.newly_updated())


def on_new_data(optional: Sequence[dg.AssetKey] = ()) -> dg.AutomationCondition[Any]:
    """Ask for a partition that is missing or whose input changed, once, when its inputs are good.

    Parameters
    ----------
    optional : sequence of dg.AssetKey
        Inputs that a partition may lack.
    """
    lacking = _AC.any_deps_missing()
    if optional:
        lacking = lacking.ignore(dg.AssetSelection.assets(*optional))
    is_ready = (
        ~_AC.in_progress()
        & ~_AC.any_deps_in_progress()
        & ~lacking
        & _AC.all_deps_blocking_checks_passed()
    )
    return ((_CHANGED | _MISSING) & is_ready).with_label("on_new_data")


def automation_sensor(assets: list[dg.AssetKey]) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates `on_new_data`; it is off until a person turns it on."""
    return dg.AutomationConditionSensorDefinition(
        "on_new_data",
        target=dg.AssetSelection.assets(*assets),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
        run_tags={"odum/started_by": "on_new_data"},
        description=(
            "Opt-in alternative to raw_days: makes every partition that is missing or whose input "
            "changed. NEVER turn on both: everything would run twice. Turning it on requests every "
            "raw day that was reported and has no result yet, which can be thousands."
        ),
    )
