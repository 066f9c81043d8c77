"""Comparing the replicas of a partition, stretch by stretch, and having those made anew that differ."""

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.replication.digests import digest, stretch
from dstk_storage.domain.replication.ports import Digest, PeerUnreachable
from dstk_storage.domain.replication.replica import Replica

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

STRETCH_RECORDS = 2000
"""That are compared at once: few enough that the partition can rest while they are looked at again."""

MOST_STRETCHES = 100


@dataclass(slots=True)
class Comparison:
    """How a replica differs from its primary's."""

    node: NodeId
    differing: list[KeyRange] = field(default_factory=list)
    complete: bool = True
    """False: it is not in sync, or could not be asked to the end."""
    rebuild_begun: bool = False

    def add(self, part: KeyRange) -> None:
        """Notes a stretch that differs, joined with the one before where they touch."""
        if self.differing and self.differing[-1].end == part.start:
            self.differing[-1] = KeyRange(self.differing[-1].start, part.end)
        elif len(self.differing) < MOST_STRETCHES:
            self.differing.append(part)


class Repair:
    """The comparison of one partition, made by its primary. Raises NotPrimary, Unfit, EngineError."""

    def __init__(self, home: "Replicator", number: PartitionId) -> None:
        self._home = home
        self._number = number
        self.records = 0
        self.replicas: list[Comparison] = []

    async def compare(self) -> None:
        """Fills `records` and `replicas`. While writes go on, replicas differ by what is under way: a stretch counts as
        differing when it still does while the partition rests.
        """
        replica = self._home.planned.primary_of(self._number)
        others = [node for node in replica.info.replicas if node != replica.me]
        self.replicas = [Comparison(node, complete=node in replica.info.in_sync) for node in others]
        store = self._home.around.store
        rest: KeyRange | None = replica.range
        while rest is not None:
            part = await store.offload(partial(stretch, store.engine, rest, STRETCH_RECORDS))
            await self._compare(replica, part)
            rest = None if part.end == rest.end else KeyRange(part.end or b"", rest.end)

    async def apply(self) -> None:
        """Has the replicas that differ made anew."""
        replica = self._home.planned.primary_of(self._number)
        for comparison in self.replicas:
            progress = replica.primary.followers.get(comparison.node) if replica.primary is not None else None
            if comparison.differing and progress is not None:
                log.warning("a replica differs", extra={"partition": self._number, "node": comparison.node})
                progress.copying = comparison.rebuild_begun = True
                await self._home.changes.remove(replica, [comparison.node])
                if not progress.required:
                    progress.copying = True
                    self._home.feeding.consider(replica, comparison.node, progress)

    async def _compare(self, replica: Replica, part: KeyRange) -> None:
        mine, theirs = await self._digests(part)
        if any(found is not None and found != mine for found in theirs):
            async with self._home.planned.quiet(replica):
                mine, theirs = await self._digests(part)
        self.records += mine.records
        for comparison, found in zip(self.replicas, theirs, strict=True):
            if found is None:
                comparison.complete = False
            elif found != mine:
                comparison.add(part)

    async def _digests(self, part: KeyRange) -> tuple[Digest, list[Digest | None]]:
        store = self._home.around.store
        mine = store.offload(partial(digest, store.engine, part))
        theirs = [self._ask(comparison, part) for comparison in self.replicas]
        found, *others = await asyncio.gather(mine, *theirs)
        assert found is not None
        return found, others

    async def _ask(self, comparison: Comparison, part: KeyRange) -> Digest | None:
        if not comparison.complete:
            return None
        try:
            return await self._home.around.peers.digest(comparison.node, self._number, part)
        except PeerUnreachable:
            return None
