"""The ``odum`` and ``run-backtest`` commands.

What belongs here: reading a command line, asking the other packages, and showing what came of it.
What does not: deciding anything about data or results; every run goes through the assets of
``orchestration``, so that it appears in Dagster with its lineage.

Modules of commands import nothing heavy at the top: ``odum --help`` must answer at once.
"""
