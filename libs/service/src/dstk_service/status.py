"""The one table between our errors and gRPC's statuses, in both directions.

Every status carries google.rpc.ErrorInfo (reason, domain "dstk") and, where a program can act on it, a detail of
errors.proto; temporary refusals carry google.rpc.RetryInfo. Reading a status back uses these details, never text.
"""

import logging
from collections.abc import Callable
from typing import TypeVar, cast
from urllib.parse import quote

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from dstk.v1 import errors_pb2
from dstk_keytypes import InvalidInput, limits
from dstk_service import errors
from dstk_service.error_table import row_of
from dstk_service.errors import DstkError

log = logging.getLogger(__name__)

DOMAIN = "dstk"

MAX_TRAILER_BYTES = 4096
"""The most bytes that a refusal adds to a call's trailers. gRPC refuses trailers of 8 KiB, and then the caller sees a broken
call instead of the reason; proxies have smaller limits.
"""

TEXT_BYTES = 512
"""The most bytes of one text of a refusal. It is sent up to three times, once percent-encoded."""

FIELD_BYTES = 128
"""The most bytes of a field's name, or of a value, in a refusal."""

MAX_RETRY_SECONDS = 3600.0

_TRAILER_NAMES = sum(len(name) + 32 for name in ("grpc-status", "16", "grpc-message", "grpc-status-details-bin"))
_UNQUOTED = "".join(map(chr, range(32, 127))).replace("%", "")

M = TypeVar("M", bound=Message)


def to_status(error: DstkError) -> status_pb2.Status:
    """The status of one of our errors, with its details; always at most MAX_TRAILER_BYTES as trailers."""
    if isinstance(error, InvalidInput):
        error = errors.InvalidArgument(error.field, error.value, error.limit)
    status = status_pb2.Status(code=code_of(error).value[0], message=cut(str(error)))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_metadata(error))
    status.details.add().Pack(info)
    if (detail := _detail(error)) is not None:
        status.details.add().Pack(detail)
    if isinstance(error, errors.Overloaded | errors.DiskFull | errors.NotServing):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(round(min(max(error.retry_after, 0.0), MAX_RETRY_SECONDS) * 1e6))
        status.details.add().Pack(retry)
    if trailer_bytes(status) > MAX_TRAILER_BYTES:
        del status.details[1:]  # an owner with two very long bounds does not fit: the caller finds it in the map
    return status


def cut(text: str, most: int = TEXT_BYTES) -> str:
    """The text in at most `most` bytes of UTF-8, with "..." where it is cut; lone surrogates are escaped."""
    raw = text.encode(errors="backslashreplace")
    return raw.decode() if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "..."


def trailer_bytes(status: status_pb2.Status) -> int:
    """The size of the status as trailers: 32 bytes for each beside its name and value, the message percent-encoded, and the
    details, which repeat it, in base64.
    """
    details: int = -(-status.ByteSize() // 3) * 4
    return details + len(quote(status.message, safe=_UNQUOTED)) + _TRAILER_NAMES


def code_of(error: DstkError) -> grpc.StatusCode:
    """The code of the error, by the table of errors."""
    return row_of(error).code


def internal(error: BaseException) -> status_pb2.Status:
    """The status of an unexpected exception; its traceback goes to the log, not to the caller."""
    log.error("unexpected error in a request", exc_info=error)
    return to_status(errors.Internal(f"unexpected {type(error).__name__}: the server's log has the traceback"))


def from_status(status: status_pb2.Status) -> DstkError:
    """The error of a status. A status from another server, without our details, becomes the error nearest to its code."""
    info = _unpack(status, error_details_pb2.ErrorInfo)
    if info is not None and info.domain == DOMAIN and info.reason in _READERS:
        return _READERS[info.reason](status, dict(info.metadata))
    return _foreign(status.code, status.message)


def is_ours(error: grpc.aio.AioRpcError) -> bool:
    """Whether the error comes from a DSTK server, rather than from the transport or a proxy."""
    status = _rich(error)
    info = None if status is None else _unpack(status, error_details_pb2.ErrorInfo)
    return info is not None and info.domain == DOMAIN


def from_rpc_error(error: grpc.aio.AioRpcError) -> DstkError:
    """Our error from a failed call."""
    status = _rich(error)
    if status is not None:
        return from_status(status)
    return _foreign(error.code().value[0], error.details() or "")


def _rich(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """The status with its details; None if there is none, or it does not match the call's code and text."""
    try:
        return cast("status_pb2.Status | None", rpc_status.from_call(error))
    except (ValueError, DecodeError):
        return None


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
            return {"key": error.key.hex()} if len(error.key) <= limits.MAX_KEY_BYTES else {}
        case errors.Overloaded() | errors.DeadlineExceeded():
            return {"what": cut(error.what)}
        case errors.DiskFull() | errors.WriteAmbiguous() | errors.NotServing() | errors.Quarantined():
            return {"why": cut(error.why)}
        case errors.PermissionDenied() | errors.Internal():
            return {"why": cut(error.why)}
    return {}


def _detail(error: DstkError) -> Message | None:
    match error:
        case errors.InvalidArgument():
            field, value = cut(error.field, FIELD_BYTES), cut(error.value, FIELD_BYTES)
            return errors_pb2.LimitExceeded(field=field, value=value, limit=cut(error.limit))
        case errors.AlreadyExists() | errors.EtagMismatched():
            return errors_pb2.EtagMismatch(current_etag=error.current_etag)
        case errors.NotOwner():
            return errors_pb2.NotOwner(partition=error.partition, address=cut(error.address))
        case errors.PreconditionFailed():
            return errors_pb2.PreconditionFailed(why=cut(error.why))
    return None


def _unpack(status: status_pb2.Status, kind: type[M]) -> M | None:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            message = kind()
            try:
                AnyMessage.Unpack(packed, message)
            except DecodeError:
                return None  # a detail that cannot be decoded: the code alone decides
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


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _current_etag(status: status_pb2.Status) -> int:
    detail = _unpack(status, errors_pb2.EtagMismatch)
    return 0 if detail is None else detail.current_etag


_READERS: dict[str, Callable[[status_pb2.Status, dict[str, str]], DstkError]] = {
    errors.InvalidArgument.reason: _read_invalid,
    errors.NotFound.reason: lambda _, data: errors.NotFound(_key(data.get("key", ""))),
    errors.AlreadyExists.reason: lambda status, _: errors.AlreadyExists(_current_etag(status)),
    errors.EtagMismatched.reason: lambda status, _: errors.EtagMismatched(_current_etag(status)),
    errors.NotOwner.reason: _read_not_owner,
    errors.Overloaded.reason: lambda status, data: errors.Overloaded(data.get("what", ""), _retry_after(status)),
    errors.DiskFull.reason: lambda status, data: errors.DiskFull(data.get("why", ""), _retry_after(status)),
    errors.WriteAmbiguous.reason: lambda _, data: errors.WriteAmbiguous(data.get("why", "")),
    errors.NotServing.reason: lambda status, data: errors.NotServing(data.get("why", ""), _retry_after(status)),
    errors.Quarantined.reason: lambda _, data: errors.Quarantined(data.get("why", "")),
    errors.PreconditionFailed.reason: lambda status, _: errors.PreconditionFailed(
        (_unpack(status, errors_pb2.PreconditionFailed) or errors_pb2.PreconditionFailed()).why
    ),
    errors.PermissionDenied.reason: lambda _, data: errors.PermissionDenied(data.get("why", "")),
    errors.DeadlineExceeded.reason: lambda _, data: errors.DeadlineExceeded(data.get("what", "")),
    errors.Internal.reason: lambda _, data: errors.Internal(data.get("why", "")),
}
