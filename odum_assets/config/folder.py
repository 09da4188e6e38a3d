"""A folder of run configurations, all of which or some of which can be used.

What belongs here: which files of a folder can be used, and what is wrong with the rest. What does
not: rules within a file (``loading``) and between files (``agreement``), where data lie
(``resolve``).
"""

import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from odum_assets.config.agreement import conflicts, contradicting, overridden
from odum_assets.config.loading import LoadedConfig, load_config
from odum_assets.config.problems import printable
from odum_assets.config.resolve import require_source
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


def stats_of_configs(settings: Settings) -> dict[str, tuple[int, int]]:
    """Return modification time (ns) and size of each configuration file, by its stem.

    A folder that does not exist has none.
    """
    stats = {}
    for path in settings.configs_path.glob("*.json"):
        with suppress(OSError):
            stat = path.stat()
            stats[path.stem] = (stat.st_mtime_ns, stat.st_size)
    return stats


def read_folder(settings: Settings) -> ConfigFolder:
    """Read the configurations of the settings' folder.

    A file that is damaged, or that reads from where nothing can be read, is refused alone.
    Configurations of one instrument share its data. Where they contradict each other, those that
    contradict the fewest stay; of equally many, the file that was changed longest ago. The others
    are refused.

    Parameters
    ----------
    settings : Settings
        All paths.

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
            require_source(loaded, settings)
        except ConfigError as error:
            refused.append(RefusedConfig(file.stem, file, tuple(str(error).splitlines())))
        else:
            usable.append(loaded)
    unused = overridden(settings)
    names = contradicting(sorted(usable, key=_age), unused)
    configs = tuple(config for config in usable if config.name not in names)
    refused += [
        RefusedConfig(config.name, config.path, _reasons(config, (*configs, *usable), unused))
        for config in usable
        if config.name in names
    ]
    return ConfigFolder(configs, tuple(sorted(refused, key=lambda config: config.name)))


def load_configs(folder: str | Path) -> list[LoadedConfig]:
    """Read every configuration of a folder and check that they fit together.

    Parameters
    ----------
    folder : str or Path
        Folder of ``*.json`` files; folders in it are not searched.

    Returns
    -------
    list[LoadedConfig]
        By name; empty when the folder has none.

    Raises
    ------
    ConfigError
        If the folder does not exist or any file cannot be used; the problems of all files at once.
    """
    configs = []
    errors = []
    for file in config_files(folder):
        try:
            configs.append(load_config(file))
        except ConfigError as error:
            errors.append(str(error))
    for first, second in combinations(configs, 2):
        errors += conflicts(first, second)
    if errors:
        raise ConfigError("\n".join(errors))
    return configs


def config_files(folder: str | Path) -> list[Path]:
    """Return the files of a folder that should be configurations, by name.

    Raises
    ------
    ConfigError
        If the folder does not exist or cannot be read.
    """
    path = Path(folder)
    name = printable(str(path))
    if not path.is_dir():
        raise ConfigError(
            f"{name}: no such folder of run configurations; run this in the project's folder, "
            "make a project with odum init FOLDER, or set ODUM_CONFIGS_PATH"
        )
    try:
        # Not glob(): of a folder that may not be read it would say that it is empty.
        files = sorted(file for file in path.iterdir() if file.suffix == ".json")
    except OSError as error:
        raise ConfigError(f"{name}: the folder cannot be read: {error.strerror}") from None
    return [file for file in files if is_config_name(file.name)]


def is_config_name(name: str) -> bool:
    """Return whether a JSON file should be a configuration: no schema, not hidden."""
    return not name.endswith(".schema.json") and not name.startswith(".")


def _age(config: LoadedConfig) -> tuple[int, str]:
    """Return by what configurations are in the order of their last change."""
    try:
        return config.path.stat().st_mtime_ns, config.name
    except OSError:  # removed meanwhile
        return sys.maxsize, config.name


def _reasons(
    config: LoadedConfig, others: Iterable[LoadedConfig], unused: Collection[str]
) -> tuple[str, ...]:
    """Return what a configuration contradicts: the first of others that it does."""
    for other in others:
        if lines := conflicts(other, config, unused):
            return tuple(lines)
    raise AssertionError(f"{config.name} contradicts nothing")
