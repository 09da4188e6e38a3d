"""Links in a catalog: its root may be one, but none inside it may lead out of it.

What belongs here: the refusal, which readers and writers share. What does not: names (``paths``).
"""

from pathlib import Path

from odum_assets.errors import DataError
from odum_assets.settings import is_inside


def require_inside(catalog_root: Path, *paths: Path) -> None:
    """Refuse to read or write where a link leads out of the catalog.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    *paths : Path
        Files or folders of it, whether they exist or not.

    Raises
    ------
    DataError
        If one is elsewhere; the message says where.
    """
    for path in paths:
        if not is_inside(path, catalog_root):
            raise DataError(
                f"{path}: is a link to {path.resolve()}, outside the catalog {catalog_root}. "
                "Remove the link, or set DATA_CATALOG_PATH to the folder that really holds the "
                "catalog."
            )
