"""What one request must wait for before it is answered."""

from dstk_storage.domain.batch import Batch


class Receipt:
    """The batches that a request's writes went into, and those whose effect its caller is told of.

    A precondition sees writes that are not on disk yet. A caller that is told "exists" because of one must wait for it too: a
    crash could take the write back, and the caller would have been told of a record that never was.
    """

    __slots__ = ("_batches",)

    def __init__(self) -> None:
        self._batches: dict[Batch, None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self._batches

    def rest_on(self, batch: Batch) -> None:
        """The answer counts only when `batch` is on disk."""
        self._batches[batch] = None

    async def durable(self) -> None:
        """Waits until all of it is on disk. Raises CommitFailed, ReadOnly."""
        for batch in self._batches:
            failure = batch.failure if batch.has_ended else await batch.outcome()
            if failure is not None:
                raise failure
