"""Disks that come back empty or older: their nodes are neither primary nor in sync until they are rebuilt."""

import asyncio

import pytest
from model.register import Kind, Outcome

from dstk_keytypes import Key, NodeId, PartitionId
from dstk_storage.domain import layout, range_export
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.errors import PreconditionFailed
from dstk_storage.domain.replication.ports import SnapshotChunk
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime import snapshot_receiver
from dstk_storage.domain.replication.runtime.peer_api import PeerApi
from simulation.cluster import SimCluster
from simulation.node import SimNode
from simulation.playing import FIRST, SECOND, A, D, call, entry, get, leader, play, put, until

OLDER = pytest.mark.parametrize("older", [False, True], ids=["empty", "older"])


def lose(cluster: SimCluster, victim: NodeId, *, older: bool) -> None:
    """Stops a node and changes the content of its disk."""
    lost = cluster.nodes[victim]
    lost.crash()
    lost.lose_disk(lost.image if older else {})


async def in_sync(cluster: SimCluster, victim: NodeId) -> bool:
    return victim in (await entry(cluster, FIRST)).in_sync


async def a_follower(cluster: SimCluster) -> NodeId:
    info = await entry(cluster, FIRST)
    return next(node for node in info.in_sync if node != info.primary)


@OLDER
def test_a_primary_that_lost_its_disk_is_copied_from_those_it_led(older: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        victim = (await entry(cluster, FIRST)).primary
        lose(cluster, victim, older=older)
        cluster.nodes[victim].start()
        assert await get(cluster, A) == b"value"
        await cluster.settle()
        await (await leader(cluster, FIRST)).reconfigurations.transfer(FIRST, victim)
        assert await get(cluster, A) == b"value"

    play(scenario)


@OLDER
def test_one_that_lost_its_disk_leads_nothing_however_long_the_others_stay_away(older: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        info = await entry(cluster, FIRST)
        lose(cluster, info.primary, older=older)
        others = [cluster.nodes[node] for node in info.in_sync if node != info.primary]
        for other in others:
            other.crash()
        cluster.nodes[info.primary].start()
        await asyncio.sleep(20)
        assert await entry(cluster, FIRST) == info, "nobody has won anything"
        for other in others:
            other.start()
        assert await get(cluster, A) == b"value"

    play(scenario)


@OLDER
def test_a_follower_that_lost_its_disk_leaves_the_in_sync_set_though_nothing_is_written(older: bool) -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        await asyncio.sleep(1)
        victim = await a_follower(cluster)
        epoch = (await entry(cluster, FIRST)).epoch
        lose(cluster, victim, older=older)
        cluster.nodes[victim].start()

        async def was_let_go() -> bool:
            return (await entry(cluster, FIRST)).epoch > epoch and await in_sync(cluster, victim)

        await until(was_let_go, within=20)
        assert cluster.nodes[victim].holds_whole(FIRST)

    play(scenario)


def test_a_follower_that_lost_its_disk_a_moment_ago_is_handed_nothing() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        home, victim = await leader(cluster, FIRST), await a_follower(cluster)
        primary = home.replicas[FIRST].primary
        assert primary is not None
        progress = primary.followers[victim]
        lose(cluster, victim, older=False)
        cluster.nodes[victim].start()
        assert progress.is_known, "its primary does not know yet"
        with pytest.raises(PreconditionFailed):
            await home.reconfigurations.transfer(FIRST, victim)
        assert await get(cluster, A) == b"value"

    play(scenario)


def test_a_copy_does_not_go_on_on_a_disk_that_lacks_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_export, "PAGE_RECORDS", 1)
    play(_lose_a_disk_while_it_is_copied_to)


def test_a_copy_that_goes_on_anywhere_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def takes_any_chunk(chunk: SnapshotChunk, replica: Replica) -> bool:
        if replica.partition.snapshot_attempt is None:
            replica.partition.snapshot_attempt = chunk.attempt
        return is_for(chunk, replica)

    is_for = snapshot_receiver._is_for  # noqa: SLF001
    monkeypatch.setattr(range_export, "PAGE_RECORDS", 1)
    monkeypatch.setattr(snapshot_receiver, "_is_for", takes_any_chunk)
    with pytest.raises(AssertionError, match="differs"):
        play(_lose_a_disk_while_it_is_copied_to)


async def _lose_a_disk_while_it_is_copied_to(cluster: SimCluster) -> None:
    for letter in b"abc":
        await put(cluster, Key(bytes([letter])), b"value")
    victim = cluster.nodes[await a_follower(cluster)]
    lose(cluster, victim.me, older=False)
    victim.start()

    def records() -> int:
        with victim.engine.iterate(layout.DATA, layout.DATA + b"d") as pairs:
            return len(list(pairs))

    while records() != 2:  # two of three pages have come
        await asyncio.sleep(0.0005)
    lose(cluster, victim.me, older=False)
    victim.start()


def test_a_partition_that_was_merged_and_split_is_whole_after_a_power_failure() -> None:
    play(_lose_power_after_a_merge_and_a_split)


def test_replicas_that_count_before_their_range_is_on_disk_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupCommitter, "has_persisted", lambda _self, _partition: True)
    monkeypatch.setattr(PeerApi, "_persisted", _does_not_wait)
    with pytest.raises(AssertionError, match="nobody serves"):
        play(_lose_power_after_a_merge_and_a_split)


async def _does_not_wait(_self: PeerApi, _partition: PartitionId) -> None:
    return None


async def _lose_power_after_a_merge_and_a_split(cluster: SimCluster) -> None:
    await put(cluster, D, b"value")
    upper = await entry(cluster, SECOND)
    if upper.primary != (await entry(cluster, FIRST)).primary:
        await (await leader(cluster, FIRST)).reconfigurations.transfer(FIRST, upper.primary)
        await cluster.settle()
    for each in cluster.nodes.values():
        each.hangs_until = asyncio.get_running_loop().time() + 0.4
    await (await leader(cluster, FIRST)).reconfigurations.merge(FIRST, SECOND)
    await until(lambda: leads(cluster))
    await (await leader(cluster, FIRST)).reconfigurations.split(FIRST, D)
    for each in cluster.nodes.values():
        each.crash()
    for each in cluster.nodes.values():
        each.hangs_until = 0.0
        each.start()
    assert await get(cluster, D) == b"value"


async def leads(cluster: SimCluster) -> bool:
    """Whether the first partition is served by the entry that the map has now."""
    info = await entry(cluster, FIRST)
    home = cluster.nodes[info.primary].replication
    primary = None if home is None else home.replicas[FIRST].primary
    return primary is not None and primary.is_serving and primary.epoch == info.epoch


def test_what_one_node_alone_had_in_sync_is_quarantined_and_not_served_as_empty() -> None:
    async def scenario(cluster: SimCluster) -> None:
        await put(cluster, A, b"value")
        info = await entry(cluster, FIRST)
        followers = [node for node in info.replicas if node != info.primary]
        for node in followers:
            cluster.nodes[node].crash()

        async def is_alone() -> bool:
            return (await entry(cluster, FIRST)).in_sync == (info.primary,)

        await until(is_alone)
        lost = cluster.nodes[info.primary]
        lose(cluster, info.primary, older=False)
        for node in (info.primary, *followers):
            cluster.nodes[node].start()
        await asyncio.sleep(10)
        assert lost.replication is not None
        assert lost.replication.replicas[FIRST].partition.quarantined
        assert await is_alone()
        home = cluster.nodes[followers[0]].replication
        assert home is not None
        await home.reconfigurations.force(FIRST)
        await until(lambda: is_known_to(lost))
        assert (await call(cluster, A, Kind.GET))[0] is Outcome.DONE

    async def is_known_to(lost: SimNode) -> bool:
        assert lost.replication is not None
        return not lost.replication.replicas[FIRST].partition.quarantined

    play(scenario)
