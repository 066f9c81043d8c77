"""Who takes the batches of a store: nobody replicates them, a test keeps them, or followers have them when it says so."""

from typing_extensions import override

from dstk_storage.domain.batch import PROPOSED, REPLICATED, Batch
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.log import Entry
from dstk_storage.domain.write_queue import Disk, Proposer


class UnreplicatedProposer(Proposer):
    """Commits at once what is proposed. For a store without a cluster."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @override
    def propose(self, batch: Batch) -> None:
        log = batch.partition.log
        batch.epoch = batch.partition.epoch
        entry = Entry(log.tail, batch.epoch, batch.first, batch.keys, batch.records)
        log.append(entry)
        log.hand(entry.position)
        batch.advance(REPLICATED)
        batch.on_failure = self._failed
        self._disk.commit(batch)

    def _failed(self, batch: Batch) -> None:
        """The log stands where the disk does, as a primary's that steps down."""
        partition = batch.partition
        partition.abandon(CommitFailed("a write before this one did not reach the disk"))
        partition.log.truncate(partition.log.position)


class KeepingProposer(Proposer):
    """Keeps what is proposed, in order."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    @override
    def propose(self, batch: Batch) -> None:
        assert batch.state is PROPOSED
        self.batches.append(batch)


class FollowedProposer(KeepingProposer):
    """Followers have a batch when the test says so."""

    @override
    def propose(self, batch: Batch) -> None:
        super().propose(batch)
        log = batch.partition.log
        log.append(Entry(log.tail, 1, batch.first, batch.keys, batch.records))
        batch.epoch = 1

    def replicate(self, batch: Batch, disk: Disk) -> None:
        """Followers have the batch: it goes to this node's disk."""
        batch.partition.log.hand(batch.position)
        batch.advance(REPLICATED)
        disk.commit(batch)
