"""Faults that lie in wait for the few milliseconds in which a certain mistake would show."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import InvalidInput, NodeId, PartitionId
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.reconfigurations import Reconfigurations
from simulation.cluster import KEYS, NODES
from simulation.etcd import ETCD
from simulation.nemesis import Fault, Nemesis
from simulation.network import Lost
from simulation.node import DISK_SECONDS

NAME = "nemesis"
QUESTIONS = 10
SLOW_DISK_SECONDS = 0.3
ELECTION_SECONDS = 3.0
"""How long a targeted fault waits for a failover."""

LAG_SECONDS = 0.3
"""How long it waits for writes that reach some followers only."""

REOPEN_SECONDS = 2.0
"""How long it waits until a node has reopened its failed engine."""

ANSWER_SECONDS = 0.1
"""How long it waits for a new primary's lease."""

KEPT_SHARE = 0.5
"""Of disks that fail, those that have the first failed write all the same."""


async def crash_a_winner(nemesis: Nemesis) -> None:
    """A primary ends when its last writes have reached some followers only. The next primary ends as soon as it has answered
    somebody, cut off from the follower to which it owes these writes. What it answered, the third primary must know (R5).
    """
    found = _most_in_sync(nemesis)
    if found is None:
        return
    node, replica = found
    partition = replica.info.id
    await _let_one_lag(nemesis, node, replica)
    nemesis.note(f"crash {node}")
    nemesis.cluster.nodes[node].crash()
    nemesis.cluster.network.reopen(node)
    winner = await _new_primary(nemesis, partition)
    if winner is not None:
        await _crash_when_it_has_answered(nemesis, winner, partition)
        third = await _new_primary(nemesis, partition)
        if third is not None:
            await nemesis.cluster.witness(third, partition, within=1.0)
    await asyncio.sleep(nemesis.rng.choice([0, 0.5, 1.2]))
    for ended in (node, winner):
        if ended is not None:
            nemesis.cluster.nodes[ended].start_again()


async def _let_one_lag(nemesis: Nemesis, node: NodeId, replica: Replica) -> None:
    """Cuts the primary off from one follower in sync, and returns soon after another one has more than that."""
    behind = _another(nemesis, replica, node)
    if behind is None:
        return
    nemesis.cluster.network.cut(node, behind)
    await _until(lambda: _is_behind(nemesis, behind, replica), LAG_SECONDS)
    await asyncio.sleep(nemesis.rng.uniform(0, 0.03))


def _is_behind(nemesis: Nemesis, behind: NodeId, replica: Replica) -> bool:
    """Whether this follower has less than another one in sync."""
    tails = {
        node: held.log.tail
        for node in replica.info.in_sync
        if node != replica.me and (held := nemesis.cluster.replica(node, replica.info.id)) is not None
    }
    return behind in tails and tails[behind] < max(tails.values())


async def _crash_when_it_has_answered(nemesis: Nemesis, winner: NodeId, partition: PartitionId) -> None:
    """What it has sent by now arrives, and is answered: its first heartbeats and probes, or some entries, too."""
    network, others = nemesis.cluster.network, [NodeId(name) for name in NODES if name != winner]
    cuts = nemesis.rng.choice(["at once", "at once", "with a lease", "never"])
    if cuts == "with a lease":
        await _holds_a_lease(nemesis, winner, partition)
    for other in others if cuts != "never" else ():
        network.cut(winner, other)
    await _holds_a_lease(nemesis, winner, partition)
    await nemesis.cluster.witness(winner, partition)
    await asyncio.sleep(nemesis.rng.choice([0, 0, 0.005, 0.03]))
    nemesis.note(f"crash {winner}")
    nemesis.cluster.nodes[winner].crash()
    network.reopen(winner)


async def sleep_through_a_change(nemesis: Nemesis) -> None:
    """A replica hears of nothing from etcd while its partition is split, or while it is removed and added again (R8)."""
    found = _any_led(nemesis)
    if found is None:
        return
    leader, replica = found
    sleeper = _another(nemesis, replica, leader)
    if sleeper is None:
        return
    number, network = replica.info.id, nemesis.cluster.network
    network.hold(ETCD, sleeper, nemesis.rng.uniform(0.3, 1.8))
    inside = [key for key in KEYS if replica.range.contains(key) and key != replica.range.start]
    if inside and nemesis.rng.random() < 0.7:
        at = nemesis.rng.choice(inside)
        nemesis.note(f"split {number} while {sleeper} sleeps")
        await _ask(nemesis, leader, lambda changes: changes.split(number, at))
        if nemesis.rng.random() < 0.5:  # whom the primary lets in now is known to nobody for a while
            network.hold(ETCD, leader, nemesis.rng.uniform(0.1, 0.8))
    else:
        nemesis.note(f"remove and add {sleeper} of {number} while it sleeps")
        await _ask(nemesis, leader, lambda changes: changes.remove_replica(number, sleeper))
        await _ask(nemesis, leader, lambda changes: changes.add_replica(number, sleeper))
    await asyncio.sleep(nemesis.rng.uniform(0.3, 1.8))


async def hold_back_a_deposed_primary(nemesis: Nemesis) -> None:
    """A primary's messages arrive when others have elected another one, of which it has not heard yet (R2)."""
    found = _any_led(nemesis)
    if found is None:
        return
    node, _ = found
    network, seconds = nemesis.cluster.network, nemesis.rng.uniform(1.0, 1.9)
    nemesis.note(f"hold back {node}")
    for other in NODES:
        if other != node:
            network.hold(node, other, seconds)
            network.cut(other, node)  # else it would be asked, and resign
    for source, target in ((node, ETCD), (ETCD, node)):
        network.hold(source, target, seconds + nemesis.rng.uniform(0, 0.5))
    await asyncio.sleep(seconds)
    for other in NODES:
        network.join(other, node)


async def ask_a_deposed_primary(nemesis: Nemesis) -> None:
    """A primary is cut off from the other nodes, and asked as soon as another one serves in its place."""
    found = _any_led(nemesis)
    if found is None:
        return
    node, replica = found
    network, others = nemesis.cluster.network, [NodeId(name) for name in NODES if name != node]
    nemesis.note(f"cut off {node}")
    for other in others:
        network.cut(node, other)
        network.cut(other, node)
    await _until(lambda: any(nemesis.cluster.is_served(replica.info.id, other) for other in others), ELECTION_SECONDS)
    for _ in range(QUESTIONS):
        await nemesis.cluster.witness(node, replica.info.id, within=0)
        await asyncio.sleep(0.02)
    for other in others:
        network.join(node, other)
        network.join(other, node)


async def lose_power_with_full_queues(nemesis: Nemesis) -> None:
    """The power fails while writes wait for the slow disks of followers, and their primary comes back last (R3)."""
    found = _any_led(nemesis)
    if found is None:
        return
    leader, replica = found
    home = nemesis.cluster.nodes[leader]
    others = [nemesis.cluster.nodes[node] for node in replica.info.in_sync if node != leader]
    nemesis.note(f"power fails on {sorted(replica.info.in_sync)}")
    for other in others:
        other.disk_seconds = SLOW_DISK_SECONDS
    await asyncio.sleep(nemesis.rng.uniform(0.03, 0.2))
    for node in (home, *others):
        node.crash()
        node.disk_seconds = DISK_SECONDS
    await asyncio.sleep(0.05)
    for other in others:
        other.start_again()
    await asyncio.sleep(nemesis.rng.choice([0.3, 1.5, 2.5]))
    home.start_again()


async def crash_a_primary_whose_follower_fails(nemesis: Nemesis) -> None:
    """A primary ends when its last writes have reached one follower only, whose disk has failed over them. The engine may have
    them all the same, and shows them when it is reopened: under the next primary, which has never seen them, or as that
    primary itself. What it answers then, the third primary must know (R3).
    """
    found = _most_in_sync(nemesis)
    if found is None:
        return
    leader, replica = found
    followers = sorted(node for node in replica.info.in_sync if node != leader)
    if not followers:
        return
    follower = followers[0]  # of equals the first one wins
    failing, others = nemesis.cluster.nodes[follower], [name for name in NODES if name not in (leader, follower)]
    nemesis.note(f"the disk of {follower} fails, then crash {leader}")
    for other in others:
        nemesis.cluster.network.cut(leader, other)
    tail = replica.log.tail
    await _until(lambda: replica.log.tail > tail, LAG_SECONDS)
    failing.engine.failing = failing.engine.keeps_failed = True
    await _until(lambda: failing.has_failed, LAG_SECONDS)
    nemesis.cluster.nodes[leader].crash()
    nemesis.cluster.network.reopen(leader)
    winner = await _new_primary(nemesis, replica.info.id)
    failing.engine.failing = False
    await _until(lambda: not failing.has_failed, REOPEN_SECONDS)
    if winner == follower:
        await _crash_when_it_has_answered(nemesis, follower, replica.info.id)
        third = await _new_primary(nemesis, replica.info.id)
        if third is not None:
            await nemesis.cluster.witness(third, replica.info.id, within=1.0)
    await asyncio.sleep(nemesis.rng.choice([0.1, 0.5, 1.5]))
    for ended in (leader, follower):
        nemesis.cluster.nodes[ended].start_again()


def _any_led(nemesis: Nemesis) -> tuple[NodeId, Replica] | None:
    """A partition, and who holds itself for its primary."""
    leaders = nemesis.leaders()
    if not leaders:
        return None
    return _led(nemesis, *nemesis.rng.choice(sorted(leaders.items())))


def _most_in_sync(nemesis: Nemesis) -> tuple[NodeId, Replica] | None:
    """A partition with as many replicas in sync as any, and who holds itself for its primary."""
    led = [_led(nemesis, number, node) for number, node in sorted(nemesis.leaders().items())]
    most = max((len(replica.info.in_sync) for _, replica in led), default=0)
    fitting = [(node, replica) for node, replica in led if len(replica.info.in_sync) == most]
    return nemesis.rng.choice(fitting) if fitting else None


def _led(nemesis: Nemesis, number: int, node: NodeId) -> tuple[NodeId, Replica]:
    replica = nemesis.cluster.replica(node, PartitionId(number))
    assert replica is not None
    return node, replica


def _another(nemesis: Nemesis, replica: Replica, node: NodeId) -> NodeId | None:
    others = [other for other in replica.info.in_sync if other != node]
    return nemesis.rng.choice(others) if others else None


async def _new_primary(nemesis: Nemesis, partition: PartitionId) -> NodeId | None:
    await _until(lambda: nemesis.leaders().get(partition) is not None, ELECTION_SECONDS)
    return nemesis.leaders().get(partition)


async def _holds_a_lease(nemesis: Nemesis, node: NodeId, partition: PartitionId) -> None:
    """Returns when the others have answered it, and have not heard more than that from it."""

    def has_lease_or_ended() -> bool:
        replica = nemesis.cluster.replica(node, partition)
        now = asyncio.get_running_loop().time()
        return replica is None or replica.primary is None or replica.partition.lease.end > now

    await _until(has_lease_or_ended, ANSWER_SECONDS)


async def _until(condition: Callable[[], bool], within: float) -> None:
    """Returns as soon as the condition holds, to half a millisecond, or after `within` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while loop.time() < end and not condition():
        await asyncio.sleep(0.0005)


async def _ask(nemesis: Nemesis, node: NodeId, change: Callable[[Reconfigurations], Awaitable[Any]]) -> None:
    """Asks for a planned change, as an operator does; what cannot be done is not done."""
    nodes = nemesis.cluster.nodes
    with contextlib.suppress(Lost, NotPrimary, PreconditionFailed, InvalidInput, CoordinatorUnavailable):
        await nemesis.cluster.network.call(
            NAME, node, lambda: nodes[node].serve(lambda home: change(home.reconfigurations))
        )


TARGETED: list[Fault] = [
    crash_a_winner,
    crash_a_winner,
    sleep_through_a_change,
    hold_back_a_deposed_primary,
    ask_a_deposed_primary,
    lose_power_with_full_queues,
    crash_a_primary_whose_follower_fails,
]
