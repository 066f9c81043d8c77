"""The observer that counts the operations that fail, for Admin to show."""

from collections import Counter
from collections.abc import Mapping

from typing_extensions import override

from dstk_keytypes import PartitionId
from dstk_service.observe import Event, Observer
from dstk_service.outcomes import OutcomeClass
from dstk_service.rpc_events import OperationFailed

FailuresByClass = Mapping[OutcomeClass, int]


class FailureCounters(Observer):
    """Failed operations since the process started, by partition, and by class of their outcome.

    A partition has its counts as long as the process runs, whether this node serves it or not.
    """

    def __init__(self) -> None:
        self._reads: dict[PartitionId | None, Counter[OutcomeClass]] = {}
        self._writes: dict[PartitionId | None, Counter[OutcomeClass]] = {}

    @override
    def observe(self, event: Event) -> None:
        if isinstance(event, OperationFailed):
            counts = self._writes if event.kind.is_write else self._reads
            counts.setdefault(event.partition, Counter())[event.outcome] += 1

    def reads(self, partition: PartitionId | None) -> FailuresByClass:
        """Of gets and scans. None: of those for keys that no partition had which this node served."""
        return self._reads.get(partition, Counter())

    def writes(self, partition: PartitionId | None) -> FailuresByClass:
        """Of puts, deletions and bulk inserts, each one operation. None: as above."""
        return self._writes.get(partition, Counter())
