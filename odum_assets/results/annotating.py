"""Changing the tags and the note of a run."""

import re
from collections.abc import Callable
from typing import Final

from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.store import ResultError, ResultStore, json_text
from odum_assets.storage.files import write_synced
from odum_assets.storage.locks import held

MOST_TAGS: Final = 50
LONGEST_NOTE: Final = 10_000
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
    with store.explained(), store.scratch() as work, held(store.publish_lock):
        # Looked at with the lock held: a deleted run must not get a new file.
        if not store.is_known(run_id):
            raise ResultError(f"no run {run_id} in {store.root}")
        path = store.annotations_path(run_id)
        changed = change(read_annotations(store.file("annotations", path.name)))
        after = Annotations(tuple(sorted({*changed.tags})), changed.note.strip(), changed.star)
        _check(after)
        if after == Annotations():
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(exist_ok=True)
            write_synced(work / "annotations", json_text(after.as_json())).rename(path)
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
