"""Checks incoming KeyValue requests, the same on storage nodes and routers.

Every function either returns or raises `InvalidArgument`, which names the field, the value and the limit. The bounds are those
of the proto files.
"""

from collections.abc import Sequence
from operator import lt

from dstk.v1 import kv_pb2, records_pb2
from dstk_keytypes import limits
from dstk_service import incoming
from dstk_service.errors import InvalidArgument, shown

_KEY_LIMIT = f"1..{limits.MAX_KEY_BYTES} bytes"
_BOUND_LIMIT = f"0..{limits.MAX_KEY_BYTES} bytes"
_VALUE_LIMIT = f"0..{limits.MAX_VALUE_BYTES} bytes"
_TTL_LIMIT = f"0..{limits.MAX_TTL_MS} ms"
_EXPIRY_LIMIT = f"0..{limits.MAX_EXPIRES_AT_MS} ms of Unix time"

_IF_ABSENT = records_pb2.PRECONDITION_IF_ABSENT
_IF_ETAG = records_pb2.PRECONDITION_IF_ETAG


def key(value: bytes, field: str = "key") -> None:
    """Refuses a key that is empty or longer than 1024 bytes."""
    if not 0 < len(value) <= limits.MAX_KEY_BYTES:
        raise InvalidArgument(field, shown(value), _KEY_LIMIT)


def size(size_: int, field: str = "value") -> None:
    """Refuses a value of more than 1 MiB; `size_` is in bytes."""
    if size_ > limits.MAX_VALUE_BYTES:
        raise InvalidArgument(field, f"{size_} bytes long", _VALUE_LIMIT)


def get(request: kv_pb2.GetRequest) -> None:
    """Checks a read."""
    key(request.key)


def write(key_: bytes, value: bytes, precondition: int, if_etag: int, ttl_ms: int) -> None:
    """Checks a single write; `value` and `ttl_ms` are empty and 0 for a deletion."""
    if not 0 < len(key_) <= limits.MAX_KEY_BYTES:
        raise InvalidArgument("key", shown(key_), _KEY_LIMIT)
    if len(value) > limits.MAX_VALUE_BYTES:
        size(len(value), "value")
    if ttl_ms:
        ttl(ttl_ms)
    if precondition or if_etag:
        _precondition(precondition, if_etag)


def put(request: kv_pb2.PutRequest) -> None:
    """Checks a write."""
    write(request.key, request.value, request.precondition, request.if_etag, request.ttl_ms)


def delete(request: kv_pb2.DeleteRequest) -> None:
    """Checks a deletion, which may not have IF_ABSENT."""
    deletion(request.key, request.precondition, request.if_etag)


def deletion(key_: bytes, precondition: int, if_etag: int) -> None:
    """Checks the fields of a deletion."""
    if precondition == _IF_ABSENT:
        raise InvalidArgument("precondition", "IF_ABSENT", "unspecified or IF_ETAG for a deletion")
    write(key_, b"", precondition, if_etag, 0)


def scan(request: kv_pb2.ScanRequest) -> None:
    """Checks a request of a page: bounds of keys, limit, start not above end."""
    for field, bound in (("start", request.start), ("end", request.end)):
        if len(bound) > limits.MAX_KEY_BYTES:
            raise InvalidArgument(field, shown(bound), _BOUND_LIMIT)
    if not 1 <= request.limit <= limits.MAX_SCAN_RECORDS:
        raise InvalidArgument("limit", str(request.limit), f"1..{limits.MAX_SCAN_RECORDS} records")
    if request.end and request.start > request.end:
        raise InvalidArgument("start", shown(request.start), f"not above end, which is {shown(request.end)}")


def bulk_insert(request: kv_pb2.BulkInsertRequest) -> tuple[list[bytes], list[bytes]]:
    """Checks a whole bulk insert: columns, bounds, strict order. Returns the columns as lists, since each iteration over the
    message's columns makes new objects.
    """
    keys, values = list(request.keys), list(request.values)
    columns(keys, values)
    ttl(request.ttl_ms)
    expiries(request.expires_at_ms, len(keys), request.ttl_ms)
    return keys, values


def columns(keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Checks the columns of a bulk insert: as many values as keys, bounds, strict order."""
    if not 1 <= len(keys) <= limits.MAX_BULK_RECORDS:
        raise InvalidArgument("keys", f"{len(keys)} keys", f"1..{limits.MAX_BULK_RECORDS} keys")
    if len(values) != len(keys):
        raise InvalidArgument("values", f"{len(values)} values", f"as many as keys, which are {len(keys)}")
    _sizes(keys, values)
    _ascending(keys)


def operations(request: kv_pb2.ExecuteRequest | incoming.Unreadable) -> None:
    """Checks a message as a whole, including that it was decoded; each operation is checked separately and fails alone."""
    incoming.check(request)
    assert not isinstance(request, incoming.Unreadable)
    if not 1 <= len(request.operations) <= limits.MAX_OPERATIONS:
        count = len(request.operations)
        raise InvalidArgument("operations", f"{count} operations", f"1..{limits.MAX_OPERATIONS} operations")


def ttl(ttl_ms: int) -> None:
    """Refuses a negative time to live and one above 100 years."""
    if not 0 <= ttl_ms <= limits.MAX_TTL_MS:
        raise InvalidArgument("ttl_ms", str(ttl_ms), _TTL_LIMIT)


def expiries(expires_at_ms: Sequence[int], count: int, ttl_ms: int) -> None:
    """Checks the expiry times of a bulk insert: none, or one for each record and no time to live."""
    if not expires_at_ms:
        return
    if len(expires_at_ms) != count:
        raise InvalidArgument(
            "expires_at_ms", f"{len(expires_at_ms)} times", f"none, or as many as keys, which are {count}"
        )
    if ttl_ms:
        raise InvalidArgument("ttl_ms", str(ttl_ms), "0 when expires_at_ms is given")
    if max(expires_at_ms) > limits.MAX_EXPIRES_AT_MS:
        at = next(i for i, expiry in enumerate(expires_at_ms) if expiry > limits.MAX_EXPIRES_AT_MS)
        raise InvalidArgument(f"expires_at_ms[{at}]", str(expires_at_ms[at]), _EXPIRY_LIMIT)


def _precondition(precondition: int, if_etag: int) -> None:
    if precondition not in {0, _IF_ABSENT, _IF_ETAG}:
        raise InvalidArgument("precondition", str(precondition), "unspecified, IF_ABSENT or IF_ETAG")
    if (precondition == _IF_ETAG) != (if_etag > 0):
        raise InvalidArgument("if_etag", str(if_etag), "at least 1 with IF_ETAG, 0 otherwise")


def _sizes(keys: Sequence[bytes], values: Sequence[bytes]) -> None:
    """Checks sizes in as few passes as possible, since each costs 10 ns a record. Only the first key can be empty, since keys
    ascend. Values are checked one by one only if their total exceeds the limit of one.
    """
    if not keys[0] or max(map(len, keys)) > limits.MAX_KEY_BYTES:
        at = next(i for i, key_ in enumerate(keys) if not 0 < len(key_) <= limits.MAX_KEY_BYTES)
        raise InvalidArgument(f"keys[{at}]", shown(keys[at]), _KEY_LIMIT)
    total = sum(map(len, keys)) + sum(map(len, values))
    if total > limits.MAX_VALUE_BYTES and max(map(len, values)) > limits.MAX_VALUE_BYTES:
        at = next(i for i, value in enumerate(values) if len(value) > limits.MAX_VALUE_BYTES)
        size(len(values[at]), f"values[{at}]")
    if total > limits.MAX_BULK_BYTES:
        raise InvalidArgument("values", f"{total} bytes", f"keys and values together 0..{limits.MAX_BULK_BYTES} bytes")


def _ascending(keys: Sequence[bytes]) -> None:
    if all(map(lt, keys, keys[1:])):  # all of it runs in C
        return
    at = next(i for i in range(1, len(keys)) if keys[i - 1] >= keys[i])
    raise InvalidArgument(f"keys[{at}]", shown(keys[at]), f"strictly above the key before, {shown(keys[at - 1])}")
