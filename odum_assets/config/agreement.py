"""What run configurations of one folder must agree about.

Configurations of one instrument share its raw files and catalog, so they must say the same about
them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter

from odum_assets.config.loading import LoadedConfig

_DATA_TYPES = ("trades", "book_snapshot_5", "derivative_ticker")
_STORED_AS = (attrgetter("key.slug"), attrgetter("key.nautilus_id"))
"""Names of an instrument in the catalog; two instruments must not share one."""
_VARIABLES = ("DATA_CATALOG_PATH", "UNIFIED_CLOUD_LOCAL_PATH")


def conflicts(first: LoadedConfig, second: LoadedConfig) -> list[str]:
    """Return what two configurations say differently about one instrument, a line each.

    Parameters
    ----------
    first : LoadedConfig
        The one to agree with.
    second : LoadedConfig
        The one that the lines are about.
    """
    if first.key != second.key:
        return _name_clashes(first, second)
    expected = _shared_values(first)
    return [
        f"{second.path}: {name}: found {value}, but {first.path} has {expected[name]} for the same "
        f"instrument {first.key}; they share its data, so make them agree"
        for name, value in _shared_values(second).items()
        if value is not None and expected[name] not in (None, value)
    ]


def contradicting(configs: list[LoadedConfig]) -> set[str]:
    """Return the names of the configurations that have no majority for what they say."""
    names: set[str] = set()
    for stored_as in _STORED_AS:
        for group in _groups(configs, stored_as):
            names |= _minority({config.name: config.key for config in group})
    for group in _groups(configs, attrgetter("key")):
        values = {config.name: _shared_values(config) for config in group}
        for key in _shared_values(group[0]):
            names |= _minority({name: shared[key] for name, shared in values.items()})
    return names


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
        "data_catalog.parquet_root": data.parquet_root or "nothing",
        **{f"environment.{name}": variables.get(name, "nothing") for name in _VARIABLES},
    }


def _groups(
    configs: Iterable[LoadedConfig], common: Callable[[LoadedConfig], object]
) -> list[list[LoadedConfig]]:
    groups: dict[object, list[LoadedConfig]] = {}
    for config in configs:
        groups.setdefault(common(config), []).append(config)
    return list(groups.values())


def _minority(values: dict[str, object]) -> set[str]:
    """Return the names whose value is not that of more than half of those that have any."""
    named = {name: value for name, value in values.items() if value is not None}
    counts = Counter(named.values())
    if len(counts) < 2:
        return set()
    most_common, count = counts.most_common(1)[0]
    is_majority = 2 * count > len(named)
    return {name for name, value in named.items() if not is_majority or value != most_common}
