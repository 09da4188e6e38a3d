"""Variables of the environment that must not reach the tests from the machine they run on."""

from odum_assets.settings import Settings

VARIABLES = (
    *(str(field.validation_alias) for field in Settings.model_fields.values()),
    "ODUM_STABLE_SECS",
    "DAGSTER_HOME",
)
