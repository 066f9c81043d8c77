"""What the disk accepts at the moment: everything, deletions only, or nothing."""

from collections.abc import Sequence

from dstk_storage.domain import layout
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.room import Room


class Intake:
    """Why writes are refused, by kind; None: they are accepted. After a failed write all are refused until `recovered`."""

    def __init__(self) -> None:
        self.room = Room.AMPLE
        self.spare = 0
        """Bytes beyond what must be free before everything is taken again; negative while they are missing."""
        self.data: StorageError | None = None
        """Of callers: puts and bulk inserts."""
        self.entries: StorageError | None = None
        """With data, of other nodes' primaries."""
        self.removals: StorageError | None = None
        """Deletions and expiry, of anybody."""
        self._full: StorageError | None = None
        self._failure: StorageError | None = None

    def limit(self, room: Room, reason: StorageError, spare: int = 0) -> None:
        """Accepts no more than there is room for."""
        self.room, self._full, self.spare = room, reason, spare
        self._decide()

    def fail(self, reason: StorageError) -> None:
        """A write has failed: accepts nothing."""
        self._failure = reason
        self._decide()

    def recovered(self) -> None:
        """Writes work again."""
        self._failure = None
        self._decide()

    @property
    def failed(self) -> bool:
        """Whether a write has failed since the last `recovered`."""
        return self._failure is not None

    def refusal(self, records: Sequence[bytes]) -> StorageError | None:
        """Why these records of another node's primary are refused."""
        if self.entries is None:
            return None
        return self.entries if has_data(records) else self.removals

    def _decide(self) -> None:
        self.data, self.entries, self.removals = (
            self._failure or (self._full if self.room >= worst else None)
            for worst in (Room.SCARCE, Room.FULL, Room.EXHAUSTED)
        )


def has_data(records: Sequence[bytes]) -> bool:
    """Whether not all of them are removals."""
    return not all(record[1] & layout.FLAG_REMOVAL for record in records)
