"""What the summary file of a result must be like to be used; what is odd in it is named.

What belongs here: the types of values that readers rely on. What does not: which figures there are.
Files of earlier versions lack some and those of later versions have more: a value that is not
there is no damage, one of another type is.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


def _is_moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("allowed a time with its zone")
    return text


type _Figure = float | None
type _Count = Annotated[int, Field(ge=0, lt=2**63)]
type _Name = Annotated[str, Field(min_length=1, max_length=255)]
type _Moment = Annotated[str, AfterValidator(_is_moment)]


class _Part(BaseModel):
    # What is not named is not looked at: it need not be kept either.
    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False)


class _Breakdown(_Part):
    realized: _Figure = None
    unrealized: _Figure = None
    commissions: _Figure = None
    funding: _Figure = None
    net: _Figure = None


class _Account(_Part):
    currency: str | None = None
    starting_balance: _Figure = None
    final_balance: _Figure = None
    final_equity: _Figure = None
    lowest_equity: _Figure = None


class _Returns(_Part):
    total_return_pct: _Figure = None


class _Trades(_Part):
    total_trades: _Count = 0
    winning_trades: _Count = 0
    losing_trades: _Count = 0
    break_even_trades: _Count = 0
    win_rate_pct: _Figure = None
    win_rate: _Figure = None
    profit_factor: _Figure = None
    expectancy: _Figure = None


class _Drawdown(_Part):
    max_drawdown: _Figure = None
    max_drawdown_pct: _Figure = None


class _Ratios(_Part):
    sharpe: _Figure = None
    sortino: _Figure = None


class _Summary(_Part):
    orders: _Count = 0
    fills: _Count = 0
    pnl: _Figure = None
    pnl_breakdown: _Breakdown = _Breakdown()
    account: _Account = _Account()
    returns: _Returns = _Returns()
    trades: _Trades = _Trades()
    drawdown: _Drawdown = _Drawdown()
    ratios: _Ratios = _Ratios()
    orders_by_status: dict[str, _Count] = {}
    refusals: dict[str, _Count] | list[dict[str, Any]] = {}
    flags: list[str] = []


class _Partition(_Part):
    data_type: str = ""
    day: str = ""
    digest: str = ""
    rows: _Count = 0
    rejected: _Count = 0


class _Sweep(_Part):
    id: str = ""
    variant: int = 0
    varied: dict[str, Any] = {}


class _Metadata(_Part):
    config_name: _Name
    partition: _Name
    digest: _Name
    created: _Moment
    config_hash: str = ""
    instrument_key: str = ""
    snapshot_mode: str = ""
    close_positions: bool = True
    days: list[str] = []
    catalog: Annotated[list[_Partition], Field(min_length=1)] = []
    config: dict[str, Any] = {}
    exec_algorithm: dict[str, Any] = {}
    window: dict[str, Any] = {}
    resources: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    reconciliation: dict[str, Any] = {}
    sweep: _Sweep | None = None


class _Document(_Part):
    run_id: str
    mode: Literal["fast", "report"]
    instrument: str = ""
    dataset: str = ""
    start: _Moment | None = None
    end: _Moment | None = None
    summary: _Summary
    metadata: _Metadata


def check_document(document: object, run_id: str) -> None:
    """Refuse the content of a summary file that cannot be used.

    Parameters
    ----------
    document : object
        The parsed content.
    run_id : str
        Whose file it is.

    Raises
    ------
    ValueError
        If it is not the document of this run; the message names the first value that is wrong.
    """
    try:
        checked = _Document.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from None
    if checked.run_id != run_id:
        raise ValueError(f"it is the result of {checked.run_id}")
