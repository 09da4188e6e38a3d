"""NautilusTrader's matching of one order per trade, or of listed orders, compiled by Numba.

What belongs here: catalog rows as whole numbers, the matching kernel, what it says of orders and
fills as columns. What does not: NautilusTrader, the journal of a run, deciding which runs it may
serve (``backtest``).

The rules are those that NautilusTrader 2.0.0rc7 was seen to follow; ``docs/matching.md`` has them.
"""
