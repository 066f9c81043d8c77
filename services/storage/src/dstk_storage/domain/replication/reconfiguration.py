"""Which changes of the map an operator or the controller may ask for, and what the entries become. Pure.

A change of who holds a replica is one transaction, and the primary goes on. A change of range or of primary quiesces the
partition first: no write is admitted, what is in flight ends, and all replicas in sync stand at one position. Then the
primary steps down and makes the change, one transaction; the replica that the map then names leads by that entry (R9). So
these changes need no rules of their own for what is lost or unknown on the way: at worst an election follows that finds the
map as it was.

Callers are told to try again meanwhile, some 30 ms, which clients and routers do.
"""

from collections.abc import Mapping
from dataclasses import replace

from dstk_cluster.model import Merged, PartitionInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.errors import NotPrimary, PreconditionFailed
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.primary_handler import progress_of
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.room import Room


def led(replicas: Mapping[PartitionId, Replica], number: PartitionId) -> tuple[Replica, Primary]:
    """The replica that this node serves as its primary, and no change of range or primary is under way. Raises NotPrimary."""
    replica = replicas.get(number)
    primary = None if replica is None else replica.primary
    if replica is None or primary is None or not primary.is_serving or primary.is_quiescing:
        raise NotPrimary(number)
    return replica, primary


def with_replica(info: PartitionInfo, epoch: int, node: NodeId) -> PartitionInfo:
    """The entry with another replica, which begins as a learner."""
    return replace(info, epoch=epoch, replicas=(*info.replicas, node))


def without_replica(info: PartitionInfo, epoch: int, node: NodeId) -> PartitionInfo:
    """The entry with one replica less. Raises PreconditionFailed."""
    if node == info.primary:
        raise PreconditionFailed(f"{node!r} is the primary of partition {info.id}: transfer it first")
    others = [other for other in info.replicas if other not in (node, info.primary)]
    if others and not any(other in info.in_sync for other in others):
        reason = f"{node!r} is the only other replica of partition {info.id} in sync: wait until one of {others} is"
        raise PreconditionFailed(reason)
    replicas = tuple(each for each in info.replicas if each != node)
    in_sync = tuple(member for member in info.in_sync if member != node)
    return replace(info, epoch=epoch, replicas=replicas, in_sync=in_sync)


def transfer_target(info: PartitionInfo, wanted: NodeId | None, lightest: NodeId | None) -> NodeId:
    """The node that the partition is transferred to: the wanted one, or else the lightest. Raises PreconditionFailed."""
    target = wanted or lightest
    if target is None or target not in info.in_sync:
        where = f"on {wanted!r}" if wanted else "on any other node that can lead it"
        raise PreconditionFailed(f"no replica of partition {info.id} in sync {where}: {info.in_sync}")
    return target


def transferred(replica: Replica, primary: Primary, target: NodeId, *, leaves: bool) -> PartitionInfo:
    """The entry with another primary. `leaves`: this node leaves the in-sync set, too: one transaction less, for nobody has to
    evict it afterwards. Raises PreconditionFailed.
    """
    info = replica.info
    if target not in info.in_sync:
        raise PreconditionFailed(f"{target!r} has fallen out of sync meanwhile: try again")
    in_sync = tuple(node for node in info.in_sync if not (leaves and node == replica.me))
    return replace(info, epoch=primary.epoch + 1, primary=target, in_sync=in_sync)


def check_mergeable(lower: Replica, upper: Replica) -> None:
    """Raises PreconditionFailed unless both can become one."""
    for replica in (lower, upper):
        if set(replica.info.in_sync) != set(replica.info.replicas):
            reason = f"not all replicas of partition {replica.info.id} are in sync: {replica.info.in_sync}"
            raise PreconditionFailed(reason)
    names = f"partitions {lower.info.id} {lower.range} and {upper.info.id} {upper.range}"
    if set(lower.info.replicas) != set(upper.info.replicas):
        raise PreconditionFailed(f"{names} are on different nodes: move replicas first")
    if lower.range.end is None or lower.range.end != upper.range.start:
        raise PreconditionFailed(f"{names} are no neighbours")


def check_disks(*primaries: Primary) -> None:
    """Raises PreconditionFailed while a follower in sync takes no writes: its disk may have one that failed, which the log of a
    merged partition cannot adopt. That replica would lose what it holds, together with its place in the in-sync set.
    """
    nodes = {node for primary in primaries for node in primary.required() if primary.followers[node].refuses_writes}
    if nodes:
        raise PreconditionFailed(
            f"partitions are not merged while the disks of {sorted(nodes)} take no writes: try again"
        )


def merged(lower: Replica, upper: Replica) -> PartitionInfo:
    """The entry of both as one."""
    epoch = max(lower.promised, upper.promised, lower.info.epoch, upper.info.epoch) + 1
    origin = Merged(epoch, lower.log.tail, upper.info.id, upper.log.tail)
    whole = replace(lower.range, end=upper.range.end)
    return replace(lower.info, range=whole, epoch=epoch, origin=origin)


def forced(replica: Replica | None, number: PartitionId, me: NodeId) -> PartitionInfo:
    """The entry that takes this node's replica for the truth, whatever the others may have that it lacks. Raises
    PreconditionFailed.
    """
    if replica is None or replica.needs_snapshot or replica.partition.quarantined:
        raise PreconditionFailed(f"{me!r} has no whole replica of partition {number}")
    if replica.primary is not None:
        raise PreconditionFailed(f"{me!r} is the primary of partition {number} already")
    epoch = max(replica.promised, replica.info.epoch) + 1
    return replace(replica.info, epoch=epoch, primary=me, in_sync=(me,))


class Candidates:
    """Which node had best take a partition over."""

    def __init__(self, replicas: Mapping[PartitionId, Replica], in_sync: InSyncManager) -> None:
        self._replicas, self._in_sync = replicas, in_sync

    def lightest(self, replica: Replica, now: float) -> NodeId | None:
        """The other node in sync that can lead the partition: the one whose disk has room, and that leads the fewest."""
        others = [
            node for node in replica.info.in_sync if node != replica.me and not self._is_unfit(replica, node, now)
        ]
        leads = dict.fromkeys(others, 0)
        for each in self._replicas.values():
            if each.info.primary in leads:
                leads[each.info.primary] += 1
        return min(leads, key=lambda node: (_room(replica, node), leads[node], node), default=None)

    def _is_unfit(self, replica: Replica, node: NodeId, now: float) -> bool:
        """Whether the node had better not lead: it is about to leave, or its disk hangs or takes no writes."""
        progress = progress_of(replica, node)
        refuses_writes = progress is not None and progress.refuses_writes
        return self._in_sync.is_leaving(node, now) or self._in_sync.hangs(node, now) or refuses_writes


def _room(replica: Replica, node: NodeId) -> Room:
    progress = progress_of(replica, node)
    return Room.AMPLE if progress is None else progress.room
