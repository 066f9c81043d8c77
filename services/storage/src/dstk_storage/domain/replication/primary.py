"""The state of a replica that orders the writes of its partition. No I/O, no time of its own."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import Position
from dstk_storage.domain.replication.progress import FollowerState, Progress


@dataclass(slots=True, eq=False)
class Primary:
    """A term of office, since the replica won `won`.

    Invariants (as docs/replication.md numbers them):
     R3  A batch is committed, and answered for, only when all required followers have it on disk.
     R4  The required followers are the in-sync set, and the learners that are about to enter it. One is evicted only by a
         change of the map that is known to have happened: an earlier one, of unknown outcome, may have admitted it.
     R5  It serves nothing before every member of the in-sync set stands exactly at its position.
    """

    won: int
    """The epoch that it was elected for."""
    epoch: int
    """The epoch of the newest change of the map that it has made since."""
    since: float
    """When it was elected."""
    followers: dict[NodeId, Progress]
    in_flight: deque[tuple[Batch, Position]] = field(default_factory=deque)
    """Batches that not all required followers have, in order, with their positions."""
    is_serving: bool = False
    is_quiescing: bool = False
    """It admits no writes, so that the partition quiesces for a change of the map (reconfiguration.py)."""
    is_changing: bool = False
    """A change of the map is under way."""
    attempts: list[PartitionInfo] = field(default_factory=list)
    """Changes of the map that it has asked for, and that may have happened (R7)."""
    head: Position | None = None
    """The oldest batch in flight when `stuck` last looked."""
    head_since: float = 0.0
    """Since when that is the oldest."""

    def required(self) -> list[NodeId]:
        """The followers that batches and the lease wait for."""
        return [node for node, progress in self.followers.items() if progress.required]

    def in_sync(self) -> list[Progress]:
        """The same, how far they are."""
        return [progress for progress in self.followers.values() if progress.required]

    def is_quiet(self, tail: Position) -> bool:
        """Whether nothing is in flight, and all required followers have said that they stand at `tail`."""
        return not self.in_flight and all(each.is_known and each.acked == tail for each in self.in_sync())

    def take_replicated(self) -> list[Batch]:
        """Removes the batches that all required followers have, in order (R3)."""
        found: list[Batch] = []
        needed = self.in_sync()
        if False in [progress.is_known for progress in needed]:  # a generator costs 0.2 µs, even an empty one
            return found
        acked = min([progress.acked for progress in needed], default=None)
        while self.in_flight and (acked is None or acked >= self.in_flight[0][1]):
            found.append(self.in_flight.popleft()[0])
        return found

    def stuck(self, tail: Position, now: float, patience: float) -> list[NodeId]:
        """The required followers that have left the oldest batch, or the probe of a new primary, unanswered for that long."""
        head = self.in_flight[0][1] if self.in_flight else None if self.is_serving else tail
        if head != self.head:
            self.head, self.head_since = head, now
        if head is None or now - self.head_since < patience:
            return []
        return [
            node
            for node, each in self.followers.items()
            if each.required and not (each.is_known and each.acked >= head)
        ]

    def waiting_since(self, progress: Progress) -> float | None:
        """Since when the oldest batch in flight waits for this follower, as far as `stuck` has looked. Monotonic seconds; None:
        no batch does.
        """
        head = self.head if self.in_flight else None
        waits = head is not None and progress.is_known and progress.required and progress.acked < head
        return self.head_since if waits else None

    def needs_snapshot(self) -> list[NodeId]:
        """The required followers that can only go on with a snapshot: they are evicted first."""
        return [node for node, each in self.followers.items() if each.required and each.state is FollowerState.SNAPSHOT]

    def sync_membership(self, in_sync: Iterable[NodeId]) -> None:
        """The map names these followers in the in-sync set."""
        members = set(in_sync)
        for node, progress in self.followers.items():
            if node in members:
                progress.joined()
            elif progress.joins_at is None:
                progress.required = False
