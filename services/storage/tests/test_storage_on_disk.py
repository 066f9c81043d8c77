"""What a failing disk leaves behind: metadata that is written late, and writes that are there although they failed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from kit.partitions import partition
from kit.stores import LocalStore, assignment, put, running_store, serve

from dstk_cluster.model import LogPosition, Merged, SplitOff
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.converge import Assignment
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.history import History, Term
from dstk_storage.domain.on_disk import Unknown, after_failure, partitions_on_disk
from dstk_storage.domain.partition import Part, Partition

BEFORE = History((Term(1, 1), Term(3, 5)), 8)
MORE = History((Term(1, 1), Term(3, 5)), 9)
OTHER = History((Term(1, 1), Term(2, 5)), 9)
MERGED = History((Term(4, 20),), 20)
PARTS = Part(KeyRange(b"", b"m"), BEFORE), Part(KeyRange(b"m", None), MORE)


@pytest.mark.parametrize(
    ("held", "stored", "found"),
    [
        (partition(history=BEFORE), [partition(history=BEFORE)], None),
        (partition(history=MORE), [partition(history=BEFORE)], None),
        (partition(history=BEFORE), [partition(history=MORE)], MORE),
        (partition(2, b"m", history=BEFORE), [partition(1, history=MORE)], MORE),
        (partition(1, b"", b"m", history=BEFORE), [partition(1, history=MORE)], MORE),
        (partition(1, history=MERGED), [partition(1, b"", b"m", history=MORE)], Unknown.UNKNOWN),
        (partition(1, history=MERGED, parts=PARTS), [partition(1, b"", b"m", history=MORE)], Unknown.UNKNOWN),
        (partition(1, history=MERGED, parts=PARTS), [partition(1, b"", b"m", history=BEFORE)], None),
        (partition(1, history=MERGED, parts=PARTS), [partition(2, b"m", history=MORE)], None),
        (partition(1, history=BEFORE), [partition(1, history=OTHER)], Unknown.UNKNOWN),
        (partition(1, b"", b"m", history=BEFORE), [partition(2, b"m", history=MORE)], None),
        (partition(1, history=BEFORE), [], None),
    ],
    ids=[
        "the same",
        "less",
        "the failed write",
        "that of the partition it was split from",
        "its own, before it was split",
        "parts of a merge, where they stood is unknown",
        "a part of a merge that has the failed write",
        "a part of a merge that stands where it was merged",
        "the other part",
        "another history",
        "of another range",
        "nothing",
    ],
)
def test_a_log_has_what_the_disk_has_or_the_replica_needs_a_snapshot(
    held: Partition, stored: list[Partition], found: History | Unknown | None
) -> None:
    assert after_failure(held, stored) == found


def test_a_replica_that_needs_a_snapshot_anyway_is_left_alone() -> None:
    held = partition(history=BEFORE)
    held.needs_snapshot = True
    assert after_failure(held, [partition(history=OTHER)]) is None


AT = LogPosition(1, 1)
MERGE = assignment(1, b"b", None, 2, Merged(2, AT, PartitionId(2), AT))
"""Of partitions 1 and 2, which have one write each."""


@asynccontextmanager
async def two_to_merge(engine: MemoryEngine, *others: Assignment) -> AsyncIterator[LocalStore]:
    """A store of partitions 1 and 2 as MERGE joins them."""
    async with running_store(engine, assignment(1, b"b", b"m"), assignment(2, b"m", None), *others) as store:
        put(store, b"c")
        put(store, b"x")
        await store.durable()
        yield store


async def fail_a_write(store: LocalStore, engine: MemoryEngine, key: bytes = b"a") -> None:
    engine.failing = True
    put(store, key)
    with pytest.raises(CommitFailed):
        await store.durable()
    await asyncio.sleep(0)  # the proposer hears of it


def recover(store: LocalStore, engine: MemoryEngine) -> list[Partition]:
    """The engine is reopened; returns what has changed by that."""
    changed: list[Partition] = []
    engine.failing = False
    engine.reopen()
    store.reread(changed.append)
    store.committer.intake.recovered()
    return changed


async def test_a_split_that_the_disk_did_not_take_is_on_it_before_data_that_rest_on_it() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        put(store, b"a")
        await store.durable()
        await fail_a_write(store, engine)
        serve(store, [assignment(1, b"", b"m", 2), assignment(2, b"m", None, 2, SplitOff(PartitionId(1)))])
        await store.committer.settle()
        assert recover(store, engine) == []
        put(store, b"x")
        await store.durable()
        stored = {each.id: (each.range.start, each.epoch, each.log.position.seq) for each in partitions_on_disk(engine)}
        assert stored == {1: (b"", 2, 1), 2: (b"m", 2, 2)}


async def test_what_was_dropped_while_the_disk_failed_is_gone_from_it_after_the_next_write() -> None:
    engine = MemoryEngine()
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m", None)) as store:
        await store.durable()
        await fail_a_write(store, engine)
        serve(store, [assignment(1, b"", b"m")])
        await store.committer.settle()
        recover(store, engine)
        put(store, b"b")
        await store.durable()
        assert [each.id for each in partitions_on_disk(engine)] == [1]


async def test_a_part_that_was_split_off_has_the_failed_write_that_its_range_has() -> None:
    engine = MemoryEngine()
    engine.keeps_failed = True
    async with running_store(engine) as store:
        await store.durable()
        await fail_a_write(store, engine)
        serve(store, [assignment(1, b"", b"m", 2), assignment(2, b"m", None, 2, SplitOff(PartitionId(1)))])
        await store.committer.settle()
        assert [each.id for each in recover(store, engine)] == [1, 2]
        assert {each.log.position.seq for each in store.locals} == {1}


@pytest.mark.parametrize("keeps_failed", [False, True])
async def test_a_merge_keeps_what_its_parts_hold_when_a_write_of_another_partition_fails(keeps_failed: bool) -> None:
    engine = MemoryEngine()
    engine.keeps_failed = keeps_failed
    async with two_to_merge(engine, assignment(3, b"", b"b")) as store:
        await fail_a_write(store, engine)
        serve(store, [MERGE, assignment(3, b"", b"b")])
        await store.committer.settle()
        assert [each.id for each in recover(store, engine)] == ([3] if keeps_failed else [])
        whole = store.local(PartitionId(1))
        assert whole is not None
        assert not whole.needs_snapshot
        put(store, b"c")
        await store.durable()
        stored = {
            each.id: (each.range, each.needs_snapshot, each.log.position.seq) for each in partitions_on_disk(engine)
        }
        assert stored[PartitionId(1)] == (KeyRange(b"b", None), False, 3)
        assert PartitionId(2) not in stored


async def test_a_merge_needs_a_snapshot_when_the_disk_has_the_failed_write_of_a_part() -> None:
    engine = MemoryEngine()
    async with two_to_merge(engine) as store:
        engine.keeps_failed = True
        await fail_a_write(store, engine, b"d")
        serve(store, [MERGE])
        await store.committer.settle()
        (changed,) = recover(store, engine)
        assert changed.needs_snapshot


async def test_a_merge_that_is_on_disk_forgets_its_parts() -> None:
    engine = MemoryEngine()
    async with two_to_merge(engine) as store:
        serve(store, [MERGE])
        (whole,) = store.locals
        assert [part.range for part in whole.parts] == [KeyRange(b"b", b"m"), KeyRange(b"m", None)]
        await store.committer.settle()
        assert store.committer.has_persisted(whole)
        assert whole.parts == ()
