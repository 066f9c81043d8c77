"""What an operator asks for: a comparison of a partition's replicas with its primary's, and snapshots for those that differ."""

import logging
from dataclasses import dataclass, field

from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.replication.runtime.comparison import Comparing, Comparison
from dstk_storage.domain.replication.runtime.distrust import Distrust

log = logging.getLogger(__name__)

MOST_STRETCHES = 100


@dataclass(slots=True)
class Compared:
    """How a replica differs from its primary's."""

    node: NodeId
    differing: list[KeyRange] = field(default_factory=list)
    complete: bool = True
    """False: it is not in sync, or could not be asked to the end."""
    rebuild_started: bool = False

    def add(self, part: KeyRange) -> None:
        """Notes a stretch that differs, joined with the one before where they touch."""
        if self.differing and self.differing[-1].end == part.start:
            self.differing[-1] = KeyRange(self.differing[-1].start, part.end)
        elif len(self.differing) < MOST_STRETCHES:
            self.differing.append(part)


class Repair:
    """The comparison of one partition, made by its primary. Raises NotPrimary, PreconditionFailed, EngineError."""

    def __init__(self, comparing: Comparing, distrust: Distrust, number: PartitionId) -> None:
        self._comparing, self._distrust = comparing, distrust
        self._number = number
        self.records = 0
        self.replicas: list[Compared] = []

    async def compare(self) -> None:
        """Fills `records` and `replicas`."""
        replica = self._comparing.leads.primary_of(self._number)
        comparison = Comparison(self._comparing, self._number)
        await comparison.run(_at_once)
        self.records = comparison.records
        others = (node for node in replica.info.replicas if node != replica.me)
        self.replicas = [Compared(node, complete=node not in comparison.missing) for node in others]
        for difference in comparison.differences:
            mine = difference.held.get(replica.me)
            for each in self.replicas:
                if mine is not None and difference.held.get(each.node, mine) != mine:
                    each.add(difference.part)

    async def apply(self) -> None:
        """Rebuilds the replicas that differ."""
        replica = self._comparing.leads.primary_of(self._number)
        for each in self.replicas:
            if each.differing:
                log.warning("a replica differs", extra=LogFields(partition=self._number, node=each.node))
                each.rebuild_started = await self._distrust(replica, each.node)


async def _at_once(_size: int) -> None:
    """An operator waits for the comparison."""
