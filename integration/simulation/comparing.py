"""Replicas that are damaged below everything that would notice, and what comparisons have found and mended."""

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import Key, NodeId
from dstk_storage.domain import layout
from dstk_storage.domain.compared import Compared, Outcome
from dstk_storage.domain.events import ReplicaOutvoted, ReplicasDiffer
from dstk_storage.ports import Engine
from simulation.cluster import KEYS, SimCluster
from simulation.playing import FIRST, Scenario, entry, play, put

EVERY_SECONDS = 2.0


def compared(scenario: Scenario) -> None:
    play(scenario, compare_seconds=EVERY_SECONDS)


async def filled(cluster: SimCluster) -> PartitionInfo:
    for key in KEYS:
        await put(cluster, key, b"right")
    return await entry(cluster, FIRST)


def rot(cluster: SimCluster, node: NodeId, key: Key, value: bytes | None = b"wrong") -> None:
    """A record becomes another one, or vanishes, below everything that would notice."""
    engine: Engine = cluster.nodes[node].engine
    old = engine.get(layout.DATA + key)
    assert old is not None
    batch = engine.batch()
    if value is None:
        batch.delete(layout.DATA + key)
    else:
        batch.put(layout.DATA + key, old[: layout.HEADER_BYTES] + value)
    engine.write(batch)


def outvoted(cluster: SimCluster) -> list[NodeId]:
    """Nodes whose replicas were found to differ from what a majority holds."""
    return [event.node for node in cluster.nodes.values() for event in node.observer.of(ReplicaOutvoted)]


def undecided(cluster: SimCluster) -> list[NodeId]:
    """Nodes that have found no majority, once for each time that they told of it."""
    return [name for name, node in cluster.nodes.items() for _ in node.observer.of(ReplicasDiffer)]


def last(cluster: SimCluster, info: PartitionInfo) -> Compared | None:
    """The last comparison of the first partition by its primary."""
    home = cluster.nodes[info.primary].replication
    return None if home is None else home.replicas[FIRST].partition.compared


def holds(cluster: SimCluster, node: NodeId, key: Key) -> bytes | None:
    raw = cluster.nodes[node].engine.get(layout.DATA + key)
    return None if raw is None else raw[layout.HEADER_BYTES :]


async def is_mended(cluster: SimCluster, node: NodeId, *keys: Key) -> bool:
    return all(holds(cluster, node, key) == b"right" for key in keys) and node in (await entry(cluster, FIRST)).in_sync


async def is_outvoted(cluster: SimCluster, node: NodeId) -> bool:
    return node in outvoted(cluster)


async def is_told(cluster: SimCluster, info: PartitionInfo) -> bool:
    found = last(cluster, info)
    return found is not None and found.outcome is Outcome.UNDECIDED


async def is_equal(cluster: SimCluster, info: PartitionInfo) -> bool:
    found = last(cluster, info)
    return found is not None and found.outcome is Outcome.EQUAL
