"""Messages of a lane as bytes, whether an answer fits one, and what becomes of an operation that cannot be part of one."""

from dstk.v1 import kv_pb2
from dstk_client.operation import Operation
from dstk_keytypes.limits import MAX_MESSAGE_BYTES
from dstk_service.errors import InvalidArgument

INLINE_BYTES = 16 << 10
"""Records up to here come in a lane's answers; larger ones are read beside it, so that they delay nobody else, and so that a
router knows how much it asks for.
"""


def empty(number: int) -> kv_pb2.ExecuteRequest:
    """A message without operations, as a lane sends them."""
    return kv_pb2.ExecuteRequest(id=number, packed=True, inline_bytes=INLINE_BYTES)


def fits(response: kv_pb2.ExecuteResponse, operations: list[Operation]) -> bool:
    """Whether it answers these operations, or the first of them where it says that more is to come."""
    count = len(response.results)
    return count < len(operations) if response.more else count == len(operations)


def encoded(request: kv_pb2.ExecuteRequest, operations: list[Operation]) -> bytes:
    """The message's bytes. Empty when it is over the limit: then what cannot be sent has failed, and the rest fits.

    Sizes are known to the lane before, as callers give them; a message that turns out to be larger holds something else.
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
    """What the caller of an operation hears that protobuf does not take."""
    return InvalidArgument(
        "operation", f"not encodable ({type(error).__name__}: {error})", "made of the documented types"
    )
