"""Which Dagster instance the commands of a folder and its UI share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dagster._core.instance.ref import InstanceRef

_STATE: Final = ".dagster"


def instance_ref(overrides: dict[str, Any] | None = None) -> "InstanceRef":
    """Return the instance of the current folder.

    DAGSTER_HOME counts where it is set. Otherwise it is the ``dagster.yaml`` of the current folder,
    or one with its state in ``.dagster`` when there is none.

    Parameters
    ----------
    overrides : dict, optional
        Settings in place of those of the file.
    """
    from dagster._core.instance.ref import InstanceRef

    home = os.environ.get("DAGSTER_HOME")
    here = Path.cwd()
    state = Path(home) if home else here / _STATE
    state.mkdir(parents=True, exist_ok=True)
    own_file = not home and (here / "dagster.yaml").is_file()
    config_dir = here if own_file else state
    return InstanceRef.from_dir(str(state), config_dir=str(config_dir), overrides=overrides)
