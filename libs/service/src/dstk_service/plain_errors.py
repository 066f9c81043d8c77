"""The errors of the API that carry plain values. The storage domain, which knows no protobuf, raises classes of them."""

from dstk_keytypes.errors import DstkError as DstkError
from dstk_keytypes.errors import InvalidArgument as InvalidArgument

SHOWN_BYTES = 40
"""The most bytes of a key or a value in a message. Statuses travel as HTTP/2 trailers, which gRPC limits to 8 KiB: the whole
text of a binary key of 1024 bytes would not fit.
"""


def shown(data: bytes) -> str:
    """Bytes for people: their repr up to SHOWN_BYTES, and their length where they are cut."""
    return repr(bytes(data)) if len(data) <= SHOWN_BYTES else f"{bytes(data[:SHOWN_BYTES])!r}... ({len(data)} bytes)"


class NotFound(DstkError):
    """The key has no live record."""

    reason = "NOT_FOUND"

    def __init__(self, key: bytes) -> None:
        super().__init__(f"no record under key {shown(key)}")
        self.key = key


class AlreadyExists(DstkError):
    """The write has the precondition IF_ABSENT, and the key has a live record. Nothing was done."""

    reason = "ALREADY_EXISTS"

    def __init__(self, current_etag: int) -> None:
        super().__init__(f"the key has a record already, with etag {current_etag}")
        self.current_etag = current_etag


class EtagMismatched(DstkError):
    """The live record does not have the given etag; `current_etag` 0: there is no record. Nothing was done."""

    reason = "ETAG_MISMATCH"

    def __init__(self, current_etag: int) -> None:
        super().__init__(f"the record's etag is {current_etag}" if current_etag else "the key has no record")
        self.current_etag = current_etag


class Overloaded(DstkError):
    """A queue is full. Nothing was done; try again after `retry_after` seconds."""

    reason = "OVERLOADED"

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(f"overloaded: {what}; try again in {retry_after:g} s")
        self.what = what
        self.retry_after = retry_after


class DiskFull(DstkError):
    """The node refuses writes, because its disk is full or failing. Nothing was done."""

    reason = "DISK_FULL"

    def __init__(self, why: str, retry_after: float) -> None:
        super().__init__(f"the node refuses this write: {why}")
        self.why = why
        self.retry_after = retry_after


class WriteAmbiguous(DstkError):
    """It is not known whether the write was applied: read before repeating it."""

    reason = "WRITE_AMBIGUOUS"

    def __init__(self, why: str) -> None:
        super().__init__(f"the write may or may not have been applied: {why}; read before repeating it")
        self.why = why


class NotServing(DstkError):
    """The partition cannot be reached, or is not served yet. Nothing was done; try again after `retry_after` seconds."""

    reason = "NOT_SERVING"

    def __init__(self, why: str, retry_after: float) -> None:
        super().__init__(f"not serving: {why}")
        self.why = why
        self.retry_after = retry_after


class Quarantined(DstkError):
    """A block of the partition's data is corrupt, or its only in-sync replica was lost: an operator must repair it."""

    reason = "QUARANTINED"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class PreconditionFailed(DstkError):
    """The partition or the node is not in the state that the call needs. Nothing was done."""

    reason = "PRECONDITION_FAILED"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class PermissionDenied(DstkError):
    """The caller may not use this service."""

    reason = "PERMISSION_DENIED"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class DeadlineExceeded(DstkError):
    """The time for the call ran out. A write may have been applied: read before repeating it."""

    reason = "DEADLINE_EXCEEDED"

    def __init__(self, what: str) -> None:
        super().__init__(f"the deadline passed: {what}")
        self.what = what


class Internal(DstkError):
    """A defect of DSTK; the server's log has the traceback."""

    reason = "INTERNAL"

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
