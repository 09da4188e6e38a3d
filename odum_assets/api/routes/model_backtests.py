"""A backtest of a model that comes with the request."""

from typing import Annotated

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from odum_assets.api.bar_backtests import BarBacktest
from odum_assets.api.model_backtests import ModelTerms, backtest_upload
from odum_assets.api.service import ServiceHere

router = APIRouter(prefix="/api/models", tags=["models"])


@router.post("/backtest/ml")
async def backtest_ml(
    service: ServiceHere,
    request: Request,
    file: Annotated[UploadFile, File(description="An .onnx or .skops file.")],
    user_id: Annotated[str, Form(description="Letters, digits, hyphens, underscores; up to 64.")],
    symbol: Annotated[str, Form(examples=["BTCUSDT"])],
    interval: Annotated[str, Form(description="1m, 5m, 15m, 1h or 1d.")] = "1d",
    limit: Annotated[str, Form(description="The last bars at most.")] = "1000",
    threshold: Annotated[str, Form()] = "0.5",
    period: Annotated[str, Form(description="1D.")] = "1D",
    init_cash: Annotated[str, Form()] = "10000.0",
    fees: Annotated[str, Form(description="Fraction of a fill's value.")] = "0.001",
    slippage: Annotated[str, Form(description="Fraction.")] = "0.001",
    side: Annotated[str, Form(description="long or long_short.")] = "long",
    fixed_size: Annotated[str | None, Form(description="Units of an entry; 1 by default.")] = None,
    percent_size: Annotated[
        str | None, Form(description="Fraction (0 to 1) of the equity that an entry may cost.")
    ] = None,
    start_date: Annotated[str | None, Form(description="First session.")] = None,
    end_date: Annotated[str | None, Form(description="Last session.")] = None,
    feature_columns: Annotated[str | None, Form(description="Separated by commas.")] = None,
    config: Annotated[str | None, Form(description="Configuration to take.")] = None,
) -> BarBacktest:
    """Store a model of a user, run it over bars of the catalog, and return rows and figures.

    The run takes the configuration for bars that has this instrument alone and this interval, with
    account, fees, slippage and strategy of the form in place of its own.
    """
    columns = [name.strip() for name in (feature_columns or "").split(",") if name.strip()]
    given = {
        "symbol": symbol, "interval": interval, "limit": limit, "threshold": threshold,
        "period": period, "init_cash": init_cash, "fees": fees, "slippage": slippage,
        "side": side, "fixed_size": fixed_size or None, "percent_size": percent_size or None,
        "start_date": start_date or None, "end_date": end_date or None,
        "feature_columns": columns or None, "config": config or None,
    }  # fmt: skip
    try:
        terms = ModelTerms.model_validate(given)
    except ValidationError as error:
        errors = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(errors) from None
    content = await file.read()
    return await backtest_upload(service, request, terms, user_id, file.filename or "", content)
