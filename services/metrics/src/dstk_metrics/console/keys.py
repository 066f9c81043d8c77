"""Keys for people, as the command line writes and reads them, so that the page needs no codec of its own."""

import base64
import binascii
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dstk_keytypes import limits
from dstk_keytypes.errors import InvalidInput, shortened
from dstk_keytypes.syntax import display, parse
from dstk_metrics.console.guards import MAX_BODY_BYTES, body_of
from dstk_service.errors import InvalidArgument

MAX_KEYS = 2_048
"""Keys in one request."""

MAX_DISPLAY_BYTES = 4 << 20
"""The longest body of a request that displays keys: so many of the longest ones."""


async def displayed(request: Request) -> Response:
    """A JSON list of keys in base64 as a list of texts."""
    return JSONResponse([display(_decoded(each)) for each in await _listed(request, MAX_DISPLAY_BYTES)])


async def parsed(request: Request) -> Response:
    """A JSON list of texts as a list of keys in base64. Raises InvalidArgument for text that is no key."""
    return JSONResponse([_encoded(each) for each in await _listed(request, MAX_BODY_BYTES)])


async def _listed(request: Request, most_bytes: int) -> list[Any]:
    body = await body_of(request, most_bytes)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidArgument("body", shortened(body), "a JSON list of keys") from None
    if not isinstance(found, list) or len(found) > MAX_KEYS:
        raise InvalidArgument("body", shortened(found), f"a JSON list of at most {MAX_KEYS} keys")
    return found


def _decoded(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InvalidArgument("key", shortened(text), "a key in base64") from None


def _encoded(text: Any) -> str:
    try:
        key = parse(text)
    except InvalidInput as error:
        raise InvalidArgument(error.field, error.value, error.limit) from None
    if len(key) > limits.MAX_KEY_BYTES:
        raise InvalidArgument("key", shortened(text), f"at most {limits.MAX_KEY_BYTES} bytes")
    return base64.b64encode(key).decode()
