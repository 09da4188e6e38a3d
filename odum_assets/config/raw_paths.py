"""Paths of raw files as a configuration spells them, below the raw root.

A path has one ``day-*`` folder for the day, which may be written ``day-{date}``. It ends in a
``.parquet`` file named after the instrument key, or in ``/``: then a pattern names the file.
"""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator

from odum_assets.config.problems import printable, show
from odum_assets.config.value_types import Text
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey, parse_instrument_key

DAY_FOLDER = "day-*"
YEAR_FOLDER = "year-*"
DEFAULT_PATTERN = "{key}.parquet"
SPOT_NAMES = (":SPOT_PAIR:", ":SPOT:")
"""Product of a spot pair in names of raw files: as it is written, and as it may be written."""

_DAY_FOLDERS = (DAY_FOLDER, "day-{date}")
_LONGEST_NAME = 255
"""Bytes that file systems take in one name."""


def _check_path(path: str) -> str:
    parts = path.removesuffix("/").split("/")
    days = sum(part in _DAY_FOLDERS for part in parts)
    rules = (
        ("\\" in path, "write / instead of a backslash"),
        (
            path.startswith("/") or "://" in path or bool(re.match(r"[A-Za-z]:[/\\]|~", path)),
            "allowed a path below the raw root: leave out the part in UNIFIED_CLOUD_LOCAL_PATH",
        ),
        (
            any(part in ("", ".", "..") for part in parts),
            'allowed a path below the raw root without "..", "." and empty parts',
        ),
        (
            bool(re.search(r"(^|/)day-\d{4}-\d\d-\d\d/", path)),
            "allowed day-* for the day; a certain day only where time_window lies in it, and the "
            "same in all paths",
        ),
        (days != 1, f"allowed exactly one day-* folder (found {days}), such as by_date/day-*/"),
        (
            any(re.search(r"[*?\[\]{}\x00-\x1f]", part) for part in {*parts} - {*_DAY_FOLDERS}),
            "allowed no wildcard but the one of the day-* folder",
        ),
        (
            not path.endswith(("/", ".parquet")),
            "allowed a .parquet file, or a folder that ends in /",
        ),
        (
            any(len(part.encode(errors="replace")) > _LONGEST_NAME for part in parts),
            f"allowed names of up to {_LONGEST_NAME} bytes",
        ),
    )
    for is_broken, text in rules:
        if is_broken:
            raise ValueError(printable(f"found {show(path)}, {text}"))
    return path


def _check_pattern(pattern: str) -> str:
    if (
        pattern.count("{key}") != 1
        or not pattern.endswith(".parquet")
        or re.search(r"[*?\[\]{}/\\\x00-\x1f]", pattern.replace("{key}", ""))
    ):
        raise ValueError(
            printable(f"found {show(pattern)}, allowed a file name with one {{key}} that ends in ")
            + ".parquet"
        )
    return pattern


RawPath = Annotated[Text, AfterValidator(_check_path)]
FilePattern = Annotated[Text, AfterValidator(_check_pattern)]


def key_in_path(path: str, pattern: str) -> InstrumentKey | None:
    """Return the instrument key in the file name of a path, None for a folder.

    Raises
    ------
    ConfigError
        If the file name does not fit the pattern or is no instrument key.
    """
    if path.endswith("/"):
        return None
    file_name = path.rpartition("/")[2]
    before, _, after = pattern.partition("{key}")
    if not (file_name.startswith(before) and file_name.endswith(after)):
        raise ConfigError(f'the file name does not fit instrument_file_pattern "{pattern}"')
    return parse_instrument_key(file_name[len(before) : len(file_name) - len(after)])


def path_template(path: str, pattern: str, key: InstrumentKey) -> str:
    """Return the path of an instrument's parquet file, with ``day-*`` for the day."""
    if path.endswith("/"):
        path += pattern.replace("{key}", str(key))
    return "/".join(DAY_FOLDER if part in _DAY_FOLDERS else part for part in path.split("/"))


def path_of_day(template: str, day: date) -> str:
    """Return a path with the folder of a UTC day in place of ``day-*``, or its year's."""
    folders = {DAY_FOLDER: f"day-{day.isoformat()}", YEAR_FOLDER: f"year-{day.year:04d}"}
    return "/".join(folders.get(part, part) for part in template.split("/"))
