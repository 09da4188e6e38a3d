"""What run configurations of one folder must agree about.

Configurations of one instrument share its raw files and catalog, so they must say the same about
them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from operator import attrgetter

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.hashing import canonical_json
from odum_assets.config.loading import LoadedConfig
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.instruments.specs import InstrumentSpec

type _Item = tuple[LoadedConfig, InstrumentKey]
"""An instrument of a configuration."""

_DATA_TYPES = ("trades", "book_snapshot_5", "derivative_ticker")
_STORED_AS = (attrgetter("slug"), attrgetter("nautilus_id"))
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
            if value is not None and expected.get(name) not in (None, value)
        ]
    return lines


def contradicting(configs: list[LoadedConfig]) -> set[str]:
    """Return the names of the configurations that have no majority for what they say."""
    names: set[str] = set()
    of_instruments = [(config, key) for config in configs for key in config.keys]
    for stored_as in _STORED_AS:
        for group in _groups(of_instruments, stored_as):
            names |= _minority({config.name: key for config, key in group})
    for group in _groups(of_instruments, lambda key: key):
        values = {config.name: _shared_values(config, key) for config, key in group}
        for name in sorted(set().union(*values.values())):
            names |= _minority({config: shared.get(name) for config, shared in values.items()})
    return names


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
        "data_catalog.parquet_root": config.data_catalog.parquet_root or "nothing",
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


def _groups(items: Iterable[_Item], common: Callable[[InstrumentKey], object]) -> list[list[_Item]]:
    groups: dict[object, list[_Item]] = {}
    for config, key in items:
        groups.setdefault(common(key), []).append((config, key))
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
