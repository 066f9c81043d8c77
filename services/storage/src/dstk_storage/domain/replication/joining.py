"""Which two partitions can be merged, and what they become. Pure."""

from dataclasses import replace

from dstk_cluster.model import Merged, PartitionInfo
from dstk_storage.domain.errors import Unfit
from dstk_storage.domain.replication.replica import Replica


def check_mergeable(lower: Replica, upper: Replica) -> None:
    """Raises Unfit unless both can become one."""
    for replica in (lower, upper):
        if set(replica.info.in_sync) != set(replica.info.replicas):
            raise Unfit(f"not all replicas of partition {replica.info.id} are in sync: {replica.info.in_sync}")
    if set(lower.info.replicas) != set(upper.info.replicas):
        raise Unfit(f"partitions {lower.info.id} and {upper.info.id} are on different nodes: move replicas first")
    if lower.range.end is None or lower.range.end != upper.range.start:
        raise Unfit(f"partitions {lower.info.id} {lower.range} and {upper.info.id} {upper.range} are no neighbours")


def joined(lower: Replica, upper: Replica) -> PartitionInfo:
    """The entry of both as one."""
    epoch = max(lower.promised, upper.promised, lower.info.epoch, upper.info.epoch) + 1
    origin = Merged(epoch, lower.tail, upper.info.id, upper.tail)
    whole = replace(lower.range, end=upper.range.end)
    return replace(lower.info, range=whole, epoch=epoch, origin=origin)
