"""Rules between the sections of a configuration.

What belongs here: what one section says about another. What does not: rules within a section
(``sections``), rules between files (``loading``).
"""

from typing import Any

from odum_assets.config.exact_json import count_decimals
from odum_assets.config.problems import Problem
from odum_assets.config.sections.data import DataCatalogConfig
from odum_assets.config.sections.market import InstrumentConfig, VenueConfig
from odum_assets.config.sections.strategy import StrategyConfig
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import InstrumentKey, Product, parse_instrument_id
from odum_assets.instruments.specs import contract_multiplier, currency_precision

CROSS_CHECKED = ("instrument", "venue", "data_catalog", "strategy", "fx_stub")
"""Sections that `cross_problems` compares."""


def cross_problems(sections: dict[str, Any]) -> list[Problem]:
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
    instrument: InstrumentConfig | None = sections.get("instrument")
    venue: VenueConfig | None = sections.get("venue")
    data: DataCatalogConfig | None = sections.get("data_catalog")
    strategy: StrategyConfig | None = sections.get("strategy")
    problems = []
    if instrument is not None:
        key = parse_instrument_id(instrument.id)
        if data is not None:
            problems += _path_problems(instrument, data)
            if not problems:
                key = resolve_key(instrument, data)
                problems += _product_problems(instrument, data, key)
        if venue is not None:
            problems += _venue_problems(venue, key)
        if strategy is not None:
            problems += _order_problems(strategy, instrument)
    fx_stub = sections.get("fx_stub")
    if fx_stub is not None and venue is not None:
        text = f"allowed a rate from venue.base_currency: {venue.base_currency}_..."
        problems += [
            Problem(f"fx_stub.{pair}", text)
            for pair in fx_stub
            if not pair.startswith(f"{venue.base_currency}_")
        ]
    return problems


def resolve_key(instrument: InstrumentConfig, data: DataCatalogConfig) -> InstrumentKey:
    """Return the instrument key: the raw file's when a path names one, else the id's."""
    named = (data.file_key(data_type) for data_type in data.paths())
    return next(filter(None, named), None) or parse_instrument_id(instrument.id)


def _path_problems(instrument: InstrumentConfig, data: DataCatalogConfig) -> list[Problem]:
    problems = []
    named = parse_instrument_id(instrument.id)
    # BASE-QUOTE.VENUE leaves the product open: the file name may say any.
    is_open = ":" not in instrument.id and "-PERP." not in instrument.id
    first: InstrumentKey | None = None
    for data_type in data.paths():
        key = data.file_key(data_type)
        if key is None:
            continue
        if is_open:
            agrees = (key.venue, key.symbol) == (named.venue, named.symbol)
        else:
            agrees = key.agrees_with(named)
        first = first or key
        allowed = None
        if not agrees:
            allowed = f"the instrument of instrument.id ({instrument.id})"
        elif key != first:
            allowed = f"the file name of trades_path ({first})"
        if allowed is not None:
            text = f"names {key}, allowed {allowed}"
            problems.append(Problem(f"data_catalog.{data_type}_path", text))
    return problems


def _product_problems(
    instrument: InstrumentConfig, data: DataCatalogConfig, key: InstrumentKey
) -> list[Problem]:
    problems = []
    if key.product is not Product.PERPETUAL and data.derivative_ticker_path is not None:
        text = f"not allowed: {key} pays no funding, only a perpetual does; remove it"
        problems.append(Problem("data_catalog.derivative_ticker_path", text))
    if instrument.multiplier is None:
        try:
            contract_multiplier(key)
        except ConfigError as error:
            problems.append(Problem("instrument.multiplier", f"missing: {error}"))
    elif key.product is Product.SPOT_PAIR and instrument.multiplier != 1:
        text = f"found {instrument.multiplier}, allowed 1: spot sizes are in {key.base}"
        problems.append(Problem("instrument.multiplier", text))
    return problems


def _venue_problems(venue: VenueConfig, key: InstrumentKey) -> list[Problem]:
    problems = []
    if venue.name != key.venue:
        text = f"found {venue.name}, allowed the venue of instrument.id ({key.venue})"
        problems.append(Problem("venue.name", text))
    if venue.base_currency != key.settlement_currency:
        kind = "inverse" if key.is_inverse else str(key.product)
        text = (
            f"found {venue.base_currency}, allowed {key.settlement_currency}: "
            f"{kind} {key.symbol} settles in it"
        )
        problems.append(Problem("venue.base_currency", text))
    decimals = currency_precision(venue.base_currency)
    if count_decimals(venue.starting_balance) > decimals:
        text = (
            f"found {venue.starting_balance}, allowed up to {decimals} decimals: accounts in "
            f"{venue.base_currency} have no more"
        )
        problems.append(Problem("venue.starting_balance", text))
    if venue.account_type == "CASH" and key.product is not Product.SPOT_PAIR:
        text = f"found CASH, allowed MARGIN: a {key.product} is traded on margin"
        problems.append(Problem("venue.account_type", text))
    return problems


def _order_problems(strategy: StrategyConfig, instrument: InstrumentConfig) -> list[Problem]:
    problems = []
    for index, order in enumerate(strategy.orders):
        for name, value, decimals in (
            ("price", order.price, instrument.price_precision),
            ("amount", order.amount, instrument.size_precision),
        ):
            if value is not None and count_decimals(value) > decimals:
                text = f"found {value}, allowed up to {decimals} decimals (instrument precision)"
                problems.append(Problem(f"strategy.orders[{index}].{name}", text))
    return problems
