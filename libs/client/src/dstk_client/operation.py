"""One operation of a lane, and how an attempt can fail."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from dstk.v1 import kv_pb2
from dstk_keytypes import DstkError


class Unsent(Exception):
    """The node never received the operation, or refused it without any effect."""


class Ambiguous(Exception):
    """The node may have applied the operation."""


class ClientClosed(DstkError):
    """The client is closed and sends nothing more."""

    reason = "CLIENT_CLOSED"


CLOSED = "the client is closed"

GIVEN_UP = "the node does not answer, and another one has taken over"

UNREADABLE = "the answer cannot be read"
"""gRPC returns None for a message that it cannot decode, and logs why."""

Outcome = kv_pb2.OperationResult | Exception
"""How an attempt ended: the node's result, or why there is none. Exceptions are values here, so that a caller who waits for
many operations need not catch each.
"""

Operation = tuple["asyncio.Future[Outcome]", float, int, dict[str, Any], bytes | None]
"""An operation on a lane: the future of its result, the deadline on the loop's clock, the bytes of key and value, the fields of
its message, and its trace context (None: untraced). A plain tuple: an object of a class takes 0.4 µs more to make, of the 9
that a get costs its client.
"""


Moved = Callable[[bytes], bool]
"""Whether another node serves the key now."""

BROKEN = (grpc.aio.AioRpcError, grpc.aio.UsageError, grpc.aio.InternalError, asyncio.InvalidStateError)
"""The errors by which gRPC reports that a stream has ended."""


def late_of(operations: Iterable[Operation], now: float) -> list[Operation]:
    """The operations whose deadline has passed and whose callers still wait."""
    return [each for each in operations if not each[1] > now and not each[0].done()]  # so that NaN is late, too


def fail_all(operations: Iterable[Operation], error: Callable[[], Exception]) -> None:
    """Fails the operations that have no outcome yet, each with an error of its own."""
    for future, *_ in operations:
        if not future.done():
            future.set_result(error())
