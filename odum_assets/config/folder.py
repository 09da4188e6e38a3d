"""A folder of run configurations of which some cannot be used: the others go on.

What belongs here: which files of a folder can be used, and what is wrong with the rest. What does
not: rules within a file and between files (``loading``), where data lie (``resolve``).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from odum_assets.config.loading import (
    SHARED,
    LoadedConfig,
    config_files,
    conflicts,
    load_config,
)
from odum_assets.config.resolve import require_local
from odum_assets.errors import ConfigError
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class RefusedConfig:
    """A file that cannot be used.

    Parameters
    ----------
    name : str
        Stem of the file name.
    path : Path
        The file.
    problems : tuple[str, ...]
        What is wrong, a line each; every line names the file.
    """

    name: str
    path: Path
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """Return all problems, a line each."""
        return "\n".join(self.problems)


@dataclass(frozen=True, slots=True)
class ConfigFolder:
    """The configurations of a folder.

    Parameters
    ----------
    configs : tuple[LoadedConfig, ...]
        Those that can be used, by name; they agree with each other.
    refused : tuple[RefusedConfig, ...]
        The other files, by name.
    """

    configs: tuple[LoadedConfig, ...]
    refused: tuple[RefusedConfig, ...]


def read_folder(settings: Settings) -> ConfigFolder:
    """Read the configurations of the settings' folder.

    A file that is damaged, or that reads from where nothing can be read, is refused alone.
    Configurations of one instrument share its data. Where they contradict each other, those that
    say what more than half of them say stay; without such a majority, all of that instrument are
    refused, whatever their names. Other instruments are not concerned.

    Parameters
    ----------
    settings : Settings
        Where everything lies.

    Raises
    ------
    ConfigError
        If the folder does not exist or cannot be read.
    """
    usable: list[LoadedConfig] = []
    refused: list[RefusedConfig] = []
    for file in config_files(settings.configs_path):
        try:
            loaded = load_config(file)
            require_local(loaded, settings)
        except ConfigError as error:
            refused.append(RefusedConfig(file.stem, file, tuple(str(error).splitlines())))
        else:
            usable.append(loaded)
    names = _contradicting(usable)
    configs = tuple(each for each in usable if each.name not in names)
    refused += [
        RefusedConfig(each.name, each.path, _reasons(each, configs, usable))
        for each in usable
        if each.name in names
    ]
    return ConfigFolder(configs, tuple(sorted(refused, key=lambda each: each.name)))


def _contradicting(configs: list[LoadedConfig]) -> set[str]:
    """Return the names of the configurations that have no majority for what they say."""
    found: set[str] = set()
    same_place: tuple[Callable[[LoadedConfig], str], ...] = (
        lambda each: each.key.slug,
        lambda each: each.key.nautilus_id,
    )
    for place in same_place:
        for group in _groups(configs, place):
            found |= _minority(group, lambda each: str(each.key))
    for group in _groups(configs, lambda each: str(each.key)):
        for read in SHARED.values():
            found |= _minority(group, read)
    return found


def _groups(
    configs: Iterable[LoadedConfig], name: Callable[[LoadedConfig], str]
) -> list[list[LoadedConfig]]:
    groups: dict[str, list[LoadedConfig]] = {}
    for each in configs:
        groups.setdefault(name(each), []).append(each)
    return list(groups.values())


def _minority(group: list[LoadedConfig], read: Callable[[LoadedConfig], object]) -> set[str]:
    """Return who of a group says something else than more than half of those that say anything."""
    said = {each.name: value for each in group if (value := read(each)) is not None}
    counts = Counter(said.values())
    if len(counts) < 2:
        return set()
    value, count = counts.most_common(1)[0]
    is_majority = 2 * count > len(said)
    return {name for name, own in said.items() if not is_majority or own != value}


def _reasons(
    config: LoadedConfig, kept: Iterable[LoadedConfig], configs: Iterable[LoadedConfig]
) -> tuple[str, ...]:
    """Return what a configuration contradicts: one that stays, else any other one."""
    for other in (*kept, *configs):
        if lines := conflicts(other, config):
            return tuple(lines)
    raise AssertionError(f"{config.name} contradicts nothing")
