"""From parameters in a run configuration to those that a strategy declares.

A strategy's model sees its parameters as pydantic sees a JSON document: a number is a float or an
int for an untyped field, whatever a typed field makes of it, and to its last digit for a `Decimal`
field, which pydantic itself would read through a float.
"""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic import AliasChoices, BaseModel, RootModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from odum_assets.backtest.strategies.base import OdumStrategy
from odum_assets.bars.strategy import BarStrategy
from odum_assets.config.exact_json import write_json
from odum_assets.errors import BacktestError


def strategy_params(
    strategy: type[OdumStrategy] | type[BarStrategy], params: Mapping[str, object], path: str
) -> BaseModel:
    """Validate the parameters of a strategy.

    Parameters
    ----------
    strategy : type[OdumStrategy]
        The class; its `Params` says what is allowed.
    params : mapping
        JSON values; numbers with a point are Decimals.
    path : str
        The strategy's name in messages.

    Raises
    ------
    BacktestError
        If a parameter is missing, unknown or not allowed; all of them are named.
    """
    text = write_json(_exact(params, strategy.Params))
    try:
        return strategy.Params.model_validate_json(text)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(('strategy.params', *where))}: {text}"
            for detail in error.errors(include_url=False)
            for where, text in _named(detail)
        ]
        raise BacktestError(f"parameters of {path} cannot be used:\n" + "\n".join(lines)) from None


def _named(error: ErrorDetails) -> list[tuple[list[str], str]]:
    """Return keys and text of what is wrong; rules between keys may name several."""
    where = [*map(str, error["loc"])]
    if error["type"] == "problems":
        return [
            ([*where, *filter(None, [problem.path])], problem.text)
            for problem in error["ctx"]["problems"]
        ]
    return [(where, error["msg"])]


def _exact(value: object, annotation: object) -> object:
    """Return a value with text for each Decimal field's number that a float would round.

    Pydantic reads both alike. Everything else stays as it is: only numbers of more than some 17
    digits are looked at.
    """
    kinds = _kinds(annotation)
    if isinstance(value, Decimal):
        is_decimal = Decimal in kinds and not {str, float, int} & {*kinds}
        is_rounded = Decimal(repr(float(value))) != value
        return str(value) if is_decimal and is_rounded else value
    if isinstance(value, Mapping):
        inside = _one(_members(kind) for kind in kinds)
        return {name: _exact(inner, inside(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        inside = _one(_items(kind) for kind in kinds)
        return [_exact(item, inside(index)) for index, item in enumerate(value)]
    return value


type _Inside = typing.Callable[[Any], object]
"""From a name or an index to the annotation of what is there."""


def _kinds(annotation: object) -> list[Any]:
    """Return what an annotation allows, without names, metadata and None."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if isinstance(annotation, typing.TypeAliasType):
        return _kinds(annotation.__value__)
    if isinstance(annotation, typing.NewType):
        return _kinds(annotation.__supertype__)
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _kinds(annotation.model_fields["root"].annotation)
    if origin in (typing.Union, types.UnionType):
        return [kind for arg in typing.get_args(annotation) for kind in _kinds(arg)]
    return [] if annotation in (None, types.NoneType) else [annotation]


def _members(kind: Any) -> _Inside | None:  # noqa: ANN401 - whatever a type hint can be
    """Return the annotations of an object's members by name, None for what is no object."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {
            spelled: field.annotation
            for name, field in kind.model_fields.items()
            for spelled in _spellings(name, field)
        }.get
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        return typing.get_type_hints(kind).get
    arguments = typing.get_args(kind)
    if _origin_is(kind, Mapping) and len(arguments) == 2:
        return lambda _: arguments[1]
    return None


def _spellings(name: str, field: FieldInfo) -> list[str]:
    """Return the names by which a field may be given."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [name, *(choice for choice in choices if isinstance(choice, str))]


def _items(kind: Any) -> _Inside | None:  # noqa: ANN401 - whatever a type hint can be
    """Return the annotations of a list's items by index, None for what is no list."""
    arguments = typing.get_args(kind)
    if not arguments or not _origin_is(kind, Iterable) or _origin_is(kind, Mapping):
        return None
    if typing.get_origin(kind) is tuple and arguments[-1] is not Ellipsis:
        return dict(enumerate(arguments)).get
    return lambda _: arguments[0]


def _origin_is(kind: object, base: type) -> bool:
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, base)


def _one(candidates: Iterable[_Inside | None]) -> _Inside:
    """Return the only one; where several are possible, none is known."""
    known = [item for item in candidates if item is not None]
    return known[0] if len(known) == 1 else lambda _: None
