"""Checks the size of messages before they are sent."""

from typing import Any

from google.protobuf.message import Message

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument, PreconditionFailed

HARD_MESSAGE_BYTES = 2 * MAX_MESSAGE_BYTES
"""What the transport accepts. A message up to this size over the promised limit is answered with INVALID_ARGUMENT, a larger one
with the transport's own RESOURCE_EXHAUSTED.
"""


def serialized(message: Any) -> bytes:
    """The message as bytes; bytes are returned unchanged. Raises PreconditionFailed for a message above the transport's
    limit, which the caller would see as a broken call.
    """
    data: bytes = message if type(message) is bytes else message.SerializeToString()
    if len(data) > HARD_MESSAGE_BYTES:
        raise PreconditionFailed(
            f"the answer has {len(data)} bytes, and may have at most {HARD_MESSAGE_BYTES}: ask for less at once"
        )
    return data


def check_sendable(message: Message) -> None:
    """Raises InvalidArgument for a message that gRPC would not send, which the caller would see as a broken stream."""
    if message.ByteSize() > HARD_MESSAGE_BYTES:
        raise InvalidArgument("message", f"{message.ByteSize()} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
