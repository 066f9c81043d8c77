"""What is large, and therefore goes through a lane, and a connection, of its own."""

from collections.abc import Iterable
from typing import NamedTuple

from dstk.v1 import kv_pb2
from dstk_client.operation import Operation

LARGE_BYTES = 64 << 10
"""Operations and answers from this size on. Gets that waited behind 16 puts of 1 MiB took 440 ms; apart they take 0.4."""

MAX_HEAVY = 10_000


class Sized(NamedTuple):
    """An answer, and its bytes on the wire."""

    response: kv_pb2.ExecuteResponse
    size: int

    @staticmethod
    def read(data: bytes) -> "Sized":
        """The answer of these bytes."""
        return Sized(kv_pb2.ExecuteResponse.FromString(data), len(data))


UNREAD = Sized(kv_pb2.ExecuteResponse(), 0)
"""For bytes that are no answer, of which gRPC gives None: an answer to nothing."""


class Heavy:
    """The keys whose records were large when they were last read, as far as 10,000 of them are remembered: that a get will be
    answered with a large value cannot be known, but it can be expected.
    """

    def __init__(self) -> None:
        self.keys: dict[bytes, int] = {}
        """With the sizes of their records."""

    def weighed(self, operation: Operation) -> Operation:
        """The operation with the size that it is expected to have, answer included."""
        future, deadline, size, fields = operation
        return future, deadline, max(size, self.keys.get(fields["key"], 0)), fields

    def learn(self, operations: Iterable[Operation], results: Iterable[kv_pb2.OperationResult]) -> None:
        """Takes note of answers."""
        for (_, _, _, fields), result in zip(operations, results, strict=False):  # an answer may come in parts
            key, size = fields["key"], len(result.packed)
            if size >= LARGE_BYTES:
                self.keys[key] = size
            else:
                self.keys.pop(key, None)
        while len(self.keys) > MAX_HEAVY:
            del self.keys[next(iter(self.keys))]
