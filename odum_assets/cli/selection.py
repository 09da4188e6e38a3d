"""Which configuration, and which run, a command line means."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from odum_assets.cli.errors import UsageError, did_you_mean
from odum_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from odum_assets.results.store import ResultStore


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
        from odum_assets.config.folder import config_files

        config_files(settings.configs_path)
    near = did_you_mean(Path(text).name.removesuffix(".json"), config_names(settings))
    if is_path and "/" in text:
        raise UsageError(f"{what}: no such file {text}{near}")
    raise UsageError(f"{what}: there is no configuration {text!r} in {settings.configs_path}{near}")


def open_store() -> "ResultStore":
    """Return the results that the settings name.

    Raises
    ------
    UsageError
        If there are neither results nor configurations: most likely the wrong folder.
    """
    from odum_assets.results.store import ResultStore

    settings = load_settings()
    if not settings.results_path.is_dir():
        require_project(settings)
    return ResultStore(settings.results_path)


def require_project(settings: Settings) -> None:
    """Refuse a folder that has no configurations.

    Raises
    ------
    UsageError
        If it has none; the message says what to do.
    """
    if not settings.configs_path.is_dir():
        raise UsageError(
            f"{Path.cwd()} is not a project: there is no folder {settings.configs_path}. Change to "
            "the project's folder, or set ODUM_CONFIGS_PATH"
        )


def choose_run(store: "ResultStore", text: str, *, failed: bool = False) -> str:
    """Return the id of the run that a text means: an id, a part of one, or ``last``.

    Parameters
    ----------
    store : ResultStore
        The results.
    text : str
        As given.
    failed : bool, default False
        Whether runs without a result count, too.

    Raises
    ------
    UsageError
        If there is none, or several fit; the message names them.
    """
    from odum_assets.results.references import find_run_id
    from odum_assets.results.run_id import is_run_id
    from odum_assets.results.stored_file import ResultError

    try:
        run_id = find_run_id(store, text, failed=failed)
        if not is_run_id(run_id):
            if not re.fullmatch(r"[A-Za-z0-9_]+", text):
                raise UsageError(f"RUN_ID: {text!r} is not a run id, nor a part of one")
            raise UsageError(
                f"RUN_ID: no run id in {store.root} begins or ends with {text!r}; see odum results "
                "list"
            )
        if not (failed and store.failed_path(run_id).is_file()) and (
            not store.fast_path(run_id).is_file()
        ):
            store.entry(run_id)
    except ResultError as error:
        raise UsageError(str(error)) from None
    return run_id
