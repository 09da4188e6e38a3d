"""Errors that are meant to be read by a person.

Each message says what is wrong, where (file, row, key), why, and what to do; the command line
prints it without a traceback and Dagster shows it as the failure's description. A bug is never one
of these.
"""

from collections.abc import Mapping
from types import MappingProxyType


class OdumError(Exception):
    """Report a problem that the user can act on.

    Attributes
    ----------
    facts : mapping of str to object
        What a reader should see beside the message, such as what a strategy printed.
    """

    facts: Mapping[str, object] = MappingProxyType({})


class ConfigError(OdumError):
    """Report a configuration or an environment variable that cannot be used."""


class DataError(OdumError):
    """Report raw or catalog data that is missing, damaged or not what it says it is."""


class BacktestError(OdumError):
    """Report a backtest that could not be run to a trustworthy end."""


class RequestError(OdumError):
    """Report a request for a run that is refused before anything is started.

    Parameters
    ----------
    code : str
        Short name of the kind, such as ``invalid-window``.
    message : str
        What is wrong, for a person.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class InvalidRequestError(RequestError, ConfigError):
    """Report a request that no data could make possible: its times, days or options."""


class UnavailableDataError(RequestError, DataError):
    """Report a request whose data are missing, unreadable or not converted yet.

    Parameters
    ----------
    code, message : str
        As of `RequestError`.
    is_partial : bool, optional
        Whether some of what the run reads is missing, and some is there.
    """

    def __init__(self, code: str, message: str, *, is_partial: bool = False) -> None:
        super().__init__(code, message)
        self.is_partial = is_partial
