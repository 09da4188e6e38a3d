"""The version of the rules by which figures are computed; cheap to import."""

from typing import Final

FIGURES_VERSION: Final = 2
"""Version of the rules that figures follow; results without one follow version 1.

Version 2: returns cover the whole window from before the first trade to after closing, without days
that have no data; the maximum drawdown in percent is the largest percentage, and drawdowns are zero
or negative; ``pnl`` is net of commissions and funding on every account. Version 1: returns lack the
first and the last interval and are zero on days without data; the drawdown in percent is that of
the largest amount, and drawdowns are positive; ``pnl`` is the change of the balance.
"""
