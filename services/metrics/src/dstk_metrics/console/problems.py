"""Errors as JSON: the code and the HTTP status are those of the one table of errors."""

import json
import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dstk_service.error_table import row_of
from dstk_service.errors import DstkError, Internal

log = logging.getLogger(__name__)


class Refused(DstkError):
    """A request that HTTP itself answers: `status` is its status."""

    def __init__(self, status: int, reason: str, why: str) -> None:
        super().__init__(why)
        self.status, self.reason = status, reason


def body_of(error: DstkError) -> dict[str, Any]:
    """The error as an object: `reason`, `message` and, of what is out of bounds, `field`, `value` and `limit`."""
    found: dict[str, Any] = {"reason": error.reason, "message": str(error)}
    for name in ("field", "value", "limit"):
        if hasattr(error, name):
            found[name] = getattr(error, name)
    if (seconds := getattr(error, "retry_after", None)) is not None:
        found["retryAfterS"] = seconds
    return found


def as_response(error: DstkError) -> Response:
    """The error as an answer."""
    status = error.status if isinstance(error, Refused) else row_of(error).http
    return Response(json.dumps(body_of(error)), status, media_type="application/json")


async def refused(_: Request, error: Exception) -> Response:
    """Answers a DstkError."""
    assert isinstance(error, DstkError)
    return as_response(error)


async def defect(_: Request, error: Exception) -> Response:
    """Answers a defect, which the log tells."""
    log.error("a request of the console failed", exc_info=error)
    return as_response(Internal("a defect of the console: the log of the service has it"))


async def not_found(request: Request, _: Exception) -> Response:
    """Answers a path that does not exist."""
    return as_response(Refused(404, "NOT_FOUND", f"the console has no {request.url.path[:100]!r}"))


async def method_not_allowed(request: Request, _: Exception) -> Response:
    """Answers a verb that the path does not take."""
    why = f"{request.url.path[:100]!r} does not take {request.method[:20]!r}"
    return as_response(Refused(405, "METHOD_NOT_ALLOWED", why))
