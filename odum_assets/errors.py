"""Errors that are meant to be read by a person.

Each message says what is wrong, where (file, row, key), why, and what to do; the command line
prints it without a traceback and Dagster shows it as the failure's description. A bug is never one
of these.
"""


class OdumError(Exception):
    """Report a problem that the user can act on."""


class ConfigError(OdumError):
    """Report a configuration or an environment variable that cannot be used."""


class DataError(OdumError):
    """Report raw or catalog data that is missing, damaged or not what it says it is."""


class BacktestError(OdumError):
    """Report a backtest that could not be run to a trustworthy end."""
