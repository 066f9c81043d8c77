"""Comparing a partition's replicas with its primary's when an operator asks for it, and rebuilding those that differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_storage.domain.replication.comparer import Comparer
from dstk_storage.domain.replication.repair import Compared, Repair
from dstk_storage.domain.replication.replicator import Replicator


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a comparison has found: how many records it compared, and each other replica."""

    records: int
    replicas: Sequence[Compared]


class Repairs(Protocol):
    """Compares, and repairs, the partitions that this node is the primary of."""

    async def run(self, partition: PartitionId, *, apply: bool) -> Repaired:
        """Compares all replicas; `apply`: begins to rebuild those that differ. Raises NotPrimary, Unfit, EngineError."""


class ReplicatorRepairs(Repairs):
    """Repairs through a Replicator; the background comparer learns of the outcome."""

    def __init__(self, replicator: Replicator, comparer: Comparer) -> None:
        self._replicator, self._comparer = replicator, comparer

    @override
    async def run(self, partition: PartitionId, *, apply: bool) -> Repaired:
        repair = Repair(self._replicator, partition)
        await repair.compare()
        if apply:
            await repair.apply()
        if not any(each.differing for each in repair.replicas):
            missing = [each.node for each in repair.replicas if not each.complete]
            self._comparer.found_equal(partition, repair.records, missing)
        elif apply:
            self._comparer.expect(partition)
        return Repaired(repair.records, repair.replicas)
