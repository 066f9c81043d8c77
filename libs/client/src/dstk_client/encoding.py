"""Encodes the messages of a lane, matches answers to them, and fails an operation that cannot be encoded."""

from dstk.v1 import kv_pb2
from dstk_client.operation import Operation
from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument

INLINE_BYTES = 16 << 10
"""Records up to this size come in a lane's answers. Larger ones are read with a unary call, so that they do not delay other
operations, and so that a router knows how much it asks for.
"""


def empty(number: int) -> kv_pb2.ExecuteRequest:
    """A message without operations."""
    return kv_pb2.ExecuteRequest(id=number, packed=True, inline_bytes=INLINE_BYTES)


def fits(response: kv_pb2.ExecuteResponse, operations: list[Operation]) -> bool:
    """Whether the response answers all of these operations, or the first of them if it says that more will follow."""
    count = len(response.results)
    return count < len(operations) if response.more else count == len(operations)


def encoded(request: kv_pb2.ExecuteRequest, operations: list[Operation]) -> bytes:
    """The message's bytes; empty if it is over the limit. In that case the largest operation is removed and fails.

    The lane bounds messages by the sizes that callers state; a message above the limit holds a value of another size.
    """
    try:
        message = request.SerializeToString()
    except Exception as error:  # noqa: BLE001 - protobuf encodes up to 2 GiB
        return _without_the_largest(request, operations, unsendable(error))
    if len(message) <= MAX_MESSAGE_BYTES:
        return message
    refusal = InvalidArgument("operation", f"part of {len(message)} bytes", f"at most {MAX_MESSAGE_BYTES} bytes")
    return _without_the_largest(request, operations, refusal)


def _without_the_largest(
    request: kv_pb2.ExecuteRequest, operations: list[Operation], refusal: InvalidArgument
) -> bytes:
    sizes = [len(each.key) + len(each.value) for each in request.operations]
    future = operations.pop(sizes.index(max(sizes)))[0]
    if not future.done():
        future.set_result(refusal)
    return b""


def unsendable(error: Exception) -> InvalidArgument:
    """The error for an operation that protobuf cannot encode."""
    return InvalidArgument(
        "operation", f"not encodable ({type(error).__name__}: {error})", "made of the documented types"
    )
