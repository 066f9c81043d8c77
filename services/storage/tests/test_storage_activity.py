"""What a partition's primary counts of its operations."""

from itertools import count

import pytest
from kit.stores import NOW, LocalStore, assignment, delete, put, running_store

from dstk_keytypes import KeyRange
from dstk_storage.domain.activity import LATENCY_BOUNDS, SAMPLE, Activity, trimmed
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.writes import BulkResult
from dstk_storage.ports import Engine


def activity(store: LocalStore, at: int = 0) -> Activity:
    return list(store.table)[at].activity


def bulk(store: LocalStore, keys: list[bytes], value: bytes = b"v", *, if_absent: bool = False) -> BulkResult:
    return store.writer.bulk_insert(keys, [value] * len(keys), 0, 0, NOW, Receipt(), if_absent=if_absent)


async def test_gets_count_and_their_bytes(engine: Engine) -> None:
    async with running_store(engine) as store:
        put(store, b"plain", b"12345")
        put(store, b"expiring", b"1234567", ttl_ms=10)
        await store.durable()
        for key, now_ms in ((b"plain", NOW), (b"expiring", NOW), (b"expiring", NOW + 10), (b"absent", NOW)):
            store.get(key, 0, now_ms)
        assert activity(store).reads == 4
        assert activity(store).read_bytes == 10 + 15, "what is absent or has expired has none"


async def test_one_get_in_64_is_timed_and_its_key_kept(engine: Engine) -> None:
    async with running_store(engine) as store:
        for number in range(3 * SAMPLE + 1):
            store.get(b"%03d" % number, 0, NOW)
        assert list(activity(store).recent) == [b"063", b"127", b"191"]
        assert activity(store).sampled == sum(activity(store).read_latency) == 3
        assert activity(store).busy > 0


async def test_writes_count_and_their_bytes(engine: Engine) -> None:
    async with running_store(engine) as store:
        put(store, b"a", b"1234")
        put(store, b"a", b"12")
        delete(store, b"a")
        bulk(store, [b"b", b"c"], b"123")
        await store.durable()
        assert activity(store).writes == 5
        assert activity(store).written_bytes == 5 + 3 + 1 + 8


@pytest.mark.parametrize("before", [0, 1, 63])
async def test_one_write_in_64_leaves_its_key(engine: Engine, before: int) -> None:
    async with running_store(engine) as store:
        for number in range(before):
            put(store, b"%03d" % number)
        bulk(store, [b"%03d" % number for number in range(before, 130)])
        put(store, b"gone")
        delete(store, b"gone")
        for number in range(132, 192):
            put(store, b"%03d" % number)
        await store.durable()
        assert list(activity(store).recent) == [b"063", b"127", b"191"]
        assert activity(store).sampled == 3


async def test_a_deletion_may_be_the_sampled_one(engine: Engine) -> None:
    async with running_store(engine) as store:
        bulk(store, [b"%03d" % number for number in range(63)])
        delete(store, b"007")
        await store.durable()
        assert list(activity(store).recent) == [b"007"]


async def test_writes_are_timed_once_a_batch(engine: Engine) -> None:
    async with running_store(engine) as store:
        for number in range(10):
            put(store, b"%d" % number)
        await store.durable()
        put(store, b"a")
        await store.durable()
        counted = activity(store)
        assert counted.batches == 2
        assert sum(counted.write_latency) == counted.writes == 11
        assert counted.queue_wait > 0
        assert counted.busy > 0


async def test_the_removal_of_expired_records_is_no_operation_of_a_caller(engine: Engine) -> None:
    async with running_store(engine) as store:
        put(store, b"k", ttl_ms=5)
        put(store, b"l", ttl_ms=6)
        put(store, b"l")
        await store.durable()
        before = activity(store).writes, activity(store).batches
        for key, expires_at_ms in ((b"k", NOW + 5), (b"l", NOW + 6)):
            store.writer.expire(key, expires_at_ms, NOW + 10, Receipt())
        await store.durable()
        assert (activity(store).writes, activity(store).batches) == before
        assert sum(activity(store).write_latency) == 3


@pytest.mark.parametrize("reverse", [False, True])
async def test_pages_of_scans_are_shared_by_the_partitions_they_cross(engine: Engine, *, reverse: bool) -> None:
    async with running_store(engine, assignment(1, b"", b"m"), assignment(2, b"m")) as store:
        for key in (b"a", b"bb", b"n"):
            put(store, key, b"1234", ttl_ms=1000 if key == b"bb" else 0)
        await store.durable()
        page = await store.scan(KeyRange(), 100, 0, NOW, reverse=reverse)
        assert page.size == 5 + 6 + 5
        assert [activity(store, at).read_bytes for at in (0, 1)] == [11, 5]
        assert [activity(store, at).scanned for at in (0, 1)] == [2, 1]
        assert [activity(store, at).pages for at in (0, 1)] == [1, 1]
        await store.scan(KeyRange(b"a", b"b"), 100, 0, NOW, reverse=reverse)
        assert activity(store).read_bytes == 16, "a page of one partition"


@pytest.mark.parametrize(("reverse", "first"), [(False, b"a"), (True, b"b")])
async def test_one_page_in_64_leaves_its_first_key(engine: Engine, first: bytes, *, reverse: bool) -> None:
    async with running_store(engine) as store:
        bulk(store, [b"a", b"b"])
        await store.durable()
        for _ in range(SAMPLE):
            await store.scan(KeyRange(), 100, 0, NOW, reverse=reverse)
        assert list(activity(store).recent) == [first]


def test_latencies_fall_into_the_bucket_that_holds_them() -> None:
    counted, times = Activity(), count(1)
    for bound in LATENCY_BOUNDS:
        counted.committed(next(times), 0.0, bound, 0.0)
    counted.committed(next(times), 0.0, LATENCY_BOUNDS[-1] * 2, 0.0)
    assert counted.write_latency == list(range(1, len(LATENCY_BOUNDS) + 2))
    assert list(LATENCY_BOUNDS) == sorted(LATENCY_BOUNDS)


@pytest.mark.parametrize(("histogram", "kept"), [([], ()), ([0, 0], ()), ([0, 1, 0], (0, 1)), ([1], (1,))])
def test_empty_buckets_at_the_end_are_left_out(histogram: list[int], kept: tuple[int, ...]) -> None:
    assert trimmed(histogram) == kept
