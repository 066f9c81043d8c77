"""The one table of errors: the gRPC code and the HTTP status of each, and what docs/errors.md says of it."""

from typing import Final, NamedTuple

import grpc

from dstk_service import errors
from dstk_service.errors import DstkError

_HTTP: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""As google/rpc/code.proto maps them."""


class Row(NamedTuple):
    """One class of error. `detail`: the message that its status carries beside ErrorInfo."""

    error: type[DstkError]
    code: grpc.StatusCode
    detail: str
    meaning: str
    advice: str

    @property
    def http(self) -> int:
        """The HTTP status."""
        return _HTTP[self.code]


TABLE: Final = (
    Row(
        errors.InvalidArgument,
        grpc.StatusCode.INVALID_ARGUMENT,
        "LimitExceeded",
        "a field is out of bounds; nothing was done",
        "correct the request: the error names field, value and limit",
    ),
    Row(
        errors.NotFound,
        grpc.StatusCode.NOT_FOUND,
        "",
        "the key has no live record",
        "",
    ),
    Row(
        errors.AlreadyExists,
        grpc.StatusCode.ALREADY_EXISTS,
        "EtagMismatch",
        "the write has IF_ABSENT, and there is a live record; nothing was done",
        "read it, or continue with its etag",
    ),
    Row(
        errors.EtagMismatched,
        grpc.StatusCode.ABORTED,
        "EtagMismatch",
        "the record changed since that etag; nothing was done",
        "read, decide, try again",
    ),
    Row(
        errors.NotOwner,
        grpc.StatusCode.FAILED_PRECONDITION,
        "NotOwner",
        "another node owns the key, or the epoch is stale; nothing was done",
        "ask the node in the detail (both clients and the router do)",
    ),
    Row(
        errors.Overloaded,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RetryInfo",
        "a queue is full; nothing was done",
        "wait for the delay in RetryInfo, then try again",
    ),
    Row(
        errors.DiskFull,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "RetryInfo",
        "the disk has no room for this write, or fails; nothing was done. Deletions need less room than puts",
        "delete data, add a node, or enlarge the disk; it recovers by itself",
    ),
    Row(
        errors.NotServing,
        grpc.StatusCode.UNAVAILABLE,
        "RetryInfo",
        "the partition cannot be reached, or is not served yet; nothing was done",
        "try again",
    ),
    Row(
        errors.WriteAmbiguous,
        grpc.StatusCode.UNKNOWN,
        "",
        "the write, or an operator's change, may or may not have been made",
        "check before repeating it",
    ),
    Row(
        errors.DeadlineExceeded,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "",
        "the deadline passed; a write may have been applied",
        "read before repeating a write",
    ),
    Row(
        errors.Quarantined,
        grpc.StatusCode.DATA_LOSS,
        "",
        "a block of the partition does not match its checksum, or its only in-sync replica was lost with its disk",
        "see [operations](operations.md#a-quarantined-partition)",
    ),
    Row(
        errors.PreconditionFailed,
        grpc.StatusCode.FAILED_PRECONDITION,
        "PreconditionFailed",
        "the partition or node is not in the state that an operator's call needs; nothing was done",
        "the error names the condition",
    ),
    Row(
        errors.PermissionDenied,
        grpc.StatusCode.PERMISSION_DENIED,
        "",
        "an Admin call without the token; a Replication call by anybody but a storage node of the cluster",
        "send `authorization: Bearer TOKEN`",
    ),
    Row(
        errors.Internal,
        grpc.StatusCode.INTERNAL,
        "",
        "a defect of DSTK",
        "the server's log has the traceback",
    ),
)

_BY_CLASS: Final = {row.error: row for row in TABLE}


def row_of(error: DstkError) -> Row:
    """The row of the nearest class in the table; that of Internal for a class that it does not name, which is a defect."""
    return next((_BY_CLASS[kind] for kind in type(error).__mro__ if kind in _BY_CLASS), _BY_CLASS[errors.Internal])


def markdown() -> str:
    """The table of docs/errors.md."""
    lines = ["| code | HTTP | reason | detail | what happened | what to do |", "| --- | --- | --- | --- | --- | --- |"]
    for row in TABLE:
        cells = (row.code.name, str(row.http), row.error.reason, row.detail, row.meaning, row.advice)
        lines.append("|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201 - for docs/errors.md
