"""What may be asked of a vectorized sweep: one model for the launchpad and the service's bodies.

What belongs here: the options with their help and rules, and their translation into a
`SweepRequest`. What does not: which partitions and days come of them (``planner``).
"""

from datetime import date
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from odum_assets.config import LoadedConfig
from odum_assets.errors import InvalidRequestError

if TYPE_CHECKING:
    from odum_assets.results.bar_sweep import SweepRequest


_MOST_DAYS: Final = 36_525


class VsweepOptions(BaseModel):
    """What a person may choose for a grid of parameters over bars."""

    model_config = ConfigDict(extra="forbid")

    fast: str | None = Field(
        default=None,
        description="Bars of the fast average: FIRST:LAST:STEP, or a list. A crossover needs them.",
        examples=["5:50:5"],
    )
    slow: str | None = Field(
        default=None,
        description="Bars of the slow average; a pair whose fast one is not below it is left out.",
        examples=["20:200:10"],
    )
    threshold: str | None = Field(
        default=None,
        description="Thresholds of a model; by default the configuration's.",
        examples=["0.5:0.7:0.05"],
    )
    side: str | None = Field(
        default=None, description="Sides; by default the configuration's.", examples=["long"]
    )
    fixed_size: str | None = Field(
        default=None, description="Sizes of an entry; by default the configuration's."
    )
    percent_size: str | None = Field(
        default=None, description="Fractions of the equity that an entry may cost."
    )
    verify: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Replay the K best and K random variants in NautilusTrader; the run fails if "
        "any fill differs.",
    )
    sort: Literal["return", "cagr", "sharpe", "drawdown", "profit_factor"] = Field(
        default="return", description="The figure that says which variants are the best."
    )
    instrument: str | None = Field(
        default=None, description="Instrument, where the configuration has several."
    )
    first_day: str | None = Field(
        default=None,
        description="First session. Without days: every session that the catalog holds.",
        examples=["2011-01-03"],
    )
    last_day: str | None = Field(default=None, description="Last session, included.")

    def sweep_request(self, loaded: LoadedConfig) -> "SweepRequest":
        """Return the request for a configuration.

        Raises
        ------
        ConfigError, InvalidRequestError
            If values or days cannot be used.
        """
        from odum_assets.results.bar_sweep import SweepRequest
        from odum_assets.results.sweep_axes import OPTIONS, variants_of

        texts = {option: getattr(self, option) for option in OPTIONS}
        axes, variants = variants_of(loaded, texts, self.instrument)
        return SweepRequest(variants, axes, self.verify, self.sort, self.instrument, self._days())

    def _days(self) -> tuple[date, date] | None:
        if self.first_day is None and self.last_day is None:
            return None
        try:
            first, last = (date.fromisoformat(day or "") for day in (self.first_day, self.last_day))
        except ValueError:
            first, last = date.max, date.min
        if not 0 <= (last - first).days < _MOST_DAYS:
            raise InvalidRequestError(
                "invalid-window",
                f"first_day {self.first_day} and last_day {self.last_day}: give both, as dates in "
                "order such as 2011-01-03, within 100 years",
            )
        return first, last
