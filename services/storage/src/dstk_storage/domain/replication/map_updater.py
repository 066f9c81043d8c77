"""What a primary changes in the partition map, and what a change means for it. Pure: the reactor makes the transactions.

R7: a change whose outcome is unknown stays among the primary's attempts until the map shows it, or a later change has won.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.events import EpochBumped, ReplicaAdmitted, ReplicaEvicted
from dstk_storage.domain.replication.actions import Observe, Outbox
from dstk_storage.domain.replication.follower_watch import ship
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.primary_handler import PrimaryHandler
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.stepping_down import step_down

log = logging.getLogger(__name__)


class MapUpdater:
    """For all replicas of a node."""

    def __init__(self, outbox: Outbox, primaries: PrimaryHandler) -> None:
        self._outbox, self._primaries = outbox, primaries

    def follow(self, replica: Replica, info: PartitionInfo, now: float) -> None:
        """Adopts a newer entry: one that this primary has made itself it goes on with, any other ends its term."""
        primary = replica.primary
        if primary is not None and info in primary.attempts:
            self.adopt(replica, primary, info, now)
            return
        if primary is not None and info.epoch > primary.epoch:
            step_down(replica, self._outbox)
        replica.follow(info)
        self._outbox.change(replica)

    def adopt(self, replica: Replica, primary: Primary, info: PartitionInfo, now: float) -> None:
        """The primary goes on with an entry that it has made."""
        primary.attempts.clear()
        self._tell(replica.info, info)
        replica.info = info
        replica.promise(info.epoch)
        primary.epoch = replica.partition.epoch = info.epoch
        self._enlist(replica, primary, info, now)
        primary.sync_membership(info.in_sync)
        self._outbox.change(replica)

    def attempt(self, primary: Primary, new: PartitionInfo) -> bool:
        """Notes that a change is asked for; False: another one is under way."""
        if primary.is_changing:
            return False
        primary.is_changing = True
        primary.attempts.append(new)
        return True

    def conclude(self, replica: Replica, primary: Primary, new: PartitionInfo, now: float) -> bool:
        """The change was made; False: this primary does not go on with it."""
        if replica.primary is primary and new.epoch > primary.epoch:
            self.adopt(replica, primary, new, now)
        return replica.primary is primary and replica.info == new

    def correct(self, replica: Replica, primary: Primary, found: PartitionInfo | None, now: float) -> None:
        """The map's entry is not what it was thought to be: an earlier attempt has worked, or another node has won.

        Another node's entry is not adopted from here: the watch, which may be far behind, is still to tell of those before it.
        By one of them this node may be no replica and drop everything, after it has answered as one that knows the newest (R8).
        """
        if found is None or replica.primary is not primary or found.epoch <= primary.epoch:
            return
        if found in primary.attempts:
            self.adopt(replica, primary, found, now)
        else:
            step_down(replica, self._outbox)
            replica.promise(found.epoch)

    def admission(self, replica: Replica, node: NodeId) -> PartitionInfo | None:
        """The entry that takes a learner that has everything into the in-sync set."""
        primary, info = replica.primary, replica.info
        progress = None if primary is None else primary.followers.get(node)
        if primary is None or progress is None or not progress.required or node in info.in_sync:
            return None
        return replace(info, epoch=primary.epoch + 1, in_sync=tuple(sorted((*info.in_sync, node))))

    def eviction(self, replica: Replica, nodes: Collection[NodeId]) -> PartitionInfo | None:
        """The entry without silent or diverged nodes in its in-sync set; None: the map need not change for it."""
        primary, info = replica.primary, replica.info
        if primary is None or not (primary.attempts or any(node in info.in_sync for node in nodes)):
            return None
        in_sync = tuple(node for node in info.in_sync if node not in nodes)
        return replace(info, epoch=primary.epoch + 1, in_sync=in_sync)

    def evicted(self, replica: Replica, nodes: Sequence[NodeId]) -> None:
        """The map names none of the nodes in the in-sync set, only now the primary goes on without them."""
        primary = replica.primary
        assert primary is not None
        for node in nodes:
            if (progress := primary.followers.get(node)) is not None:
                progress.evicted()
        self._outbox.change(replica)
        self._primaries.advance(replica)
        ship(replica, self._outbox)

    def bumped(self, replica: Replica, promised: int) -> PartitionInfo | None:
        """The entry with the epoch that a follower has promised to a candidate without success."""
        primary = replica.primary
        if primary is None or promised <= primary.epoch:
            return None  # bumped already: a heartbeat and an append both tell of it
        if not replica.believes(promised):
            log.error(
                "a follower names an epoch that cannot be", extra=LogFields(partition=replica.info.id, epoch=promised)
            )
            return None
        return replace(replica.info, epoch=promised)

    def epoch_bumped(self, replica: Replica, new: PartitionInfo) -> None:
        """The map has the higher epoch."""
        self._outbox.add(Observe(EpochBumped(new.id, new.epoch)))
        self.resume(replica)

    def resume(self, replica: Replica) -> None:
        """The primary goes on with a new epoch, which its followers are to hear of."""
        ship(replica, self._outbox)

    def _tell(self, before: PartitionInfo, now: PartitionInfo) -> None:
        """Tells of changes of the in-sync set however this node came to know of them: from the answer to its transaction, from
        the watch, or when it looked later.
        """
        for node in set(now.in_sync).difference(before.in_sync):
            self._outbox.add(Observe(ReplicaAdmitted(now.id, node, now.epoch)))
        for node in set(before.in_sync).intersection(now.replicas).difference(now.in_sync):
            self._outbox.add(Observe(ReplicaEvicted(now.id, node, now.epoch)))

    def _enlist(self, replica: Replica, primary: Primary, info: PartitionInfo, now: float) -> None:
        """Followers are those that the map names."""
        before, primary.followers = primary.followers, {}
        for node in info.replicas:
            if node != replica.me:
                known = before.pop(node, None)
                primary.followers[node] = known or self._primaries.follower(replica, node, now, info.epoch)
        for progress in before.values():
            progress.cursor.close()
