"""How raw bars become those of the catalog: step, label, sessions."""

from dataclasses import dataclass
from typing import Any, Literal

from odum_assets.bars.sessions import SessionRules
from odum_assets.instruments import InstrumentSpec


@dataclass(frozen=True, slots=True)
class BarRules:
    """Say how the times of raw bars are read.

    Parameters
    ----------
    step : int
        Length of a bar, ns.
    label : {"start", "end"} or None
        Which end of a bar its time names; None for bars aggregated from trades.
    sessions : SessionRules or None
        Of daily bars, which close when their session does.
    """

    step: int
    label: Literal["start", "end"] | None
    sessions: SessionRules | None = None

    def document(self, spec: InstrumentSpec) -> dict[str, Any]:
        """Return what a manifest keeps of the rules: a change of it makes other rows."""
        values: dict[str, Any] = {
            "step_ns": str(self.step),
            "label": self.label,
            "tick_size": str(spec.price_increment),
        }
        if self.sessions is not None:
            values["session"] = {
                "mode": self.sessions.mode,
                "start": f"{self.sessions.start:%H:%M}",
                "end": f"{self.sessions.end:%H:%M}",
                "timezone": self.sessions.timezone,
                "holidays": sorted(day.isoformat() for day in self.sessions.holidays),
                "early_closes": {
                    day.isoformat(): f"{close:%H:%M}"
                    for day, close in sorted(self.sessions.early_closes.items())
                },
            }
        return values
