"""MeasureRange of a node: of which partitions, while they change, and how many at once."""

import asyncio
import random

import pytest
from kit.offloads import inline
from kit.owners import NoOwners
from kit.stores import LocalStore, assignment, fill, put, running_store, serve

from dstk.v1 import statistics_pb2
from dstk_cluster.model import SplitOff
from dstk_keytypes import KeyRange, PartitionId
from dstk_service.clock import SystemClock
from dstk_service.errors import InvalidArgument, NotOwner, Overloaded, Quarantined
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.errors import LeaseOver, NotOwned, QueueFull
from dstk_storage.domain.lease import Lease
from dstk_storage.domain.measuring.measurer import MOST_AT_ONCE, Measured, RangeMeasurer
from dstk_storage.domain.measuring.write_buffer import SMALL, WriteBuffer
from dstk_storage.ports import Engine
from dstk_storage.servicers.statistics import StatisticsServicer
from dstk_storage.servicers.translate import Translator

LOWER, UPPER = PartitionId(1), PartitionId(2)
Request = statistics_pb2.MeasureRangeRequest


def measurer_of(store: LocalStore, engine: Engine) -> RangeMeasurer:
    buffer = WriteBuffer(engine, store.committer, inline, SystemClock())
    return RangeMeasurer(store, buffer, SystemClock(), random.Random(1))


def total(measured: Measured) -> tuple[float, float]:
    amounts = measured.table.amounts
    return sum(each.records for each in amounts), sum(each.bytes for each in amounts)


async def test_a_range_is_cut_to_its_partition(engine: Engine) -> None:
    async with running_store(engine, assignment(1, end=b"k0000100"), assignment(2, b"k0000100")) as store:
        await fill(store, 300, 10)
        measurer = measurer_of(store, engine)
        lower = await measurer.measure(LOWER, KeyRange(b"k0000050", b"k0000150"), 5)
        assert (lower.range, total(lower)) == (KeyRange(b"k0000050", b"k0000100"), (50, 50 * 18))
        assert len(lower.table.amounts) == 5
        assert lower.table.error == (0, 0)
        upper = await measurer.measure(UPPER, KeyRange(), 1)
        assert (upper.range.start, total(upper), upper.table.borders) == (b"k0000100", (200, 200 * 18), [])
        assert total(await measurer.measure(UPPER, KeyRange(b"l", b"l"), 1)) == (0, 0)


async def test_what_this_node_does_not_lead_is_refused(engine: Engine) -> None:
    async with running_store(engine, assignment(1, end=b"m"), assignment(2, b"m")) as store:
        measurer = measurer_of(store, engine)
        for number, wanted in ((PartitionId(9), KeyRange()), (LOWER, KeyRange(b"x")), (UPPER, KeyRange(end=b"a"))):
            with pytest.raises(NotOwned):
                await measurer.measure(number, wanted, 1)
        lower = store.local(LOWER)
        assert lower is not None
        lower.lease = Lease(0.0)
        with pytest.raises(LeaseOver):
            await measurer.measure(LOWER, KeyRange(), 1)
        store.deactivate(lower)
        with pytest.raises(NotOwned):
            await measurer.measure(LOWER, KeyRange(), 1)


async def test_a_partition_that_is_split_meanwhile_is_not_measured_to_the_end() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await fill(store, 12_000, 1)
        measuring = asyncio.create_task(measurer_of(store, engine).measure(LOWER, KeyRange(), 1))
        await asyncio.sleep(0)
        split_off = assignment(2, b"k0000100", epoch=2, origin=SplitOff(LOWER))
        serve(store, [assignment(1, end=b"k0000100", epoch=2), split_off])
        with pytest.raises(NotOwned):
            await measuring


async def test_the_number_at_once_is_bounded() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await fill(store, 12_000, 1)
        measurer = measurer_of(store, engine)
        running = [asyncio.create_task(measurer.measure(LOWER, KeyRange(), 1)) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull) as refused:
            await measurer.measure(LOWER, KeyRange(), 1)
        assert refused.value.retry_after > 0
        assert {total(each)[0] for each in await asyncio.gather(*running)} == {12_000}
        assert total(await measurer.measure(LOWER, KeyRange(), 1))[0] == 12_000


async def test_what_is_written_meanwhile_is_in_the_error() -> None:
    engine = MemoryEngine()
    async with running_store(engine) as store:
        await fill(store, 12_000, 1)
        measuring = asyncio.create_task(measurer_of(store, engine).measure(LOWER, KeyRange(), 1))
        await asyncio.sleep(0)
        for number in range(100):
            put(store, b"k%07d.5" % number)
        await store.durable()
        measured = await measuring
        assert abs(total(measured)[0] - 12_100) <= measured.table.error.records
        assert measured.table.error.records > 0


async def test_a_write_buffer_is_flushed_once_it_is_large() -> None:
    flushes = []

    class Flushed(MemoryEngine):
        def flush(self) -> None:
            flushes.append(1)

    engine = Flushed()
    async with running_store(engine) as store:
        measurer = measurer_of(store, engine)
        await measurer.measure(LOWER, KeyRange(), 1)
        assert len(flushes) == 1, "a process that ran before may have left anything in it"
        await fill(store, SMALL - 1, 1)
        await measurer.measure(LOWER, KeyRange(), 1)
        assert len(flushes) == 1


async def test_callers_get_a_table_or_a_typed_error() -> None:
    engine = MemoryEngine()
    async with running_store(engine, assignment(1, end=b"m")) as store:
        await fill(store, 100, 10)
        measurer = measurer_of(store, engine)
        servicer = StatisticsServicer(None, measurer, Translator(NoOwners()))
        answer = await servicer.MeasureRange(Request(partition_id=1, buckets=4), None)
        assert (answer.start, answer.end, answer.examined_records) == (b"", b"m", 100)
        assert (list(answer.records), list(answer.bytes)) == ([25] * 4, [450] * 4)
        assert list(answer.borders) == [b"k0000025", b"k0000050", b"k0000075"]
        with pytest.raises(NotOwner):
            await servicer.MeasureRange(Request(partition_id=7, start=b"x", buckets=4), None)
        for wrong in ({"buckets": 0}, {"buckets": 4097}, {"start": b"b", "end": b"a"}, {"partition_id": 0}):
            with pytest.raises(InvalidArgument):
                await servicer.MeasureRange(Request(**{"partition_id": 1, "buckets": 4, **wrong}), None)
        measurer._running = MOST_AT_ONCE
        with pytest.raises(Overloaded):
            await servicer.MeasureRange(Request(partition_id=1, buckets=4), None)
        measurer._running = 0
        engine.corrupt = {layout.DATA + b"k0000010"}
        for _ in range(2):
            with pytest.raises(Quarantined):
                await servicer.MeasureRange(Request(partition_id=1, buckets=4), None)
