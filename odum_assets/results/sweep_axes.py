"""Which variants a vectorized sweep means: values of each parameter as texts, in every combination.

What belongs here: reading ``5:50:5`` and lists, and crossing them. What does not: running variants.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any, Final

from odum_assets.backtest.bar_strategies import SIZING, SWEPT
from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError
from odum_assets.results.bar_sweep import Variant, bars_config, instrument_of

MAX_VARIANTS: Final = 1_000_000

OPTIONS: Final = ("fast", "slow", "threshold", *SIZING)
"""Parameters that may be given."""

_SIDES: Final = ("long", "long_short")

type _Values = Sequence[int | float | Decimal | str]


def variants_of(
    loaded: LoadedConfig,
    texts: Mapping[str, str | None],
    instrument: str | None = None,
    spelled: Callable[[str], str] = str,
) -> tuple[tuple[str, ...], list[Variant]]:
    """Return the axes of a sweep and its variants, in order.

    Parameters
    ----------
    loaded : LoadedConfig
        The configuration.
    texts : mapping of str to str or None
        Values of each of `OPTIONS`; None where it is not given. A model's threshold is that of the
        configuration then.
    instrument : str, optional
        Which one, where there are several.
    spelled : callable, optional
        Return what messages call a parameter.

    Raises
    ------
    ConfigError
        If a text is none of values, a parameter is not one of the strategy's, there is no variant,
        or there are more than `MAX_VARIANTS`.
    """
    config = bars_config(loaded)
    own, name = SWEPT[config.strategy.name], config.strategy.name
    given = {option: text for option, text in texts.items() if text is not None}
    strange = [option for option in given if option not in (*own, *SIZING)]
    if strange:
        names = ", ".join(map(spelled, (*own, *SIZING)))
        raise ConfigError(f"{spelled(strange[0])}: not a parameter of {name}, which has {names}")
    params = config.strategy.params_of(instrument_of(loaded, instrument, spelled("instrument")).id)
    values: dict[str, _Values] = {}
    for axis in (*own, *SIZING):
        if axis in given:
            values[axis] = _parsed(axis, given[axis], spelled(axis))
        elif axis == "threshold":
            values[axis] = [float(params.get(axis, 0.5))]
        elif axis in own:
            raise ConfigError(f"{spelled(axis)} is missing: a sweep of {name} needs it")
    axes = tuple(values)
    variants = [
        variant
        for variant in _crossed(list(values.values()), list(map(spelled, axes)))
        if axes[:2] != ("fast", "slow") or variant[0] < variant[1]
    ]
    if not variants:
        raise ConfigError(
            f"{spelled('fast')} and {spelled('slow')}: no fast length is below a slow one"
        )
    return axes, variants


def parse_lengths(text: str, option: str) -> list[int]:
    """Return lengths written ``5:50:5`` (first, last, step), ``10`` or ``5,10,20``.

    Raises
    ------
    ConfigError
        If the text is something else.
    """
    try:
        lengths = [int(number) for number in _numbers(text, int, 1)]
        if lengths[0] < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"{option}: found {text}, allowed whole numbers from 1 as FIRST:LAST:STEP, such as "
            "5:50:5, or a list, such as 5,10,20"
        ) from None
    return lengths


def parse_decimals(text: str, option: str) -> list[Decimal]:
    """Return numbers written ``0.5:0.7:0.05`` (first, last, step), ``0.6`` or ``0.5,0.6``.

    Raises
    ------
    ConfigError
        If the text is something else.
    """
    try:
        return _numbers(text, Decimal, None)
    except (ValueError, InvalidOperation):
        raise ConfigError(
            f"{option}: found {text}, allowed numbers as FIRST:LAST:STEP, such as 0.5:0.7:0.05, or "
            "a list, such as 0.5,0.6"
        ) from None


def _numbers(text: str, number: Callable[[str], Any], default_step: int | None) -> list[Any]:
    """Return numbers in order, each once; ValueError if they are none, or too many."""
    numbers: list[Any] = []
    for part in text.split(","):
        first, *rest = map(number, part.split(":"))
        last = rest[0] if rest else first
        step = rest[1] if len(rest) == 2 else default_step if rest else 1
        if len(rest) > 2 or step is None or not (0 < step < 2**62 and first <= last):
            raise ValueError
        if not first - first == last - last == 0 or (last - first) // step >= MAX_VARIANTS:
            raise ValueError
        numbers += [first + index * step for index in range(int((last - first) // step) + 1)]
    return sorted(set(numbers))


def _parsed(axis: str, text: str, option: str) -> _Values:
    if axis in ("fast", "slow"):
        return parse_lengths(text, option)
    if axis == "side":
        sides = list(dict.fromkeys(text.split(",")))
        if not set(sides) <= set(_SIDES):
            raise ConfigError(f"{option}: found {text}, allowed {', '.join(_SIDES)}, or both")
        return sides
    numbers = parse_decimals(text, option)
    # A number of a configuration is the float that is nearest, too.
    return [float(number) for number in numbers] if axis == "threshold" else numbers


def _crossed(values: Sequence[_Values], options: Sequence[str]) -> Sequence[Variant]:
    count = 1
    for several in values:
        count *= len(several)
    if count > MAX_VARIANTS:
        raise ConfigError(
            f"{' and '.join(options)}: more than {MAX_VARIANTS:,} variants; take fewer"
        )
    return list(product(*values))
