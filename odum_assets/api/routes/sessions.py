"""The session of a browser: the token traded for a cookie that no script can read."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from odum_assets.api.problems import ProblemError
from odum_assets.api.session import SESSION_PATH, Sessions, expiry_of

router = APIRouter(prefix=SESSION_PATH, tags=["status"])


class NewSession(BaseModel):
    """What a session begins with."""

    model_config = ConfigDict(extra="forbid")

    token: SecretStr = Field(
        default=SecretStr(""),
        max_length=4_096,
        description="Token of the service (ODUM_API_TOKEN).",
    )


class Session(BaseModel):
    """Whether a browser may ask."""

    token_needed: bool = Field(description="Whether the service has a token.")
    open: bool = Field(description="Whether requests of this browser pass.")
    expires_at: datetime | None = Field(description="End of the cookie; null without one.")


def _sessions(request: Request) -> Sessions | None:
    sessions: Sessions | None = request.app.state.sessions
    return sessions


@router.get("")
async def get_session(request: Request) -> Session:
    """Say whether a token is needed, and whether this browser has a session. Needs no token."""
    sessions = _sessions(request)
    if sessions is None:
        return Session(token_needed=False, open=True, expires_at=None)
    cookie = sessions.cookie_of(request.scope)
    expires_at = None if cookie is None else expiry_of(cookie)
    return Session(token_needed=True, open=cookie is not None, expires_at=expires_at)


@router.post("")
async def begin_session(request: Request, response: Response, new: NewSession) -> Session:
    """Trade the token for a cookie that lasts 12 hours; 401 where it is another one."""
    sessions = _sessions(request)
    response.headers["Cache-Control"] = "no-store"
    if sessions is None:
        return Session(token_needed=False, open=True, expires_at=None)
    given = new.token.get_secret_value().strip().encode("utf-8", "replace")
    if not sessions.is_token(given, request.scope):
        raise ProblemError(401, "unauthorized", "token: this is not the token of the service")
    cookie = sessions.begin(request, response)
    return Session(token_needed=True, open=True, expires_at=expiry_of(cookie))


@router.delete("", status_code=204)
async def end_session(request: Request) -> Response:
    """End the session of this browser."""
    reply = Response(status_code=204, headers={"Cache-Control": "no-store"})
    sessions = _sessions(request)
    if sessions is not None:
        sessions.end(request, reply)
    return reply
