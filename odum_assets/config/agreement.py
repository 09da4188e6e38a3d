"""What run configurations of one folder must agree about.

Configurations of one instrument share its raw files and catalog, so they must say the same about
them.
"""

from collections.abc import Collection, Iterable
from itertools import combinations
from operator import attrgetter

from odum_assets.config.loading import LoadedConfig
from odum_assets.settings import CONFIG_VARIABLES, Settings

_DATA_TYPES = ("trades", "book_snapshot_5", "derivative_ticker")
_STORED_AS = (attrgetter("key.slug"), attrgetter("key.nautilus_id"))
"""Names of an instrument in the catalog; two instruments must not share one."""
_VARIABLES = ("DATA_CATALOG_PATH", "UNIFIED_CLOUD_LOCAL_PATH")


def overridden(settings: Settings) -> frozenset[str]:
    """Return the keys that say nothing, since the process environment takes precedence."""
    keys = {
        f"environment.{name}"
        for name in _VARIABLES
        if CONFIG_VARIABLES[name][0] in settings.model_fields_set
    }
    is_catalog_given = "environment.DATA_CATALOG_PATH" in keys
    return frozenset({*keys, "data_catalog.parquet_root"} if is_catalog_given else keys)


def conflicts(first: LoadedConfig, second: LoadedConfig, unused: Collection[str] = ()) -> list[str]:
    """Return what two configurations say differently about one instrument, a line each.

    Parameters
    ----------
    first : LoadedConfig
        The one to agree with.
    second : LoadedConfig
        The one that the lines are about.
    unused : collection of str
        Keys that say nothing, from `overridden`.
    """
    if first.key != second.key:
        return _name_clashes(first, second)
    expected = _shared_values(first)
    return [
        f"{second.path}: {name}: found {value}, but {first.path} has {expected[name]} for the same "
        f"instrument {first.key}; they share its data, so make them agree"
        for name, value in _shared_values(second).items()
        if name not in unused and value is not None and expected[name] not in (None, value)
    ]


def contradicting(configs: Iterable[LoadedConfig], unused: Collection[str] = ()) -> set[str]:
    """Return the names of the configurations to leave out, so that the others agree.

    Those that contradict the fewest stay; of equally many, the first.

    Parameters
    ----------
    configs : iterable of LoadedConfig
        In the order in which they count.
    unused : collection of str
        Keys that say nothing, from `overridden`.
    """
    # Those that say the same are compared once: there may be hundreds of one instrument.
    alike: dict[object, list[LoadedConfig]] = {}
    for config in configs:
        alike.setdefault(_said(config, unused), []).append(config)
    groups = list(alike.values())
    names = [{stored_as(group[0]) for stored_as in _STORED_AS} for group in groups]
    clashes: dict[int, set[int]] = {index: set() for index in range(len(groups))}
    for first, second in combinations(clashes, 2):
        share = names[first] & names[second]
        if share and conflicts(groups[first][0], groups[second][0], unused):
            clashes[first].add(second)
            clashes[second].add(first)

    def contradicted(index: int) -> int:
        return sum(len(groups[other]) for other in clashes[index])

    kept: set[int] = set()
    for index in sorted(clashes, key=contradicted):
        if not clashes[index] & kept:
            kept.add(index)
    return {config.name for index in clashes.keys() - kept for config in groups[index]}


def _said(config: LoadedConfig, unused: Collection[str]) -> object:
    """Return what a configuration says of its instrument, to be compared and hashed."""
    values = _shared_values(config).items()
    return config.key, tuple(value for name, value in values if name not in unused)


def _name_clashes(first: LoadedConfig, second: LoadedConfig) -> list[str]:
    for stored_as in _STORED_AS:
        if stored_as(first) == stored_as(second):
            return [
                f"{second.path}: instrument.id: {second.key} and {first.key} of {first.path} would "
                f"both be stored as {stored_as(first)}; write both the same way"
            ]
    return []


def _shared_values(loaded: LoadedConfig) -> dict[str, object]:
    """Return what must be the same for an instrument, by key; None says nothing about it."""
    instrument, data = loaded.config.instrument, loaded.config.data_catalog
    variables = loaded.config.environment.variables()
    return {
        "instrument.price_precision": instrument.price_precision,
        "instrument.size_precision": instrument.size_precision,
        "instrument.multiplier": loaded.config.multiplier,
        # Nautilus reads the margins from the instrument definition in the catalog.
        "instrument.margin_init": instrument.margin_init,
        "instrument.margin_maint": instrument.margin_maint,
        **{f"data_catalog.{kind}_path": data.template(kind, loaded.key) for kind in _DATA_TYPES},
        # What environment says takes precedence over it.
        "data_catalog.parquet_root": None
        if "DATA_CATALOG_PATH" in variables
        else data.parquet_root or "nothing",
        **{f"environment.{name}": variables.get(name, "nothing") for name in _VARIABLES},
    }
