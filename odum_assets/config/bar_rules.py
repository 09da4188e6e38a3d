"""Rules between the sections of a configuration for bars.

What belongs here: what one section says about another. What does not: rules within a section
(``sections``), rules between files (``agreement``).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from odum_assets.config.exact_json import count_decimals
from odum_assets.config.problems import Problem
from odum_assets.config.sections.bars import (
    BarInstrumentConfig,
    BarsSection,
    BarStrategyConfig,
    BarVenueConfig,
)
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import Product
from odum_assets.instruments.specs import contract_multiplier, currency_precision

BAR_CROSS_CHECKED = ("instruments", "bars", "venue", "strategy")
"""Sections that `bar_problems` compares."""


def bar_problems(sections: dict[str, Any]) -> list[Problem]:
    """Return what is wrong between sections.

    Parameters
    ----------
    sections : dict[str, Any]
        Validated sections by name; one that is not usable is left out, and so are its rules.

    Returns
    -------
    list[Problem]
        Problems with paths from the top of the file.
    """
    instruments: Sequence[BarInstrumentConfig] | None = sections.get("instruments")
    venue: BarVenueConfig | None = sections.get("venue")
    bars: BarsSection | None = sections.get("bars")
    strategy: BarStrategyConfig | None = sections.get("strategy")
    problems = []
    if instruments is not None:
        problems += _instrument_problems(instruments)
        if venue is not None and not problems:
            problems += _venue_problems(venue, instruments)
        if strategy is not None:
            problems += _strategy_problems(strategy, instruments)
        if bars is not None and bars.source == "trades":
            problems += [
                Problem(f"instruments[{index}].id", f"{item.id} has no trades here; allowed: raw")
                for index, item in enumerate(instruments)
                if item.key.is_listed
            ]
    return problems


def _instrument_problems(instruments: Sequence[BarInstrumentConfig]) -> list[Problem]:
    problems = []
    counts = Counter(item.key.nautilus_id.rpartition(".")[0] for item in instruments)
    for index, item in enumerate(instruments):
        path, key = f"instruments[{index}]", item.key
        if counts[key.nautilus_id.rpartition(".")[0]] > 1:
            text = f"{item.id}: its symbol is given more than once; one account holds it once"
            problems.append(Problem(f"{path}.id", text))
        if item.margin_maint > item.margin_init:
            text = f"found {item.margin_maint}, allowed up to margin_init ({item.margin_init})"
            problems.append(Problem(f"{path}.margin_maint", text))
        problems += [Problem(f"{path}.{name}", text) for name, text in _contract_problems(item)]
    return problems


def _contract_problems(item: BarInstrumentConfig) -> list[tuple[str, str]]:
    """Return what does not fit the kind of instrument, by key."""
    key = item.key
    is_listed_future = key.is_listed and key.product is Product.FUTURE
    has_unit_size = key.product in (Product.EQUITY, Product.SPOT_PAIR)
    problems = []
    if is_listed_future and item.expiry is None:
        problems.append(("expiry", f"missing; the symbol of {key} does not say the day"))
    if item.expiry is not None and not is_listed_future:
        problems.append(("expiry", f"not allowed for {key}; remove it"))
    if item.currency is not None and not key.is_listed and item.currency != key.settlement_currency:
        text = f"found {item.currency}, allowed {key.settlement_currency}: {key} settles in it"
        problems.append(("currency", text))
    if key.product is Product.EQUITY and count_decimals(item.lot_size):
        problems.append(("lot_size", f"found {item.lot_size}, allowed whole shares"))
    if has_unit_size and item.multiplier not in (None, 1):
        problems.append(("multiplier", f"found {item.multiplier}, allowed 1"))
    if item.multiplier is None and not has_unit_size:
        try:
            contract_multiplier(key)
        except ConfigError as error:
            problems.append(("multiplier", f"missing: {error}"))
    return problems


def _venue_problems(
    venue: BarVenueConfig, instruments: Sequence[BarInstrumentConfig]
) -> list[Problem]:
    problems = []
    venues = list(dict.fromkeys(item.key.venue for item in instruments))
    if venue.name not in venues:
        text = f"found {venue.name}, allowed a venue of the instruments: {', '.join(venues)}"
        problems.append(Problem("venue.name", text))
    for index, item in enumerate(instruments):
        if item.settlement_currency != venue.base_currency:
            text = (
                f"{item.id} settles in {item.settlement_currency}, and the account is in "
                f"{venue.base_currency}; allowed: one currency for all"
            )
            problems.append(Problem(f"instruments[{index}]", text))
        if venue.account_type == "CASH" and not _is_cash(item):
            text = f"found CASH, allowed MARGIN: {item.id} is traded on margin"
            problems.append(Problem("venue.account_type", text))
    most = currency_precision(venue.base_currency)
    if count_decimals(venue.starting_balance) > most:
        text = (
            f"found {venue.starting_balance}, allowed up to {most} decimals: accounts in "
            f"{venue.base_currency} have no more"
        )
        problems.append(Problem("venue.starting_balance", text))
    return problems


def _is_cash(item: BarInstrumentConfig) -> bool:
    return item.key.product in (Product.EQUITY, Product.SPOT_PAIR)


def _strategy_problems(
    strategy: BarStrategyConfig, instruments: Sequence[BarInstrumentConfig]
) -> list[Problem]:
    ids = [item.id for item in instruments]
    text = f"allowed ids of instruments: {', '.join(ids)}"
    return [
        Problem(f"strategy.per_instrument.{name}", text)
        for name in strategy.per_instrument
        if name not in ids
    ]
