"""Which configuration, instrument and days a command line means."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from odum_assets.cli.errors import UsageError, did_you_mean
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from odum_assets.config import LoadedConfig
    from odum_assets.instruments import InstrumentKey


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
    note : str
        What to tell about it; empty when there is nothing.
    """

    name: str
    path: Path
    settings: Settings
    note: str = ""


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
        Where everything lies.
    what : str
        The argument, for the message.

    Raises
    ------
    UsageError
        If there is none; the message names the nearest ones.
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
        note = (
            f"{text} lies outside {settings.configs_path}: its runs appear in the Dagster UI only "
            f"when that is started with ODUM_CONFIGS_PATH={folder}"
        )
        elsewhere = settings.model_copy(update={"configs_path": folder})
        return Choice(path.stem, folder / path.name, elsewhere, note)
    near = did_you_mean(Path(text).name.removesuffix(".json"), config_names(settings))
    if is_path and "/" in text:
        raise UsageError(f"{what}: no such file {text}{near}")
    raise UsageError(f"{what}: no configuration {text!r} in {settings.configs_path}{near}")


def names_instrument(text: str, loaded: "LoadedConfig") -> bool:
    """Return whether a text is a spelling of a configuration's instrument.

    ``VENUE:TYPE:SYMBOL`` with or without suffix, ``BASE-QUOTE.VENUE``, the Nautilus id, and the
    plain symbol (``BTCUSDT``, ``BTC-USDT``) are.
    """
    return _plain(text) in spellings(loaded.key) | {_plain(loaded.config.instrument.id)}


def spellings(key: "InstrumentKey") -> set[str]:
    """Return the spellings of an instrument, in capital letters without separators."""
    named = [str(key), f"{key.venue}:{key.product}:{key.symbol}", key.nautilus_id, key.slug]
    named += [key.symbol, f"{key.symbol}.{key.venue}", f"{key.symbol}-PERP"]
    if key.product == "SPOT_PAIR":
        named = [name for name in named if not name.endswith("-PERP")]
    return {_plain(name) for name in named}


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
