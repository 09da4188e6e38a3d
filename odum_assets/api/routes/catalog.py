"""What can be chosen: venues, instruments, execution algorithms."""

from functools import cache
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, TypeAdapter

from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service, ServiceHere
from odum_assets.config.sections.algorithms import ExecAlgorithm
from odum_assets.instruments.keys import VENUE_CODES, InstrumentKey, venue_products

router = APIRouter(prefix="/api", tags=["choices"])


class Venue(BaseModel):
    """A venue."""

    code: str
    name: str
    types: list[str]


class Venues(BaseModel):
    """Venues that are known; traditional markets are not."""

    cefi: list[Venue]
    tradfi: list[Venue]


class InstrumentTypes(BaseModel):
    """Kinds of instrument of a venue."""

    venue: str
    types: list[str]


class Instrument(BaseModel):
    """An instrument for which there is a configuration."""

    symbol: str
    gcs_id: str = Field(description="Name of its raw files.")
    nautilus_id: str
    config_id: str = Field(description="Its id as the configuration spells it.")
    configs: list[str]


class Instruments(BaseModel):
    """Instruments of a venue."""

    venue: str
    type: str
    instruments: list[Instrument]


class Parameter(BaseModel):
    """A parameter of an execution algorithm."""

    name: str
    type: str = Field(description="integer, number or string.")
    default: float | int | str | None
    minimum: float | None
    maximum: float | None
    allowed: list[str] | None = Field(default=None, description="Values of a string.")
    description: str


class Algorithm(BaseModel):
    """An execution algorithm."""

    id: str
    name: str
    description: str
    parameters: list[Parameter]


@router.get("/instruments/venues")
def list_venues(service: ServiceHere) -> Venues:
    """List venues, and the kinds of instrument that they have."""
    codes = sorted({*VENUE_CODES, *(key.venue for key in _keys(service))})
    return Venues(
        cefi=[
            Venue(code=code, name=code.replace("-", " ").title(), types=_types(code))
            for code in codes
        ],
        tradfi=[],
    )


@router.get("/instruments/types/{venue}")
def list_types(service: ServiceHere, venue: str) -> InstrumentTypes:
    """List the kinds of instrument of a venue."""
    code = _venue(service, venue)
    return InstrumentTypes(venue=code, types=_types(code))


@router.get("/instruments/list/{venue}/{product}")
def list_instruments(service: ServiceHere, venue: str, product: str) -> Instruments:
    """List the instruments of a venue and kind for which there are configurations."""
    code, kind = _venue(service, venue), product.upper()
    if kind not in _types(code):
        raise ProblemError(
            404, "unknown-type", f"{code} has no {product}; it has {', '.join(_types(code))}"
        )
    instruments: dict[InstrumentKey, Instrument] = {}
    for loaded in service.project().configs:
        for key, written in loaded.config.ids.items():
            if (key.venue, key.product) == (code, kind):
                instrument = Instrument(
                    symbol=key.symbol,
                    gcs_id=str(key),
                    nautilus_id=key.nautilus_id,
                    config_id=written,
                    configs=[],
                )
                instruments.setdefault(key, instrument).configs.append(loaded.name)
    return Instruments(venue=code, type=kind, instruments=list(instruments.values()))


@router.get("/algorithms/", include_in_schema=False)
@router.get("/algorithms")
async def list_algorithms() -> list[Algorithm]:
    """List execution algorithms and their parameters."""
    return [*_algorithms()]


@router.get("/algorithms/{algorithm}")
async def get_algorithm(algorithm: str) -> Algorithm:
    """Return one execution algorithm."""
    for known_algorithm in _algorithms():
        if known_algorithm.id == algorithm.upper():
            return known_algorithm
    known = ", ".join(algorithm.id for algorithm in _algorithms())
    raise ProblemError(404, "unknown-algorithm", f"no algorithm {algorithm!r}; there are {known}")


def _keys(service: Service) -> list[InstrumentKey]:
    return [key for loaded in service.project().configs for key in loaded.keys]


def _venue(service: Service, venue: str) -> str:
    code = venue.upper()
    known = {*VENUE_CODES, *(key.venue for key in _keys(service))}
    if code not in known:
        raise ProblemError(
            404, "unknown-venue", f"no venue {venue!r}; there are {', '.join(sorted(known))}"
        )
    return code


def _types(venue: str) -> list[str]:
    return [product.value for product in venue_products(venue)]


@cache
def _algorithms() -> tuple[Algorithm, ...]:
    """Return what the model of run configurations says of them."""
    schema = TypeAdapter[Any](ExecAlgorithm).json_schema()
    definitions = schema["$defs"]
    algorithms = []
    for reference in schema["discriminator"]["mapping"].values():
        algorithm = definitions[reference.rpartition("/")[2]]
        params = definitions[algorithm["properties"]["params"]["$ref"].rpartition("/")[2]]
        name = algorithm["properties"]["type"]["const"]
        algorithms.append(
            Algorithm(
                id=name,
                name=name,
                description=algorithm["properties"]["type"]["description"],
                parameters=[
                    _parameter(parameter, part)
                    for parameter, part in params.get("properties", {}).items()
                ],
            )
        )
    return tuple(algorithms)


def _parameter(name: str, part: dict[str, Any]) -> Parameter:
    if "enum" in part:
        return Parameter(
            name=name,
            type="string",
            default=part.get("default"),
            minimum=None,
            maximum=None,
            allowed=part["enum"],
            description=part.get("description", ""),
        )
    kinds = [part, *part.get("anyOf", ())]
    whole = part.get("type") == "integer"
    default = part.get("default")

    # Bounds of decimals stand in the schema by pydantic's names.
    def bound(*names: str) -> float | None:
        values = [kind[name] for kind in kinds for name in names if name in kind]
        return float(values[0]) if values else None

    return Parameter(
        name=name,
        type="integer" if whole else "number",
        default=None if default is None else int(default) if whole else float(default),
        minimum=bound("minimum", "exclusiveMinimum", "ge", "gt"),
        maximum=bound("maximum", "exclusiveMaximum", "le", "lt"),
        description=part.get("description", ""),
    )
