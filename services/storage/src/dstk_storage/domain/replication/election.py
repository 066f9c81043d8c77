"""Who takes over a partition. Pure."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_service.logs.fields import LogFields
from dstk_service.trace import Span
from dstk_storage.domain.events import ElectionLost, ElectionStarted, ElectionWon
from dstk_storage.domain.history import History
from dstk_storage.domain.replication.actions import Observe, Outbox
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.replication.ports import Vote
from dstk_storage.domain.replication.primary_handler import PrimaryHandler
from dstk_storage.domain.replication.promises import Promises
from dstk_storage.domain.replication.replica import Grant, Replica

log = logging.getLogger(__name__)

YIELD_SECONDS = 2.0
"""How long a node with a corrupt block leaves it to the others to lead: it may hold less than it says. If none does, they are
as badly off.
"""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One try to become the primary of `epoch`, by the map's entry that the candidate goes by."""

    info: PartitionInfo
    epoch: int
    voters: tuple[NodeId, ...]
    span: Span | None = None
    """None: it is not traced."""


def decide(
    me: NodeId, mine: History, epoch: int, votes: Mapping[NodeId, Vote], primary: NodeId
) -> tuple[NodeId, ...] | None:
    """The in-sync set with which the candidate `me` takes the partition at `epoch`, given the votes of the in-sync replicas
    that answered; None: another one has the better right, or the primary lives.

    Every acknowledged write is on every in-sync replica, so any of them may take over. The one that has most goes first, since
    whoever has more than the winner needs a snapshot. Among equals the map's primary is first, for it has restarted and the
    other replicas need not change; then the smallest id.
    """
    if any(vote.claims or vote.promised > epoch for vote in votes.values()):
        return None
    own = (mine.position, me == primary)
    for node, vote in votes.items():
        rank = (vote.position, node == primary)
        if rank > own or (rank == own and node < me):
            return None
    kept = [node for node, vote in votes.items() if mine.contains(vote.position)]
    return tuple(sorted([me, *kept]))


class Elections:
    """The candidate's side, for all replicas of a node."""

    def __init__(self, outbox: Outbox, promises: Promises, in_sync: InSyncManager, primaries: PrimaryHandler) -> None:
        self._outbox, self._promises, self._in_sync, self._primaries = outbox, promises, in_sync, primaries
        self.is_retiring = False
        """This node is about to stop, and takes nothing over."""

    def is_eligible(self, replica: Replica) -> bool:
        """Whether this node may lead the partition at all, by what it holds."""
        return replica.me in replica.info.in_sync and not replica.needs_snapshot and not self.is_retiring

    def is_due(self, replica: Replica, now: float, *, is_corrupt: bool) -> bool:
        """Whether this node may, and should, try to become the partition's primary now. `is_corrupt`: its engine has met a
        corrupt block.
        """
        if replica.is_electing or self._in_sync.own_disk_hangs:
            return False
        if is_corrupt and now < self._promises.bound_until(replica.info.id) + YIELD_SECONDS:
            return False
        return self._may_stand(replica, now)

    def _may_stand(self, replica: Replica, now: float) -> bool:
        """Whether this node is in sync by the map that it knows, and bound to no primary."""
        info = replica.info
        if not self.is_eligible(replica):
            return False
        if info.primary == replica.me or self._promises.is_disclaimed(info.id, info.epoch, info.primary):
            return True
        return now >= self._promises.bound_until(info.id)

    def is_calm(self, replica: Replica) -> bool:
        """Whether no election becomes due before something happens."""
        if replica.is_electing:
            return False
        is_led = replica.info.primary != replica.me and self._promises.is_followed(replica.info.id)
        return is_led or not self.is_eligible(replica)

    def succeed(self, replica: Replica, grant: Grant, now: float) -> None:
        """Leads what was granted while it was quiesced: nobody need be asked who has most, nor does the map change again."""
        log.info("succeeded", extra=LogFields(partition=replica.info.id, epoch=grant.epoch))
        self._primaries.lead(replica, now, grant.known_from)

    def begin(self, replica: Replica, now: float, span: Span | None = None) -> Ballot | None:
        """Promises itself the next epoch; what it accepted must be on disk before the votes are counted. None: the election has
        waited for its turn, and this node was evicted from the in-sync set meanwhile, or is bound to the primary again.
        """
        info = replica.info
        if replica.primary is not None or not self._may_stand(replica, now):
            return None
        epoch = max(info.epoch, replica.promised) + (replica.promised <= info.epoch)
        replica.promise(epoch)
        self._outbox.add(Observe(ElectionStarted(info.id, epoch)))
        return Ballot(info, epoch, tuple(node for node in info.in_sync if node != replica.me), span)

    def count(self, replica: Replica, ballot: Ballot, votes: Mapping[NodeId, Vote], now: float) -> PartitionInfo | None:
        """The map entry to ask for; None: it has not won, or something has changed meanwhile."""
        believed = {node: vote for node, vote in votes.items() if replica.believes(vote.promised)}
        in_sync = decide(replica.me, replica.log.history, ballot.epoch, believed, ballot.info.primary)
        if in_sync is None:
            replica.promise(max((vote.promised for vote in believed.values()), default=0))
            if any(vote.claims for vote in believed.values()):
                # as good as a heartbeat: to ask again before the next one would only force the primary to bump its epoch
                self._promises.hear(ballot.info.id, now)
            self.lose(ballot)
            return None
        if replica.info is not ballot.info or replica.promised != ballot.epoch or replica.primary is not None:
            self.lose(ballot)
            return None
        return replace(ballot.info, epoch=ballot.epoch, primary=replica.me, in_sync=in_sync)

    def lose(self, ballot: Ballot) -> None:
        """The election ends without a change of the map."""
        self._outbox.add(Observe(ElectionLost(ballot.info.id, ballot.epoch, ballot.span)))

    def win(self, replica: Replica, ballot: Ballot, new: PartitionInfo, now: float) -> None:
        """The map has the entry that was asked for: leads, unless this node has heard of more meanwhile."""
        if replica.info.epoch > ballot.epoch or replica.promised > ballot.epoch or replica.primary is not None:
            self.lose(ballot)
            return
        before = ballot.info.primary
        replica.info = new
        self._outbox.add(Observe(ElectionWon(new.id, new.epoch, before, ballot.span)))
        self._primaries.lead(replica, now, ballot.info.epoch)
