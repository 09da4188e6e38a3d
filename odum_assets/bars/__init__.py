"""Bars: series of integer prices, sessions, aggregation, orders on bars.

What belongs here computes on arrays and dates. NautilusTrader, Dagster and files
stay outside, so that strategies can be tested without either.
"""
