"""Scenarios on a simulated cluster without a nemesis: what they begin with, and what they ask of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from model.register import Kind, Outcome

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import PartitionInfo
from dstk_keytypes import Key, NodeId, PartitionId
from dstk_storage.domain.errors import LeaseOver, NotOwned, QueueFull
from dstk_storage.domain.replication.runtime.replication import Replication
from dstk_storage.domain.room import Room
from simulation import loop
from simulation.cluster import SimCluster, attempt
from simulation.node import FREE_BYTES

A, D, E, F, G = (Key(bytes([letter])) for letter in b"adefg")
FIRST, SECOND = PartitionId(1), PartitionId(2)
AGAIN = (LeaseOver, NotOwned, QueueFull)

Scenario = Callable[[SimCluster], Awaitable[None]]


def play(scenario: Scenario, *, compare_seconds: float = 0.0) -> None:
    """Runs it on a healthy cluster, which must be whole and equal everywhere afterwards."""

    async def run() -> None:
        cluster = SimCluster(1, compare_seconds=compare_seconds, paused=True)
        await cluster.start()
        await cluster.settle()
        await scenario(cluster)
        await cluster.settle()
        await cluster.compare()
        assert not cluster.run.divergences, cluster.run.divergences
        for node in cluster.nodes.values():
            node.crash()

    loop.run(run())


async def entry(cluster: SimCluster, number: int) -> PartitionInfo:
    found = await MapStore(cluster.etcd, "sim").read(PartitionId(number))
    assert found is not None
    return found


async def leader(cluster: SimCluster, number: int) -> Replication:
    home = cluster.nodes[(await entry(cluster, number)).primary].replication
    assert home is not None
    return home


async def call(cluster: SimCluster, key: Key, kind: Kind, value: bytes = b"") -> tuple[Outcome, bytes | None, int]:
    """Asks one node after the other until one answers, as clients do."""
    for _ in range(200):
        for node in cluster.nodes.values():
            if node.replication is None:
                continue
            try:
                return await node.serve(lambda home, node=node: attempt(home, node.writer, key, kind, value, 0))
            except AGAIN:
                continue
        await asyncio.sleep(0.01)
    raise AssertionError(f"nobody serves {key!r}")


async def put(cluster: SimCluster, key: Key, value: bytes) -> int:
    return (await call(cluster, key, Kind.PUT, value))[2]


async def get(cluster: SimCluster, key: Key) -> bytes | None:
    return (await call(cluster, key, Kind.GET))[1]


async def until(condition: Callable[[], Awaitable[Any]], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.01)


async def fill_disks(cluster: SimCluster, room: Room, *nodes: NodeId) -> None:
    """Leaves so much room on the disks of some nodes, or of all, and has their disk guards notice at one moment."""
    for node in nodes or cluster.nodes:
        filled = cluster.nodes[node]
        filled.disk.free = FREE_BYTES[room]
        assert filled.process is not None
        await filled.process.disk_guard.check()
        assert filled.process.store.committer.intake.room is room
