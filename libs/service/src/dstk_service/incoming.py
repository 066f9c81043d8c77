"""Refuses messages over the promised limit, which the transport still accepts, and messages that cannot be decoded.

A deserializer must not raise: gRPC would answer UNKNOWN, and log a traceback that any caller can cause. So it returns an
`Unreadable` instead of the message. Servicers that read a stream themselves call `check` on each message; for all others the
error interceptor does.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument

log = logging.getLogger(__name__)

QUIET_SECONDS = 1.0
"""The least number of seconds between two log lines about such messages, from any caller."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for a message that could not be decoded: what was received, and what was expected."""

    value: str
    limit: str


class Reader:
    """Makes deserializers that return `Unreadable` for a message that they cannot decode, and log it at a limited rate."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._quiet_until = float("-inf")
        self._unsaid = 0

    def of(self, deserialize: Callable[[bytes], Any], method: str) -> Callable[[bytes], Any]:
        """The method's deserializer, made safe for any bytes."""

        def read(data: bytes) -> Any:
            if len(data) > MAX_MESSAGE_BYTES:
                return Unreadable(f"{len(data)} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
            try:
                return deserialize(data)
            except DecodeError:
                self._note(method, len(data))
                return Unreadable(f"{len(data)} bytes that cannot be decoded", f"a request of {method}")

        return read

    def _note(self, method: str, size: int) -> None:
        now = self._monotonic()
        if now < self._quiet_until:
            self._unsaid += 1
            return
        more = {"and_before_it": self._unsaid} if self._unsaid else {}
        log.warning("refused a message that cannot be decoded", extra={"method": method, "bytes": size, **more})
        self._quiet_until, self._unsaid = now + QUIET_SECONDS, 0


def check(message: object) -> None:
    """Raises InvalidArgument for an `Unreadable`."""
    if type(message) is Unreadable:
        raise InvalidArgument("message", message.value, message.limit)


async def checked(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The messages of a stream. Raises InvalidArgument at one that is `Unreadable`."""
    async for message in messages:
        check(message)
        yield message
