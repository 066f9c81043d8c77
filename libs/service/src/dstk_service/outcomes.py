"""The one table from gRPC codes to classes of outcomes: who has to do something about a call or an operation that failed."""

from enum import StrEnum
from typing import Final

import grpc

from dstk_keytypes.errors import DstkError
from dstk_service.status import code_of


class OutcomeClass(StrEnum):
    """What became of a call or an operation."""

    OK = "ok"
    """It was answered. That a key has no record is an answer."""
    CLIENT = "client"
    """The caller's doing: arguments, preconditions, permissions, calls that the caller gave up."""
    REFUSED = "refused"
    """Nothing was done; it can be repeated, here later or at another node."""
    SERVER = "server"
    """The server failed, or the outcome is in doubt."""


_REFUSED: Final = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
)
_SERVER: Final = (
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DATA_LOSS,
)
_CLIENT: Final = (
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
)

_CLASSES: Final[dict[int, OutcomeClass]] = {
    **{code.value[0]: OutcomeClass.OK for code in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)},
    **{code.value[0]: OutcomeClass.CLIENT for code in _CLIENT},
    **{code.value[0]: OutcomeClass.REFUSED for code in _REFUSED},
    **{code.value[0]: OutcomeClass.SERVER for code in _SERVER},
}


def outcome_of_code(code: int) -> OutcomeClass:
    """The class of a gRPC code; SERVER for a number that gRPC does not define."""
    return _CLASSES.get(code, OutcomeClass.SERVER)


def outcome_of(error: DstkError) -> OutcomeClass:
    """The class of one of our errors."""
    return outcome_of_code(code_of(error).value[0])
