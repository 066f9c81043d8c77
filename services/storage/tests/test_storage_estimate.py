"""How many live records a partition holds, by its own count: exact after a recount, and within its error at any time."""

import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import zip_longest

import pytest
from kit.offloads import inline
from kit.stores import NOW, LocalStore, assignment, delete, fill, put, running_store, serve
from typing_extensions import override

from dstk_cluster.model import Merged, SplitOff
from dstk_keytypes import PartitionId
from dstk_service.testing import ManualClock
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.estimate import FEWEST, Estimate, Size
from dstk_storage.domain.expiry import ExpiryReaper
from dstk_storage.domain.history import Position
from dstk_storage.domain.log import Entry
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.recount import Recounter
from dstk_storage.domain.writes import Condition
from dstk_storage.ports import Engine

RECORD = len(b"k0000000") + 10
"""Bytes of a record that `fill` makes with a value of 10."""


class Rested(Exception):
    """A loop has come to its first pause."""


class PausingClock(ManualClock):
    """Does something else in place of each pause."""

    def __init__(self, pause: Callable[[], Awaitable[None]]) -> None:
        super().__init__(NOW)
        self._pause = pause

    @override
    async def sleep(self, seconds: float) -> None:
        await self._pause()


def only(store: LocalStore) -> Partition:
    (partition,) = store.table
    return partition


async def count(store: LocalStore, now_ms: int = NOW) -> None:
    await store.durable()
    recounter = Recounter(store.engine, inline, store, ManualClock(now_ms), step_size=1_000_000)
    for partition in store.table:
        await recounter.recount(partition)


async def reap(store: LocalStore, now_ms: int) -> None:
    await ExpiryReaper(store.engine, inline, store, store.writer, ManualClock(now_ms)).step()


def bulk_if_absent(store: LocalStore, keys: Iterable[bytes], now_ms: int) -> None:
    found = list(keys)
    store.writer.bulk_insert(found, [b"x" * 10] * len(found), 0, 0, now_ms, Receipt(), if_absent=True)


async def test_nothing_is_known_before_the_first_count(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        assert not only(store).estimate.counted
        assert only(store).estimate.is_stale
        await count(store)
        assert only(store).estimate.counted
        assert not only(store).estimate.is_stale
        assert only(store).estimate.size(NOW) == Size(100, 0, 100 * RECORD, 0)


async def test_writes_that_look_keep_it_exact(engine: Engine) -> None:
    async with running_store(engine) as store:
        keys = await fill(store, 100, 10)
        await count(store)
        put(store, b"k0000200", b"x" * 10, condition=Condition.IF_ABSENT)
        put(store, b"k0000200", b"x" * 11, condition=Condition.IF_ETAG, if_etag=101)
        delete(store, keys[0])
        bulk_if_absent(store, [b"k0000300", b"k0000301"], NOW)
        assert only(store).estimate.size(NOW) == Size(102, 0, 102 * RECORD + 1, 0)


async def test_records_that_have_expired_are_counted_until_they_are_removed_and_then_no_more(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await fill(store, 30, 20, ttl_ms=5, prefix=b"t")
        await count(store, NOW + 10)
        exact = Size(100, 0, 100 * RECORD, 0)
        assert only(store).estimate.size(NOW + 10) == exact
        await reap(store, NOW + 10)
        assert only(store).estimate.size(NOW + 10) == exact, "they are not subtracted twice"
        await count(store, NOW + 10)
        assert only(store).estimate.size(NOW + 10) == exact


@pytest.mark.parametrize("bulk", [False, True])
async def test_writes_over_expired_records_are_counted_once(engine: Engine, *, bulk: bool) -> None:
    async with running_store(engine) as store:
        keys = await fill(store, 10, 10, ttl_ms=5)
        await count(store)
        if bulk:
            bulk_if_absent(store, keys, NOW + 10)
        else:
            for key in keys:
                put(store, key, b"x" * 10, condition=Condition.IF_ABSENT, now_ms=NOW + 10)
        await store.durable()
        await reap(store, NOW + 10)
        assert only(store).estimate.size(NOW + 10) == Size(10, 0, 10 * RECORD, 0)


async def test_what_is_written_during_a_count_goes_on_top(engine: Engine) -> None:
    async with running_store(engine) as store:
        keys = await fill(store, 100, 10)

        async def writes_on() -> None:
            """In place of each pause: before and behind what is counted already."""
            delete(store, next(removed))
            put(store, next(added), b"x" * 10, condition=Condition.IF_ABSENT)
            await store.durable()

        removed, added = iter([*keys[:4], *keys[94:]]), iter(b"k1%06d" % number for number in range(20))
        await Recounter(engine, inline, store, PausingClock(writes_on), step_size=10).recount(only(store))
        assert list(removed) == [keys[99]], "there were nine pauses"
        assert only(store).estimate.size(NOW) == Size(100, 0, 100 * RECORD, 0)


async def test_the_halves_of_a_split_have_its_sum_until_they_are_counted(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
        halves = [assignment(1, b"", b"k0000030", 2), assignment(2, b"k0000030", None, 2, SplitOff(PartitionId(1)))]
        serve(store, halves)
        sizes = [each.estimate.size(NOW) for each in store.table]
        assert sum(size.records for size in sizes) == pytest.approx(100, abs=1)
        assert sum(size.bytes for size in sizes) == pytest.approx(100 * RECORD, abs=1)
        for size, true in zip(sizes, (30, 70), strict=True):
            assert abs(size.records - true) <= size.records_error
            assert abs(size.bytes - true * RECORD) <= size.bytes_error
        assert all(each.estimate.counted and each.estimate.is_stale for each in store.table)
        await count(store)
        assert [each.estimate.size(NOW).records for each in store.table] == [30, 70]


async def test_a_merge_has_the_sum_of_its_parts(engine: Engine) -> None:
    async with running_store(engine, assignment(1, b"", b"k0000030"), assignment(2, b"k0000030")) as store:
        await fill(store, 100, 10)
        await count(store)
        lower, upper = store.table
        for number in range(1, 40):
            put(store, b"k0000%03d" % number, b"y" * 10)
        await store.durable()
        errors = sum(each.estimate.size(NOW).records_error for each in store.table)
        at = lower.log.position, upper.log.position
        serve(store, [assignment(1, epoch=2, origin=Merged(2, at[0], PartitionId(2), at[1]))])
        merged = only(store).estimate.size(NOW)
        assert abs(merged.records - 100) <= merged.records_error == errors
        assert only(store).estimate.counted


async def test_a_primary_that_comes_back_doubts_what_others_have_written(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
        partition = only(store)
        store.deactivate(partition)
        entry = Entry(partition.log.tail, 2, 101, [b"a", b"b", b"k0000000"], [b"\1\0" + b"\0" * 16 + b"value"] * 3)
        partition.log.append(entry)
        partition.log.hand(entry.position)
        assert await store.committer.follow(partition, entry).outcome() is None
        assert partition.log.position == Position(2, 103)
        store.activate(partition)
        assert partition.estimate.size(NOW).records == 100
        assert partition.estimate.size(NOW).records_error == 3, "102 is the truth"
        assert partition.estimate.is_stale
        await count(store)
        assert partition.estimate.size(NOW).records == 102


async def test_a_primary_that_comes_back_to_what_it_left_knows_it(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
        store.deactivate(partition := only(store))
        store.activate(partition)
        assert partition.estimate.size(NOW) == Size(100, 0, 100 * RECORD, 0)


async def test_writes_that_fail_are_doubted(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
        put(store, b"new", condition=Condition.IF_ABSENT)
        only(store).abandon(CommitFailed("the partition has another primary"))
        size = only(store).estimate.size(NOW)
        assert (size.records, size.records_error) == (101, 1)


async def test_a_restart_has_to_count_again(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
    async with running_store(engine) as store:
        assert not only(store).estimate.counted
        await count(store)
        assert only(store).estimate.size(NOW).records == 100


async def test_the_recounter_counts_what_was_never_counted(engine: Engine) -> None:
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m")) as store:
        await fill(store, 20, 10)

        async def stop() -> None:
            raise Rested

        with pytest.raises(Rested):
            await Recounter(engine, inline, store, PausingClock(stop)).run()
        assert [each.estimate.size(NOW).records for each in store.table] == [20, 0]
        assert all(each.estimate.counted for each in store.table)


async def test_a_partition_is_counted_again_after_many_blind_writes(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10)
        await count(store)
        estimate, rng = only(store).estimate, random.Random(1)
        for _ in range(FEWEST + 2 * 400 + 100):
            put(store, b"k%07d" % rng.randrange(400))
        await store.durable()
        assert estimate.is_vague
        assert estimate.is_stale
        await count(store)
        assert estimate.size(NOW).records_error == 0
        assert not estimate.is_stale


async def test_writes_that_leave_little_doubt_cause_no_count(engine: Engine) -> None:
    async with running_store(engine) as store:
        await count(store)
        await fill(store, 20_000, 1)
        assert not only(store).estimate.is_stale
        size = only(store).estimate.size(NOW)
        assert abs(size.records - 20_000) <= size.records_error < 200


@pytest.mark.slow
async def test_the_count_of_many_partitions_under_writes_and_ttl_is_within_two_percent() -> None:
    """Ten thousand writes a second, some of them over each other, live for 5 s; the reaper runs twice a second."""
    starts = [b"", *(b"%d" % number for number in range(1, 10))]
    ranges = [assignment(number, *each) for number, each in enumerate(zip_longest(starts, starts[1:]), 1)]
    async with running_store(MemoryEngine(), *ranges) as store:
        await count(store)
        rng, live, clock, worst = random.Random(1), dict[bytes, int](), ManualClock(NOW), list[float]()
        reaper = ExpiryReaper(store.engine, inline, store, store.writer, clock, step_size=20_000)
        for turn in range(90):
            for _ in range(1000):
                key = b"%06d" % (5 * rng.randrange(200_000))
                put(store, key, ttl_ms=5000, now_ms=clock.now_ms())
                live[key] = clock.now_ms() + 5000
            await store.durable()
            await clock.advance(0.1)
            live = {key: until for key, until in live.items() if until > clock.now_ms()}
            if turn % 5 == 4:
                await reaper.step()
            sizes = [each.estimate.size(clock.now_ms()) for each in store.table]
            if turn % 40 == 39:
                await count(store, clock.now_ms())
            if not 50 <= turn < 55:  # the first records have expired, and the reaper has not seen them
                worst.append(abs(sum(size.records for size in sizes) - len(live)) / len(live))
        assert max(worst) < 0.02


async def test_a_reaper_that_is_behind_says_so(engine: Engine) -> None:
    async with running_store(engine) as store:
        await fill(store, 100, 10, ttl_ms=5)
        await count(store)
        clock = ManualClock(NOW + 10)
        reaper = ExpiryReaper(engine, inline, store, store.writer, clock, step_size=60)
        await reaper.step()
        size = only(store).estimate.size(NOW + 10)
        assert abs(size.records - 0) <= size.records_error
        await reaper.step()
        assert only(store).estimate.size(NOW + 10) == Size(0, 0, 0, 0)


def test_an_estimate_of_nothing_is_nothing() -> None:
    assert Estimate().size(NOW) == Size(0, 0, 0, 0)
