"""Which configuration a command line means."""

from dataclasses import dataclass
from pathlib import Path

from odum_assets.cli.errors import UsageError, did_you_mean
from odum_assets.config.folder import config_files
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Choice:
    """A configuration that was named on the command line.

    Parameters
    ----------
    name : str
        Its name.
    path : Path
        Its file.
    settings : Settings
        The settings, with its folder as the folder of configurations.
    warning : str
        What to tell about it; empty when there is nothing.
    """

    name: str
    path: Path
    settings: Settings
    warning: str = ""


def config_names(settings: Settings) -> list[str]:
    """Return the names of the configurations in the settings' folder, whether valid or not."""
    files = settings.configs_path.glob("*.json")
    names = (file.stem for file in files if not file.name.startswith("."))
    return sorted(name for name in names if not name.endswith(".schema"))


def choose_config(text: str, settings: Settings, *, what: str = "CONFIG") -> Choice:
    """Return the configuration that a name, a file name or a path means.

    Parameters
    ----------
    text : str
        As given.
    settings : Settings
        All paths.
    what : str
        The argument, for the message.

    Raises
    ------
    UsageError
        If there is none; the message names the nearest ones.
    ConfigError
        If there is no folder of configurations.
    """
    by_name = settings.configs_path / f"{text.removesuffix('.json')}.json"
    if "/" not in text and by_name.is_file():
        return Choice(by_name.stem, by_name, settings)
    path = Path(text).expanduser()
    is_path = "/" in text or text.endswith(".json")
    if is_path and path.is_file():
        folder = path.absolute().parent
        if folder.resolve() == settings.configs_path.resolve():
            return Choice(path.stem, settings.configs_path / path.name, settings)
        warning = (
            f"{text} is outside {settings.configs_path}: its runs appear in the Dagster UI only "
            f"when that is started with ODUM_CONFIGS_PATH={folder}"
        )
        elsewhere = settings.model_copy(update={"configs_path": folder})
        return Choice(path.stem, folder / path.name, elsewhere, warning)
    if not is_path:
        # Where there is no folder, its message says more.
        config_files(settings.configs_path)
    near = did_you_mean(Path(text).name.removesuffix(".json"), config_names(settings))
    if is_path and "/" in text:
        raise UsageError(f"{what}: no such file {text}{near}")
    raise UsageError(f"{what}: there is no configuration {text!r} in {settings.configs_path}{near}")
