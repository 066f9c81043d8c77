"""Taking over partitions whose primary is gone, or that nobody claims."""

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from dstk_cluster.model import PartitionInfo
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_storage.domain.events import ElectionWon
from dstk_storage.domain.replication.election import Vote, decide
from dstk_storage.domain.replication.ports import PeerUnreachable
from dstk_storage.domain.replication.replica import Heir, Replica

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

YIELD_SECONDS = 2.0
"""How long a node with a corrupt block leaves it to the others to lead: it may hold less than it says. If none does, they are
as badly off.
"""

VOTE_SECONDS = 0.3
"""How long a candidate waits for the others; who has not answered by then is left out."""


class Campaign:
    """The candidate's side of elections, for all replicas of a node."""

    def __init__(self, replicator: "Replicator") -> None:
        self._replicator = replicator

    def is_due(self, replica: Replica) -> bool:
        """Whether this node may, and should, try to become the partition's primary now."""
        info, here = replica.info, self._replicator.around
        now = here.clock.monotonic()
        if here.me not in info.in_sync or replica.campaigning or replica.rebuilding:
            return False
        if self._replicator.retiring or self._replicator.care.disk_hangs:
            return False
        if here.store.engine.corruption and now < self._replicator.promises.bound_until(info.id) + YIELD_SECONDS:
            return False
        if info.primary == here.me:
            return True
        if (info.id, info.epoch) in self._replicator.unclaimed_by.get(info.primary, ()):
            return True
        return now >= self._replicator.promises.bound_until(info.id)

    async def run(self, replica: Replica) -> None:
        """One try."""
        replica.campaigning = True
        try:
            if (heir := replica.inheritance()) is not None:
                self._succeed(replica, heir)
            else:
                await self._try(replica)
        finally:
            replica.campaigning = False

    def _succeed(self, replica: Replica, heir: Heir) -> None:
        """Leads what was handed over while it rested: nobody need be asked who has most, nor does the map change again."""
        log.info("succeeded", extra={"partition": replica.info.id, "epoch": heir.epoch})
        self._lead(replica, replica.info, heir.known)

    async def _try(self, replica: Replica) -> None:
        here, info = self._replicator.around, replica.info
        epoch = max(info.epoch, replica.promised) + (replica.promised <= info.epoch)
        replica.promise(epoch)
        await self._replicator.following.drain(replica)
        others = [node for node in info.in_sync if node != here.me]
        replies = await asyncio.gather(*(self._request_vote(node, info, epoch) for node in others))
        answers = {
            node: vote
            for node, vote in zip(others, replies, strict=True)
            if vote is not None and replica.believes(vote.promised)
        }
        takeover = decide(here.me, replica.partition.log.history, epoch, answers, info.primary)
        if takeover is None:
            highest = max((vote.promised for vote in answers.values()), default=0)
            replica.promise(highest)
            if any(vote.claims for vote in answers.values()):
                # as good as a heartbeat: to ask again before the next one would only force the primary to outbid this node
                self._replicator.promises.hear(info.id, here.clock.monotonic())
            return
        if replica.info is not info or replica.promised != epoch or replica.primary is not None:
            return
        new = replace(info, epoch=epoch, primary=here.me, in_sync=takeover.in_sync)
        try:
            won = await self._replicator.changes.replace(info, new)
        except CoordinatorUnavailable as error:
            log.warning("an election waits for etcd", extra={"partition": info.id, "reason": str(error)})
            return
        if won and replica.info.epoch <= epoch and replica.promised <= epoch:
            replica.info = new
            log.info("took over", extra={"partition": info.id, "epoch": epoch, "from": info.primary})
            here.observer.observe(ElectionWon(info.id, epoch, info.primary))
            self._lead(replica, new, info.epoch)

    def _lead(self, replica: Replica, info: PartitionInfo, known: int) -> None:
        """Becomes the primary by this entry; serves when those in sync have said where they stand, and answered a heartbeat."""
        home = self._replicator
        replica.lead(info.epoch, info.in_sync, info.replicas, home.around.clock.monotonic(), known)
        home.feeding.wake(replica)
        home.feeding.advance(replica)
        for node in info.in_sync:
            if node != home.around.me:
                home.spawn(home.heartbeat_to(node))

    async def _request_vote(self, node: NodeId, info: PartitionInfo, epoch: int) -> Vote | None:
        try:
            async with asyncio.timeout(VOTE_SECONDS):
                return await self._replicator.around.peers.request_vote(node, info.id, epoch, info.epoch)
        except (PeerUnreachable, TimeoutError):
            return None
