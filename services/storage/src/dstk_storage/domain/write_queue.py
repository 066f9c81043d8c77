"""Where writes gather, by partition, until they are proposed."""

from collections.abc import Callable
from typing import Protocol

from dstk_storage.domain.admission import Admission, QueueLimits
from dstk_storage.domain.batch import GATHERING, PROPOSED, Batch
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.receipt import Receipt

MAX_IN_FLIGHT = 2
"""Batches of one partition that are proposed and have not ended. More only makes them smaller."""

MAX_BATCH_BYTES = 4 << 20
"""Keys and values of a batch, before another one is opened: a bulk insert of 8 MiB more still fits into a message."""


class Proposer(Protocol):
    """Gives batches their place in the log, and has them replicated."""

    def propose(self, batch: Batch) -> None:
        """Takes a PROPOSED batch; commits it when it is replicated, or fails it. Those of a partition come in order."""


class Disk(Protocol):
    """What the queue and the proposer need of the committer."""

    intake: Intake
    monotonic: Callable[[], float]
    """Seconds."""

    def wake(self) -> None:
        """There is something to propose."""

    def commit(self, batch: Batch) -> None:
        """Brings a REPLICATED batch to disk."""


class WriteQueue:
    """Lets writes in, as much as there is room for, and proposes what has gathered.

    It has no loop of its own: the committer has it propose before each engine write (`propose_ready`). So batches gather for
    as long as an engine write takes, without a timer, and those that followers have at once are in the next engine write.
    """

    def __init__(self, disk: Disk, proposer: Proposer, limits: QueueLimits) -> None:
        self._disk, self._proposer = disk, proposer
        self._intake, self._admission = disk.intake, Admission(limits)
        self._waiting: dict[Partition, None] = {}
        """Partitions with batches that are to be proposed."""

    @property
    def waiting(self) -> tuple[int, int]:
        """How many writes gather, and how many bytes of keys and values."""
        return self._admission.writes, self._admission.bytes

    def admit(self, size: int) -> None:
        """Raises QueueFull, ReadOnly unless `size` more bytes of data can gather."""
        if (refusal := self._intake.data) is not None:
            raise refusal
        self._admission.check(size)

    def admit_removal(self, size: int) -> None:
        """As `admit`, for a deletion, which a full disk still takes."""
        if (refusal := self._intake.removals) is not None:
            raise refusal
        self._admission.check(size)

    def room(self, size: int) -> tuple[int, int]:
        """How many writes and bytes can still gather, at least one write of `size` bytes. Raises QueueFull, ReadOnly."""
        self.admit(size)
        return self._admission.room(size)

    def gather(self, partition: Partition, writes: int, size: int, receipt: Receipt) -> Batch:
        """The partition's gathering batch: the caller appends so many writes, of so many bytes. `receipt` rests on it."""
        batches = partition.pending.batches
        batch = batches[-1] if batches else None
        if batch is None or batch.state is not GATHERING or batch.bytes >= MAX_BATCH_BYTES:
            batch = self._open(partition)
        batch.bytes += size
        self._admission.writes += writes
        self._admission.bytes += size
        receipt.rest_on(batch)
        return batch

    def propose_ready(self) -> None:
        """Closes the gathering batches of partitions that may have another one in flight, and proposes them."""
        for partition in list(self._waiting):
            gathering, in_flight = partition.pending.unproposed()
            free = MAX_IN_FLIGHT - in_flight
            for batch in gathering[:free]:
                if batch.state is GATHERING:  # not abandoned when the one before it was proposed
                    batch.advance(PROPOSED)
                    self._proposer.propose(batch)
            if len(gathering) <= free:
                del self._waiting[partition]

    def _open(self, partition: Partition) -> Batch:
        batch = Batch(partition, partition.log.last + 1, admission=self._admission, opened=self._disk.monotonic())
        partition.pending.open(batch)
        self._waiting[partition] = None
        self._disk.wake()
        return batch
