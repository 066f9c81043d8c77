"""Deleting and counting ranges, reading many keys, when things go wrong on the way."""

import asyncio
import time

import pytest
from kit.answers import page
from kit.scripted import ScriptedServer, found

from dstk.v1 import kv_pb2
from dstk_client import (
    Client,
    DeadlineExceeded,
    DiskFull,
    InvalidArgument,
    Key,
    KeyRange,
    NotServing,
    Quarantined,
    RangeDeletionStopped,
)
from dstk_client.ranges import DELETED_AT_ONCE
from dstk_service.testing import eventually

KEYS = [Key.text(f"k{number}") for number in range(6)]
RANGE = KeyRange(b"k", b"l")


async def test_a_deletion_that_stops_says_what_is_deleted_and_what_is_left(
    server: ScriptedServer, client: Client
) -> None:
    server.pages.extend([page(*KEYS[:2], resume=KEYS[2]), page(*KEYS[2:4], resume=KEYS[4]), page(*KEYS[4:])])
    for key in KEYS:
        server.script(key, found())
    server.script(KEYS[3], DiskFull("no space", 0.0))
    pieces: list[int] = []
    with pytest.raises(RangeDeletionStopped, match=r"2 records were deleted.*no space") as stopped:
        await client.delete_range(RANGE, progress=pieces.append)
    assert (stopped.value.deleted, pieces) == (2, [2])
    assert stopped.value.rest == KeyRange(KEYS[2], RANGE.end)
    assert isinstance(stopped.value.__cause__, DiskFull)
    assert server.times(KEYS[4]) == 0
    assert all(request.keys_only for request in server.unary)
    assert server.unary[0].limit == DELETED_AT_ONCE


async def test_a_deletion_whose_outcome_is_not_known_is_repeated_and_counted(
    server: ScriptedServer, client: Client
) -> None:
    server.pages.append(page(*KEYS[:3]))
    gone = kv_pb2.OperationResult(code=5)
    server.script(KEYS[0], found())
    server.script(KEYS[1], "break", gone)
    server.script(KEYS[2], gone)
    deleted = await client.delete_range(RANGE)
    assert server.times(KEYS[1]) == 2
    assert deleted == 3  # the message broke as a whole, so nothing is known of the others either


async def test_a_scan_that_fails_stops_a_deletion_before_anything_is_deleted(
    server: ScriptedServer, client: Client
) -> None:
    server.pages.append(Quarantined("partition 7"))
    with pytest.raises(RangeDeletionStopped) as stopped:
        await client.delete_range(RANGE)
    assert (stopped.value.deleted, stopped.value.rest) == (0, RANGE)


async def test_an_error_of_progress_is_the_callers_own(server: ScriptedServer, client: Client) -> None:
    server.pages.append(page(KEYS[0]))
    server.script(KEYS[0], found())

    def enough(_: int) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        await client.delete_range(RANGE, progress=enough)


async def test_one_key_that_cannot_be_read_fails_the_whole_of_many(server: ScriptedServer, client: Client) -> None:
    for key in KEYS:
        server.script(key, found(b"v"))
    server.script(KEYS[4], Quarantined("partition 7"))
    with pytest.raises(Quarantined, match="partition 7"):
        await client.get_many(KEYS)
    server.script(KEYS[4], NotServing("starting", 0.0), found(b"late"))
    records = await client.get_many(KEYS)
    assert [record and record.value for record in records] == [b"v"] * 4 + [b"late", b"v"]


async def test_records_of_insert_sorted_ascend_over_the_edges_of_batches(
    server: ScriptedServer, client: Client
) -> None:
    server.bulks.append(kv_pb2.BulkInsertResponse(inserted=1, etags=[1], stop=kv_pb2.BULK_STOP_COMPLETE))
    for second in (b"a", b"b"):
        with pytest.raises(InvalidArgument, match=r"records\[1\] key .* strictly above"):
            await client.insert_sorted([(Key(b"b"), b""), (Key(second), b"")], batch_size=1)


async def test_deadlines_hold_where_nothing_answers(server: ScriptedServer, client: Client) -> None:
    server.pages.append(page(KEYS[0]))
    server.script(KEYS[0], "hang")
    await client.get(Key.text("other"))  # connects
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await client.get_many(KEYS, timeout=1)
    with pytest.raises(RangeDeletionStopped) as stopped:
        await client.delete_range(RANGE, timeout=1)
    assert isinstance(stopped.value.__cause__, DeadlineExceeded)
    assert stopped.value.rest == KeyRange(KEYS[0], RANGE.end)
    assert time.monotonic() - begun < 30


async def test_whoever_gives_up_on_many_keys_leaves_nothing_behind(server: ScriptedServer, client: Client) -> None:
    server.script(KEYS[0], "hang")
    reading = asyncio.create_task(client.get_many(KEYS))
    await eventually(lambda: server.times(KEYS[0]))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await client.get(Key.text("other")) is None


async def test_a_list_of_keys_may_change_while_they_are_read(server: ScriptedServer, client: Client) -> None:
    for key in KEYS:
        server.script(key, found(b"v"))
    keys = list(KEYS)
    reading = asyncio.create_task(client.get_many(keys))
    await asyncio.sleep(0)
    keys.clear()
    assert [record and record.key for record in await reading] == KEYS
