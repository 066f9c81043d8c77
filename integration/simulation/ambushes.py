"""Faults that lie in wait for the few milliseconds in which a certain mistake would show."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import InvalidInput, NodeId, PartitionId
from dstk_storage.domain.errors import NotPrimary, Unfit
from dstk_storage.domain.replication.planned import Planned
from dstk_storage.domain.replication.replica import Replica
from simulation.cluster import KEYS, NODES
from simulation.etcd import ETCD
from simulation.network import Lost
from simulation.node import DISK_SECONDS

if TYPE_CHECKING:
    from simulation.devil import Devil

NAME = "devil"
QUESTIONS = 10
SLOW_DISK_SECONDS = 0.3
ELECTION_SECONDS = 3.0
"""How long an ambush waits for somebody to take over."""


async def crash_a_winner(devil: "Devil") -> None:
    """A primary ends when its last writes have reached some followers only, and whoever takes over from it ends as soon as it
    has answered somebody, cut off from those to which it owes these writes (R5).
    """
    found = _any_led(devil)
    if found is None:
        return
    node, replica = found
    partition, network = replica.info.id, devil.cluster.network
    behind = _another(devil, replica, node)
    if behind is not None:
        network.cut(node, behind)
        await asyncio.sleep(devil.chance.uniform(0, 0.08))
    devil.note(f"crash {node}")
    devil.cluster.nodes[node].crash()
    if behind is not None:
        network.join(node, behind)
    winner = await _new_primary(devil, partition)
    if winner is not None:
        await _crash_when_it_has_answered(devil, winner, partition)
    await asyncio.sleep(devil.chance.choice([0.5, 1.2, 1.8]))
    for ended in (node, winner):
        if ended is not None:
            devil.cluster.nodes[ended].start_again()


async def _crash_when_it_has_answered(devil: "Devil", winner: NodeId, partition: PartitionId) -> None:
    network, others = devil.cluster.network, [NodeId(name) for name in NODES if name != winner]
    if devil.chance.random() < 0.7:
        await _holds_a_lease(devil, winner, partition)
        for other in others:
            network.cut(winner, other)
    await devil.cluster.witness(winner, partition)
    await asyncio.sleep(devil.chance.choice([0, 0, 0.005, 0.03]))
    devil.note(f"crash {winner}")
    devil.cluster.nodes[winner].crash()
    for other in others:
        network.join(winner, other)


async def sleep_through_a_change(devil: "Devil") -> None:
    """A replica hears of nothing from etcd while its partition is split, or while it is removed and added again (R8)."""
    found = _any_led(devil)
    if found is None:
        return
    leader, replica = found
    sleeper = _another(devil, replica, leader)
    if sleeper is None:
        return
    number, network = replica.info.id, devil.cluster.network
    network.hold(ETCD, sleeper, devil.chance.uniform(0.3, 1.8))
    inside = [key for key in KEYS if replica.range.contains(key) and key != replica.range.start]
    if inside and devil.chance.random() < 0.7:
        at = devil.chance.choice(inside)
        devil.note(f"split {number} while {sleeper} sleeps")
        await _ask(devil, leader, lambda planned: planned.split(number, at))
        if devil.chance.random() < 0.5:  # whom the primary lets in now is known to nobody for a while
            network.hold(ETCD, leader, devil.chance.uniform(0.1, 0.8))
    else:
        devil.note(f"remove and add {sleeper} of {number} while it sleeps")
        await _ask(devil, leader, lambda planned: planned.remove_replica(number, sleeper))
        await _ask(devil, leader, lambda planned: planned.add_replica(number, sleeper))
    await asyncio.sleep(devil.chance.uniform(0.3, 1.8))


async def hold_back_a_deposed_primary(devil: "Devil") -> None:
    """A primary's messages arrive when others have elected another one, of which it has not heard yet (R2)."""
    found = _any_led(devil)
    if found is None:
        return
    node, _ = found
    network, seconds = devil.cluster.network, devil.chance.uniform(1.0, 1.9)
    devil.note(f"hold back {node}")
    for other in NODES:
        if other != node:
            network.hold(node, other, seconds)
            network.cut(other, node)  # else it would be asked, and resign
    for source, target in ((node, ETCD), (ETCD, node)):
        network.hold(source, target, seconds + devil.chance.uniform(0, 0.5))
    await asyncio.sleep(seconds)
    for other in NODES:
        network.join(other, node)


async def ask_a_deposed_primary(devil: "Devil") -> None:
    """A primary is cut off from the other nodes, and asked as soon as another one serves in its place."""
    found = _any_led(devil)
    if found is None:
        return
    node, replica = found
    network, others = devil.cluster.network, [NodeId(name) for name in NODES if name != node]
    devil.note(f"cut off {node}")
    for other in others:
        network.cut(node, other)
        network.cut(other, node)
    loop = asyncio.get_running_loop()
    end = loop.time() + ELECTION_SECONDS
    while loop.time() < end and not any(devil.cluster.is_served(replica.info.id, other) for other in others):
        await asyncio.sleep(0.005)
    for _ in range(QUESTIONS):
        await devil.cluster.witness(node, replica.info.id, within=0)
        await asyncio.sleep(0.02)
    for other in others:
        network.join(node, other)
        network.join(other, node)


async def lose_power_with_full_queues(devil: "Devil") -> None:
    """The power fails while writes wait for the slow disks of followers, and their primary comes back last (R3)."""
    found = _any_led(devil)
    if found is None:
        return
    leader, replica = found
    home = devil.cluster.nodes[leader]
    others = [devil.cluster.nodes[node] for node in replica.info.in_sync if node != leader]
    devil.note(f"power fails on {sorted(replica.info.in_sync)}")
    for other in others:
        other.disk_seconds = SLOW_DISK_SECONDS
    await asyncio.sleep(devil.chance.uniform(0.03, 0.2))
    for node in (home, *others):
        node.crash()
        node.disk_seconds = DISK_SECONDS
    await asyncio.sleep(0.05)
    for other in others:
        other.start_again()
    await asyncio.sleep(devil.chance.choice([0.3, 1.5, 2.5]))
    home.start_again()


def _any_led(devil: "Devil") -> tuple[NodeId, Replica] | None:
    """A partition, and who holds itself for its primary."""
    leaders = devil.leaders()
    if not leaders:
        return None
    number, node = devil.chance.choice(sorted(leaders.items()))
    replicator = devil.cluster.nodes[node].replicator
    assert replicator is not None
    return node, replicator.replicas[PartitionId(number)]


def _another(devil: "Devil", replica: Replica, node: NodeId) -> NodeId | None:
    others = [other for other in replica.info.in_sync if other != node]
    return devil.chance.choice(others) if others else None


async def _new_primary(devil: "Devil", partition: PartitionId) -> NodeId | None:
    loop = asyncio.get_running_loop()
    end = loop.time() + ELECTION_SECONDS
    while loop.time() < end and devil.leaders().get(partition) is None:
        await asyncio.sleep(0.001)
    return devil.leaders().get(partition)


async def _holds_a_lease(devil: "Devil", node: NodeId, partition: PartitionId, within: float = 0.1) -> None:
    """Returns when the others have answered it, and have not heard more than that from it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while loop.time() < end:
        replicator = devil.cluster.nodes[node].replicator
        replica = None if replicator is None else replicator.replicas.get(partition)
        if replica is None or replica.primary is None or replica.primary.lease > loop.time():
            return
        await asyncio.sleep(0.0005)


async def _ask(devil: "Devil", node: NodeId, change: Callable[[Planned], Awaitable[Any]]) -> None:
    """Asks for a planned change, as an operator does; what cannot be done is not done."""
    nodes = devil.cluster.nodes
    with contextlib.suppress(Lost, NotPrimary, Unfit, InvalidInput, CoordinatorUnavailable):
        await devil.cluster.network.call(NAME, node, lambda: nodes[node].serve(lambda home: change(home.planned)))


AMBUSHES = [
    crash_a_winner,
    crash_a_winner,
    sleep_through_a_change,
    hold_back_a_deposed_primary,
    ask_a_deposed_primary,
    lose_power_with_full_queues,
]
