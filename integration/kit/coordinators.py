"""An etcd in memory that fails at the transactions that a test names."""

from collections.abc import Container, Sequence

from typing_extensions import override

from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import CoordinatorUnavailable, Delete, Put, RevisionIs, TxnResult, ValueIs
from dstk_service.clock import Clock


class LossyCoordinator(MemoryCoordinator):
    """Counts transactions from 1. `unanswered`: those that are made, and whose callers hear nothing of it. `unreachable_from`:
    the first one that finds etcd unreachable, until the test sets `unreachable` to False.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock) if clock else super().__init__()
        self.transactions = 0
        self.unanswered: Container[int] = ()
        self.unreachable_from: int | None = None

    @override
    async def txn(self, compares: Sequence[RevisionIs | ValueIs], changes: Sequence[Put | Delete]) -> TxnResult:
        self.transactions += 1
        if self.transactions == self.unreachable_from:
            self.unreachable = True
        result = await super().txn(compares, changes)
        if self.transactions in self.unanswered:
            raise CoordinatorUnavailable("the answer is lost")
        return result
