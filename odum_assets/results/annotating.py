"""Changing the tags and the note of a run."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.store import ResultError, ResultStore, json_text
from odum_assets.storage.addresses import location_of
from odum_assets.storage.buckets import ObjectChangedError
from odum_assets.storage.copies import generation
from odum_assets.storage.files import write_synced
from odum_assets.storage.locks import hold_lock

MOST_TAGS: Final = 50
LONGEST_NOTE: Final = 10_000
_TRIES: Final = 5
TAG: Final = r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}"
"""What a tag looks like."""


def annotate(
    store: ResultStore, run_id: str, change: Callable[[Annotations], Annotations]
) -> Annotations:
    """Change the tags and the note of a run, and return what they are now.

    Parameters
    ----------
    store : ResultStore
        The results.
    run_id : str
        A stored run, or one that left no result.
    change : callable
        Returns the new ones of those that the run has.

    Raises
    ------
    ResultError
        If there is no such run, a tag or the note cannot be used, or the file cannot be written.
    """
    for _ in range(_TRIES):
        with suppress(ObjectChangedError):
            return _annotate(store, run_id, change)
    raise ResultError(f"{run_id}: tags and note are being changed elsewhere; try again")


def _annotate(
    store: ResultStore, run_id: str, change: Callable[[Annotations], Annotations]
) -> Annotations:
    with store.explained(), store.scratch() as work, hold_lock(store.publish_lock):
        # Looked at with the lock held: a deleted run must not get a new file.
        if not store.is_known(run_id):
            raise ResultError(f"no run {run_id} in {location_of(store.root)}")
        path = store.annotations_path(run_id)
        # Of other machines the lock knows nothing: what is written must follow what was read.
        expected = generation(path)
        changed = change(read_annotations(store.file("annotations", path.name)))
        after = Annotations(tuple(sorted({*changed.tags})), changed.note.strip(), changed.star)
        _check(after)
        if after == Annotations():
            store.discard(path)
        else:
            text = write_synced(work / "annotations", json_text(after.as_json()))
            store.put(text, path, expected)
    return after


def _check(annotations: Annotations) -> None:
    wrong = [tag for tag in annotations.tags if re.fullmatch(TAG, tag) is None]
    if wrong:
        raise ResultError(
            f"tag {wrong[0]!r}: allowed up to 64 letters, digits and . _ : / + -, beginning with a "
            "letter or digit"
        )
    if len(annotations.tags) > MOST_TAGS:
        raise ResultError(f"found {len(annotations.tags)} tags, allowed {MOST_TAGS}")
    if len(annotations.note) > LONGEST_NOTE:
        raise ResultError(
            f"note: found {len(annotations.note):,} characters, allowed {LONGEST_NOTE:,}"
        )
