"""What every request and every answer of the console goes through: whose page asks, and what its answer may do in a browser."""

import ipaddress
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dstk_metrics.console.figures import ConsoleFigures
from dstk_metrics.console.problems import Refused, as_response
from dstk_metrics.console.transcoder import METHODS

MAX_BODY_BYTES = 64 * 1024
"""The longest body of a request."""

API = "/api/"
METRICS = "/api/v1/"
OTHERS = ("/api/cluster", "/api/replicas", "/api/keys/display", "/api/keys/parse")
"""Calls beside those of dstk.v1.Metrics."""

_HOST = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<name>[^:\[\]]+))(?::\d+)?")

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)
"""Of every answer: the page loads and calls nothing but this service, and no other page embeds it."""


class Guard:
    """Refuses requests that the page itself would not send, and gives every answer its headers.

    A page of another site cannot read the console's answers: browsers forbid that, unless the site's name resolves to the
    console's address (DNS rebinding). So the name that a request asks for must be localhost, an IP address, or one of `hosts`.
    """

    def __init__(self, application: ASGIApp, hosts: Collection[str], figures: ConsoleFigures) -> None:
        self._application, self._hosts = application, {host.lower() for host in hosts}
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        is_api = scope["path"].startswith(API)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._figures.requests[route_of(scope["path"]), message["status"]] += 1
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["cache-control"] = "no-store" if is_api else "no-cache"
            await send(message)

        refusal = self._refusal(Headers(scope=scope), is_api=is_api)
        if refusal is None:
            await self._application(scope, receive, guarded)
        else:
            await as_response(refusal)(scope, receive, guarded)

    def _refusal(self, headers: Headers, *, is_api: bool) -> Refused | None:
        host = headers.get("host", "")
        if not _is_known(host, self._hosts):
            why = f"this console does not serve {host[:100]!r}: ask by an IP address or localhost, or add it to --console-hosts"
            return Refused(421, "UNKNOWN_HOST", why)
        site = headers.get("sec-fetch-site", "none")
        if is_api and site not in {"same-origin", "none"}:
            return Refused(403, "CROSS_SITE", f"a page of another site ({site[:20]!r}) may not call the console")
        return None


def route_of(path: str) -> str:
    """What a path leads to: the name of a call of dstk.v1.Metrics, the path of another call, "page", or "unknown"."""
    if not path.startswith(API):
        return "page"
    method = path.removeprefix(METRICS)
    return method if method in METHODS else path if path in OTHERS else "unknown"


async def body_of(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request. Raises Refused for more than `most` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused(413, "TOO_LARGE", f"the body is longer than {most} bytes")
    return bytes(body)


def _is_known(host: str, hosts: Collection[str]) -> bool:
    found = _HOST.fullmatch(host)
    name = (found["bracketed"] or found["name"]).lower() if found else ""
    if name == "localhost" or name.endswith(".localhost") or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
