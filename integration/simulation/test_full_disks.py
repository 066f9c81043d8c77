"""Full disks on virtual time: accepted writes, primaries, in-sync sets, and how a full cluster is emptied."""

import asyncio

import pytest

from dstk_keytypes import Key, NodeId
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.replication.runtime.replication import Replication
from dstk_storage.domain.room import Room
from dstk_storage.domain.writes import Writer
from simulation.cluster import KEYS, SimCluster
from simulation.playing import FIRST, A, entry, fill_disks, get, leader, play, put, until

B = KEYS[1]


async def delete(cluster: SimCluster, key: Key) -> None:
    """At the primary, acknowledged."""
    home, receipt = await leader(cluster, FIRST), Receipt()
    writer(cluster, home).delete(key, 0, 0, 0, home.ports.clock.now_ms(), receipt)
    await receipt.durable()


def writer(cluster: SimCluster, home: Replication) -> Writer:
    """The write side of a node that lives."""
    found = cluster.nodes[home.ports.me].writer
    assert found is not None
    return found


def holds(cluster: SimCluster, node: NodeId, key: Key) -> bool:
    """Whether a node has a record of the key."""
    return cluster.nodes[node].engine.get(b"\x04" + key) is not None


async def in_sync(cluster: SimCluster) -> tuple[NodeId, ...]:
    return (await entry(cluster, FIRST)).in_sync


@pytest.mark.parametrize("room", [Room.SCARCE, Room.FULL])
def test_where_all_disks_are_full_deletions_go_through_and_everybody_stays_in_sync(room: Room) -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in (A, B):
            await put(cluster, key, b"value")
        info = await entry(cluster, FIRST)
        await fill_disks(cluster, room)
        await delete(cluster, A)
        await asyncio.sleep(3)
        assert [holds(cluster, node, A) for node in info.replicas] == [False] * 3
        after = await entry(cluster, FIRST)
        assert (after.primary, after.in_sync) == (info.primary, info.in_sync), (
            "no follower is evicted, and no primary transfers"
        )
        with pytest.raises(ReadOnly):
            writer(cluster, await leader(cluster, FIRST)).put(B, b"", 0, 0, 0, 0, 1, Receipt())
        await fill_disks(cluster, Room.AMPLE)
        await put(cluster, A, b"again")

    play(scenario)


def test_a_full_follower_stays_in_sync_while_only_deletions_come_and_is_let_go_by_the_first_put() -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in (A, B):
            await put(cluster, key, b"value")
        info = await entry(cluster, FIRST)
        victim = next(node for node in info.replicas if node != info.primary)
        await fill_disks(cluster, Room.FULL, victim)
        await delete(cluster, A)
        await asyncio.sleep(2)
        assert victim in await in_sync(cluster)
        assert not holds(cluster, victim, A)
        await put(cluster, A, b"more")
        assert victim not in await in_sync(cluster), "acknowledged without it"
        await asyncio.sleep(5)
        assert victim not in await in_sync(cluster), "it lacks the put"
        await fill_disks(cluster, Room.AMPLE, victim)
        await until(lambda: _is_in(cluster, victim))
        assert await get(cluster, A) == b"more"

    play(scenario)


def test_a_scarce_follower_takes_what_its_primary_sends() -> None:
    async def scenario(cluster: SimCluster) -> None:
        info = await entry(cluster, FIRST)
        victim = next(node for node in info.replicas if node != info.primary)
        await fill_disks(cluster, Room.SCARCE, victim)
        await put(cluster, A, b"value")
        await asyncio.sleep(2)
        assert victim in await in_sync(cluster)
        assert holds(cluster, victim, A)

    play(scenario)


def test_a_full_follower_that_lags_is_emptied_and_copied_once_the_copy_fits() -> None:
    """Else it could never be emptied: what it is to delete comes behind a put that it has no room for."""

    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"x" * 10_000)
        info = await entry(cluster, FIRST)
        victim = next(node for node in info.replicas if node != info.primary)
        await fill_disks(cluster, Room.FULL, victim)
        await put(cluster, B, b"more")
        await asyncio.sleep(3)
        assert holds(cluster, victim, A), "a copy of 10 kB does not fit"
        await delete(cluster, A)
        await until(lambda: _is_emptied(cluster, victim))
        await fill_disks(cluster, Room.AMPLE, victim)
        await until(lambda: _is_in(cluster, victim))
        assert holds(cluster, victim, B)

    async def _is_emptied(cluster: SimCluster, node: NodeId) -> bool:
        return not holds(cluster, node, A)

    play(scenario)


def test_a_full_primary_hands_over_to_the_one_that_has_room_and_not_to_one_that_is_full_too() -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in KEYS:
            await put(cluster, key, b"value")
        info = await entry(cluster, FIRST)
        roomy = next(node for node in info.replicas if node != info.primary)
        await fill_disks(cluster, Room.SCARCE, *(node for node in cluster.nodes if node != roomy))
        await delete(cluster, A)  # by which the primary hears of its followers
        await until(lambda: _leads(cluster, roomy))
        await put(cluster, A, b"value")

    play(scenario)


async def _leads(cluster: SimCluster, node: NodeId) -> bool:
    return (await entry(cluster, FIRST)).primary == node


async def _is_in(cluster: SimCluster, node: NodeId) -> bool:
    return node in await in_sync(cluster)
