"""The parameters of the opening-range breakout, as a configuration spells them.

What belongs here: the keys of ``strategy.params``, their ranges, and rules between them. What does
not: instruments, sessions, accounts and dates (``yaml_file`` reads those of a study).
"""

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)

from odum_assets.config.problems import Problem, find_problems, raise_problems
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Number, Switch, Whole
from odum_assets.errors import ConfigError

FACTORS = ("price_action", "rel_vol", "profile", "vwap", "adx")
"""Factors, by the names that weights and tables use."""

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_NOT_SUPPORTED = (
    "dual",
    "trade.trail",
    "trade.two_phase",
    "trade.salvage",
    "trade.time_stop",
    "filters.bias",
    "filters.avoid_first_minutes",
    "filters.avoid",
    "filters.max_wick",
    "filters.min_velocity_atr",
    "governance.trailing_drawdown",
)
"""Keys of other engines of this strategy's author."""

_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_TIMEFRAME = re.compile(r"([1-9]\d{0,2}) ?(?:m|min|minutes?)")


def _parse_time(value: object) -> object:
    # Pydantic would take seconds; YAML reads 13:30 without quotes as 810.
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError(f'found {value}, should be a local time in quotes, such as "13:30"')
    return time.fromisoformat(value.zfill(5) if len(value) < 6 else value.zfill(8))


def _parse_date(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"found {value}, should be a date such as 2024-01-02") from None


def _parse_weekday(value: object) -> object:
    name = str(value).lower()[:3]
    if name not in WEEKDAYS:
        raise ValueError(f"found {value}, should be one of {', '.join(WEEKDAYS)}")
    return name


def _check_timeframe(value: object) -> object:
    if not isinstance(value, str) or not _TIMEFRAME.fullmatch(value):
        raise ValueError(f"found {value}, should be minutes such as 5min")
    return value


Ratio = Annotated[Number, Field(ge=0, le=1)]
Share = Annotated[Number, Field(gt=0, le=1)]
PriceDistance = Annotated[Number, Field(ge=0, le=1_000_000_000)]
Multiple = Annotated[Number, Field(ge=0, le=1_000)]
PositiveMultiple = Annotated[Number, Field(gt=0, le=1_000)]
LocalTime = Annotated[time, BeforeValidator(_parse_time)]
Day = Annotated[date, BeforeValidator(_parse_date)]
Weekday = Annotated[
    Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], BeforeValidator(_parse_weekday)
]
Timeframe = Annotated[str, BeforeValidator(_check_timeframe)]


def _below(section: Section, low: str, high: str) -> Problem | None:
    lower, upper = getattr(section, low), getattr(section, high)
    return (
        None if lower < upper else Problem(low, f"found {lower}, should be below {high} ({upper})")
    )


class OpeningRangeParams(Section):
    """Length and validity of the opening range."""

    base_minutes: Annotated[Whole, Field(ge=5, le=60)] = 15
    """Length in minutes; with `adaptive` the one of days of usual volatility."""
    adaptive: Switch = True
    """Choose the length by v, the intraday over the daily ATR; unknown v: `base_minutes`."""
    low_norm_vol: Annotated[Number, Field(ge=0, le=2)] = Decimal("0.35")
    """v below it chooses `short_or_minutes`."""
    high_norm_vol: Annotated[Number, Field(ge=0, le=2)] = Decimal("0.85")
    """v above it chooses `long_or_minutes`."""
    norm_vol_scale: Literal["none", "sqrt_time"] | None = None
    """sqrt_time multiplies v by the root of the intraday bars in a session."""
    short_or_minutes: Annotated[Whole, Field(ge=5, le=30)] = 10
    """Length in minutes on quiet days."""
    long_or_minutes: Annotated[Whole, Field(ge=15, le=60)] = 30
    """Length in minutes on volatile days."""
    atr_period: Annotated[Whole, Field(ge=5, le=50)] = 14
    """Bars of every ATR."""
    intraday_atr_timeframe: Timeframe = "5min"
    """Bars of the intraday ATR."""
    daily_atr_timeframe: Literal["1day", "1d", "1D", "day"] = "1day"
    """Bars of the daily ATR: sessions."""
    enable_validity_filter: Switch = True
    """Leave out days whose opening range is invalid."""
    min_atr_mult: Multiple = Decimal("0.25")
    """Least valid width, in ATRs of `validity_atr`."""
    max_atr_mult: Multiple = Decimal("1.75")
    """Largest valid width, in ATRs of `validity_atr`."""
    validity_atr: Literal["or_length", "intraday", "daily"] = "or_length"
    """Bars of the reference ATR: as long as the opening range, intraday, or daily."""
    min_coverage: Ratio = Decimal("0.9")
    """Least share of the opening range's bars that must be there."""

    @property
    def intraday_minutes(self) -> int:
        """Return the length of the intraday ATR's bars."""
        match = _TIMEFRAME.fullmatch(self.intraday_atr_timeframe)
        assert match is not None  # noqa: S101 - the validator checked it
        return int(match[1])

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [_below(self, "min_atr_mult", "max_atr_mult")]
        if self.adaptive:
            problems += [
                _below(self, "low_norm_vol", "high_norm_vol"),
                _below(self, "short_or_minutes", "long_or_minutes"),
            ]
        raise_problems(*filter(None, problems))
        return self


class AdaptiveBuffer(Section):
    """A buffer that follows the last ten changes of the close."""

    scalar: Multiple
    """Times the standard deviation of the last ten absolute changes of the close."""
    min: PriceDistance
    """Least buffer, price units."""
    max: PriceDistance
    """Largest buffer, price units."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min > self.max:
            raise_problems(Problem("min", f"found {self.min}, should be at most max ({self.max})"))
        return self


class BufferParams(Section):
    """Distance of the triggers from the edges of the opening range."""

    fixed: PriceDistance = Decimal("0.10")
    """Price units."""
    use_atr: Switch = False
    """Add `atr_mult` times the reference ATR."""
    atr_mult: Annotated[Number, Field(ge=0, le=Decimal("0.5"))] = Decimal("0.05")
    """Share of the reference ATR."""
    adaptive: AdaptiveBuffer | None = None
    """clip(fixed + scalar * std, min, max) in the place of `fixed`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fixed == 0 and not self.use_atr and self.adaptive is None:
            raise_problems(Problem("fixed", "found 0, should be above 0 unless use_atr is true"))
        return self


class EntryParams(Section):
    """How a breakout is entered."""

    mode: Literal["touch", "close"] = "touch"
    """touch: a stop order rests at the trigger; close: a close at or beyond the trigger
    enters at the next open."""


class RelativeVolumeParams(Section):
    """Volume against the volume of the bars before it."""

    enabled: Switch = True
    """Whether it counts."""
    lookback: Annotated[Whole, Field(ge=5, le=100)] = 20
    """Bars of the mean, the current one excluded."""
    spike_mult: Annotated[Number, Field(ge=1, le=5)] = Decimal("1.25")
    """Least multiple of the mean."""


class PriceActionParams(Section):
    """Engulfing bars, and higher highs with higher lows."""

    enabled: Switch = True
    """Whether it counts."""
    pivot_len: Annotated[Whole, Field(ge=2, le=10)] = 3
    """Bars back of the comparison, and on both sides of a swing."""
    enable_engulfing: Switch = True
    """Take engulfing bars."""
    enable_structure: Switch = True
    """Take higher highs with higher lows."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.enabled and not (self.enable_engulfing or self.enable_structure):
            raise_problems(
                Problem("enabled", "needs enable_engulfing or enable_structure to be true")
            )
        return self


class ProfileParams(Section):
    """The value area of the session before, as shares of its range."""

    enabled: Switch = True
    """Whether it counts."""
    val_pct: Ratio = Decimal("0.25")
    """Lower edge of the value area."""
    vah_pct: Ratio = Decimal("0.75")
    """Upper edge of the value area."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        raise_problems(*filter(None, [_below(self, "val_pct", "vah_pct")]))
        return self


class VwapParams(Section):
    """The side of the volume-weighted average price."""

    enabled: Switch = False
    """Whether it counts."""
    reset_mode: Literal["session", "or_end"] = "session"
    """Where the average starts."""


class AdxParams(Section):
    """The strength of the trend."""

    enabled: Switch = False
    """Whether it counts; without it no trend is weak."""
    period: Annotated[Whole, Field(ge=5, le=50)] = 14
    """Bars of its averages."""
    threshold: Annotated[Number, Field(ge=0, le=50)] = Decimal(18)
    """Least value that counts; below it the trend is weak."""


class FactorParams(Section):
    """What speaks for a breakout beside the price."""

    rel_volume: RelativeVolumeParams = RelativeVolumeParams()
    """Volume against the volume before."""
    price_action: PriceActionParams = PriceActionParams()
    """Engulfing bars and structure."""
    profile_proxy: ProfileParams = ProfileParams()
    """The value area of the session before."""
    vwap: VwapParams = VwapParams()
    """The side of the volume-weighted average price."""
    adx: AdxParams = AdxParams()
    """The strength of the trend."""

    def enabled(self) -> tuple[str, ...]:
        """Return the names of the factors that count, in the order of `FACTORS`."""
        switches = {
            "price_action": self.price_action.enabled,
            "rel_vol": self.rel_volume.enabled,
            "profile": self.profile_proxy.enabled,
            "vwap": self.vwap.enabled,
            "adx": self.adx.enabled,
        }
        return tuple(name for name in FACTORS if switches[name])


class ScoringParams(Section):
    """How many factors an entry needs."""

    enabled: Switch = True
    """Whether a score is needed at all."""
    base_required: Multiple = Decimal(2)
    """Least score."""
    weak_trend_required: Multiple = Decimal(3)
    """Least score while the trend is weak (`factors.adx`)."""
    weights: dict[Literal["price_action", "rel_vol", "profile", "vwap", "adx"], Multiple] = Field(
        default_factory=dict
    )
    """What each factor adds to the score; 1 where none is given."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.base_required > self.weak_trend_required:
            raise_problems(
                Problem(
                    "base_required",
                    f"found {self.base_required}, should be at most weak_trend_required "
                    f"({self.weak_trend_required})",
                )
            )
        return self

    def weight(self, factor: str) -> float:
        """Return the weight of a factor."""
        return float(next((weight for name, weight in self.weights.items() if name == factor), 1))


class TradeParams(Section):
    """Stop, targets and breakeven of a trade; R is the distance of the entry from its stop."""

    stop_mode: Literal["or_opposite", "swing", "atr_capped"] = "or_opposite"
    """The other edge of the opening range, the last swing, or the edge but no further than
    `atr_stop_cap_mult` ATRs."""
    extra_stop_buffer: PriceDistance = Decimal("0.05")
    """Price units beyond the edge or the swing."""
    atr_stop_cap_mult: Annotated[Number, Field(gt=0, le=3)] = Decimal("0.8")
    """Largest distance of atr_capped, in reference ATRs."""
    partials: Switch = True
    """Take profit in parts; the runner has what is left."""
    t1_r: PositiveMultiple = Decimal(1)
    """First target, R."""
    t1_pct: Share = Decimal("0.5")
    """Share of the position of the first target."""
    t2_r: PositiveMultiple = Decimal("1.5")
    """Second target, R."""
    t2_pct: Share = Decimal("0.25")
    """Share of the position of the second target."""
    runner_r: PositiveMultiple = Decimal(2)
    """Target of the rest, R."""
    primary_r: PositiveMultiple = Decimal("1.5")
    """The one target without `partials`, R."""
    move_be_at_r: PositiveMultiple = Decimal(1)
    """Once the best price is so many R beyond the entry, the stop moves to breakeven at the
    close."""
    be_buffer: PriceDistance = Decimal("0.01")
    """Price units of breakeven beyond the entry, in favor."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.partials:
            return self
        problems = [_below(self, "t1_r", "t2_r"), _below(self, "t2_r", "runner_r")]
        if self.t1_pct + self.t2_pct > 1:
            total = self.t1_pct + self.t2_pct
            problems.append(Problem("t2_pct", f"t1_pct + t2_pct is {total}, allowed is at most 1"))
        if self.runner_r <= Decimal("1.5"):
            problems.append(
                Problem("runner_r", f"found {self.runner_r}, should be above 1.5 with partials")
            )
        raise_problems(*filter(None, problems))
        return self

    def targets(self) -> list[tuple[str, Decimal, Decimal]]:
        """Return name, R and share of each target; those without a share are left out."""
        if not self.partials:
            return [("target_t1", self.primary_r, Decimal(1))]
        rest = 1 - self.t1_pct - self.t2_pct
        targets = [
            ("target_t1", self.t1_r, self.t1_pct),
            ("target_t2", self.t2_r, self.t2_pct),
            ("target_runner", self.runner_r, rest),
        ]
        return [target for target in targets if target[2] > 0]


class GovernanceParams(Section):
    """When there are no more entries."""

    max_signals_per_day: Annotated[Whole, Field(ge=1, le=10)] = 3
    """Entries per session and instrument."""
    lockout_after_losses: Annotated[Whole, Field(ge=1, le=10)] = 2
    """Consecutive full stops after which a session is over; a win ends the count."""
    max_daily_loss_r: PositiveMultiple | None = None
    """Realized loss in R after which a session is over."""
    max_daily_loss: Annotated[Number, Field(gt=0)] | None = None
    """Realized loss in money after which a session is over, all instruments together."""
    max_concurrent: Annotated[Whole, Field(ge=1, le=1000)] | None = None
    """Positions at a time, all instruments together."""
    time_cutoff: LocalTime | None = time(13, 30)
    """Local time in the session's zone from which on there are no entries."""
    second_chance_minutes: Annotated[Whole, Field(ge=0, le=120)] = 30
    """Minutes after the opening range in which a close back inside revives a trigger that was
    crossed without an order; after a trade it always does."""
    cooldown_minutes: Annotated[Whole, Field(ge=0, le=1440)] = 0
    """Minutes without an entry on the side of the last trade."""
    flatten_at_session_end: Switch = True
    """Close the position before the session ends."""
    flatten_minutes: Annotated[Whole, Field(ge=1, le=240)] = 1
    """Minutes before the end of the session; at least one bar."""


class FilterParams(Section):
    """Days without entries."""

    no_trade_dates: tuple[Day, ...] = ()
    """Dates of sessions."""
    weekdays: tuple[Weekday, ...] = WEEKDAYS  # type: ignore[assignment]
    """Weekdays that are traded."""


class SizeParams(Section):
    """The size of a trade."""

    contracts_per_trade: Annotated[Whole, Field(ge=1, le=1_000_000)] = 4
    """Units of a trade; parts that do not divide go to the largest remainder."""


class OrbParams(Section):
    """The parameters of the opening-range breakout."""

    orb: OpeningRangeParams = OpeningRangeParams()
    """Length and validity of the opening range."""
    buffers: BufferParams = BufferParams()
    """Distance of the triggers from the opening range."""
    entry: EntryParams = EntryParams()
    """How a breakout is entered."""
    factors: FactorParams = FactorParams()
    """What speaks for a breakout beside the price."""
    scoring: ScoringParams = ScoringParams()
    """How many factors an entry needs."""
    trade: TradeParams = TradeParams()
    """Stop, targets and breakeven."""
    governance: GovernanceParams = GovernanceParams()
    """When there are no more entries."""
    filters: FilterParams = FilterParams()
    """Days without entries."""
    backtest: SizeParams = SizeParams()
    """The size of a trade."""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: object, handler: ModelWrapValidatorHandler[Self]) -> Self:
        refused = refused_keys(values)
        others = []
        try:
            params = handler(_without(values, [problem.path.split(".") for problem in refused]))
        except ValidationError as error:
            if not refused:
                raise
            others = find_problems(error, cls)
        # All at once: who removes these keys need not try again to learn what else is wrong.
        raise_problems(*refused, *others)
        return params

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.scoring.enabled:
            return self
        most = sum(self.scoring.weight(name) for name in self.factors.enabled())
        raise_problems(
            *(
                Problem(
                    f"scoring.{key}",
                    f"found {value}, but the factors that are enabled add up to {most:g}",
                )
                for key in ("base_required", "weak_trend_required")
                if (value := getattr(self.scoring, key)) > most
            )
        )
        return self


def refused_keys(values: object) -> list[Problem]:
    """Return a problem for each key of another engine of this strategy's author."""
    return [
        Problem(key, "is not part of this strategy; remove the key")
        for key in _NOT_SUPPORTED
        if _holds(values, key.split("."))
    ]


def parse_params(values: Mapping[str, Any], source: str = "strategy.params") -> OrbParams:
    """Check parameters.

    Parameters
    ----------
    values
        As a JSON or YAML file has them.
    source
        What messages call them.

    Raises
    ------
    ConfigError
        If they are not valid; each problem is named with its key.
    """
    try:
        return OrbParams.model_validate(values)
    except ValidationError as error:
        raise ConfigError(problem_text(source, find_problems(error, OrbParams))) from None


def problem_text(source: str, problems: list[Problem]) -> str:
    """Return problems as a message."""
    return "\n".join([f"{source}: not valid", *(f"  {problem}" for problem in problems)])


def _without(values: object, paths: list[list[str]]) -> object:
    """Return values without the keys that paths lead to."""
    if not isinstance(values, Mapping) or not paths:
        return values
    inner: dict[object, list[list[str]]] = {}
    for first, *more in paths:
        inner.setdefault(first, []).append(more)
    return {
        key: _without(value, inner.get(key, []))
        for key, value in values.items()
        if [] not in inner.get(key, [])
    }


def _holds(values: object, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(values, Mapping) or key not in values:
            return False
        values = values[key]
    return True
