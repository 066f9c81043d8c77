"""The Statistics service of a node over real gRPC, in this process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc
import pytest
from kit.machines import A, info_of, replica_of
from kit.owners import NoOwners
from kit.servers import listening

from dstk.v1 import statistics_pb2, statistics_pb2_grpc
from dstk_keytypes import PartitionId
from dstk_service.clock import SystemClock
from dstk_service.errors import InvalidArgument, Overloaded
from dstk_service.status import from_rpc_error
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from dstk_storage.application.failure_counters import FailureCounters
from dstk_storage.application.statistics import NodeFigures, NodeStatistics
from dstk_storage.domain.activity import LATENCY_BOUNDS, Activity
from dstk_storage.domain.measuring.measurer import Measured
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.servicers.statistics import MAX_STREAMS, StatisticsServicer
from dstk_storage.servicers.translate import Translator

Request = statistics_pb2.WatchStatisticsRequest
Update = statistics_pb2.StatisticsUpdate


@dataclass
class CountingNode:
    """Replicas with counters that a test sets, and the service that tells them."""

    replicas: dict[PartitionId, Replica] = field(default_factory=dict)
    server: GrpcServer = field(default_factory=lambda: GrpcServer("127.0.0.1:0"))
    built: int = 0

    def lead(self, partition: int) -> Activity:
        replica = replica_of(A, replace(info_of(A), id=PartitionId(partition)))
        replica.lead(2, 0.0, {})
        self.replicas[PartitionId(partition)] = replica
        return replica.partition.activity

    def figures(self) -> NodeFigures:
        self.built += 1
        return NodeFigures(7, 9, read_only=True)


class NoMeasurer:
    """Measures nothing: the tests of ranges have their own (test_storage_measure_range.py)."""

    async def measure(self, number: object, wanted: object, buckets: int) -> Measured:
        raise AssertionError(number, wanted, buckets)


@asynccontextmanager
async def feed(node: CountingNode) -> AsyncIterator[statistics_pb2_grpc.StatisticsStub]:
    statistics = NodeStatistics(node.replicas, lambda *_: 0.0, FailureCounters(), node.figures, SystemClock())
    servicer = StatisticsServicer(statistics, NoMeasurer(), Translator(NoOwners()))
    async with listening(node.server, Statistics=servicer) as address, GRPC.connect(address) as channel:
        yield statistics_pb2_grpc.StatisticsStub(channel)


class Watching:
    """One stream, from the caller's side."""

    def __init__(self, stub: statistics_pb2_grpc.StatisticsStub, **options: object) -> None:
        self._call = stub.Watch(**options)

    async def ask(self, **fields: object) -> Update:
        """Sends a request and reads the update that answers it."""
        await self.send(**fields)
        return await self.read()

    async def send(self, **fields: object) -> None:
        await self._call.write(Request(**fields))

    async def read(self) -> Update:
        """The next update, its messages put together."""
        async with asyncio.timeout(30):
            update = await self._message()
            while update.more:
                further = await self._message()
                update.MergeFrom(further)
                update.more = further.more
        return update

    async def end(self) -> None:
        """Sends no more, and reads to the end."""
        await self._call.done_writing()
        async with asyncio.timeout(30):
            assert await self._call.read() is grpc.aio.EOF

    def cancel(self) -> None:
        self._call.cancel()

    async def _message(self) -> Update:
        message = await self._call.read()
        if message is grpc.aio.EOF:
            raise grpc.aio.AioRpcError(
                await self._call.code(),
                grpc.aio.Metadata(),
                await self._call.trailing_metadata(),
                await self._call.details(),
            )
        return message


def reads(update: Update) -> Mapping[int, int]:
    return {each.partition_id: each.reads for each in update.partitions}


async def test_the_first_update_is_complete_and_then_come_changes() -> None:
    node = CountingNode()
    one, two = node.lead(1), node.lead(2)
    async with feed(node) as stub:
        watching = Watching(stub)
        first = await watching.ask()
        assert (first.complete, reads(first)) == (True, {1: 0, 2: 0})
        assert tuple(first.latency_bounds_s) == LATENCY_BOUNDS
        two.reads = 5
        second = await watching.ask()
        assert (second.complete, reads(second), list(second.latency_bounds_s)) == (False, {2: 5}, [])
        assert second.version > first.version
        assert second.uptime_s > first.uptime_s
        one.reads = 3
        del node.replicas[PartitionId(2)]
        third = await watching.ask()
        assert (third.complete, reads(third), list(third.removed_partitions)) == (False, {1: 3}, [2])
        assert (third.node.free_bytes, third.node.capacity_bytes, third.node.read_only) == (7, 9, True)
        await watching.end()


async def test_a_caller_that_comes_back_receives_what_has_changed_meanwhile() -> None:
    node = CountingNode()
    one, _ = node.lead(1), node.lead(2)
    async with feed(node) as stub:
        seen = await Watching(stub).ask()
        one.reads = 1
        back = await Watching(stub).ask(session=seen.session, version=seen.version)
        assert (back.complete, reads(back)) == (False, {1: 1})
        other = await Watching(stub).ask(session="of another process", version=seen.version)
        assert (other.complete, reads(other)) == (True, {1: 1, 2: 0})


async def test_updates_come_at_the_interval_without_a_request() -> None:
    node = CountingNode()
    one = node.lead(1)
    async with feed(node) as stub:
        watching = Watching(stub)
        await watching.ask(interval_ms=1000)
        assert (await watching.read()).partitions == []
        one.reads = 1
        assert reads(await watching.read()) == {1: 1}


async def test_requests_in_a_hurry_are_answered_together() -> None:
    node = CountingNode()
    node.lead(1)
    async with feed(node) as stub:
        watching = Watching(stub)
        await watching.ask()
        for _ in range(50):
            await watching.send()
        await watching.read()
        await watching.end()
        assert node.built == 2


async def test_sampled_keys_are_told_once() -> None:
    node = CountingNode()
    one = node.lead(1)
    async with feed(node) as stub:
        early, late = Watching(stub), Watching(stub)

        async def keys(watching: Watching) -> list[bytes]:
            return [key for each in (await watching.ask()).partitions for key in each.sampled_keys]

        one.timed_read(b"a", 0.1)
        one.reads += 1
        assert await keys(early) == [b"a"]
        one.timed_read(b"b", 0.1)
        one.reads += 1
        assert await keys(early) == [b"b"]
        one.reads += 1
        assert await keys(early) == []
        assert await keys(late) == [b"a", b"b"]
        for number in range(200):
            one.timed_read(b"%d" % number, 0.1)
        assert await keys(early) == [b"%d" % number for number in range(72, 200)]


async def test_large_updates_come_in_messages_of_a_mebibyte() -> None:
    node = CountingNode()
    for number in range(1, 41):
        node.lead(number).recent.extend(b"%01000d" % key for key in range(128))
        node.replicas[PartitionId(number)].partition.activity.sampled = 128
    async with feed(node) as stub:
        call = stub.Watch(iter([Request()]))
        messages = [message async for message in call]
    assert len(messages) == 5
    assert [message.more for message in messages] == [True] * 4 + [False]
    assert [message.complete for message in messages] == [True] + [False] * 4
    assert len({message.version for message in messages}) == 1
    assert max(message.ByteSize() for message in messages) <= (1 << 20) + 2000
    assert [each.partition_id for message in messages for each in message.partitions] == list(range(1, 41))


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize(
    "wrong", [Request(interval_ms=999), Request(interval_ms=60_001), Request(session="s" * 65)], ids=str
)
async def test_wrong_requests_are_refused(wrong: Request, before: int) -> None:
    async with feed(CountingNode()) as stub:
        call = stub.Watch(iter([Request()] * before + [wrong]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [message async for message in call]
    assert isinstance(from_rpc_error(caught.value), InvalidArgument)


async def test_the_number_of_streams_is_bounded() -> None:
    async with feed(CountingNode()) as stub:
        streams = [Watching(stub) for _ in range(MAX_STREAMS)]
        for each in streams:
            await each.ask()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Watching(stub).ask()
        refused = from_rpc_error(caught.value)
        assert isinstance(refused, Overloaded)
        assert refused.retry_after > 0
        streams[0].cancel()

        async def is_served() -> bool:
            try:
                await Watching(stub).ask()
            except grpc.aio.AioRpcError:
                return False
            return True

        await eventually(is_served)


async def test_a_reader_that_does_not_read_costs_one_update_and_disturbs_no_other() -> None:
    node = CountingNode()
    for number in range(1, 200):
        node.lead(number).recent.extend(b"%01000d" % key for key in range(128))
        node.replicas[PartitionId(number)].partition.activity.sampled = 128
    async with feed(node) as stub:
        asleep, awake = Watching(stub), Watching(stub)
        await asleep.send()
        await eventually(lambda: node.built == 1)
        for _ in range(5):
            await asleep.send()
        for turn in range(3):
            assert (await awake.ask()).complete == (not turn)
        assert node.built == 4, "the first of one stream, and three of the other"
        asleep.cancel()


async def test_a_server_that_drains_ends_its_streams() -> None:
    node = CountingNode()
    node.lead(1)
    async with feed(node) as stub:
        watching = Watching(stub)
        await watching.ask()
        node.server.drain.begin()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watching.read()
        assert caught.value.code() is grpc.StatusCode.OK
