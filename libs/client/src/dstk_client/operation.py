"""One operation of a lane, and how an attempt at it can fail."""

import asyncio
from typing import Any

from dstk.v1 import kv_pb2


class Unsent(Exception):
    """The node never saw the operation."""


class Ambiguous(Exception):
    """The node may have applied the operation."""


class Operation:
    """What to send, and the future of its result."""

    __slots__ = ("deadline", "fields", "future", "size")

    def __init__(
        self, fields: dict[str, Any], size: int, future: "asyncio.Future[kv_pb2.OperationResult]", deadline: float
    ) -> None:
        self.fields = fields
        self.size = size
        self.future = future
        self.deadline = deadline
