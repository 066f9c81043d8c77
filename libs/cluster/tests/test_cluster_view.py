"""Following the map, and being a member, through whatever happens to etcd; on a clock that the test moves."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from dstk.v1 import topology_pb2
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership, NodeIdTaken
from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.port import Coordinator, Put
from dstk_cluster.topology import TopologyServicer, updates
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key, NodeId
from dstk_service.clock import SystemClock
from dstk_service.errors import NotServing
from dstk_service.testing import ManualClock, eventually

ONE, TWO = NodeId("storage-1"), NodeId("storage-2")
LEASE = 9


@asynccontextmanager
async def following(store: MapStore, clock: ManualClock | SystemClock) -> AsyncIterator[ClusterView]:
    view = ClusterView(store, clock, random.Random(1))
    task = asyncio.create_task(view.run())
    try:
        yield view
        assert not task.done()
    finally:
        task.cancel()


def partitions(view: ClusterView) -> int:
    return 0 if view.current is None else len(view.current.partitions)


async def test_a_view_shows_the_map_and_every_change_of_it(coordinator: Coordinator, cluster: str) -> None:
    store = MapStore(coordinator, cluster)
    async with following(store, SystemClock()) as view:
        await eventually(lambda: view.current is not None)
        assert partitions(view) == 0
        await store.bootstrap([Key.of(number) for number in range(250)], [ONE])
        current = await asyncio.wait_for(view.ready(), 60)
        assert len(current.partitions) == 251, "a map in the making must not be shown"
        await store.split(current.partitions[5], Key(current.partitions[5].range.start + b"x"))
        await asyncio.wait_for(view.wait_for(lambda now: len(now.partitions) == 252), 60)


async def test_changes_during_a_broken_watch_are_not_missed() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    await store.bootstrap([], [ONE])
    async with following(store, clock) as view:
        await view.ready()
        coordinator.break_watches()
        coordinator.unreachable = True
        await clock.advance(20)
        coordinator.unreachable = False
        await store.split((await store.load()).partitions[0], Key.text("m"))
        assert partitions(view) == 1, "the last map stays while etcd is gone"
        await clock.advance(5)
        await eventually(lambda: partitions(view) == 2)


async def test_after_a_compaction_the_whole_map_is_read() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    await store.bootstrap([], [ONE])
    async with following(store, clock) as view:
        await view.ready()
        coordinator.unreachable = True
        coordinator.break_watches()
        await clock.advance(5)
        coordinator.unreachable = False
        await store.split((await store.load()).partitions[0], Key.text("m"))
        coordinator.compact()
        await clock.advance(5)
        await eventually(lambda: partitions(view) == 2)


async def test_a_view_that_starts_without_etcd_waits_for_it() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    await store.bootstrap([], [ONE])
    coordinator.unreachable = True
    async with following(store, clock) as view:
        await clock.advance(30)
        assert view.current is None
        coordinator.unreachable = False
        await clock.advance(5)
        await asyncio.wait_for(view.ready(), 60)


async def test_a_slow_reader_of_maps_gets_the_newest() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    await store.bootstrap([], [ONE])
    async with following(store, clock) as view, aclosing(view.maps()) as maps:
        await view.ready()
        assert len((await anext(maps)).partitions) == 1
        for name in ("b", "c", "d"):
            await store.split((await store.load()).partition_of(Key.text(name)), Key.text(name))
        await eventually(lambda: partitions(view) == 4)
        assert len((await anext(maps)).partitions) == 4


async def test_events_and_settings_make_no_new_map() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    await store.bootstrap([], [ONE])
    async with following(store, clock) as view:
        before = await view.ready()
        for number in range(5):
            await coordinator.txn([], [Put(store.keys.root + b"events/%d" % number, b"{}")])
            await asyncio.sleep(0.01)
        assert view.current is before
        coordinator.compact()
        coordinator.break_watches()
        await store.split(before.partitions[0], Key.text("m"))
        await clock.advance(5)
        await eventually(lambda: partitions(view) == 2)


async def test_topology_streams_the_whole_map_then_what_changes() -> None:
    coordinator, clock = MemoryCoordinator(), ManualClock()
    store = MapStore(coordinator, "c")
    async with following(store, clock) as view:
        await eventually(lambda: view.current is not None)
        stream = updates(view)
        assert (await anext(stream)).full
        await store.bootstrap([Key.text("m")], [ONE])
        update = await anext(stream)
        while not update.partitions:
            update = await anext(stream)
        assert update.full, "a client that saw no partitions needs them all"
        await store.split((await store.load()).partitions[0], Key.text("c"))
        update = await anext(stream)
        while not update.partitions:  # the end of the bootstrap's lock is a revision too
            update = await anext(stream)
        assert not update.full
        assert sorted(partition.id for partition in update.partitions) == [1, 3]


async def test_a_process_without_a_map_does_not_pretend_to_have_one() -> None:
    view = ClusterView(MapStore(MemoryCoordinator(), "c"), ManualClock(), random.Random(1))
    with pytest.raises(NotServing):
        await anext(aiter(TopologyServicer(view).Watch(topology_pb2.WatchRequest(), None)))


def member(coordinator: Coordinator, clock: ManualClock, incarnation: str = "first") -> Membership:
    info = NodeInfo(ONE, f"127.0.0.1:{len(incarnation)}", "", NodeState.STARTING, 1, "0", incarnation)
    return Membership(coordinator, "c", info, LEASE, clock, random.Random(1))


async def nodes(coordinator: Coordinator) -> dict[NodeId, NodeState]:
    return {node.id: node.state for node in (await MapStore(coordinator, "c").load()).nodes.values()}


@asynccontextmanager
async def registered(membership: Membership, clock: ManualClock) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(membership.run())
    await clock.advance(0.1)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_member_is_listed_while_it_lives_and_gone_when_it_leaves() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    membership = member(coordinator, clock)
    async with registered(membership, clock):
        assert await nodes(coordinator) == {ONE: NodeState.STARTING}
        membership.update(NodeState.SERVING)
        await clock.advance(0.1)
        assert await nodes(coordinator) == {ONE: NodeState.SERVING}
        await clock.advance(10 * LEASE)
        assert await nodes(coordinator) == {ONE: NodeState.SERVING}
    await membership.leave()
    assert not await nodes(coordinator)


async def test_a_member_that_dies_is_gone_after_its_lease() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with registered(member(coordinator, clock), clock):
        await clock.advance(LEASE)
    await clock.advance(LEASE + 0.1)
    assert not await nodes(coordinator)


async def test_a_member_whose_lease_ended_while_etcd_was_gone_registers_again() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with registered(member(coordinator, clock), clock):
        coordinator.unreachable = True
        await clock.advance(5 * LEASE)
        coordinator.unreachable = False
        assert not await nodes(coordinator)
        await clock.advance(3)
        assert await nodes(coordinator) == {ONE: NodeState.STARTING}


async def test_a_member_says_when_its_lease_was_last_renewed() -> None:
    clock = ManualClock()
    coordinator, began = MemoryCoordinator(clock), clock.monotonic()
    membership = member(coordinator, clock)
    assert membership.renewed is None
    async with registered(membership, clock):
        await clock.advance(2 * LEASE)
        assert membership.renewed is not None
        assert clock.monotonic() - membership.renewed < LEASE / 2
        coordinator.unreachable = True
        await clock.advance(5 * LEASE)
        assert began < membership.renewed < clock.monotonic() - 4 * LEASE


async def test_a_restarted_member_replaces_its_earlier_self() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    async with registered(member(coordinator, clock), clock):
        pass
    async with registered(member(coordinator, clock, "second!"), clock):
        entry = (await MapStore(coordinator, "c").load()).nodes[ONE]
        assert entry.incarnation == "second!"
        await clock.advance(2 * LEASE)
        assert await nodes(coordinator)


async def test_the_first_of_two_processes_with_one_id_steps_down_and_says_why() -> None:
    clock = ManualClock()
    coordinator = MemoryCoordinator(clock)
    first = member(coordinator, clock)
    async with registered(first, clock) as older, registered(member(coordinator, clock, "second!"), clock) as newer:
        first.update(NodeState.SERVING)
        await clock.advance(LEASE)
        assert older.done()
        assert not newer.done()
        with pytest.raises(NodeIdTaken, match=r"'storage-1'.*node\.json"):
            await older
