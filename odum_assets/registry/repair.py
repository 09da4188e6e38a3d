"""A registry whose database file is damaged: finding out, setting it aside, building a new one.

Every row follows from the result files, so nothing is lost with the file but the rows of runs under
way, which are taken over where they can be read. A server's database is repaired by its own means;
of such a one only the tables are looked at.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from odum_assets.registry import schema
from odum_assets.registry.database import (
    SCHEMA,
    DamagedRegistryError,
    RegistryError,
    create_engine,
    display_url,
    reading,
    registry_url,
    result_store,
)
from odum_assets.registry.records import Row
from odum_assets.registry.register import (
    RebuildReport,
    opened,
    pending_rows,
    rebuild,
    upgrade_registry,
)
from odum_assets.settings import Settings

_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
"""What SQLite puts beside a database file belongs to it."""


def rebuild_registry(
    settings: Settings, progress: Callable[[int], None] | None = None
) -> RebuildReport:
    """Rebuild a registry from the result files, whatever is there.

    A SQLite file that is damaged, or of a version that this program does not know, is set aside.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    progress : callable, optional
        Called with the number of runs that were read.

    Raises
    ------
    RegistryError
        If the database cannot be reached or written, or a server's tables are not as they must be.
    """
    if find_damage(settings) is None:
        try:
            with opened(settings) as engine:
                return rebuild(engine, result_store(settings), progress)
        except DamagedRegistryError:
            # Where the damage is may show only when everything is rewritten.
            if registry_url(settings).drivername != "sqlite":
                raise
    url = registry_url(settings)
    if url.drivername != "sqlite":
        raise RegistryError(f"registry {display_url(url)}: {find_damage(settings)}; {remedy(url)}")
    pending = _readable_pending(url)
    aside = _set_aside(Path(str(url.database)))
    engine = create_engine(url)
    try:
        done = upgrade_registry(engine, result_store(settings), pending or [], progress)
    finally:
        engine.dispose()
    done = RebuildReport() if done is None else done
    done.set_aside = aside
    if pending is None:
        done.notes.append("active runs could not be read from it; they register when they end")
    return done


def find_damage(settings: Settings) -> str | None:
    """Return what is wrong with the database itself, None if nothing is or there is none yet.

    Raises
    ------
    RegistryError
        If that cannot be found out: the database cannot be reached, or is held by somebody.
    """
    url = registry_url(settings)
    is_file = url.drivername == "sqlite"
    if is_file:
        path = Path(str(url.database))
        if not any(_beside(path, suffix).exists() for suffix in _SUFFIXES):
            return None
        for suffix in _SUFFIXES:
            file = _beside(path, suffix)
            if file.exists() and not file.is_file():
                return f"{file} is a folder or device, not a file of the database; move it away"
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            return (_file_damage(connection) if is_file else None) or _table_damage(connection)
    except DamagedRegistryError as error:
        return error.reason
    finally:
        engine.dispose()


def remedy(url: sa.URL) -> str:
    """Return what to do with a damaged registry."""
    if url.drivername == "sqlite":
        return "run: odum registry rebuild, which renames the file"
    return (
        f"drop the schema {SCHEMA} of the database and run: odum registry upgrade (every row comes "
        "back from the result files)"
    )


def _file_damage(connection: sa.Connection) -> str | None:
    lines = connection.exec_driver_sql("PRAGMA integrity_check(3)").scalars().all()
    if list(lines) != ["ok"]:
        return "; ".join(" ".join(str(line).split()) for line in lines)[:300]
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    return None if broken is None else f"rows of {broken[0]} refer to missing rows"


def _table_damage(connection: sa.Connection) -> str | None:
    """Return how the tables differ from what their version should be."""
    try:
        version = schema.current_version(connection)
        if not schema.is_known(version):
            return f"its tables are of version {version}, which this program does not know"
        differences = schema.differences(connection) if version == schema.VERSION else []
    except (sa.exc.DBAPIError, RegistryError):
        raise
    except Exception as error:  # noqa: BLE001 - Alembic on tables of any shape
        return f"its tables cannot be read ({type(error).__name__}: {error})"
    return (
        f"its tables are not those of the version: {'; '.join(differences)[:300]}"
        if differences
        else None
    )


def _readable_pending(url: sa.URL) -> list[Row] | None:
    """Return the rows of active runs, None where they cannot be read."""
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            return pending_rows(connection)
    except (RegistryError, LookupError, ValueError, TypeError):
        return None
    finally:
        engine.dispose()


def _set_aside(path: Path) -> Path | None:
    """Rename the files of a database, and return what the first one is called now."""
    timestamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    target = path.with_name(f"{path.name}.damaged-{timestamp}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.damaged-{timestamp}-{number}")
    try:
        for suffix in reversed(_SUFFIXES):
            if (file := _beside(path, suffix)).exists():
                file.rename(_beside(target, suffix))
    except OSError as error:
        raise RegistryError(
            f"registry {path}: damaged, and cannot be renamed ({error.strerror or error}); move "
            "it away, then run: odum registry rebuild"
        ) from error
    return target


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
