"""Results: run ids, documents, digests, the store of finished runs, exports, comparison.

What belongs here: what is kept of a run and how it is read again. What does not: how figures are
computed (``backtest``), and Dagster.
"""
