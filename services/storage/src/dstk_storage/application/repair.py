"""Comparing a partition's replicas with its primary's when an operator asks for it, and rebuilding those that differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_storage.domain.replication.runtime.comparer import Comparer
from dstk_storage.domain.replication.runtime.comparison import Comparing
from dstk_storage.domain.replication.runtime.distrust import Distrust
from dstk_storage.domain.replication.runtime.repair import Compared, Repair


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a comparison has found: how many records it compared, and each other replica."""

    records: int
    replicas: Sequence[Compared]


class Repairs(Protocol):
    """Compares, and repairs, the partitions that this node is the primary of."""

    async def run(self, partition: PartitionId, *, apply: bool) -> Repaired:
        """Compares all replicas; `apply`: replaces those that differ. Raises NotPrimary, PreconditionFailed, EngineError."""


class NodeRepairs(Repairs):
    """Repairs the partitions that this node leads; the background comparer learns of the outcome."""

    def __init__(self, comparing: Comparing, distrust: Distrust, comparer: Comparer) -> None:
        self._comparing, self._distrust, self._comparer = comparing, distrust, comparer

    @override
    async def run(self, partition: PartitionId, *, apply: bool) -> Repaired:
        repair = Repair(self._comparing, self._distrust, partition)
        await repair.compare()
        if apply:
            await repair.apply()
        if not any(each.differing for each in repair.replicas):
            missing = [each.node for each in repair.replicas if not each.complete]
            self._comparer.found_equal(partition, repair.records, missing)
        elif apply:
            self._comparer.expect(partition)
        return Repaired(repair.records, repair.replicas)
