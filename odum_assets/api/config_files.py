"""The files of run configurations: listing them, and replacing one whole or not at all."""

import re
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from odum_assets.api.preconditions import Preconditions, tag_of
from odum_assets.api.problems import InvalidField, ProblemError
from odum_assets.config import LoadedConfig, load_config, read_folder
from odum_assets.config.agreement import conflicts, overridden
from odum_assets.config.exact_json import write_json
from odum_assets.config.folder import is_config_name
from odum_assets.config.loading import checked_config, parse_config
from odum_assets.config.problems import Problem
from odum_assets.config.reach import reach_of, reach_problems
from odum_assets.errors import ConfigError
from odum_assets.settings import Settings, is_inside
from odum_assets.storage.files import replace_text

_NAME: Final = re.compile(r"[a-z0-9_]{1,120}", re.ASCII)
_WRITING: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of the folder: what it holds, and why it is left out, if it is."""

    path: Path
    loaded: LoadedConfig | None
    problems: tuple[str, ...]


def paths_in(folder: Path) -> list[Path]:
    """Return the files of a folder that should be configurations, by name."""
    return [path for path in sorted(folder.glob("*.json")) if is_config_name(path.name)]


def list_files(settings: Settings) -> list[ConfigFile]:
    """Return the configurations of the settings' folder, used or left out, by name."""
    if not settings.configs_path.is_dir():
        return []
    refused = {refused.name: refused.problems for refused in read_folder(settings).refused}
    files = []
    for path in paths_in(settings.configs_path):
        problems = refused.get(path.stem, ())
        try:
            files.append(ConfigFile(path, load_config(path), problems))
        except ConfigError as error:
            files.append(ConfigFile(path, None, problems or tuple(str(error).splitlines())))
    return files


def contradictions(files: list[ConfigFile], settings: Settings) -> list[str]:
    """Return where configurations contradict each other."""
    loaded = [file.loaded for file in files if file.loaded is not None]
    unused = overridden(settings)
    return [line for pair in combinations(loaded, 2) for line in conflicts(*pair, unused)]


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
        files = list_files(settings)
        used = [
            # By their names alone: where the folder is is not the sender's business.
            replace(file.loaded, path=Path(file.path.name))
            for file in files
            if file.loaded is not None and not file.problems
        ]
        loaded = _valid(path.name, text, used, overridden(settings))
        _check_reach(loaded, settings, [file.loaded for file in files if file.loaded is not None])
        _replace(path, text)
        return replace(loaded, path=path), tag_of(text.encode()), is_new


def delete(folder: Path, name: str, preconditions: Preconditions) -> None:
    """Delete a configuration; results of it keep their copy.

    Parameters
    ----------
    folder : Path
        The folder of configurations.
    name : str
        Its name.
    preconditions : Preconditions
        What the request says of the file.

    Raises
    ------
    ProblemError
        If there is none (404), no ETag was given (428), or the file is not the one of the ETag
        (412).
    """
    with _WRITING:
        read(folder, name)
        path = path_of(folder, name)
        _check_replaced(path, preconditions)
        try:
            path.unlink()
        except OSError as error:
            raise _unwritable(path, error) from error


def check(
    settings: Settings, name: str | None, content: dict[str, Any]
) -> tuple[LoadedConfig | None, list[Problem]]:
    """Return a configuration that is being written, or None, and what is wrong with it.

    Parameters
    ----------
    settings : Settings
        Say which folder it would go into, and what it may reach.
    name : str or None
        Its name; without one it is not compared with the others of the folder.
    content : dict[str, Any]
        Its content.

    Raises
    ------
    ProblemError
        If it can have no such name, or cannot be written as JSON.
    """
    folder = settings.configs_path
    path = Path("config.json") if name is None else Path(path_of(folder, name).name)
    try:
        loaded, problems = checked_config(_text(content), path)
    except ConfigError as error:
        return None, [Problem("", str(error))]
    if loaded is None:
        return None, problems
    others = [file.loaded for file in list_files(settings) if file.loaded is not None]
    problems = reach_problems(loaded.config, reach_of(settings), [other.config for other in others])
    if name is not None:
        unused = overridden(settings)
        problems += [
            Problem("", line)
            for other in others
            if other.name != loaded.name
            for line in conflicts(replace(other, path=Path(other.path.name)), loaded, unused)
        ]
    return loaded, problems


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
    try:
        replace_text(path, text)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ProblemError:
    return ProblemError(
        409,
        "cannot-be-written",
        f"{path.name}: the folder cannot be written ({error.strerror})",
    )


def _check_replaced(path: Path, preconditions: Preconditions) -> None:
    tag = tag_of(path.read_bytes()) if path.is_file() else None
    if preconditions.failed(tag):
        state = "has changed; read it again" if tag else "does not exist; leave out If-Match"
        if tag is not None and preconditions.if_none_match is not None:
            state = "exists; send its ETag as If-Match to replace it"
        raise ProblemError(412, "changed", f"the configuration {path.stem!r} {state}")
    if tag is not None and preconditions.if_match is None:
        raise ProblemError(
            428,
            "etag-needed",
            f"there is a configuration {path.stem!r}; read it, and send its ETag as If-Match to "
            "replace or delete it",
        )


def _valid(
    name: str, text: str, others: list[LoadedConfig], unused: Collection[str]
) -> LoadedConfig:
    """Return the new configuration, which must agree with the others of the folder."""
    try:
        loaded = parse_config(text, Path(name))
    except ConfigError as error:
        raise ProblemError(422, "invalid-config", str(error)) from None
    lines = [
        line
        for other in others
        if other.name != loaded.name
        for line in conflicts(other, loaded, unused)
    ]
    if lines:
        raise ProblemError(422, "invalid-config", "\n".join(lines))
    return loaded


def _check_reach(loaded: LoadedConfig, settings: Settings, others: list[LoadedConfig]) -> None:
    """Refuse what only the operator may put into the folder."""
    present = [other.config for other in others]
    problems = reach_problems(loaded.config, reach_of(settings), present)
    if problems:
        raise ProblemError(
            422,
            "beyond-reach",
            "\n".join(f"{loaded.name}: {problem}" for problem in problems),
            errors=[
                InvalidField(place=f"body.config.{problem.path}", detail=problem.text)
                for problem in problems
            ],
        )
