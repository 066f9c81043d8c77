"""The client: every call that a program makes. Arguments are checked before anything is sent."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import grpc

from dstk.v1 import kv_pb2, records_pb2
from dstk_client import arguments, bulk, ranges
from dstk_client.batching import AsyncRecords, Records
from dstk_client.core import SETTLED, CoreClient
from dstk_client.operation import Outcome
from dstk_client.retries import Effect
from dstk_client.scan import Scan, request_for, to_keys, to_records
from dstk_client.types import BulkResult, BulkStop, Page, Record
from dstk_keytypes import Etag, InvalidArgument, Key, KeyRange, Ttl, limits
from dstk_service import requests
from dstk_service.context import Process

_GET = kv_pb2.OPERATION_KIND_GET
_PUT = kv_pb2.OPERATION_KIND_PUT
_DELETE = kv_pb2.OPERATION_KIND_DELETE
_IF_ABSENT = records_pb2.PRECONDITION_IF_ABSENT
_IF_ETAG = records_pb2.PRECONDITION_IF_ETAG
_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
_MAX_KEY, _MAX_VALUE = limits.MAX_KEY_BYTES, limits.MAX_VALUE_BYTES


class Client:
    """Reads and writes the whole key space, directly at the storage nodes or through routers; made by `connect`.

    A client belongs to the event loop that it was made on. The `timeout` of a call is in seconds; None: the client's default.

    Every call raises InvalidArgument, and sends nothing, if an argument has the wrong type or is out of bounds; NotServing,
    Overloaded or DiskFull if nothing was done; ClientClosed after `close`. DeadlineExceeded and WriteAmbiguous of a write mean
    that it may have been applied. All errors are DstkError.
    """

    def __init__(self, core: CoreClient, resources: AsyncExitStack | None = None) -> None:
        self._core = core
        self._process = Process()
        self._resources = resources

    @property
    def timeout(self) -> float:
        """Seconds for a call that names no timeout."""
        return self._core.timeout

    async def get(self, key: Key, *, timeout: float | None = None) -> Record | None:
        """The record under the key, or None."""
        if type(key) is not Key or not 0 < len(key) <= _MAX_KEY:
            key = Key.unchecked(arguments.key("key", key))
        core = self._core
        fields: dict[str, Any] = {"kind": _GET, "key": key}
        deadline = core.deadline(timeout if timeout is None else arguments.seconds(timeout))
        if core.is_tracing and (span := core.begin()) is not None:
            result: Outcome = await core.traced(span, fields, len(key), deadline, Effect.READ)
        else:
            result = await core.send(fields, len(key), deadline)
        if isinstance(result, Exception) or result.code not in SETTLED:
            result = await core.settle(fields, len(key), deadline, result, Effect.READ)
        if result.omitted_bytes:
            return await ranges.large(core, key, deadline)
        return ranges.record_of(key, result)

    async def get_many(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Record | None]:
        """The records under up to 10,000 keys, in the order of the keys: None where there is no record.

        The keys are read concurrently, not at one instant. Raises the error of the first key that cannot be read.
        """
        return await ranges.get_many(
            self._core, arguments.keys("keys", keys), self._core.deadline(arguments.seconds(timeout))
        )

    async def put(
        self,
        key: Key,
        value: bytes | bytearray | memoryview,
        *,
        if_absent: bool = False,
        if_etag: int | None = None,
        ttl: Ttl | timedelta | None = None,
        timeout: float | None = None,
    ) -> Etag:
        """Writes a record and returns its new etag once it is on disk.

        `value`: 0..1 MiB; a bytearray or memoryview is copied at the call. `if_absent`: only where there is no record, else
        raises AlreadyExists. `if_etag`: only where the record has this etag, else raises EtagMismatched. `ttl`: how long the
        record lives; None: it does not expire, even if the record that it replaces did.
        """
        if type(key) is not Key or not 0 < len(key) <= _MAX_KEY:
            key = Key.unchecked(arguments.key("key", key))
        if type(value) is not bytes or len(value) > _MAX_VALUE:
            value = arguments.value("value", value)
        fields: dict[str, Any] = {"kind": _PUT, "key": key, "value": value}
        effect = Effect.BLIND
        if if_absent is not False or if_etag is not None:
            effect = _condition(fields, if_absent=if_absent, if_etag=if_etag)
        if ttl is not None:
            fields["ttl_ms"] = arguments.ttl_ms("ttl", ttl)
        core, size = self._core, len(key) + len(value)
        deadline = core.deadline(timeout if timeout is None else arguments.seconds(timeout))
        if core.is_tracing and (span := core.begin()) is not None:
            result: Outcome = await core.traced(span, fields, size, deadline, effect)
        else:
            result = await core.send(fields, size, deadline)
        if isinstance(result, Exception) or result.code not in SETTLED:
            result = await core.settle(fields, size, deadline, result, effect)
        return Etag(result.etag)

    async def delete(self, key: Key, *, if_etag: int | None = None, timeout: float | None = None) -> bool:
        """Deletes the record under the key; False when there is none. `if_etag`: only where the record has this etag, else
        raises EtagMismatched.
        """
        fields: dict[str, Any] = {"kind": _DELETE, "key": arguments.key("key", key)}
        effect = _condition(fields, if_absent=False, if_etag=if_etag)
        result = await self._core.execute(
            fields, len(fields["key"]), self._core.deadline(arguments.seconds(timeout)), effect
        )
        return result.code == 0

    async def delete_range(
        self, key_range: KeyRange, *, timeout: float | None = None, progress: Callable[[int], object] | None = None
    ) -> int:
        """Deletes all records of a range, piece by piece, and returns how many it has deleted.

        Not atomic: a record that others write into the range meanwhile is deleted or stays. `timeout`: seconds for each piece
        of at most 1,000 records. `progress` is called with the number of records of each piece once it is on disk. Raises
        RangeDeletionStopped if a piece fails: it says how many records are deleted, and which part of the range is left.
        """
        arguments.function("progress", progress)
        key_range = arguments.key_range("key_range", key_range)
        return await ranges.delete(self._core, key_range, arguments.seconds(timeout), progress)

    async def count(self, key_range: KeyRange, *, timeout: float | None = None) -> int:
        """How many live records a range has. Their keys are sent, but not their values. `timeout`: seconds for each page."""
        key_range = arguments.key_range("key_range", key_range)
        return await ranges.count(self._core, key_range, arguments.seconds(timeout))

    def scan(
        self,
        key_range: KeyRange,
        *,
        limit: int | None = None,
        reverse: bool = False,
        page_size: int = 2000,
        timeout: float | None = None,
    ) -> Scan[Record]:
        """The records of a range in the order of their keys: iterate over it with `async for`, or over its `pages()`.

        `limit`: most records, None for all. `reverse`: from the last key to the first. `page_size`: most records of a page,
        1..10,000; each page is read at one instant. `timeout`: seconds for each page.
        """
        request = request_for(key_range, limit=limit, reverse=reverse, page_size=page_size)
        return Scan(self._core, request, to_records, arguments.seconds(timeout))

    def scan_keys(
        self,
        key_range: KeyRange,
        *,
        limit: int | None = None,
        reverse: bool = False,
        page_size: int = 10_000,
        timeout: float | None = None,
    ) -> Scan[Key]:
        """As `scan`, of the keys alone: no values are sent."""
        request = request_for(key_range, limit=limit, reverse=reverse, page_size=page_size, keys_only=True)
        return Scan(self._core, request, to_keys, arguments.seconds(timeout))

    async def scan_page(
        self, key_range: KeyRange, limit: int, *, reverse: bool = False, timeout: float | None = None
    ) -> Page:
        """Up to `limit` (1..10,000) records of a range at one instant, and the key from which to continue.

        A page also ends at 4 MiB, and where the range continues at another node.
        """
        arguments.whole("limit", limit, 1, limits.MAX_SCAN_RECORDS, " records")
        request = request_for(key_range, limit=None, reverse=reverse, page_size=limit)
        seconds = arguments.seconds(timeout)
        if request is None:
            self._core.check_usable()
            return Page([], None)
        response = await self._core.raw_page(request, timeout=seconds)
        resume = response.resume_key if response.HasField("resume_key") else None
        return Page(to_records(response.records), resume)

    async def bulk_insert(
        self,
        records: Sequence[tuple[Key, bytes]],
        *,
        ttl: Ttl | timedelta | None = None,
        expires_at_ms: Sequence[int] = (),
        if_absent: bool = False,
        timeout: float | None = None,
    ) -> BulkResult:
        """Inserts 1..10,000 records of at most 8 MiB, in strictly ascending order of their keys, as one atomic batch.

        Inserts the records that lie in the partition of the first key. `insert_sorted` inserts any number.

        `expires_at_ms`: when each record expires, in Unix milliseconds, 0: never; instead of one `ttl` for all. `if_absent`:
        stop before the first key that has a record. The result says how many records were inserted, and why it stopped.
        """
        keys, values = arguments.records("records", records)
        absent, ttl_ms = arguments.flag("if_absent", if_absent), arguments.ttl_ms("ttl", ttl)
        seconds = arguments.seconds(timeout)
        expiries = arguments.expiries("expires_at_ms", expires_at_ms)
        request = kv_pb2.BulkInsertRequest(
            keys=keys, values=values, ttl_ms=ttl_ms, expires_at_ms=expiries, if_absent=absent
        )
        requests.expiries(expiries, len(keys), ttl_ms)
        response = await self._core.raw_bulk_insert(request, timeout=seconds)
        return BulkResult(response.inserted, list(response.etags), BulkStop(response.stop), response.current_etag)

    async def insert_sorted(
        self,
        records: Records | AsyncRecords,
        *,
        batch_size: int = 1000,
        in_flight: int = 4,
        ttl: Ttl | timedelta | None = None,
        if_absent: bool = False,
        repeat_ambiguous: bool = False,
        timeout: float | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Inserts any number of records, several bulk inserts at a time, until all are on disk; returns how many.

        `records`: pairs of key and value, or triples with the Unix time in milliseconds at which the record expires (0: never);
        their keys ascend strictly. `batch_size`: records of a bulk insert, 1..10,000. `in_flight`: bulk inserts at a time,
        1..64. `if_absent`: stop at a key that has a record. `timeout`: seconds for which a batch is tried again after its last
        acknowledgement. `repeat_ambiguous`: also try again when the outcome of a try is unknown; right only while no other
        caller writes these keys. `progress` gets the number of records of each batch, in order, once they are on disk.

        Raises InsertStopped when a batch fails, with the failure as its `__cause__`: it says how many records are on disk, and
        from which key to go on.
        """
        timeout = self.timeout if timeout is None else timeout
        options = bulk.Options(batch_size, in_flight, ttl, if_absent, repeat_ambiguous, timeout, progress).checked()
        self._core.check_usable()
        return await bulk.insert_sorted(self, records, options)

    async def close(self) -> None:
        """Closes all connections. Calls in progress raise ClientClosed or WriteAmbiguous; closing twice does nothing. Raises
        WrongContext in another event loop, as every call does.
        """
        if self._resources is not None:
            self._core.check_usable()
            resources, self._resources = self._resources, None
            await resources.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        if getattr(self, "_resources", None) is not None and self._process.is_here:
            _warn(f"unclosed {self!r}: use `async with`, or await its close()", ResourceWarning, source=self)


def _condition(fields: dict[str, Any], *, if_absent: bool, if_etag: int | None) -> Effect:
    """Adds a write's precondition to its fields."""
    absent = arguments.flag("if_absent", if_absent)
    if if_etag is not None:
        fields["precondition"], fields["if_etag"] = _IF_ETAG, arguments.etag("if_etag", if_etag)
        if absent:
            raise InvalidArgument("if_absent", f"True, with if_etag {if_etag}", "given without if_etag: choose one")
    elif absent:
        fields["precondition"] = _IF_ABSENT
    return Effect.of_write(fields.get("precondition", 0))
