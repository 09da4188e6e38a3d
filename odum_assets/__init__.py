"""Odum Assets: raw exchange data in, trustworthy backtest results out, as Dagster assets.

The package re-exports nothing, so that importing one room never loads another.
"""
