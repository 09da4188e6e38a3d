"""Files of a test as files of results."""

from pathlib import Path

from odum_assets.results.stored_file import StoredFile


def stored(path: Path) -> StoredFile:
    """Return a file as one of results whose root is two folders up."""
    return StoredFile(path.parents[1], (path.parent.name, path.name))
