"""What the overrides of one run may change: as much as a configuration sent over HTTP may say."""

from typing import TYPE_CHECKING

from odum_assets.config.reach import reach_of, reach_problems
from odum_assets.errors import InvalidRequestError
from odum_assets.orchestration.project import Project

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest


def refuse_overrides(project: Project, request: "RunRequest") -> None:
    """Refuse a request whose overrides reach further than its sender may.

    A run config comes over HTTP, unless a command makes it.

    Raises
    ------
    InvalidRequestError
        If they do; the message says what is allowed.
    """
    present = [other.config for other in project.configs]
    if project.is_local or request.config.config in present:
        return
    problems = reach_problems(request.config.config, reach_of(project.settings), present)
    if problems:
        lines = [f"{request.config.name} overrides: {problem}" for problem in problems]
        raise InvalidRequestError("beyond-reach", "\n".join(lines))
