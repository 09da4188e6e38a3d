"""Tags, a note and a star that people give a run: ``annotations/<run_id>.json`` beside its result.

They change nothing of the result: its files, its digest and its row in the registry stay.
"""

from dataclasses import dataclass
from typing import Any

from odum_assets.results.stored_file import ResultError, StoredFile


@dataclass(frozen=True, slots=True)
class Annotations:
    """What people say of a run.

    Parameters
    ----------
    tags : tuple[str, ...]
        In alphabetical order.
    note : str
        Text; empty where there is none.
    star : bool
        Whether the run is marked.
    """

    tags: tuple[str, ...] = ()
    note: str = ""
    star: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored and sent."""
        starred = {"star": True} if self.star else {}
        return {"tags": list(self.tags), "note": self.note, **starred}


def read_annotations(file: StoredFile) -> Annotations:
    """Return the tags and the note in a file; none where there is no file.

    Raises
    ------
    ResultError
        If the file cannot be read; it is named.
    """
    try:
        document = file.read_json()
        tags, note = document["tags"], document["note"]
        if not isinstance(note, str) or not all(isinstance(tag, str) for tag in tags):
            raise TypeError("tags and note must be text")
        return Annotations(tuple(tags), note, document.get("star") is True)
    except FileNotFoundError:
        return Annotations()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ResultError(
            f"{file.path}: tags and note cannot be read ({type(error).__name__}: {error}); move it "
            "away"
        ) from error
