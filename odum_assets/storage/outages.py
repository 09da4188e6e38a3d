"""Services that do not answer: say so while a request waits, and wait no second time.

What belongs here: which services are silent just now. What does not: how often a request is
repeated, which their drivers do (``stores``), and what else may be wrong.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from odum_assets.errors import DataError

NOTICE_SECS: Final = 10.0
"""A request that takes so long is mentioned."""

SILENT_SECS: Final = 60.0
"""A service that was given up is not asked for so long: a command asks it many times."""

LONGEST: Final = "four minutes"
"""How long a request without an answer is repeated, at most."""

_LOG: Final = logging.getLogger("odum_assets.storage")
_UNREACHABLE: Final = frozenset(
    {
        "ClientConnectionError",
        "ConnectionError",
        "HTTPClientError",
        "TimeoutError",
        "TransportError",
    }
)
"""Base classes of what the drivers' libraries raise: aiohttp, botocore, requests, google.auth."""

_given_up: dict[str, tuple[float, str]] = {}
_mentioned: dict[str, float] = {}


@contextmanager
def watched(address: str) -> Iterator[None]:
    """Mention a request that takes long; refuse one to a service that was just given up.

    Parameters
    ----------
    address : str
        What is asked for; nothing is done for a local path.

    Raises
    ------
    DataError
        If the service was given up less than `SILENT_SECS` ago.
    """
    if "://" not in address:
        yield
        return
    service = _service(address)
    since, reason = _given_up.get(service, (0.0, ""))
    if reason and time.monotonic() - since < SILENT_SECS:
        raise DataError(f"{address}: {reason}")
    notice = threading.Timer(NOTICE_SECS, _mention, (address, service))
    notice.daemon = True
    notice.start()
    try:
        yield
    finally:
        notice.cancel()
    _given_up.pop(service, None)


def give_up(address: str, reason: str, started: float) -> DataError:
    """Return the error of a service that cannot be reached, and remember it for a while.

    Parameters
    ----------
    address : str
        What was asked for.
    reason : str
        What the driver says.
    started : float
        When it was first asked, by the monotonic clock.
    """
    now = time.monotonic()
    text = (
        f"the bucket service cannot be reached ({reason}); given up after {now - started:.0f} s. "
        "Check the network, and what variables name another service (STORAGE_EMULATOR_HOST, "
        "AWS_ENDPOINT_URL, HTTPS_PROXY), then try again."
    )
    _given_up[_service(address)] = now, text
    return DataError(f"{address}: {text}")


def is_unreachable(error: BaseException) -> bool:
    """Return whether an error of a driver says that nobody answered."""
    return bool({base.__name__ for base in type(error).__mro__} & _UNREACHABLE)


def _service(address: str) -> str:
    return "/".join(address.split("/")[:3])


def _mention(address: str, service: str) -> None:
    now = time.monotonic()
    if now - _mentioned.get(service, -SILENT_SECS) < SILENT_SECS:
        return
    _mentioned[service] = now
    _LOG.warning(
        "%s: the bucket service has not answered for %.0f s, or is slow; requests are repeated "
        "for up to %s",
        address,
        NOTICE_SECS,
        LONGEST,
    )
