"""A backtest run: the `BacktestNode`, strategies, execution algorithms, accounting, metrics.

One run is one fresh process (:mod:`odum_assets.backtest.worker`), since Nautilus' logger is global
to a process and a panic in its core ends the process. What belongs here ends with plain tables and
figures in a work folder; documents, run ids and stored results are the ``results`` room's.
"""
