"""A map of 100,000 partitions: it reaches clients of a node or a router in messages of a bounded size, whole or not at all."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from kit.map_entries import map_entry
from kit.scripted import scripted

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_client.topology import Topology
from dstk_client.watch import WatchSource
from dstk_cluster.mapstore import MapStore
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.topology import TopologyServicer
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key, NodeId
from dstk_service.clock import SystemClock
from dstk_service.outgoing import HARD_MESSAGE_BYTES
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer

PARTITIONS = 100_000
NODES = [NodeId(f"storage-{number}") for number in range(3)]


@asynccontextmanager
async def serving(splits: list[Key]) -> AsyncIterator[tuple[str, MapStore]]:
    """A server of the map, as nodes and routers have it, with a coordinator in memory."""
    store = MapStore(MemoryCoordinator(), "c")
    await store.bootstrap(splits, NODES)
    view = ClusterView(store, SystemClock(), random.Random(1))
    server = GrpcServer("127.0.0.1:0")
    server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(view), "dstk.v1.Topology")
    following = asyncio.create_task(view.run())
    await asyncio.wait_for(view.ready(), 120)
    try:
        yield await server.start(), store
    finally:
        await server.stop(0)
        following.cancel()


@pytest.mark.slow
async def test_the_map_arrives_whole_and_its_changes_after_it() -> None:
    """Keys of 200 bytes make more than the transport takes in one message."""
    splits = [Key(b"%0200d" % number) for number in range(1, PARTITIONS)]
    topology = Topology()
    async with serving(splits) as (address, store), aclosing(_updates(address)) as updates:
        topology.apply(await asyncio.wait_for(anext(updates), 120))
        assert len(topology.entries) == PARTITIONS
        assert topology.table.route(splits[500]) == topology.table.route(splits[500] + b"x")
        await store.split((await store.load()).partitions[5], Key(splits[4] + b"x"))
        while len(topology.entries) == PARTITIONS:
            topology.apply(await asyncio.wait_for(anext(updates), 120))
        assert len(topology.entries) == PARTITIONS + 1
        assert sum(map(topology_pb2.Partition.ByteSize, topology.entries.values())) > HARD_MESSAGE_BYTES


async def test_no_message_is_much_larger_than_a_mebibyte() -> None:
    splits = [Key(b"%0500d" % number) for number in range(1, 8_000)]
    async with serving(splits) as (address, _), GRPC.connect(address) as channel:
        watch = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest())
        messages = [await watch.read()]
        while messages[-1].more:
            messages.append(await watch.read())
    assert len(messages) > 5
    assert max(message.ByteSize() for message in messages) < 1.1 * (1 << 20)
    assert [message.full for message in messages] == [True] + [False] * (len(messages) - 1)
    assert {message.revision for message in messages} == {messages[0].revision}
    assert sum(len(message.partitions) for message in messages) == 8_000


async def test_a_map_that_is_cut_short_is_not_taken_over() -> None:
    async with scripted() as cut, scripted() as sound:
        cut.update = topology_pb2.TopologyUpdate(revision=5, full=True, more=True, partitions=[map_entry(1)])
        async with aclosing(_updates(cut.address, sound.address)) as updates:
            coming = asyncio.ensure_future(anext(updates))
            await eventually(lambda: cut.watchers == 1)
            cut.ends_watches()
            update = await asyncio.wait_for(coming, 120)
    assert update == sound.update


def _updates(*addresses: str) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
    return WatchSource(addresses).updates()
