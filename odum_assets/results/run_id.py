"""Run ids: ``VENUE_INSTRUMENT_YYYYMMDD_HHMMSSmm_CFG6_UUID6``."""

import re
import secrets
from datetime import UTC, datetime

from odum_assets.backtest.request import DAY_NS, RunRequest, day_start_ns
from odum_assets.config import LoadedConfig
from odum_assets.results.stored_file import ResultError

_PATTERN = re.compile(r"[A-Z]{2,4}_[A-Z0-9]{2,24}_\d{8}_\d{8}_[0-9a-f]{6}_[0-9a-f]{6}")


def new_run_id(config: LoadedConfig, window_start_ns: int) -> str:
    """Return a fresh run id, such as ``BNF_BTC_20230523_19230000_018dd7_c54988``.

    Parameters
    ----------
    config : LoadedConfig
        Gives venue code, short instrument name and the first six digits of the content hash.
    window_start_ns : int
        Start of the window in ns since 1970; the id shows it to hundredths of a second.

    Returns
    -------
    str
        The id; its last six hex digits are random.
    """
    seconds, fraction = divmod(window_start_ns, 1_000_000_000)
    start = datetime.fromtimestamp(seconds, UTC)
    return (
        f"{config.key.venue_code}_{config.key.short_name}_{start:%Y%m%d_%H%M%S}"
        f"{fraction // 10_000_000:02d}_{config.content_hash[:6]}_{secrets.token_hex(3)}"
    )


def run_id_of(request: RunRequest) -> str:
    """Return a fresh run id for a request that was not run yet.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    return new_run_id(request.config, requested_window(request)[0])


def requested_window(request: RunRequest) -> tuple[int, int | None]:
    """Return the window that was asked for (ns since 1970); its end is None where it is open.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    start, end = request.start_ns, request.end_ns
    if request.days:
        start = day_start_ns(request.days[0]) if start is None else start
        end = day_start_ns(request.days[-1]) + DAY_NS if end is None else end
    if start is None:
        raise ResultError(f"{request.config.name}: a run without days and without a window")
    return start, end


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of a run id; such a text is safe as a file name."""
    return _PATTERN.fullmatch(text) is not None


def is_of_config(run_id: str, config: LoadedConfig) -> bool:
    """Return whether a run id was made for this content of a configuration."""
    parts = run_id.split("_")
    return [*parts[:2], parts[-2]] == [
        config.key.venue_code,
        config.key.short_name,
        config.content_hash[:6],
    ]
