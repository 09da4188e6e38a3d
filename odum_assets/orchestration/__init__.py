"""The only package that imports Dagster: assets, checks, sensor, jobs, and runs from Python.

What belongs here: wiring. An asset finds its inputs, calls one function of another package and
reports what came of it. What does not: how a row is converted, an order filled or a document
written.

`build.build_definitions` makes the graph, `launch` runs it from a command line. No module in here
may use ``from __future__ import annotations``: Dagster reads annotations when an asset is defined.
"""
