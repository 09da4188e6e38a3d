"""A backtest run: the `BacktestNode`, strategies, execution algorithms, counting, figures.

:mod:`odum_assets.backtest.run` says who does what. One run is one fresh process, since Nautilus'
logger is global to a process and a panic in its core ends the process. What belongs here ends with
plain tables in a work folder and typed figures; documents, run ids and stored results belong to
``results``.
"""
