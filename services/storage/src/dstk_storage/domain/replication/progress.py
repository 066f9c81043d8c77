"""How far a follower is, as its primary knows it (after etcd's raft, tracker/progress.go)."""

from dataclasses import dataclass
from enum import Enum

from dstk_storage.domain.history import START, Position
from dstk_storage.domain.log import Subscription
from dstk_storage.domain.room import Room


class FollowerState(Enum):
    """What a follower is sent.

    PROBE      → REPLICATE  it says where it stands, inside the primary's history
    PROBE      → JOINING    the same, of a learner that writes already wait for
    PROBE      → SNAPSHOT   it says that it holds nothing whole, or stands outside the history or behind the log's tail
    REPLICATE  → PROBE      it is to say again where it stands: it becomes required, is evicted, or may have lost everything
    JOINING    → REPLICATE  the map names it in the in-sync set
    JOINING    → PROBE      it is evicted, or may have lost everything
    any        → SNAPSHOT   it differs from a majority, or needs what the log has forgotten
    SNAPSHOT   → PROBE      the snapshot has ended, however it ended
    """

    PROBE = "probe"
    """It is asked where it stands, one message at a time."""
    REPLICATE = "replicate"
    """It is sent entries as they come."""
    JOINING = "joining"
    """The same; when it has everything from `joins_at` on, a change of the map takes it into the in-sync set."""
    SNAPSHOT = "snapshot"
    """It is sent nothing but a snapshot."""


@dataclass(slots=True)
class Progress:
    """One follower of one partition. `known_from`: the epoch of the map's entry by which it was a replica: it is not believed
    before it knows that one (R8).
    """

    cursor: Subscription
    """Behind what it has been sent: what lies between `acked` and this is on its way."""
    known_from: int
    since: float
    """When it became required: a node is not called silent before it had time to answer."""
    required: bool = False
    """Batches and the lease wait for it."""
    state: FollowerState = FollowerState.PROBE
    acked: Position = START
    asked: bool = False
    """A probe is on its way."""
    generation: int = 0
    """How often it was probed again. A response counts only for the generation in which its request was sent (R6): several
    messages are on their way at once, and an older response may tell of what the follower has lost since.
    """
    joins_at: Position | None = None
    """Where the log ended when this learner became required."""
    distrusted: bool = False
    """It holds something else than a majority: it needs a snapshot, whatever it says of itself."""
    is_installing: bool = False
    """Its snapshot is under way."""
    refuses_writes: bool = False
    """Its disk takes no writes at the moment, or not what comes next."""
    room: Room = Room.AMPLE
    """What its disk had room for when it last answered."""

    @property
    def is_known(self) -> bool:
        """Whether it has said where it stands."""
        return self.state in (FollowerState.REPLICATE, FollowerState.JOINING)

    def rewind(self) -> None:
        """What was on its way may not have arrived: it is sent again."""
        self.cursor.seek(self.acked)
        self.asked = False

    def probe(self) -> None:
        """Nothing that it has said counts any more, nor what it was asked and has not answered yet."""
        self.state, self.acked = FollowerState.PROBE, START
        self.generation += 1
        self.rewind()

    def stand(self, position: Position, *, accepted: bool) -> None:
        """It has said where it stands."""
        self.state = FollowerState.REPLICATE if self.joins_at is None else FollowerState.JOINING
        if position > self.acked or not accepted:
            self.acked = position
        if not accepted or self.cursor.position < self.acked:
            self.cursor.seek(self.acked)

    def require(self, now: float) -> None:
        """Nothing is committed without it from now on. It is probed: since it last answered it may have lost everything, and an
        idle partition would never find out (R6).
        """
        self.required, self.since = True, now
        self.probe()

    def join(self, tail: Position, now: float) -> None:
        """A learner that is close becomes required, on its way into the in-sync set."""
        self.joins_at = tail
        self.require(now)

    def joined(self) -> None:
        """The map names it in the in-sync set."""
        self.required, self.joins_at = True, None
        if self.state is FollowerState.JOINING:
            self.state = FollowerState.REPLICATE

    def evicted(self) -> None:
        """The map names it in the in-sync set no more, and nothing waits for it."""
        self.required, self.joins_at = False, None
        if not self.is_installing:
            self.probe()
