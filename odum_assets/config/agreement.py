"""What run configurations of one folder must agree about.

Configurations of one instrument share its raw files and catalog, so they must say the same about
them.
"""

from collections.abc import Collection, Iterable
from itertools import combinations
from operator import attrgetter

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.hashing import canonical_json
from odum_assets.config.loading import LoadedConfig
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.instruments.specs import InstrumentSpec
from odum_assets.settings import CONFIG_VARIABLES, Settings

_DATA_TYPES = ("trades", "book_snapshot_5", "derivative_ticker")
_STORED_AS = (attrgetter("slug"), attrgetter("nautilus_id"))
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
    lines = []
    for key in second.keys:
        if key not in first.keys:
            lines += _name_clashes(first, second, key)
            continue
        expected = _shared_values(first, key)
        lines += [
            f"{second.path}: {name}: found {value}, but {first.path} has {expected[name]} for the "
            f"same instrument {key}; they share its data, so make them agree"
            for name, value in _shared_values(second, key).items()
            if name not in unused and value is not None and expected.get(name) not in (None, value)
        ]
    return lines


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
        alike.setdefault(_shared_definition(config, unused), []).append(config)
    groups = list(alike.values())
    names = [
        {stored_as(key) for stored_as in _STORED_AS for key in group[0].keys} for group in groups
    ]
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


def _shared_definition(config: LoadedConfig, unused: Collection[str]) -> object:
    """Return what a configuration says of its instruments, to be compared and hashed."""
    return tuple(
        (key, tuple(item for item in _shared_values(config, key).items() if item[0] not in unused))
        for key in config.keys
    )


def _name_clashes(first: LoadedConfig, second: LoadedConfig, key: InstrumentKey) -> list[str]:
    for stored_as in _STORED_AS:
        for other in first.keys:
            if stored_as(other) == stored_as(key):
                return [
                    f"{second.path}: instrument.id: {key} and {other} of {first.path} would "
                    f"both be stored as {stored_as(key)}; write both the same way"
                ]
    return []


def _shared_values(loaded: LoadedConfig, key: InstrumentKey) -> dict[str, object]:
    """Return what must be the same for an instrument, by key; None says nothing about it."""
    config, spec = loaded.config, loaded.config.spec(key)
    variables = config.environment.variables()
    return {
        "instrument.price_precision": spec.price_precision,
        "instrument.size_precision": spec.size_precision,
        "instrument.multiplier": spec.multiplier,
        # Nautilus reads the margins from the instrument definition in the catalog.
        "instrument.margin_init": spec.margin_init,
        "instrument.margin_maint": spec.margin_maint,
        **(_shared_by_bars(loaded.bars, spec) if loaded.bars else {}),
        **{f"data_catalog.{kind}_path": config.template(kind, key) for kind in _DATA_TYPES},
        # What environment says takes precedence over it.
        "data_catalog.parquet_root": None
        if "DATA_CATALOG_PATH" in variables
        else config.data_catalog.parquet_root or "nothing",
        **{f"environment.{name}": variables.get(name, "nothing") for name in _VARIABLES},
    }


def _shared_by_bars(config: BarsConfig, spec: InstrumentSpec) -> dict[str, object]:
    """Return what configurations for bars must agree about: how the same files are converted."""
    step, session = config.bars.step, canonical_json(config.session.meaning())
    return {
        "tick_size": spec.price_increment,
        "currency": spec.settlement_currency,
        "expiry": spec.expiry,
        f"bars.source of {step}": config.bars.source,
        f"bars.label of {step}": config.bars.label,
        # A daily bar closes when its session does; others close by themselves.
        f"session of {step}": session if config.bars.is_daily else None,
    }
