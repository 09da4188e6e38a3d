"""Have the graph loaded again when a configuration has come, or has changed."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from odum_assets.settings import Settings

_INTERVAL_S: Final = 2.0
_SETTLED_S: Final = 1.0
"""Seconds in which a file must not change: an editor may still be writing it."""

_LOG: Final = logging.getLogger("dagster")


class ConfigChanges:
    """The configuration files as they were before the graph was loaded, and what came since."""

    def __init__(self) -> None:
        from odum_assets.settings import load_settings

        self._settings = load_settings()
        self._stats = _stats(self._settings)
        self._loaded: dict[str, str] = {}
        """Content hash by name, of the files that were loaded again."""

    def reload_on_change(self, reload: Callable[[], None], stop: threading.Event) -> None:
        """Call `reload` after each change that brings a usable configuration, until `stop` is set.

        A file that is damaged or removed changes nothing by itself: the sensor leaves it out, and
        the graph keeps what it has of it.

        Parameters
        ----------
        reload : callable
            Loads the code location again; what it raises is logged.
        stop : threading.Event
            Ends the call within seconds.
        """
        while not stop.wait(_INTERVAL_S):
            stats = _stats(self._settings)
            if stats == self._stats or stop.wait(_SETTLED_S) or _stats(self._settings) != stats:
                continue
            changed = {name for name, _ in stats.items() - self._stats.items()}
            self._stats = stats
            usable = _usable(self._settings)
            new = {name: usable[name] for name in changed & usable.keys()}
            if new.items() <= self._loaded.items():
                continue
            _LOG.info("%s: new or changed; the graph is loaded again", ", ".join(sorted(new)))
            try:
                reload()
            except Exception:  # noqa: BLE001 - whatever it was, the next change is tried
                _LOG.exception("The graph could not be loaded again; reload it in the UI")
            else:
                self._loaded |= new


def _usable(settings: "Settings") -> dict[str, str]:
    """Return the content hash of each configuration that can be used, by name."""
    from odum_assets.config import read_folder
    from odum_assets.errors import ConfigError

    try:
        return {config.name: config.content_hash for config in read_folder(settings).configs}
    except ConfigError:
        return {}


def _stats(settings: "Settings") -> dict[str, tuple[int, int]]:
    from odum_assets.config import stats_of_configs

    return stats_of_configs(settings)
