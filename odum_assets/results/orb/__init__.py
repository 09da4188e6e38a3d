"""What a run of the opening-range breakout has beside every other result: trades in R, a page.

The strategy itself wrote tables and figures into the run's report (``bars.orb.files``); what
belongs here reads them, draws the page of a symbol, and copies all of it for a person.
"""

from odum_assets.results.orb.run import OrbRun, export_study

__all__ = ["OrbRun", "export_study"]
