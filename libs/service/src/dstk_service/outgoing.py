"""Messages that are about to be sent."""

from google.protobuf.message import Message

from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.channels import HARD_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument


def check_sendable(message: Message) -> None:
    """Raises InvalidArgument for a message that gRPC does not even send, which looks to its caller like a broken stream."""
    if message.ByteSize() > HARD_MESSAGE_BYTES:
        raise InvalidArgument("message", f"{message.ByteSize()} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
