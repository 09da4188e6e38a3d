"""Which Dagster instance the commands of a folder and its UI share."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from odum_assets.errors import ConfigError

if TYPE_CHECKING:
    from dagster._core.instance.ref import InstanceRef

_STATE: Final = ".dagster"
_NO_DRIVER: Final = "postgresql"


def instance_ref(overrides: dict[str, Any] | None = None) -> "InstanceRef":
    """Return the instance of the current folder.

    DAGSTER_HOME counts where it is set. Otherwise it is the ``dagster.yaml`` of the current folder,
    or one with its state in ``.dagster`` when there is none.

    Parameters
    ----------
    overrides : dict, optional
        Settings in place of those of the file.

    Raises
    ------
    ConfigError
        If the file is not valid, or has a PostgreSQL address that Dagster cannot work with.
    """
    from dagster._core.instance.ref import InstanceRef

    home = os.environ.get("DAGSTER_HOME")
    here = Path.cwd()
    state = Path(home) if home else here / _STATE
    state.mkdir(parents=True, exist_ok=True)
    own_file = not home and (here / "dagster.yaml").is_file()
    config_dir = here if own_file else state
    with instance_problems():
        ref = InstanceRef.from_dir(str(state), config_dir=str(config_dir), overrides=overrides)
    if ref.storage_data is not None and ref.storage_data.module_name == "dagster_postgres":
        _require_driver(ref.storage_data.config_dict, config_dir / "dagster.yaml")
    return ref


@contextmanager
def instance_problems() -> Iterator[None]:
    """Turn what Dagster says of a ``dagster.yaml`` that it cannot use into a `ConfigError`.

    So does a database of Dagster that does not answer, or that refuses the login.
    """
    from dagster import DagsterInvalidConfigError
    from yaml import YAMLError

    try:
        yield
    except DagsterInvalidConfigError as error:
        texts = [_problem_text(problem.message) for problem in error.errors]
        raise ConfigError("\n".join(["dagster.yaml:", *texts])) from None
    except YAMLError as error:
        raise ConfigError(f"dagster.yaml: {error}") from None
    except Exception as error:
        # Of a package that is loaded only where PostgreSQL is used.
        if type(error).__name__ != "DagsterPostgresException":
            raise
        reason = str(getattr(error.__cause__, "orig", error.__cause__)).strip()
        raise ConfigError(f"Dagster's database (storage in dagster.yaml): {reason}") from None


def _problem_text(message: str) -> str:
    """Return a message without the whole schema, or the traceback, that follows it."""
    text = message.partition(" Expected: ")[0].partition("\n\nStack Trace:")[0]
    return text.rpartition("PostProcessingError: ")[2].strip()


def _require_driver(storage: Mapping[str, Any], file: Path) -> None:
    """Refuse an address without a driver: SQLAlchemy 2.1 takes psycopg 3, Dagster needs psycopg2.

    Its queries would end with "the connection is closed".
    """
    url, given = storage.get("postgres_url"), storage.get("postgres_db", {})
    if isinstance(url, Mapping):
        url = os.environ.get(url.get("env", ""), "")
    scheme = given.get("scheme", _NO_DRIVER) if url is None else url.partition("://")[0]
    if scheme == _NO_DRIVER:
        advice = (
            "set scheme: postgresql+psycopg2" if url is None else "write postgresql+psycopg2://"
        )
        key = "postgres_db" if url is None else "postgres_url"
        raise ConfigError(
            f"{file}: storage.postgres.{key}: Dagster works with the driver psycopg2 only, and the "
            f"address names none; {advice}"
        )
