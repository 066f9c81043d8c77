"""What goes wrong in a schedule."""

import asyncio

from dstk_storage.domain.room import Room
from simulation.cluster import NODES
from simulation.disks import DISKS
from simulation.etcd import ETCD
from simulation.nemesis import Fault, Nemesis
from simulation.node import DISK_BYTES, DISK_SECONDS, FREE_BYTES
from simulation.targeted_faults import KEPT_SHARE, TARGETED


async def crash(nemesis: Nemesis) -> None:
    """One node ends and comes back, at once or later."""
    node = nemesis.cluster.nodes[nemesis.some()]
    nemesis.note(f"crash {node.me}")
    node.crash()
    await asyncio.sleep(nemesis.rng.choice([0.001, 0.1, 0.5, 1.5, 3.0]))
    node.start_again()


async def crash_all(nemesis: Nemesis) -> None:
    """The power fails."""
    for node in nemesis.cluster.nodes.values():
        node.crash()
    await asyncio.sleep(nemesis.rng.uniform(0, 1))
    for node in nemesis.cluster.nodes.values():
        node.start_again()
        await asyncio.sleep(nemesis.rng.uniform(0, 0.5))


async def isolate(nemesis: Nemesis) -> None:
    """One node is cut off from the other nodes, but not from clients or etcd."""
    alone = nemesis.some()
    for other in NODES:
        if other != alone:
            nemesis.cluster.network.cut(alone, other)
            nemesis.cluster.network.cut(other, alone)
    await asyncio.sleep(nemesis.rng.uniform(0.2, 4))
    nemesis.cluster.network.heal()


async def exile(nemesis: Nemesis) -> None:
    """One node is cut off from the other nodes and from etcd; clients still reach it."""
    alone = nemesis.some()
    for other in (*NODES, ETCD):
        if other != alone:
            nemesis.cluster.network.cut(alone, other)
            nemesis.cluster.network.cut(other, alone)
    await asyncio.sleep(nemesis.rng.uniform(0.5, 4))
    nemesis.cluster.network.heal()


async def one_way(nemesis: Nemesis) -> None:
    """One node's messages to another do not arrive; the other direction works."""
    source, target = nemesis.some(), nemesis.some()
    nemesis.cluster.network.cut(source, target)
    await asyncio.sleep(nemesis.rng.uniform(0.2, 3))
    nemesis.cluster.network.heal()


async def lose_etcd(nemesis: Nemesis) -> None:
    """One node, or all, cannot reach etcd."""
    for name in nemesis.rng.choice([NODES, (nemesis.some(),)]):
        nemesis.cluster.network.cut(name, ETCD)
        nemesis.cluster.network.cut(ETCD, name)
    await asyncio.sleep(nemesis.rng.uniform(0.5, 4))
    nemesis.cluster.network.heal()


async def bad_network(nemesis: Nemesis) -> None:
    """Messages are late or lost."""
    nemesis.cluster.network.loss = nemesis.rng.choice([0.0, 0.02, 0.1])
    nemesis.cluster.network.slow = nemesis.rng.choice([0.0, 0.1, 0.5])
    await asyncio.sleep(nemesis.rng.uniform(0.5, 3))
    nemesis.cluster.network.loss = nemesis.cluster.network.slow = 0.0


async def slow_disk(nemesis: Nemesis) -> None:
    """One node's disk takes long."""
    node = nemesis.cluster.nodes[nemesis.some()]
    node.disk_seconds = nemesis.rng.choice([0.01, 0.1, 0.5])
    await asyncio.sleep(nemesis.rng.uniform(0.5, 3))
    node.disk_seconds = DISK_SECONDS


async def hanging_disk(nemesis: Nemesis) -> None:
    """One node's disk does nothing for a while, though the node answers."""
    seconds = nemesis.rng.uniform(0.5, 4)
    nemesis.cluster.nodes[nemesis.some()].hangs_until = asyncio.get_running_loop().time() + seconds
    await asyncio.sleep(seconds)


async def full_disk(nemesis: Nemesis) -> None:
    """One node's disk runs full, and has room again later."""
    disk = nemesis.cluster.nodes[nemesis.some()].disk
    disk.free = FREE_BYTES[nemesis.rng.choice([Room.SCARCE, Room.FULL, Room.EXHAUSTED])]
    await asyncio.sleep(nemesis.rng.uniform(0.5, 4))
    disk.free = DISK_BYTES


async def failing_disk(nemesis: Nemesis) -> None:
    """Writes to one node's disk fail for a while. The engine may have the first of them all the same: it shows once it is
    reopened.
    """
    engine = nemesis.cluster.nodes[nemesis.some()].engine
    engine.failing, engine.keeps_failed = True, nemesis.rng.random() < KEPT_SHARE
    await asyncio.sleep(nemesis.rng.uniform(0.3, 3))
    engine.failing = False


CRASHES: list[Fault] = [crash, crash_all]
CUTS: list[Fault] = [isolate, exile, one_way, lose_etcd]
WORSE_DISKS: list[Fault] = [slow_disk, hanging_disk, full_disk, failing_disk]
FAULTS: list[Fault] = [*CRASHES, *CUTS, bad_network, *WORSE_DISKS, *TARGETED, *DISKS]
"""All kinds of faults. A schedule chooses from them: to add one changes every schedule."""
