"""Run ids: ``VENUE_INSTRUMENT_YYYYMMDD_HHMMSSmm_CFG6_UUID6``."""

import re
import secrets

from odum_assets.backtest.request import RunRequest
from odum_assets.config import LoadedConfig
from odum_assets.results.stored_file import ResultError
from odum_assets.utc import datetime_of_ns

_RANDOM = re.compile(r"[0-9a-f]{6}")
_PATTERN = re.compile(r"[A-Z]{2,4}_[A-Z0-9]{2,24}_\d{8}_\d{8}_[0-9a-f]{6}_[0-9a-f]{6}")


def new_run_id(
    config: LoadedConfig, window_start_ns: int, dagster_run_id: str | None = None
) -> str:
    """Return a fresh run id, such as ``BNF_BTC_20230523_19230000_018dd7_c54988``.

    Parameters
    ----------
    config : LoadedConfig
        Gives venue code, short instrument name and the first six digits of the content hash.
    window_start_ns : int
        Start of the window in ns since 1970; the id shows it to hundredths of a second.
    dagster_run_id : str, optional
        The Dagster run that it is the id of: whoever registers a run of Dagster comes to the same
        id, in whatever process.

    Returns
    -------
    str
        The id; its last six hex digits are random, as are the first six of a Dagster run's id.
    """
    own = (dagster_run_id or "")[:6]
    random = own if _RANDOM.fullmatch(own) else secrets.token_hex(3)
    start, fraction = datetime_of_ns(window_start_ns)
    return (
        f"{config.key.venue_code}_{config.key.short_name}_{start:%Y%m%d_%H%M%S}"
        f"{fraction // 10_000_000:02d}_{config.content_hash[:6]}_{random}"
    )


def run_id_of(request: RunRequest, dagster_run_id: str | None = None) -> str:
    """Return a run id for a request that was not run yet, a fresh one or that of a Dagster run.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    return new_run_id(request.config, requested_window(request)[0], dagster_run_id)


def new_sweep_id(request: RunRequest) -> str:
    """Return a fresh id for a sweep over the data of a request."""
    return f"SWP_{new_run_id(request.config, requested_window(request)[0])}"


def is_sweep_id(text: str) -> bool:
    """Return whether a text has the form of a sweep's id."""
    return text.startswith("SWP_") and is_run_id(text.removeprefix("SWP_"))


def requested_window(request: RunRequest) -> tuple[int, int | None]:
    """Return the window of a run (ns since 1970); its end is None where it is open.

    That is what was asked for, else what of the days lies in the configuration's ``time_window``.

    Raises
    ------
    ResultError
        If the request has neither days nor a window.
    """
    if request.days:
        request = request.normalized()
    start, end = request.start_ns, request.end_ns
    if request.days:
        first, last = request.span()
        start = first if start is None else start
        end = last if end is None else end
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
