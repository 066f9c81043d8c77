"""The store on both engines: writes, reads, scans, conditions, splits, failures."""

import asyncio

import pytest
from kit.stores import NOW, assignment, delete, put, running_store, serve

from dstk_cluster.model import SplitOff
from dstk_keytypes import KeyRange, PartitionId
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.errors import (
    CommitFailed,
    Corrupt,
    EtagDiffers,
    Exists,
    Missing,
    NotOwned,
    QueueFull,
    ReadOnly,
)
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.writes import BulkStop, Condition
from dstk_storage.ports import Engine

EVERYTHING = KeyRange.everything()


async def test_a_put_is_read_back_once_it_is_durable(engine: Engine) -> None:
    async with running_store(engine) as store:
        etag = put(store, b"k", b"v")
        assert store.get(b"k", 0, NOW) is None
        await store.durable()
        assert store.get(b"k", 0, NOW) == (b"v", etag, NOW, 0)


async def test_etags_grow_with_every_write_even_within_a_group(engine: Engine) -> None:
    async with running_store(engine) as store:
        etags = [put(store, b"k") for _ in range(3)]
        await store.durable()
        assert etags == [1, 2, 3]
        assert store.get(b"k", 0, NOW)[1] == 3


async def test_a_partition_is_being_written_until_its_batch_is_on_disk(engine: Engine) -> None:
    async with running_store(engine) as store:
        partition = store.local(PartitionId(1))
        assert partition is not None
        put(store, b"k")
        assert not partition.pending.is_empty()
        assert partition.log.last > partition.log.position.seq
        await store.durable()
        assert partition.pending.is_empty()
        assert partition.log.handed == partition.log.position


async def test_conditions_see_the_writes_ahead_of_them(engine: Engine) -> None:
    async with running_store(engine) as store:
        etag = put(store, b"k", condition=Condition.IF_ABSENT)
        with pytest.raises(Exists) as exists:
            put(store, b"k", condition=Condition.IF_ABSENT)
        assert exists.value.current_etag == etag
        newer = put(store, b"k", condition=Condition.IF_ETAG, if_etag=etag)
        with pytest.raises(EtagDiffers) as differs:
            put(store, b"k", condition=Condition.IF_ETAG, if_etag=etag)
        assert differs.value.current_etag == newer
        delete(store, b"k")
        with pytest.raises(Missing):
            delete(store, b"k")
        await store.durable()
        assert store.get(b"k", 0, NOW) is None


async def test_an_expired_record_is_gone_at_once_for_reads_scans_and_conditions(engine: Engine) -> None:
    async with running_store(engine) as store:
        put(store, b"k", ttl_ms=10)
        put(store, b"l")
        await store.durable()
        assert store.get(b"k", 0, NOW + 9) is not None
        assert store.get(b"k", 0, NOW + 10) is None
        assert (await store.scan(EVERYTHING, 10, 0, NOW + 10, reverse=False)).keys == [b"l"]
        with pytest.raises(Missing):
            delete(store, b"k", now_ms=NOW + 10)


@pytest.mark.parametrize("reverse", [False, True])
async def test_pages_lead_through_all_partitions(engine: Engine, reverse: bool) -> None:
    keys = [b"%03d" % number for number in range(250)]
    async with running_store(engine, assignment(1, b"", b"100"), assignment(2, b"100", None)) as store:
        for key in keys:
            put(store, key, b"value " + key)
        await store.durable()
        found: list[bytes] = []
        rest = EVERYTHING
        while True:
            page = await store.scan(rest, 70, 0, NOW, reverse=reverse)
            assert len(page.keys) <= 70
            found += page.keys
            if page.resume_key is None:
                break
            rest = KeyRange(rest.start, page.resume_key) if reverse else KeyRange(page.resume_key, rest.end)
        assert found == (keys[::-1] if reverse else keys)


async def test_a_page_of_large_values_ends_early(engine: Engine) -> None:
    async with running_store(engine) as store:
        for number in range(6):
            put(store, b"%d" % number, bytes(1 << 20))
        await store.durable()
        page = await store.scan(EVERYTHING, 100, 0, NOW, reverse=False)
        assert len(page.keys) < 6
        assert page.resume_key == b"%d" % len(page.keys)


async def test_a_bulk_insert_stops_at_the_end_of_its_partition(engine: Engine) -> None:
    async with running_store(engine, assignment(1, b"", b"c"), assignment(2, b"c", None)) as store:
        result = store.writer.bulk_insert([b"a", b"b", b"c"], [b"1", b"2", b"3"], 0, 0, NOW, Receipt(), if_absent=False)
        assert result == (2, 1, BulkStop.PARTITION_END, 0)
        await store.durable()
        assert store.get(b"b", 0, NOW).etag == 2
        assert store.get(b"c", 0, NOW) is None


async def test_a_bulk_insert_stops_before_an_existing_key_when_asked_to(engine: Engine) -> None:
    async with running_store(engine) as store:
        etag = put(store, b"b")
        result = store.writer.bulk_insert([b"a", b"b", b"c"], [b"1", b"2", b"3"], 0, 0, NOW, Receipt(), if_absent=True)
        assert result == (1, etag + 1, BulkStop.KEY_EXISTS, etag)


async def test_each_record_of_a_bulk_insert_may_expire_at_a_time_of_its_own(engine: Engine) -> None:
    async with running_store(engine, assignment(1, b"", b"d"), assignment(2, b"d", None)) as store:
        keys, expiries = [b"a", b"b", b"c", b"d"], [NOW + 5, 0, NOW - 1, NOW + 7]
        result = store.writer.bulk_insert(keys, keys, 0, 0, NOW, Receipt(), if_absent=False, expires_at_ms=expiries)
        assert result.inserted == 3
        await store.durable()
        assert store.get(b"a", 0, NOW).expires_at_ms == NOW + 5
        assert store.get(b"a", 0, NOW + 5) is None
        assert store.get(b"b", 0, NOW + 10).expires_at_ms == 0
        assert store.get(b"c", 0, NOW) is None


async def test_a_bulk_insert_stops_when_the_queue_is_full(engine: Engine) -> None:
    async with running_store(engine, limits=QueueLimits(writes=2)) as store:
        result = store.writer.bulk_insert([b"a", b"b", b"c"], [b"1", b"2", b"3"], 0, 0, NOW, Receipt(), if_absent=False)
        assert result == (2, 1, BulkStop.OVERLOADED, 0)
        with pytest.raises(QueueFull):
            put(store, b"d")
        await store.durable()
        put(store, b"d")


async def test_keys_and_epochs_of_others_are_refused(engine: Engine) -> None:
    async with running_store(engine, assignment(1, b"b", b"d", epoch=3)) as store:
        for key, epoch in ((b"a", 0), (b"d", 0), (b"c", 2), (b"c", 4)):
            with pytest.raises(NotOwned):
                store.get(key, epoch, NOW)
        assert store.get(b"c", 3, NOW) is None
        with pytest.raises(NotOwned):
            await store.scan(EVERYTHING, 10, 0, NOW, reverse=True)


async def test_a_split_moves_nothing_and_etags_go_on_growing_on_both_sides(engine: Engine) -> None:
    async with running_store(engine) as store:
        last = [put(store, key) for key in (b"a", b"x")][-1]
        await store.durable()
        assert serve(store, [assignment(1, b"", b"m", 2), assignment(2, b"m", None, 2, SplitOff(PartitionId(1)))])
        assert put(store, b"x") == last + 1
        assert put(store, b"a") == last + 1
        await store.durable()
        assert store.get(b"x", 2, NOW) is not None


async def test_after_a_restart_etags_go_on_where_they_were(engine: Engine) -> None:
    async with running_store(engine) as store:
        last = [put(store, b"k") for _ in range(5)][-1]
        await store.durable()
        serve(store, [assignment(1, b"", b"m", 2), assignment(2, b"m", None, 2, SplitOff(PartitionId(1)))])
        await store.durable()
    async with running_store(engine, assignment(1, b"", b"m", 2), assignment(2, b"m", None, 2)) as store:
        assert put(store, b"k") == put(store, b"x") == last + 1


async def test_a_crash_between_the_maps_split_and_ours_keeps_etags_growing(engine: Engine) -> None:
    async with running_store(engine) as store:
        last = [put(store, b"x") for _ in range(5)][-1]
        await store.durable()
    halves = [assignment(1, b"", b"m", 2), assignment(9, b"m", None, 2, SplitOff(PartitionId(1)))]
    async with running_store(engine, *halves) as store:
        assert put(store, b"x") == last + 1


@pytest.mark.parametrize("is_kept", [False, True])
async def test_a_failed_write_is_ambiguous_and_what_waited_behind_it_is_refused(is_kept: bool) -> None:
    engine = MemoryEngine()
    engine.keeps_failed = is_kept
    async with running_store(engine) as store:
        await store.durable()
        engine.failing = True
        first, second = Receipt(), Receipt()
        put(store, b"a", receipt=first)
        while store.committer.in_flight is None:
            await asyncio.sleep(0)
        put(store, b"b", receipt=second)
        for receipt in (first, second):
            with pytest.raises(CommitFailed):
                await receipt.durable()
        with pytest.raises(ReadOnly):
            put(store, b"c")
        assert store.get(b"a", 0, NOW) is store.get(b"b", 0, NOW) is None
        await asyncio.sleep(0)  # the proposer hears of it
        engine.failing = False
        engine.reopen()
        told: list[int] = []
        store.reread(lambda partition: told.append(partition.log.position.seq))
        assert told == ([0] if is_kept else []), "a primary steps down before its log has more"
        store.committer.intake.recovered()
        assert (store.get(b"a", 0, NOW) is not None) == is_kept
        assert put(store, b"c") == (2 if is_kept else 1), "the number of a record on disk is not given out again"
        await store.durable()
        assert store.get(b"b", 0, NOW) is None


async def test_a_caller_that_gives_up_does_not_cancel_the_others(engine: Engine) -> None:
    async with running_store(engine) as store:
        put(store, b"a")
        impatient = asyncio.create_task(store.durable())
        await asyncio.sleep(0)
        impatient.cancel()
        await store.durable()
        assert store.get(b"a", 0, NOW) is not None


async def test_a_corrupt_block_quarantines_its_partition_alone() -> None:
    engine = MemoryEngine()
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m", None)) as store:
        put(store, b"a")
        put(store, b"x")
        await store.durable()
        engine.corrupt.add(b"\x04a")
        with pytest.raises(Corrupt):
            store.get(b"a", 0, NOW)
        with pytest.raises(Corrupt):
            put(store, b"b")
        with pytest.raises(Corrupt):
            await store.scan(EVERYTHING, 10, 0, NOW, reverse=False)
        assert store.get(b"x", 0, NOW) is not None


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_page_runs_through_neighbouring_partitions_and_stops_where_another_node_begins(
    engine: Engine, reverse: bool
) -> None:
    own = [assignment(1, b"b", b"d"), assignment(2, b"d", b"f"), assignment(3, b"g", None)]
    async with running_store(engine, *own) as store:
        for key in (b"b", b"c", b"d", b"g"):
            put(store, key)
        await store.durable()
        wanted = KeyRange(b"b", b"f") if reverse else KeyRange(b"b", None)
        page = await store.scan(wanted, 10, 0, NOW, reverse=reverse)
        assert sorted(page.keys) == [b"b", b"c", b"d"]
        assert page.resume_key == (None if reverse else b"f")
        assert [partition.activity.scanned for partition in store.table] == [2, 1, 0]
        inner = await store.scan(KeyRange(b"c", b"e"), 10, 0, NOW, reverse=reverse)
        assert sorted(inner.keys) == [b"c", b"d"]
        assert inner.resume_key is None


async def test_a_page_over_several_partitions_blames_the_one_whose_block_is_corrupt() -> None:
    engine = MemoryEngine()
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m", None)) as store:
        put(store, b"a")
        put(store, b"x")
        await store.durable()
        engine.corrupt.add(b"\x04x")
        page = await store.scan(EVERYTHING, 10, 0, NOW, reverse=False)
        assert (page.keys, page.resume_key) == ([b"a"], b"m")
        with pytest.raises(Corrupt):
            await store.scan(KeyRange(b"m", None), 10, 0, NOW, reverse=False)
        assert [partition.quarantined for partition in store.table] == [False, True]
        assert (await store.scan(EVERYTHING, 10, 0, NOW, reverse=False)).keys == [b"a"]
