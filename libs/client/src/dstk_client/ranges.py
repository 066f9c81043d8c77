"""Calls that take more than one request: reading many keys, counting and deleting a range."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, cast

import grpc

from dstk.v1 import kv_pb2
from dstk_client.core import SETTLED, CoreClient
from dstk_client.operation import Ambiguous, Outcome
from dstk_client.retries import Effect
from dstk_client.scan import Scan, request_for, to_keys
from dstk_client.types import Record
from dstk_keytypes import DstkError, Key, KeyRange
from dstk_service.errors import NotFound, shown
from dstk_service.together import together

DELETED_AT_ONCE = 1000
"""The most records of one piece of a deletion: they are in flight together, and a failure leaves at most one piece unknown."""

LARGE_AT_ONCE = 16
"""The most large records that are read at the same time."""

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


class RangeDeletionStopped(DstkError):
    """A deletion of a range failed before its end.

    `deleted` records are deleted. Some records of the piece that failed may be deleted too; later records are untouched. Delete
    `rest` to continue. `why` and `__cause__` are the failure.
    """

    reason = "RANGE_DELETION_STOPPED"

    def __init__(self, deleted: int, rest: KeyRange, why: str) -> None:
        super().__init__(f"{deleted} records were deleted, then it stopped at {shown(rest.start)}: {why}")
        self.deleted = deleted
        self.rest = rest
        self.why = why


def record_of(key: bytes, result: kv_pb2.OperationResult) -> Record | None:
    """The record that a read found."""
    if packed := result.packed:
        return Record.unpacked(key, packed)
    if result.code == _NOT_FOUND:
        return None
    return Record(key, result.value, result.etag, result.written_at_ms, result.expires_at_ms)


async def large(core: CoreClient, key: bytes, deadline: float) -> Record | None:
    """Reads a record that is too large for a lane's answers. Raises DstkError."""
    try:
        found = await core.raw_get(kv_pb2.GetRequest(key=key), timeout=deadline - asyncio.get_running_loop().time())
    except NotFound:
        return None
    record = found.record
    return Record(key, record.value, record.etag, record.written_at_ms, record.expires_at_ms)


async def get_many(core: CoreClient, keys: Sequence[bytes], deadline: float) -> list[Record | None]:
    """The record of each key, or None. Raises DstkError."""
    results = await _all(core, [{"kind": kv_pb2.OPERATION_KIND_GET, "key": key} for key in keys], deadline)
    records = list(map(record_of, keys, (result for _, result in results)))
    left_out = [at for at, (_, result) in enumerate(results) if result.omitted_bytes]
    turns = asyncio.Semaphore(LARGE_AT_ONCE)

    async def fill_in(at: int) -> None:
        async with turns:
            records[at] = await large(core, keys[at], deadline)

    async with together() as group:
        for at in left_out:
            group.create_task(fill_in(at))
    return records


async def count(core: CoreClient, key_range: KeyRange, seconds: float | None) -> int:
    """How many live records a range has. Raises DstkError."""
    request = request_for(key_range, limit=None, reverse=False, page_size=10_000, keys_only=True)
    if request is None:
        core.check_usable()
        return 0
    return sum([len(response.records.keys) async for response in core.raw_pages(request, timeout=seconds)])


async def delete(
    core: CoreClient, key_range: KeyRange, seconds: float | None, progress: Callable[[int], object] | None
) -> int:
    """Deletes a range's records; returns how many. Raises RangeDeletionStopped."""
    core.check_usable()
    deleted, rest = 0, key_range
    request = request_for(key_range, limit=None, reverse=False, page_size=DELETED_AT_ONCE, keys_only=True)
    try:
        async for keys in Scan(core, request, to_keys, seconds).pages():
            rest = KeyRange(keys[0], key_range.end)
            piece = await _delete_all(core, keys, core.deadline(seconds))
            deleted, rest = deleted + piece, KeyRange(keys[-1], key_range.end)
            if progress is not None:
                progress(piece)
    except DstkError as error:
        raise RangeDeletionStopped(deleted, rest, str(error)) from error
    return deleted


async def _delete_all(core: CoreClient, keys: Sequence[Key], deadline: float) -> int:
    """Deletes the records of keys that were just read; returns the number of deleted records.

    A deletion with an unknown outcome is retried, since deleting twice does no harm in a range that is being deleted. If the
    retry finds no record, the first attempt has deleted it.
    """
    results = await _all(core, [{"kind": kv_pb2.OPERATION_KIND_DELETE, "key": key} for key in keys], deadline)
    return sum(result.code == 0 or isinstance(first, Ambiguous) for first, result in results)


async def _all(
    core: CoreClient, operations: Sequence[dict[str, Any]], deadline: float
) -> list[tuple[Outcome, kv_pb2.OperationResult]]:
    """Sends all operations at once, retries them concurrently, and returns each one's first outcome and its result.

    Raises the error of the first operation that fails, and cancels the others. Where they are traced, the first one stands for
    all: a trace of thousands of operations would show nothing.
    """
    if not operations:
        return []
    with core.told(core.begin(), operations[0]["kind"]) as context:
        return await _all_within(core, operations, deadline, context)


async def _all_within(
    core: CoreClient, operations: Sequence[dict[str, Any]], deadline: float, context: bytes | None
) -> list[tuple[Outcome, kv_pb2.OperationResult]]:
    traces = (context, *repeat(None, len(operations) - 1))
    tries = [
        core.send(fields, len(fields["key"]), deadline, trace) for fields, trace in zip(operations, traces, strict=True)
    ]
    try:
        firsts = [await each for each in tries]
        async with together() as group:
            again = {
                at: group.create_task(_settled(core, operations[at], deadline, first))
                for at, first in enumerate(firsts)
                if isinstance(first, Exception) or first.code not in SETTLED
            }
    finally:
        for each in tries:
            each.cancel()
    settled = [again[at].result() if at in again else first for at, first in enumerate(firsts)]
    return list(zip(firsts, cast("list[kv_pb2.OperationResult]", settled), strict=True))


async def _settled(core: CoreClient, fields: dict[str, Any], deadline: float, first: Outcome) -> kv_pb2.OperationResult:
    return await core.settle(fields, len(fields["key"]), deadline, first, Effect.READ)
