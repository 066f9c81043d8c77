"""Messages over the promised limit, which the transport still takes, so that the caller learns what is wrong.

A deserializer must not raise (gRPC would answer INTERNAL), so it puts an `Oversized` where the message would be. Servicers
that read a stream themselves call `check_size` on what they read; for all others the error interceptor does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.channels import HARD_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Oversized:
    """Stands for a message of so many bytes that was not parsed."""

    size: int


def bounded(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """The deserializer, but for messages over the limit."""

    def read(data: bytes) -> Any:
        return deserialize(data) if len(data) <= MAX_MESSAGE_BYTES else Oversized(len(data))

    return read


def check_size(message: object) -> None:
    """Raises InvalidArgument for an oversized message."""
    if type(message) is Oversized:
        raise InvalidArgument("message", f"{message.size} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")


def check_sendable(message: Message) -> None:
    """Raises InvalidArgument for a message that gRPC does not even send, which looks to its caller like a broken stream."""
    if message.ByteSize() > HARD_MESSAGE_BYTES:
        raise InvalidArgument("message", f"{message.ByteSize()} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
