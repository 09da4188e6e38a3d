"""Routes that read the numbers of a JSON body with all their digits."""

import json
from collections.abc import Callable, Coroutine
from decimal import Decimal, InvalidOperation
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class ExactRoute(APIRoute):
    """A route whose bodies have Decimals in place of floats."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which is given requests that read themselves exactly."""
        handler = super().get_route_handler()

        async def exact(request: Request) -> Response:
            return await handler(_ExactRequest(request.scope, request.receive))

        return exact


class _ExactRequest(Request):
    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the body; what is no JSON number stays for the route to refuse."""
        return json.loads(await self.body(), parse_float=_decimal)


def _decimal(text: str) -> Decimal | float:
    try:
        return Decimal(text)
    except InvalidOperation:
        # An exponent beyond all bounds: infinite, which no configuration may hold.
        return float(text)
