"""Strategies over a whole grid of parameters at once, compiled by Numba.

What belongs here: kernels on arrays of bars, and the tables of variants that follow
from them. What does not: NautilusTrader, orders that rest, anything of one run.

Numba is the extra ``vector``; it is imported when a sweep runs.
"""
