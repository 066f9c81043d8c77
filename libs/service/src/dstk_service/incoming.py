"""Refuses messages over the promised limit, which the transport still accepts, and messages that cannot be decoded.

A deserializer must not raise: gRPC would answer UNKNOWN, and log a traceback that any caller can cause. So it returns an
`Unreadable` instead of the message. Servicers that read a stream themselves call `check` on each message; for all others the
error interceptor does.
"""

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a message that could not be decoded: what was received, and what was expected."""

    value: str
    limit: str


def safe(deserialize: Callable[[bytes], Any], method: str) -> Callable[[bytes], Any]:
    """Returns the method's deserializer, made safe for any bytes: it returns `Unreadable` for those that it cannot decode."""

    def read(data: bytes) -> Any:
        if len(data) > MAX_MESSAGE_BYTES:
            return Unreadable(f"{len(data)} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
        try:
            return deserialize(data)
        except DecodeError:
            log.warning("refused a message that cannot be decoded", extra=LogFields(method=method, bytes=len(data)))
            return Unreadable(f"{len(data)} bytes that cannot be decoded", f"a request of {method}")

    return read


def check(message: object) -> None:
    """Raises InvalidArgument for an `Unreadable`."""
    if type(message) is Unreadable:
        raise InvalidArgument("message", message.value, message.limit)


async def checked(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream. Raises InvalidArgument at one that is `Unreadable`."""
    async for message in messages:
        check(message)
        yield message
