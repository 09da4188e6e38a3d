"""The files of run configurations: listing them, and replacing one whole or not at all."""

import os
import re
import shutil
import tempfile
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from odum_assets.api.preconditions import Preconditions, tag_of
from odum_assets.api.problems import InvalidField, ProblemError
from odum_assets.config import LoadedConfig, RunConfig, load_config, load_configs
from odum_assets.config.exact_json import write_json
from odum_assets.config.reach import reach_of, reach_problems
from odum_assets.errors import ConfigError
from odum_assets.settings import Settings, is_inside
from odum_assets.storage.files import write_synced

_NAME: Final = re.compile(r"[a-z0-9_]{1,120}", re.ASCII)
_WRITING: Final = threading.Lock()
_HIDDEN: Final = ".schema.json"


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """A file of the folder: what it holds, or what is wrong with it."""

    path: Path
    loaded: LoadedConfig | None
    problems: tuple[str, ...]


def paths_in(folder: Path) -> list[Path]:
    """Return the files of a folder that should be configurations, by name."""
    return [
        path
        for path in sorted(folder.glob("*.json"))
        if not path.name.startswith(".") and not path.name.endswith(_HIDDEN)
    ]


def list_files(folder: Path) -> list[FoundConfig]:
    """Return the configurations of a folder, valid or not, by name."""
    found = []
    for path in paths_in(folder):
        try:
            found.append(FoundConfig(path, load_config(path), ()))
        except ConfigError as error:
            found.append(FoundConfig(path, None, tuple(str(error).splitlines())))
    return found


def contradictions(folder: Path, files: list[FoundConfig]) -> list[str]:
    """Return where valid configurations contradict each other."""
    try:
        load_configs(folder)
    except ConfigError as error:
        own = {line for file in files for line in file.problems}
        return [line for line in str(error).splitlines() if line not in own]
    return []


def path_of(folder: Path, name: str) -> Path:
    """Return where a configuration belongs.

    Raises
    ------
    ProblemError
        If it can have no such name, or a link leads out of the folder.
    """
    plain = name.removesuffix(".json")
    if not _NAME.fullmatch(plain):
        raise ProblemError(
            422,
            "invalid-name",
            f"name: found {plain[:120]!r}, allowed small letters, digits and _, up to 120",
        )
    path = folder / f"{plain}.json"
    if not is_inside(path, folder):
        raise ProblemError(
            409, "outside", f"{plain}: a link leads out of the folder of configurations"
        )
    return path


def read(folder: Path, name: str) -> tuple[bytes, str]:
    """Return the text of a configuration and its ETag.

    Raises
    ------
    ProblemError
        If there is none of this name.
    """
    path = path_of(folder, name)
    if not path.is_file():
        raise ProblemError(
            404,
            "unknown-config",
            f"there is no configuration {path.stem!r}; see GET /api/configs",
        )
    content = path.read_bytes()
    return content, tag_of(content)


def write(
    settings: Settings, name: str, content: dict[str, Any], preconditions: Preconditions
) -> tuple[LoadedConfig, str, bool]:
    """Store a configuration if it is valid, alone and together with the others.

    Parameters
    ----------
    settings : Settings
        Say which folder it goes into, and what it may reach.
    name : str
        Its name.
    content : dict[str, Any]
        Its content.
    preconditions : Preconditions
        What the request says of the file that it replaces.

    Returns
    -------
    tuple[LoadedConfig, str, bool]
        The configuration, its ETag, and whether it is new.

    Raises
    ------
    ProblemError
        If it is not valid or reaches further than its sender may (422), there is a file and no
        ETag was given (428), or the file is not the one of the ETag (412). Nothing is written then.
    """
    folder = settings.configs_path
    path = path_of(folder, name)
    text = _text(content)
    with _WRITING:
        is_new = not path.is_file()
        _check_replaced(path, preconditions)
        found = list_files(folder)
        loaded = _valid(path, text, found)
        present = [each.loaded.config for each in found if each.loaded is not None]
        _check_reach(loaded, settings, present)
        _replace(path, text)
        return load_config(path), tag_of(text.encode()), is_new


def _text(content: dict[str, Any]) -> str:
    try:
        text = write_json(content, indent=2) + "\n"
        text.encode()
    except ValueError as error:
        # What Python's parser takes beyond JSON: NaN, infinite numbers, halves of characters.
        raise ProblemError(
            422, "invalid-config", f"config: cannot be written as JSON ({error})"
        ) from None
    return text


def _replace(path: Path, text: str) -> None:
    # Hidden until it is whole: nothing reads such a name.
    unfinished = path.with_name(f".{path.stem}.{uuid.uuid4().hex}")
    try:
        write_synced(unfinished, text).replace(path)
    except OSError as error:
        raise ProblemError(
            409,
            "cannot-be-written",
            f"{path.name}: the folder cannot be written ({error.strerror})",
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _check_replaced(path: Path, preconditions: Preconditions) -> None:
    tag = tag_of(path.read_bytes()) if path.is_file() else None
    if preconditions.failed(tag):
        state = "is another one now; read it again" if tag else "does not exist; leave out If-Match"
        if tag is not None and preconditions.if_none_match is not None:
            state = "exists; send its ETag as If-Match to replace it"
        raise ProblemError(412, "changed", f"the configuration {path.stem!r} {state}")
    if tag is not None and preconditions.if_match is None:
        raise ProblemError(
            428,
            "etag-needed",
            f"there is a configuration {path.stem!r}; read it, and send its ETag as If-Match to "
            "replace it",
        )


def _valid(path: Path, text: str, files: list[FoundConfig]) -> LoadedConfig:
    """Try the folder as it would be, beside it, and return the new configuration."""
    with tempfile.TemporaryDirectory(prefix="odum-configs-") as trial:
        place = Path(trial)
        for each in files:
            # One that is damaged already is not this one's fault.
            if each.loaded is not None and each.path != path:
                shutil.copyfile(each.path, place / each.path.name)
        (place / path.name).write_text(text, encoding="utf-8")
        try:
            return next(each for each in load_configs(place) if each.name == path.stem)
        except ConfigError as error:
            shown = str(error).replace(f"{place}{os.sep}", "")
            raise ProblemError(422, "invalid-config", shown) from None


def _check_reach(loaded: LoadedConfig, settings: Settings, present: list[RunConfig]) -> None:
    """Refuse what only the operator may put into the folder."""
    problems = reach_problems(loaded.config, reach_of(settings), present)
    if problems:
        raise ProblemError(
            422,
            "beyond-reach",
            "\n".join(f"{loaded.name}: {problem}" for problem in problems),
            errors=[
                InvalidField(place=f"body.config.{each.path}", detail=each.text)
                for each in problems
            ],
        )
