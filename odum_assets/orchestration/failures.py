"""Errors for people become Dagster failures that are never retried; bugs stay what they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from odum_assets.errors import OdumError
from odum_assets.orchestration.metadata import to_metadata


@contextmanager
def failing(facts: Mapping[str, object] | None = None) -> Iterator[None]:
    """Turn an `OdumError` raised inside into a `dg.Failure` with the same text.

    Anything else propagates with its traceback. A data error stays one however often it is tried,
    so the failure refuses retries; ``dagster.yaml`` retries runs only when their process died.

    Parameters
    ----------
    facts : Mapping[str, object], optional
        What the reader of the failure should see beside the text.
    """
    try:
        yield
    except OdumError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__, **to_metadata(facts or {})},
            allow_retries=False,
        ) from error
