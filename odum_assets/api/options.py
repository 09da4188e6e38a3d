"""Options of the service, from environment variables; read once at its start."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from odum_assets.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this machine reaches."""

DAGSTER_PREFIX = "/dagster"
"""Path of the Dagster UI; its webserver is started with it, as its pages have it in their links."""


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _web_address(value: object) -> str:
    text = str(value).strip().rstrip("/")
    if not text.startswith(("http://", "https://")):
        # The value may hold a password: it is not repeated.
        raise ValueError("allowed an address such as http://127.0.0.1:3000")
    return text


class ServiceOptions(BaseSettings):
    """Options of the service, by variable or field name."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,
        case_sensitive=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    token: SecretStr | None = Field(
        default=None,
        validation_alias="ODUM_API_TOKEN",
        min_length=16,
        description="Bearer token that every request must carry. Without one the service listens "
        "on loopback only.",
    )
    cors: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(),
        validation_alias="ODUM_API_CORS",
        description="Origins whose pages may call the service, separated by commas.",
    )
    dagster_url: Annotated[str, BeforeValidator(_web_address)] = Field(
        default="http://127.0.0.1:3000",
        validation_alias="ODUM_DAGSTER_URL",
        repr=False,
        description="Dagster webserver of another folder or machine; user and password in it are "
        "sent as Basic credentials.",
    )
    launches_per_minute: int = Field(
        default=30,
        ge=1,
        validation_alias="ODUM_API_LAUNCHES_PER_MINUTE",
        description="Runs that may be started per minute.",
    )
    max_days: int = Field(
        default=366,
        ge=1,
        le=3_660,
        validation_alias="ODUM_API_MAX_DAYS",
        description="Days of a range that is started with one request.",
    )
    max_body: int = Field(
        default=1_000_000,
        ge=1_000,
        validation_alias="ODUM_API_MAX_BODY",
        description="Largest request body, in bytes.",
    )
    max_connections: int = Field(
        default=512,
        ge=16,
        validation_alias="ODUM_API_MAX_CONNECTIONS",
        description="Connections at once; a client that has been silent longest gives way.",
    )


def load_options(**given: Any) -> ServiceOptions:  # noqa: ANN401 - field values
    """Read the options; arguments win over the environment.

    Raises
    ------
    ConfigError
        If a value cannot be used. The value itself is not in the message: it may be a secret.
    """
    try:
        return ServiceOptions(**given)
    except ValidationError as error:
        lines = [
            f"environment variable {'.'.join(map(str, problem['loc']))}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigError("\n".join(lines)) from None
