"""What orders are sent: the section ``strategy``."""

import math
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    model_serializer,
    model_validator,
)

from odum_assets.config.exact_json import map_json
from odum_assets.config.problems import Problem, raise_problems, show
from odum_assets.config.sections.algorithms import ExecAlgorithm, NormalAlgorithm
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Amount, Text

_OWN_STRATEGY_DECIDES = (
    "submission_mode",
    "order_type",
    "time_in_force",
    "orders",
    "exec_algorithm",
    "orders_file",
)
_ORDERS_FILE_DECIDES = ("submission_mode", "order_type", "time_in_force", "orders")


class SeedOrder(Section):
    """An order that is sent once, at the start of the window."""

    side: Literal["buy", "sell"]
    """buy or sell."""
    price: Amount | None = Field(default=None, examples=[27000.1])
    """Limit price; null: a market order."""
    amount: Amount = Field(examples=[0.5])
    """Size, in the unit of the raw data's amounts."""


class StrategyConfig(Section):
    """What orders are sent."""

    name: Text = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", examples=["TradeReplay"])
    """Name of the strategy in results: letters, digits, _ . -"""
    version: Text | None = Field(
        default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$", examples=["1.0.0"]
    )
    """Version of the strategy in the run registry; null: the hash of its module."""
    path: Text | None = Field(
        default=None,
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        examples=["my_strategies.momentum:Momentum"],
    )
    """Your own strategy class as package.module:Class. It decides itself what to send:
    submission_mode, order_type, time_in_force, orders, exec_algorithm, orders_file are not allowed
    with it."""
    params: dict[str, Any] = Field(default={}, examples=[{"window": 20}])
    """Parameters of your own strategy class."""
    submission_mode: Literal["per_trade_tick", "seed_orders"] = "per_trade_tick"
    """per_trade_tick: one order per trade row, besides the listed orders; seed_orders: only the
    listed orders."""
    order_type: Literal["LIMIT", "MARKET"] = "LIMIT"
    """LIMIT at the row's price, or MARKET."""
    time_in_force: Literal["IOC", "GTC", "FOK"] = "IOC"
    """IOC fills at once what it can, FOK all or nothing, GTC rests in the book."""
    orders: tuple[SeedOrder, ...] = Field(
        default=(), examples=[[{"side": "buy", "price": 27000.1, "amount": 0.5}]]
    )
    """Orders that are sent once, at the start of the window."""
    orders_file: Text | None = Field(
        default=None, min_length=1, max_length=4096, examples=["orders/2023-05-23.parquet"]
    )
    """Parquet file of orders that are sent at their times, instead of one per trade row: absolute,
    or relative to the folder of this file. submission_mode, order_type, time_in_force, orders are
    not allowed with it."""
    exec_algorithm: ExecAlgorithm = Field(
        default=NormalAlgorithm(type="NORMAL"),
        examples=[{"type": "TWAP", "params": {"horizon_secs": 10, "interval_secs": 1}}],
    )
    """How an order is worked."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.path is not None:
            problems += [
                Problem(name, "not allowed with strategy.path: the strategy decides; remove it")
                for name in _OWN_STRATEGY_DECIDES
                if name in self.model_fields_set
            ]
        elif self.params:
            problems.append(Problem("params", "only allowed with strategy.path; remove it"))
        if self.path is None and self.orders_file is not None:
            problems += [
                Problem(name, "not allowed with strategy.orders_file: the file decides; remove it")
                for name in _ORDERS_FILE_DECIDES
                if name in self.model_fields_set
            ]
        if self.submission_mode == "seed_orders" and not self.orders:
            problems.append(Problem("orders", "missing; submission_mode seed_orders sends these"))
        problems += param_problems(self.params, "params")
        raise_problems(*problems)
        return self

    @field_serializer("params", when_used="json")
    def _params_as_json(self, params: dict[str, Any]) -> dict[str, Any]:
        # Pydantic would write a Decimal of an untyped field as text.
        values: dict[str, Any] = map_json(as_float, params)
        return values

    @model_serializer(mode="wrap")
    def _without_refused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What is refused on the way in stays out on the way out, so that a dump loads again.
        values: dict[str, Any] = handler(self)
        refused = ("params",) if self.path is None else _OWN_STRATEGY_DECIDES
        # The hash of a configuration without a version is that of before there were any.
        refused = (*refused, "version") if self.version is None else refused
        refused = (*refused, "orders_file") if self.orders_file is None else refused
        if self.orders_file is not None:
            refused = (*refused, *_ORDERS_FILE_DECIDES)
        return {name: value for name, value in values.items() if name not in refused}


def as_float(value: object) -> object:
    """Return a Decimal as the nearest float, anything else as it is."""
    return float(value) if isinstance(value, Decimal) else value


def param_problems(value: Any, path: str) -> list[Problem]:  # noqa: ANN401 - any JSON value
    """Return what no strategy can be given: numbers beyond floats, lone surrogates."""
    problems = []
    if isinstance(value, dict):
        for name, item in value.items():
            problems += param_problems(name, f"{path}.{name}")
            problems += param_problems(item, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            problems += param_problems(item, f"{path}[{index}]")
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        problems.append(Problem(path, f"found {show(value)}, allowed valid Unicode"))
    elif isinstance(value, Decimal | float):
        number = float(value)
        if not math.isfinite(number) or (value and not number):
            text = f"found {value}, allowed 0 and sizes from 5e-324 to 1.7e308"
            problems.append(Problem(path, text))
    return problems
