"""What this node says of a replica to the other nodes, and what the replica's lease rests on, after its state has changed."""

from dstk_storage.domain.replication.heartbeats import Claim
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.replica import Replica


def publish(replica: Replica, leases: LeaseBook, *, is_held: bool) -> None:
    """Brings claims and lease up to date, before another heartbeat goes out. `is_held`: the node still has the replica."""
    info, primary = replica.info, replica.primary
    if primary is not None:
        leases.claim(info.id, Claim(primary.epoch, leads=True), primary.followers)
        replica.partition.lease = leases.rest_on(info.id, primary.required())
        return
    leases.release(info.id)
    is_disclaimed = is_held and info.primary == replica.me and not replica.is_electing
    others = [node for node in info.replicas if node != replica.me]
    leases.claim(info.id, Claim(info.epoch, leads=False) if is_disclaimed else None, others)
