"""Loading compiled code once, ahead of the processes that are forked off this one for runs."""

from contextlib import suppress

from odum_assets.backtest.counting import load_kernel_here


def load_compiled() -> None:
    """Load what Numba has compiled of the witness and of counting, in this thread.

    Numba takes a second for its own modules and for what it finds in its cache. Without Numba, or a
    folder for its cache, nothing is loaded, and each run says what it misses.
    """
    with suppress(ImportError, RuntimeError):
        from odum_assets.vectorized.ticks.loading import match_nothing

        match_nothing()
        load_kernel_here()
