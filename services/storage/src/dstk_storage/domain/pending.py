"""The batches of one partition that have not ended."""

from collections import deque
from collections.abc import Iterator

from dstk_storage.domain.batch import COMMITTED, GATHERING, PROPOSED, REPLICATED, Batch, Head
from dstk_storage.domain.errors import StorageError


class PendingBatches:
    """In order of their numbers.

    Invariant: the states of those that have not ended do not rise from front to back. So only the last one takes writes, and
    the oldest one that gathers is the next one to be proposed.
    """

    __slots__ = ("batches",)

    def __init__(self) -> None:
        self.batches: deque[Batch] = deque()
        """Some may have ended already. The queue looks at the last one with each write."""

    def open(self, batch: Batch) -> None:
        """The next writes go into `batch`."""
        self._forget_ended()
        self.batches.append(batch)

    def unproposed(self) -> tuple[list[Batch], int]:
        """Those that are to be proposed, and how many before them are proposed and have not ended."""
        gathering, in_flight = [], 0
        for batch in self.batches:
            state = batch.state
            if state is GATHERING:
                gathering.append(batch)
            elif state is PROPOSED or state is REPLICATED:
                in_flight += 1
        return gathering, in_flight

    def newest(self) -> Batch | None:
        """The last one that has not ended: its outcome is that of all before it, or a worse one."""
        return next(self._backwards(), None)

    def batch_of(self, number: int) -> Batch | None:
        """The batch that has not ended and has the write with this number."""
        return next((batch for batch in self._backwards() if batch.first <= number <= batch.last), None)

    def head(self, key: bytes) -> Head | None:
        """The newest record of `key` in a batch that has not ended."""
        for batch in self._backwards():
            if (head := batch.heads.get(key)) is not None:
                return head
        return None

    def is_empty(self) -> bool:
        """Whether all have ended."""
        self._forget_ended()
        return not self.batches

    def abandon(self, reason: StorageError) -> None:
        """Fails all that this disk was not given: the partition has another primary. Those on their way to the disk go on."""
        for batch in self.batches:
            if batch.state < REPLICATED:
                batch.end(reason)

    def _forget_ended(self) -> None:
        batches = self.batches
        while batches and batches[0].state >= COMMITTED:
            batches.popleft()

    def _backwards(self) -> Iterator[Batch]:
        return (batch for batch in reversed(self.batches) if not batch.has_ended)
