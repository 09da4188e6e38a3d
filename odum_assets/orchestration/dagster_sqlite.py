"""Fewer repetitions in Dagster's SQLite storages, for processes whose runs are short.

Dagster makes an engine for every query, so that SQLAlchemy compiles every statement each time, and
reads the scripts of all migrations for the file of every run. Both take longer than the queries.
Nothing changes in what is stored; where Dagster is made differently, nothing is changed at all.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final

_STORAGES: Final = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)


def repeat_less() -> None:
    """Let this process make one engine per SQLite file, and read migrations once."""
    from alembic.script import ScriptDirectory

    ScriptDirectory.from_config = cache(ScriptDirectory.from_config)  # type: ignore[method-assign]
    for name in _STORAGES:
        module = import_module(name)
        if hasattr(module, "create_engine"):
            module.create_engine = _engine_per_file(module.create_engine)  # type: ignore[attr-defined]


def _engine_per_file(create: Callable[..., Any]) -> Callable[..., Any]:
    engines: dict[str, Any] = {}
    # Statements are the same in every run's file.
    compiled: dict[Any, Any] = {}

    def create_engine(url: str, **options: Any) -> Any:  # noqa: ANN401 - as SQLAlchemy's
        if url not in engines:
            made = create(url, **options)
            engines[url] = made.execution_options(compiled_cache=compiled)
        return engines[url]

    return create_engine
