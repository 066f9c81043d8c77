"""What the disk accepts at the moment: everything, deletions only, or nothing."""

from collections.abc import Sequence

from dstk_storage.domain import layout
from dstk_storage.domain.errors import ReadOnly
from dstk_storage.domain.room import Room


class Intake:
    """Why writes are refused, by kind; None: they are accepted. After a failed write all are refused until `recovered`."""

    def __init__(self) -> None:
        self.room = Room.AMPLE
        self.spare = 0
        """Bytes beyond what must be free before everything is taken again; negative while they are missing."""
        self.data: ReadOnly | None = None
        """Of callers: puts and bulk inserts."""
        self.entries: ReadOnly | None = None
        """With data, of other nodes' primaries."""
        self.removals: ReadOnly | None = None
        """Deletions and expiry, of anybody."""
        self._full: ReadOnly | None = None
        self.failure: ReadOnly | None = None
        """Set when a write fails, until `recovered`."""

    def limit(self, room: Room, reason: ReadOnly, spare: int = 0) -> None:
        """Accepts no more than there is room for."""
        self.room, self._full, self.spare = room, reason, spare
        self._decide()

    def fail(self, reason: ReadOnly) -> None:
        """A write has failed: accepts nothing."""
        self.failure = reason
        self._decide()

    def recovered(self) -> None:
        """Writes work again."""
        self.failure = None
        self._decide()

    def refusal(self, records: Sequence[bytes]) -> ReadOnly | None:
        """Why these records of another node's primary are refused."""
        if self.entries is None:
            return None
        return self.entries if has_data(records) else self.removals

    def _decide(self) -> None:
        self.data, self.entries, self.removals = (
            self.failure or (self._full if self.room >= worst else None)
            for worst in (Room.SCARCE, Room.FULL, Room.EXHAUSTED)
        )


def has_data(records: Sequence[bytes]) -> bool:
    """Whether not all of them are removals."""
    return not all(record[1] & layout.FLAG_REMOVAL for record in records)
