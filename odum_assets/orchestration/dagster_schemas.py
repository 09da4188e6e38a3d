"""One schema for each class of run config, however many assets take it.

Dagster makes the schema again for every asset: a quarter of the time in which a graph of two
hundred configurations is built. Where Dagster is made differently, nothing is changed.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

_PLACE: Final = "dagster._config.pythonic_config"
_NAME: Final = "infer_schema_from_config_annotation"


@contextmanager
def shared_schemas() -> Iterator[None]:
    """Let assets that are declared in the context share the schemas of their run config."""
    place = import_module(_PLACE)
    infer = getattr(place, _NAME, None)
    if infer is None:
        yield
        return
    schemas: dict[type, Any] = {}

    def inferred(annotation: Any, default: Any) -> Any:  # noqa: ANN401 - as Dagster's
        if not isinstance(annotation, type) or default is not inspect.Parameter.empty:
            return infer(annotation, default)
        if annotation not in schemas:
            schemas[annotation] = infer(annotation, default)
        return schemas[annotation]

    setattr(place, _NAME, inferred)
    try:
        yield
    finally:
        setattr(place, _NAME, infer)
