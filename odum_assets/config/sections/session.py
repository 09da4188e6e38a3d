"""Which hours are traded: the section ``session`` of a configuration for bars."""

from datetime import date, time
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from odum_assets.config.problems import Problem, raise_problems
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Text, parse_day, parse_wall_time

PRESETS: Final[dict[str, dict[str, str]]] = {
    "us_equity": {
        "mode": "rth",
        "start": "09:30",
        "end": "16:00",
        "timezone": "America/New_York",
    },
    "cme_index_rth": {
        "mode": "rth",
        "start": "08:30",
        "end": "15:00",
        "timezone": "America/Chicago",
    },
    "cme_eth": {
        "mode": "eth",
        "start": "17:00",
        "end": "16:00",
        "timezone": "America/Chicago",
    },
}
"""Hours by name. Holidays and early closes differ from year to year and are given beside them."""


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'found "{name}", allowed an IANA time zone such as America/New_York'
        ) from None
    return name


WallTime = Annotated[
    time,
    BeforeValidator(parse_wall_time),
    PlainSerializer(lambda wall: f"{wall:%H:%M}", when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
Day = Annotated[
    date, BeforeValidator(parse_day), WithJsonSchema({"type": "string", "format": "date"})
]
TimeZone = Annotated[Text, AfterValidator(_check_zone)]


class SessionConfig(Section):
    """Which hours are traded, in local wall time."""

    preset: Literal["us_equity", "cme_index_rth", "cme_eth"] | None = Field(
        default=None, examples=["us_equity"]
    )
    """Hours by name: us_equity 09:30-16:00 America/New_York, cme_index_rth 08:30-15:00 and cme_eth
    17:00-16:00 America/Chicago. Keys beside it take precedence."""
    mode: Literal["rth", "eth", "full"] = "full"
    """rth and eth: sessions from Monday to Friday; full: on every date."""
    start: WallTime = time(0)
    """Opening time. A session whose end is not after its start opens on the day before."""
    end: WallTime = time(0)
    """Closing time; 00:00 is the midnight that ends the date."""
    timezone: TimeZone = "UTC"
    """IANA time zone of start and end."""
    holidays: tuple[Day, ...] = Field(default=(), examples=[["2011-01-17"]])
    """Dates without a session."""
    early_closes: dict[Day, WallTime] = Field(default={}, examples=[{"2011-11-25": "13:00"}])
    """Closing times of shorter sessions, by date."""

    def meaning(self) -> dict[str, Any]:
        """Return what of the section can change a result, in one spelling."""
        return {
            "mode": self.mode,
            "start": f"{self.start:%H:%M}",
            "end": f"{self.end:%H:%M}",
            "timezone": self.timezone,
            "holidays": sorted({day.isoformat() for day in self.holidays}),
            "early_closes": {
                day.isoformat(): f"{close:%H:%M}" for day, close in self.early_closes.items()
            },
        }

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        name = value.get("preset") if isinstance(value, dict) else None
        preset = PRESETS.get(name) if isinstance(name, str) else None
        return value if preset is None else {**preset, **value}

    @model_validator(mode="after")
    def _check(self) -> Self:
        crosses = self.end != time(0) and self.end <= self.start
        raise_problems(
            *(
                Problem(
                    f"early_closes.{day}",
                    f"found {close:%H:%M}, allowed a time before the usual end ({self.end:%H:%M})"
                    + ("" if crosses else f" and after the start ({self.start:%H:%M})"),
                )
                for day, close in self.early_closes.items()
                if (self.end != time(0) and close >= self.end)
                or (not crosses and close <= self.start)
            )
        )
        return self
