"""What a configuration that came over HTTP may reach: folders, addresses, strategies.

What belongs here: the one rule, and in which words it is refused. What does not: where such a
configuration comes from (``api``, ``orchestration``), what a configuration may say at all
(``model``).

A file that the operator puts into the folder of configurations may name any path, address and
importable class. Whoever sends a configuration over HTTP may not: each key that leads out of the
configuration must stay below what the settings name, or repeat what a configuration of the folder
says under that key. The content alone decides, not what the process environment overrides at the
moment: a stored file stays within the rule after a restart with other variables. For the same
reason a path that is new must be absolute.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.hashing import canonical_json
from odum_assets.config.loading import AnyConfig
from odum_assets.config.model import RunConfig
from odum_assets.config.problems import Problem, show
from odum_assets.settings import Settings, is_inside, parse_boolean, parse_folder, parse_root

_BUILT_IN: Final = Path(__file__).parents[1] / "backtest" / "strategies"
_CATALOG_PARTS: Final = ("data", "manifests")
"""Folders in which a catalog keeps its own files; another catalog in them would mix with it."""

_MODEL: Final = "strategy.params.model.path"

_ODD: Final = "%?#;&\\"
"""Characters that stores read as something else than a part of a name."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What configurations from outside may name.

    Parameters
    ----------
    raw_roots : tuple[str, ...]
        Folders (absolute) and addresses (``scheme://host/path``) that raw roots may lie in.
    catalogs : tuple[Path, ...]
        Folders that catalogs may lie in.
    strategies : tuple[Path, ...]
        Folders whose modules may be strategies, besides the built-in ones.
    kept_free : tuple[Path, ...]
        Folders in which no catalog may lie: results, configurations, raw files.
    models : Path or None
        Folder in which the files of models may lie.
    """

    raw_roots: tuple[str, ...]
    catalogs: tuple[Path, ...]
    strategies: tuple[Path, ...]
    kept_free: tuple[Path, ...] = ()
    models: Path | None = None


def reach_of(settings: Settings) -> Reach:
    """Return what the settings allow: the configured roots, and what the operator adds."""
    raw = _local(settings.raw_root)
    return Reach(
        raw_roots=(settings.raw_root, *settings.remote_raw_roots),
        catalogs=(settings.catalog_path, *settings.remote_catalogs),
        strategies=settings.remote_strategies,
        kept_free=(
            settings.results_path,
            settings.configs_path,
            *([] if raw is None else [raw / "raw_tick_data"]),
        ),
        models=settings.models_path,
    )


def reach_problems(config: AnyConfig, reach: Reach, present: Iterable[AnyConfig]) -> list[Problem]:
    """Return where a configuration reaches further than its sender may.

    Parameters
    ----------
    config : RunConfig or BarsConfig
        A valid configuration that came over HTTP.
    reach : Reach
        What is allowed.
    present : iterable of RunConfig or BarsConfig
        The configurations of the folder: a value that one of them has under the same key is no new
        reach. For a strategy outside the allowed folders this holds with its parameters only: what
        its class does with others nobody has approved.

    Returns
    -------
    list[Problem]
        Problems with the key, what was given and what is allowed; empty if there are none.
    """
    known = {outward for other in present for outward in _outward(other).items()}
    problems = []
    for key, value in _outward(config).items():
        text = None if (key, value) in known else _refusal(key, value, reach)
        if text is not None:
            problems.append(Problem(key, text))
    return problems


def strategy_problem(path: str | None, reach: Reach) -> str | None:
    """Return why a strategy may not be named from outside, None if it may.

    The module is located, not imported: what is refused must not run.
    """
    if path is None:
        return None
    file = _module_file(path.partition(":")[0])
    folders = (_BUILT_IN, *reach.strategies)
    if file is not None and any(is_inside(file, folder) for folder in folders):
        return None
    named = ", ".join(map(str, reach.strategies)) or "none"
    return (
        f"found {show(path)}, allowed over HTTP: the built-in strategy (no path), and modules in "
        f"the folders of ODUM_REMOTE_STRATEGIES ({named})"
    )


def orders_file_problem(text: str | None, reach: Reach) -> str | None:
    """Return why a file of orders may not be named from outside, None if it may."""
    if text is None:
        return None
    file = _local(text)
    roots = [root for root in map(_local, reach.raw_roots) if root is not None]
    if file is not None and "://" not in text and any(is_inside(file, root) for root in roots):
        return None
    allowed = ", ".join(map(str, roots)) or "none"
    return (
        f"found {show(text)}, allowed over HTTP: absolute paths below the raw roots {allowed} (the "
        "operator adds others with ODUM_REMOTE_RAW_ROOTS)"
    )


def _outward(config: AnyConfig) -> dict[str, str]:
    """Return the keys that lead out of a configuration, each with its value as text."""
    values = {
        **{f"environment.{name}": text for name, text in config.environment.variables().items()},
        "data_catalog.parquet_root": config.data_catalog.parquet_root,
        **(_outward_of_ticks(config) if isinstance(config, RunConfig) else _model_files(config)),
        "data_source": config.data_source,
    }
    return {key: text for key, text in values.items() if text is not None}


def _outward_of_ticks(config: RunConfig) -> dict[str, str | None]:
    data, strategy = config.data_catalog, config.strategy
    return {
        **{f"data_catalog.{data_type}_path": path for data_type, path in data.paths().items()},
        "data_catalog.instrument_file_pattern": data.instrument_file_pattern,
        "strategy.path": strategy.path and f"{strategy.path} {canonical_json(strategy.params)}",
        "strategy.orders_file": strategy.orders_file,
    }


def _model_files(config: BarsConfig) -> dict[str, str | None]:
    """Return the paths of models, by the instrument that they are for."""
    models = {
        item.id: config.strategy.params_of(item.id).get("model") for item in config.instruments
    }
    return {
        f"{_MODEL} of {name}": str(model["path"])
        for name, model in models.items()
        if isinstance(model, dict) and model.get("path") is not None
    }


def _refusal(key: str, value: str, reach: Reach) -> str | None:
    """Return why a value may not be named from outside, None if it may."""
    match key:
        case "environment.UNIFIED_CLOUD_LOCAL_PATH":
            return _raw_root_problem(value, reach)
        case "environment.DATA_CATALOG_PATH" | "data_catalog.parquet_root":
            return _catalog_problem(value, reach)
        case "environment.UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS":
            return f'found "{value}", allowed over HTTP: "false"' if parse_boolean(value) else None
        case "strategy.path":
            return strategy_problem(value.partition(" ")[0], reach)
        case "strategy.orders_file":
            return orders_file_problem(value, reach)
        case "data_source":
            return 'found "gcs", allowed over HTTP: local, auto' if value == "gcs" else None
        case _ if key.startswith(_MODEL):
            return _model_problem(value, reach)
        case _:
            return _name_problem(value)


def _raw_root_problem(text: str, reach: Reach) -> str | None:
    folder = _local(text)
    if folder is not None:
        fits = "::" not in text and any(
            is_inside(folder, root) for root in map(_local, reach.raw_roots) if root is not None
        )
    else:
        # As text: whoever opens the address later must not read another host into it.
        address = parse_root(text)
        fits = "://" in text and any(
            address == root
            or (address.startswith(f"{root}/") and _is_plain(address[len(root) + 1 :]))
            for root in reach.raw_roots
        )
    if fits:
        return None
    allowed = ", ".join(map(_without_user, reach.raw_roots))
    return (
        f"found {show(text)}, allowed over HTTP: absolute paths and addresses below the raw roots "
        f"{allowed} (the operator adds others with ODUM_REMOTE_RAW_ROOTS)"
    )


def _catalog_problem(text: str, reach: Reach) -> str | None:
    folder = _local(text)
    if folder is not None and any(_may_hold(root, folder, reach) for root in reach.catalogs):
        return None
    allowed = ", ".join(map(str, reach.catalogs))
    return (
        f"found {show(text)}, allowed over HTTP: the catalog, or an absolute path below it that is "
        f"no part of another catalog: {allowed} (the operator adds others with "
        "ODUM_REMOTE_CATALOGS)"
    )


def _model_problem(text: str, reach: Reach) -> str | None:
    file = _local(text)
    if file is not None and reach.models is not None and is_inside(file, reach.models):
        return None
    return (
        f"found {show(text)}, allowed over HTTP: user and name of an uploaded model, or the "
        "absolute path of its file"
    )


def _may_hold(root: Path, folder: Path, reach: Reach) -> bool:
    """Return whether a catalog may lie in a folder below a root."""
    if not is_inside(folder, root) or any(is_inside(folder, free) for free in reach.kept_free):
        return False
    parts = folder.resolve().relative_to(root.resolve()).parts
    return not any(part in _CATALOG_PARTS or part.startswith(".") for part in parts)


def _name_problem(text: str) -> str | None:
    if "::" in text or any(char in text for char in _ODD):
        return f"found {show(text)}, allowed over HTTP: names without :: and {_ODD}"
    return None


def _is_plain(rest: str) -> bool:
    """Return whether what follows a root in an address can lead only further below it."""
    return (
        "::" not in rest
        and rest.isprintable()
        and not any(char in rest for char in _ODD)
        and all(part not in ("", ".", "..") for part in rest.split("/"))
    )


def _local(text: str) -> Path | None:
    """Return the folder of an absolute path or ``file://`` address, None for anything else."""
    plain = text.strip().removeprefix("file://")
    if not plain.startswith("/") or "://" in plain:
        return None
    return parse_folder(plain)


def _without_user(root: str) -> str:
    """Return an address without user and password."""
    scheme, mark, rest = root.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else root


def _module_file(name: str) -> Path | None:
    """Return the file of a module as an import from the current folder would find it."""
    folders: Iterable[str] | None = (str(Path.cwd()), *sys.path)
    origin = None
    for part in name.split("."):
        # By its last part alone: a name with dots has finders ask for packages that are imported.
        spec = None if folders is None else PathFinder.find_spec(part, [*folders])
        if spec is None:
            return None
        folders = spec.submodule_search_locations
        origin = spec.origin if spec.has_location else None
    return None if origin is None else Path(origin)
