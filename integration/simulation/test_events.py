"""What a cluster's nodes tell their observers of elections, snapshots and changes of the map, on virtual time."""

from typing import TypeVar

from dstk_service.observe import Event
from dstk_storage.domain import layout
from dstk_storage.domain.events import (
    ElectionStarted,
    ElectionWon,
    MapChange,
    MapChanged,
    ReplicaAdmitted,
    ReplicaEvicted,
    SnapshotEnded,
    SnapshotStarted,
)
from simulation.cluster import KEYS, SimCluster
from simulation.playing import FIRST, SECOND, A, E, entry, leader, play, put, until

T = TypeVar("T", bound=Event)


def told(cluster: SimCluster, kind: type[T]) -> list[T]:
    """What all nodes have told of one kind."""
    return [event for node in cluster.nodes.values() for event in node.observer.of(kind)]


def test_changes_of_the_map_are_told_by_the_node_that_makes_them() -> None:
    async def scenario(cluster: SimCluster) -> None:
        home, info = await leader(cluster, FIRST), await entry(cluster, FIRST)
        newcomer = next(node for node in cluster.nodes if node not in info.replicas)
        heir = next(node for node in info.replicas if node != info.primary)
        lower, upper = await (await leader(cluster, SECOND)).reconfigurations.split(SECOND, E)
        await cluster.settle()
        merged = await (await leader(cluster, SECOND)).reconfigurations.merge(SECOND, upper.id)
        added = await home.reconfigurations.add_replica(FIRST, newcomer)
        await cluster.settle()
        removed = await home.reconfigurations.remove_replica(FIRST, newcomer)
        moved = await home.reconfigurations.transfer(FIRST, heir)
        assert cluster.nodes[info.primary].observer.of(MapChanged)[-3:] == [
            MapChanged(MapChange.ADD_REPLICA, FIRST, added.epoch, newcomer),
            MapChanged(MapChange.REMOVE_REPLICA, FIRST, removed.epoch, newcomer),
            MapChanged(MapChange.TRANSFER, FIRST, moved.epoch, heir),
        ]
        changes = [event for event in told(cluster, MapChanged) if event.partition == SECOND]
        assert changes == [
            MapChanged(MapChange.SPLIT, SECOND, lower.epoch, other=upper.id),
            MapChanged(MapChange.MERGE, SECOND, merged.epoch, other=upper.id),
        ]

    play(scenario)


def test_a_snapshot_is_told_with_what_was_sent() -> None:
    async def scenario(cluster: SimCluster) -> None:
        for key in KEYS:
            await put(cluster, key, b"value")
        home, info = await leader(cluster, FIRST), await entry(cluster, FIRST)
        newcomer = next(node for node in cluster.nodes if node not in info.replicas)
        await home.reconfigurations.add_replica(FIRST, newcomer)
        await cluster.settle()
        observer = cluster.nodes[info.primary].observer
        (started,) = [event for event in observer.of(SnapshotStarted) if event.node == newcomer]
        (ended,) = [event for event in observer.of(SnapshotEnded) if event.node == newcomer]
        assert (started.partition, ended.partition, ended.failure) == (FIRST, FIRST, "")
        held = [key for key in KEYS if info.range.contains(key)]
        assert ended.records == len(held) > 0
        stored = len(layout.encode_record(b"value", 1, 1, 0))
        assert ended.bytes == sum(map(len, held)) + stored * len(held)
        assert 0 < ended.seconds < 60
        (admitted,) = [event for event in observer.of(ReplicaAdmitted) if event.node == newcomer]
        assert admitted.partition == FIRST

    play(scenario)


def test_a_failover_is_told_by_the_winner() -> None:
    async def scenario(cluster: SimCluster) -> None:
        before = await entry(cluster, FIRST)
        cluster.nodes[before.primary].crash()

        async def is_taken_over() -> bool:
            return (await entry(cluster, FIRST)).primary != before.primary

        await until(is_taken_over)
        await put(cluster, A, b"after")
        after = await entry(cluster, FIRST)
        observer = cluster.nodes[after.primary].observer
        (won,) = [
            event for event in observer.of(ElectionWon) if event.previous == before.primary and event.partition == FIRST
        ]
        assert ElectionStarted(FIRST, won.epoch) in observer.events
        assert before.epoch < won.epoch <= after.epoch
        evicted = [event.node for event in told(cluster, ReplicaEvicted) if event.partition == FIRST]
        assert set(evicted) <= {before.primary}
        cluster.nodes[before.primary].start()

    play(scenario)
