"""Which run a person means: by its id, the begin or end of its id, or ``last``."""

from collections.abc import Iterable

from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultStore
from odum_assets.results.stored_file import ResultError
from odum_assets.storage.addresses import location_of

LAST = "last"
"""Means the newest result."""

_MOST_NAMED = 5
_SHORTEST = 3


class AmbiguousRunError(ResultError):
    """Report a part of a run id that fits several runs; the message names them."""


def find_run_id(store: ResultStore, text: str, *, failed: bool = False) -> str:
    """Return the id of the run that a text means.

    Parameters
    ----------
    store : ResultStore
        The results.
    text : str
        A run id, its first or last characters (three at least, in any case), or ``last``.
    failed : bool, default False
        Whether runs that left no result count, too.

    Returns
    -------
    str
        A run id. A whole one is returned as it is, whether there is such a run or not; so is a text
        that fits none.

    Raises
    ------
    AmbiguousRunError
        If it fits several runs.
    ResultError
        If it is ``last`` and there is no result.
    """
    if is_run_id(text):
        return text
    if text == LAST:
        newest = store.entries([])
        if not newest:
            raise ResultError(f"there are no results in {location_of(store.root)}")
        return newest[0].run_id
    return match_run_id(text, stored_run_ids(store, failed=failed))


def match_run_id(text: str, known: Iterable[str]) -> str:
    """Return the only id that begins or ends with a text, and the text itself where none does.

    Raises
    ------
    AmbiguousRunError
        If several do.
    """
    part = text.lower()
    if len(part) < _SHORTEST:
        return text
    fitting = sorted(
        {name for name in known if name.lower().startswith(part) or name.lower().endswith(part)}
    )
    if len(fitting) > 1:
        named = ", ".join(fitting[:_MOST_NAMED])
        more = len(fitting) - _MOST_NAMED
        rest = f" and {more} more" if more > 0 else ""
        raise AmbiguousRunError(
            f"{text!r} fits {len(fitting)} runs: {named}{rest}; give more of the id"
        )
    return fitting[0] if fitting else text


def stored_run_ids(store: ResultStore, *, failed: bool = False) -> set[str]:
    """Return the ids of the results, and of the runs that left none."""
    folders = ("fast", "failed") if failed else ("fast",)
    names = {path.stem for folder in folders for path in store.listed(folder)}
    return {name for name in names if is_run_id(name)}
