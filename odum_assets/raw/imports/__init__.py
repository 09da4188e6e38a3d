"""Bars from anywhere into the raw layout: any CSV or parquet, or what a data source sends.

What belongs here: reading columns and times, checking rows, writing raw files. What does not: the
catalog, sessions, and what a strategy sees.
"""
