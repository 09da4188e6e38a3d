"""Models that somebody trained: stored, sniffed, run in a sandbox, turned into signals.

What belongs here: model files and what they predict on bars. What does not: the orders that follow
from signals (``backtest``), HTTP (``api``).
"""
