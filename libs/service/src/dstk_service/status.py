"""The one table between our errors and gRPC's statuses, in both directions.

Every status carries google.rpc.ErrorInfo (reason, domain "dstk") and, where a program can act on it, a detail of
errors.proto; refusals that pass by themselves carry google.rpc.RetryInfo. What is read back rests on these, never on text.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dstk.v1 import errors_pb2
from dstk_keytypes import InvalidInput
from dstk_service import errors
from dstk_service.errors import DstkError

log = logging.getLogger(__name__)

DOMAIN = "dstk"

M = TypeVar("M", bound=Message)

CODES: dict[type[DstkError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.EtagMismatched: grpc.StatusCode.ABORTED,
    errors.NotOwner: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DiskFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.WriteAmbiguous: grpc.StatusCode.UNKNOWN,
    errors.NotServing: grpc.StatusCode.UNAVAILABLE,
    errors.Quarantined: grpc.StatusCode.DATA_LOSS,
    errors.Unfit: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}


def to_status(error: DstkError | InvalidInput) -> status_pb2.Status:
    """The status of one of our errors, details and all."""
    if isinstance(error, InvalidInput):
        error = errors.InvalidArgument(error.field, error.value, error.limit)
    status = status_pb2.Status(code=CODES[type(error)].value[0], message=str(error))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_metadata(error))
    status.details.add().Pack(info)
    if (detail := _detail(error)) is not None:
        status.details.add().Pack(detail)
    if isinstance(error, errors.Overloaded | errors.DiskFull | errors.NotServing):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(round(error.retry_after * 1e6))
        status.details.add().Pack(retry)
    return status


def internal(error: BaseException) -> status_pb2.Status:
    """The status of an exception that nobody foresaw; its traceback goes to the log, not to the caller."""
    log.error("unforeseen error in a request", exc_info=error)
    return to_status(errors.Internal(f"unforeseen {type(error).__name__}: the server's log has the traceback"))


def from_status(status: status_pb2.Status) -> DstkError:
    """Our error again. A status of another origin becomes the error nearest to its code."""
    info = _unpack(status, error_details_pb2.ErrorInfo)
    if info is not None and info.domain == DOMAIN and info.reason in _READERS:
        return _READERS[info.reason](status, dict(info.metadata))
    return _foreign(status.code, status.message)


def is_ours(error: grpc.aio.AioRpcError) -> bool:
    """Whether a server of ours has said so, rather than the transport or somebody in between."""
    status = rpc_status.from_call(error)
    info = None if status is None else _unpack(status, error_details_pb2.ErrorInfo)
    return info is not None and info.domain == DOMAIN


def from_rpc_error(error: grpc.aio.AioRpcError) -> DstkError:
    """Our error from a failed call."""
    status = rpc_status.from_call(error)
    if status is not None:
        return from_status(status)
    return _foreign(error.code().value[0], error.details() or "")


def _foreign(code: int, message: str) -> DstkError:
    if code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]:
        return errors.DeadlineExceeded(message)
    if code == grpc.StatusCode.UNAVAILABLE.value[0]:
        return errors.NotServing(message, 0.0)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]:
        return errors.Overloaded(message, 0.0)
    return errors.Internal(f"status {code}: {message}")


def _metadata(error: DstkError) -> dict[str, str]:
    match error:
        case errors.NotFound():
            return {"key": error.key.hex()}
        case errors.Overloaded() | errors.DeadlineExceeded():
            return {"what": error.what}
        case errors.DiskFull() | errors.WriteAmbiguous() | errors.NotServing() | errors.Quarantined():
            return {"why": error.why}
        case errors.PermissionDenied() | errors.Internal():
            return {"why": error.why}
    return {}


def _detail(error: DstkError) -> Message | None:
    match error:
        case errors.InvalidArgument():
            return errors_pb2.LimitExceeded(field=error.field, value=error.value, limit=error.limit)
        case errors.AlreadyExists() | errors.EtagMismatched():
            return errors_pb2.EtagMismatch(current_etag=error.current_etag)
        case errors.NotOwner():
            return errors_pb2.NotOwner(partition=error.partition, address=error.address)
        case errors.Unfit():
            return errors_pb2.Unfit(why=error.why)
    return None


def _unpack(status: status_pb2.Status, kind: type[M]) -> M | None:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            message = kind()
            AnyMessage.Unpack(packed, message)
            return message
    return None


def _retry_after(status: status_pb2.Status) -> float:
    retry = _unpack(status, error_details_pb2.RetryInfo)
    return 0.0 if retry is None else retry.retry_delay.ToMicroseconds() / 1e6


def _read_invalid(status: status_pb2.Status, _: dict[str, str]) -> DstkError:
    detail = _unpack(status, errors_pb2.LimitExceeded) or errors_pb2.LimitExceeded()
    return errors.InvalidArgument(detail.field, detail.value, detail.limit)


def _read_not_owner(status: status_pb2.Status, _: dict[str, str]) -> DstkError:
    detail = _unpack(status, errors_pb2.NotOwner) or errors_pb2.NotOwner()
    return errors.NotOwner(detail.partition if detail.HasField("partition") else None, detail.address)


def _current_etag(status: status_pb2.Status) -> int:
    detail = _unpack(status, errors_pb2.EtagMismatch)
    return 0 if detail is None else detail.current_etag


_READERS: dict[str, Callable[[status_pb2.Status, dict[str, str]], DstkError]] = {
    errors.InvalidArgument.reason: _read_invalid,
    errors.NotFound.reason: lambda _, data: errors.NotFound(bytes.fromhex(data.get("key", ""))),
    errors.AlreadyExists.reason: lambda status, _: errors.AlreadyExists(_current_etag(status)),
    errors.EtagMismatched.reason: lambda status, _: errors.EtagMismatched(_current_etag(status)),
    errors.NotOwner.reason: _read_not_owner,
    errors.Overloaded.reason: lambda status, data: errors.Overloaded(data.get("what", ""), _retry_after(status)),
    errors.DiskFull.reason: lambda status, data: errors.DiskFull(data.get("why", ""), _retry_after(status)),
    errors.WriteAmbiguous.reason: lambda _, data: errors.WriteAmbiguous(data.get("why", "")),
    errors.NotServing.reason: lambda status, data: errors.NotServing(data.get("why", ""), _retry_after(status)),
    errors.Quarantined.reason: lambda _, data: errors.Quarantined(data.get("why", "")),
    errors.Unfit.reason: lambda status, _: errors.Unfit((_unpack(status, errors_pb2.Unfit) or errors_pb2.Unfit()).why),
    errors.PermissionDenied.reason: lambda _, data: errors.PermissionDenied(data.get("why", "")),
    errors.DeadlineExceeded.reason: lambda _, data: errors.DeadlineExceeded(data.get("what", "")),
    errors.Internal.reason: lambda _, data: errors.Internal(data.get("why", "")),
}
