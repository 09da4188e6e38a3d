"""Loading what Numba has compiled of the kernel before there is anything to match."""

from decimal import Decimal

import numpy as np

from odum_assets.vectorized.ticks.decode import tidy, whole_numbers
from odum_assets.vectorized.ticks.kernel import Rules
from odum_assets.vectorized.ticks.money import EngineBalance, MoneyTerms
from odum_assets.vectorized.ticks.order_ids import order_ids
from odum_assets.vectorized.ticks.run import Matching


def match_nothing() -> None:
    """Call what a run on ticks calls, so that it is loaded in this process.

    Raises
    ------
    RuntimeError
        If Numba has no folder for what it compiles.
    """
    none, starts = np.zeros(0, np.int64), np.zeros(1, np.int64)
    whole_numbers(np.zeros((0, 2), np.uint64), 0)
    for is_top in (False, True):
        tidy(starts, none, none, 1, is_top=is_top)
    rules = Rules(
        is_top=False,
        trades_execute=True,
        per_trade=True,
        is_market=False,
        lifetime=0,
        at_first_trade=True,
        latency_ns=0,
    )
    orders = np.zeros((5, 0), np.int64)
    matching = Matching(rules, orders)
    for _ in matching.events((), ()):
        pass
    matching.close(np.zeros((2, 0), np.int64), orders)
    order_ids(none, none)
    terms = MoneyTerms(0, 0, 0, Decimal(1), False, Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    account = EngineBalance(terms)
    realized, _ = account.realized(none, none)
    account.settle(realized, terms.commissions(terms.notionals(none, none), none == 1))
