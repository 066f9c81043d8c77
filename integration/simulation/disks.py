"""Disks that come back empty, or as they were before: what no node can tell from its own disk alone.

One is lost only while every partition that counts on it is whole on another disk that counts as well: else nothing could bring
the partition back, and nobody would be at fault.
"""

import asyncio

from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import ClusterMap, PartitionInfo
from dstk_keytypes import NodeId
from simulation.nemesis import Fault, Nemesis


async def lose_a_disk(nemesis: Nemesis) -> None:
    """A node ends, and its disk comes back empty, or as it was when the node was last started."""
    victim = nemesis.some()
    if not await _lose(nemesis, victim):
        return
    await asyncio.sleep(nemesis.rng.choice([0.001, 0.1, 0.5, 1.5, 3.0]))
    nemesis.cluster.nodes[victim].start_again()


async def lose_a_disk_in_a_power_failure(nemesis: Nemesis) -> None:
    """All replicas of a partition that are in sync end, and the one that comes back first has lost its disk: it must not lead
    by what it has, however long the others stay away.
    """
    current = await MapStore(nemesis.cluster.etcd, "sim").load()
    info = nemesis.rng.choice(current.partitions)
    victim = nemesis.rng.choice([info.primary, *info.in_sync])
    if not await _lose(nemesis, victim):
        return
    others = [nemesis.cluster.nodes[node] for node in info.in_sync if node != victim]
    nemesis.note(f"power fails on {sorted(info.in_sync)}")
    for other in others:
        other.crash()
    nemesis.cluster.nodes[victim].start_again()
    await asyncio.sleep(nemesis.rng.choice([0.5, 1.5, 4.5]))
    for other in others:
        other.start_again()


async def _lose(nemesis: Nemesis, victim: NodeId) -> bool:
    """The node ends and loses its disk; False: others need what only it has."""
    current = await MapStore(nemesis.cluster.etcd, "sim").load()
    if not _can_lose(nemesis, current, victim):
        return False
    node, older = nemesis.cluster.nodes[victim], nemesis.rng.random() < 0.5
    nemesis.note(f"the disk of {victim} comes back {'older' if older else 'empty'}")
    node.crash()
    node.lose_disk(node.image if older else {})
    node.forgiven = {info.id for info in current.partitions}
    return True


def _can_lose(nemesis: Nemesis, current: ClusterMap, victim: NodeId) -> bool:
    return all(_is_whole_elsewhere(nemesis, info, victim) for info in current.partitions)


def _is_whole_elsewhere(nemesis: Nemesis, info: PartitionInfo, victim: NodeId) -> bool:
    """Whether another in-sync replica is complete, and no change of the in-sync set is in progress."""
    nodes = nemesis.cluster.nodes
    if not any(nodes[node].holds_whole(info.id) for node in info.in_sync if node != victim):
        return False
    held = [node.replication.replicas.get(info.id) for node in nodes.values() if node.replication is not None]
    for replica in held:
        if replica is None:
            continue
        primary = replica.primary
        if replica.is_electing or replica.is_quiesced:
            return False
        if primary is not None and (primary.is_changing or primary.is_quiescing or primary.attempts):
            return False
    return True


DISKS: list[Fault] = [lose_a_disk, lose_a_disk_in_a_power_failure]
