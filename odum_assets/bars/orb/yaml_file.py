"""The YAML file of a study: what is traded, when, and the strategy's parameters.

What belongs here: reading the file over the defaults, and the run configuration that it comes to.
What does not: where data lie (``cli.orb``), the parameters themselves (``params``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from odum_assets.bars.orb.params import (
    Day,
    LocalTime,
    OrbParams,
    PriceDistance,
    SizeParams,
    problem_text,
)
from odum_assets.config.problems import Problem, find_problems, raise_problems
from odum_assets.config.sections.section import Section
from odum_assets.config.sections.session import TimeZone
from odum_assets.config.value_types import Amount, InstrumentId, Switch, Text, Whole
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import parse_instrument_key

_SOURCES = ("catalog", "synthetic", "yahoo", "binance", "alphavantage")


def _upper(value: object) -> object:
    return value.strip().upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Symbol = Annotated[Text, BeforeValidator(_upper), Field(min_length=1)]


class StudyInstrument(Section):
    """One instrument of a study."""

    symbol: Symbol
    """What the study is about."""
    proxy_symbol: Symbol
    """What is traded in its place, because its data are free."""
    data_source: Annotated[
        Literal["catalog", "synthetic", "yahoo", "binance", "alphavantage"],
        BeforeValidator(_lower),
    ] = "catalog"
    """synthetic: generated bars. Everything else reads raw files; nothing is downloaded."""
    session_mode: Literal["rth", "eth", "full"] = "rth"
    """Which dates have sessions."""
    session_start: LocalTime = time(8, 30)
    """Local time."""
    session_end: LocalTime = time(15)
    """Local time."""
    timezone: TimeZone = "America/Chicago"
    """IANA time zone."""
    tick_size: Amount = Decimal("0.01")
    """Smallest step between prices."""
    point_value: Amount = Decimal(1)
    """Money per point of price and unit."""
    enabled: Switch = True
    """Whether it is traded."""
    instrument: InstrumentId | None = None
    """VENUE:TYPE:SYMBOL, where the symbol alone does not tell."""
    expiry: Day | None = None
    """Day on which a listed future expires."""

    @property
    def session(self) -> dict[str, Any]:
        """Return the section ``session`` of a run configuration."""
        return {
            "mode": self.session_mode,
            "start": f"{self.session_start:%H:%M}",
            "end": f"{self.session_end:%H:%M}",
            "timezone": self.timezone,
        }


class StudyBars(Section):
    """Which bars are read."""

    step: Literal["1m", "5m", "15m"] | None = None
    """Length of a bar; without it the shortest that there is."""
    label: Literal["start", "end"] | None = None
    """Which end of a bar its time in the raw file names; without it what another configuration of
    the instrument says."""
    warmup_sessions: Annotated[Whole, Field(ge=0, le=10_000)] = 20
    """Earlier sessions, for indicators only."""


class StudyBacktest(SizeParams):
    """Dates, account and fills of a study."""

    start_date: Day | None = None
    """First session; --start takes precedence over it."""
    end_date: Day | None = None
    """Last session; --end takes precedence over it."""
    initial_capital: Amount = Decimal(100_000)
    """Balance at the start."""
    conservative_fills: Switch = True
    """A bar that touches stop and target fills the stop."""
    random_seed: Annotated[Whole, Field(ge=0, le=2**63 - 1)] = 42
    """Seed of synthetic bars."""
    commission_rate: PriceDistance = Decimal(0)
    """Fee of every fill as a fraction of its value."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        start, end = self.start_date, self.end_date
        if start is not None and end is not None and start >= end:
            raise_problems(Problem("start_date", f"found {start}, should be before {end}"))
        return self


class Study(OrbParams):
    """A study as its YAML file has it."""

    name: Text = "ORB_Confluence"
    """Its name."""
    version: Text = "1.0"
    """Its version."""
    instruments: dict[str, StudyInstrument] = Field(default_factory=dict)
    """Instruments by the names that --symbols uses; others have the defaults."""
    bars: StudyBars = StudyBars()
    """Which bars are read."""
    backtest: StudyBacktest = StudyBacktest()
    """Dates, account and fills."""
    optimization: dict[str, Any] = Field(default_factory=dict)
    """Not used: odum sweep does it."""
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = (
        "INFO"
    )
    """DEBUG prints as --verbose does."""
    log_to_file: Switch = True
    """Write backtest_run.log beside the results."""

    @model_validator(mode="after")
    def _check_study(self) -> Self:
        problems = []
        if self.optimization.get("enabled"):
            text = "found true, allowed false; odum sweep runs a configuration with varied keys"
            problems.append(Problem("optimization.enabled", text))
        if self.instruments and not any(item.enabled for item in self.instruments.values()):
            problems.append(Problem("instruments", "none is enabled"))
        raise_problems(*problems)
        return self


@dataclass(frozen=True, slots=True)
class StudyFile:
    """A study with the keys that its file has.

    Parameters
    ----------
    study
        The study, defaults filled in.
    given
        The file's content.
    """

    study: Study
    given: Mapping[str, Any]

    def instrument(self, name: str) -> StudyInstrument:
        """Return the instrument of a symbol, by its name, proxy or symbol; else the defaults.

        Raises
        ------
        ConfigError
            If the file switches it off.
        """
        wanted = name.strip().upper()
        for key, item in self.study.instruments.items():
            if wanted in (key.upper(), item.proxy_symbol, item.symbol):
                if not item.enabled:
                    raise ConfigError(f"instruments.{key}.enabled: false, but {name} is asked for")
                return item
        return StudyInstrument(symbol=wanted, proxy_symbol=wanted)

    def params(self, *, needs_all_bars: bool = False) -> dict[str, Any]:
        """Return ``strategy.params`` of a run configuration: the keys that the file has.

        Parameters
        ----------
        needs_all_bars
            Whether every bar of an opening range must be there.
        """
        params: dict[str, Any] = {
            name: _as_json(self.given[name])
            for name in OrbParams.model_fields
            if name != "backtest" and self.given.get(name)
        }
        size = self.given.get("backtest") or {}
        if "contracts_per_trade" in size:
            params["backtest"] = {"contracts_per_trade": size["contracts_per_trade"]}
        if needs_all_bars:
            params["orb"] = {**params.get("orb", {}), "min_coverage": 1}
        return params


def read_study(path: Path | None) -> StudyFile:
    """Read a study; keys that its file does not have keep their defaults.

    Parameters
    ----------
    path
        A YAML file; None for the defaults alone.

    Raises
    ------
    ConfigError
        If it cannot be read or is not valid; each problem is named with its key.
    """
    import yaml

    given: Any = {}
    if path is not None:
        try:
            given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read ({error})") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: found {type(given).__name__}, should be keys with values")
    try:
        return StudyFile(Study.model_validate(_numbers(given)), given)
    except ValidationError as error:
        raise ConfigError(problem_text(str(path), find_problems(error, Study))) from None


def run_configuration(
    file: StudyFile,
    instruments: Mapping[str, StudyInstrument],
    bars: Mapping[str, Any],
    *,
    needs_all_bars: bool = False,
) -> dict[str, Any]:
    """Return the run configuration of a study as a JSON document.

    Parameters
    ----------
    file
        The study.
    instruments
        Instruments by their keys ``VENUE:TYPE:SYMBOL``.
    bars
        The section ``bars``.
    needs_all_bars
        As of `StudyFile.params`.

    Raises
    ------
    ConfigError
        If the instruments have different sessions.
    """
    sessions = {key: item.session for key, item in instruments.items()}
    first = next(iter(instruments))
    for name, session in sessions.items():
        if session != sessions[first]:
            raise ConfigError(
                f"{name} and {first} have different sessions; one run has one: run them apart"
            )
    key, backtest = parse_instrument_key(first), file.study.backtest
    currency = "USD" if key.is_listed else key.settlement_currency
    return {
        "kind": "bars",
        "instruments": [_instrument(name, item) for name, item in instruments.items()],
        "bars": dict(bars),
        "session": sessions[first],
        "venue": {
            "name": key.venue,
            "base_currency": currency,
            "starting_balance": backtest.initial_capital,
            "fees": {"model": "rate", "rate": backtest.commission_rate},
        },
        "strategy": {"name": "ORB", "params": file.params(needs_all_bars=needs_all_bars)},
        "execution": {"path": "conservative" if backtest.conservative_fills else "adaptive"},
    }


def _instrument(key: str, item: StudyInstrument) -> dict[str, Any]:
    section: dict[str, Any] = {"id": key, "tick_size": item.tick_size}
    if item.point_value != 1:
        section["multiplier"] = item.point_value
    if item.expiry is not None:
        section["expiry"] = item.expiry.isoformat()
    return section


def _numbers(value: object) -> object:
    """Return YAML values with floats as the decimals that the file has."""
    if isinstance(value, dict):
        return {str(key): _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


def _as_json(value: object) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    return value.isoformat() if isinstance(value, date | time) else _numbers(value)
