"""One partition on one node: what it accepts as a follower, and what it waits for as the primary. No I/O, no time.

Invariants (as docs/replication.md numbers them):
 R1  A follower applies entries in order: each one's `previous` is where the follower stood.
 R2  A replica follows no epoch below the highest that it has promised.
 R3  A primary applies a batch, and answers for it, only when all its required followers have it on disk.
 R4  The required followers are the in-sync set, and the learners that are about to enter it. One is let go only by a change of
     the map that is known to have happened: an earlier one, of unknown outcome, may have taken it in.
 R9  An epoch is led once: by the process that won it, or that saw the entry appear which handed the partition to it at rest.
 R15 No message makes a replica promise an epoch far above the map's: a promise is for ever.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import START, Position
from dstk_storage.domain.log import Entry, PartitionLog
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.room import Room

MAX_EPOCHS_AHEAD = 1000
"""How far above that of the map's entry, as this node knows it, an epoch may be that a message names. Elections that nobody
wins take a few. A node whose map is older than that has to learn of a newer one first.
"""


class Refused(Exception):
    """The follower cannot take this: it stands elsewhere, or has promised a higher epoch."""


@dataclass(slots=True)
class Progress:
    """How far a follower is, as its primary knows it."""

    acked: Position = START
    added: int = 0
    """By which epoch of the map's entry it was a replica: it is not believed before it knows that one (R8)."""
    sent: Position = START
    """How far it has been sent entries; what is beyond `acked` is on its way."""
    asked: bool = False
    """It was asked where it stands, and has not answered yet."""
    known: bool = False
    """False until it has said where it stands."""
    turn: int = 0
    """How often it was asked anew. An answer counts only for the turn in which its message was sent (R6): several messages are
    on their way at once, and an older answer may tell of what the follower has lost since.
    """
    required: bool = False
    answered: float = -math.inf
    """When the last heartbeat was sent that it has answered for this partition."""
    since: float = 0.0
    """When it became required: a node is not called silent before it had the time to answer."""
    joins_at: Position | None = None
    """A learner that is required already: where the log ended when that began."""
    copying: bool = False
    """It must be made anew, or is being made."""
    distrusted: bool = False
    """It holds something else than a majority: it must be made anew, whatever it says of itself."""
    busy: bool = False
    """It is being made."""
    ailing: bool = False
    """Its disk takes no writes at the moment, or not what comes next."""
    room: Room = Room.AMPLE
    """What its disk had room for when it last answered."""

    def silent_since(self) -> float:
        """When it was last heard of, or became required."""
        return max(self.answered, self.since)

    def rewind(self) -> None:
        """What was on its way may not have arrived: it is sent again."""
        self.sent, self.asked = self.acked, False

    def ask_anew(self) -> None:
        """Nothing that it has said counts any more, nor what it was asked and has not answered yet."""
        self.known, self.acked = False, START
        self.turn += 1
        self.rewind()

    def require(self, now: float) -> None:
        """From now on nothing is applied without it. It is asked anew where it stands: since it last answered it may have lost
        everything, and an idle partition would never find out.
        """
        self.required, self.since = True, now
        self.ask_anew()


@dataclass(slots=True)
class Primary:
    """The state of a replica that orders the writes, since it won `epoch`."""

    won: int
    """The epoch that it was elected for."""
    epoch: int
    """That of the newest change of the map that it has made since."""
    since: float
    """When that was."""
    followers: dict[NodeId, Progress]
    in_flight: deque[tuple[Batch, Position]] = field(default_factory=deque)
    """Batches that not all required followers have, in order, with their positions."""
    serving: bool = False
    """False until every member of the in-sync set stands exactly where this one does."""
    lease: float = -math.inf
    """Until when it may serve, on the monotonic clock."""
    closing: bool = False
    """It lets no write in, so that the partition comes to rest for a change of the map (planned.py)."""
    head: Position | None = None
    """The oldest batch under way when that was last looked at."""
    head_since: float = 0.0
    """Since when it is the oldest."""
    changing: bool = False
    """A change of the map is under way."""
    attempts: list[PartitionInfo] = field(default_factory=list)
    """Changes of the map that this primary has asked for, and that may have happened."""

    def required(self) -> list[NodeId]:
        """Whom a batch, and the lease, must wait for."""
        return [node for node, progress in self.followers.items() if progress.required]

    def at_rest(self, tail: Position) -> bool:
        """Whether nothing is under way, and all required followers stand at `tail`."""
        needed = [progress for progress in self.followers.values() if progress.required]
        return not self.in_flight and all(progress.known and progress.acked == tail for progress in needed)

    def stuck(self, tail: Position, now: float, patience: float) -> list[NodeId]:
        """Required followers that have left the oldest batch, or the question where they stand, unanswered for that long."""
        head = self.in_flight[0][1] if self.in_flight else None if self.serving else tail
        if head != self.head:
            self.head, self.head_since = head, now
        if head is None or now - self.head_since < patience:
            return []
        return [
            node for node, each in self.followers.items() if each.required and not (each.known and each.acked >= head)
        ]

    def replicated(self) -> list[Batch]:
        """Takes the batches that all required followers have, in order (R3)."""
        needed = [progress for progress in self.followers.values() if progress.required]
        if not all(progress.known for progress in needed):
            return []
        found = []
        while self.in_flight and all(progress.acked >= self.in_flight[0][1] for progress in needed):
            found.append(self.in_flight.popleft()[0])
        return found


class Heir(NamedTuple):
    """The right to lead the partition without an election: it rested when the entry was made (R9)."""

    epoch: int
    """That it may lead."""
    known: int
    """Of the entry that the others must know before they are believed (R8)."""


@dataclass(slots=True, eq=False)
class Replica:
    """See the module."""

    me: NodeId
    info: PartitionInfo
    partition: Partition
    promised: int
    range: KeyRange
    """That the log is about: what lies before a change of range is never sent again (R8)."""
    primary: Primary | None = None
    campaigning: bool = False
    """It is trying to become the primary, or handing the partition over."""
    resting: bool = False
    """It was the primary until now, all in sync stand where it does, and a change of the map is being made (planned.py)."""
    heir: Heir | None = None
    """Set when the newest entry has handed the partition to this process."""
    claimed: int = 0
    """The highest epoch at which another node's heartbeat has claimed it."""
    lost: bool = False
    """It is the only one in sync by the map, and not whole: nobody serves the partition (R13)."""
    suspect: bool = False
    """A majority of the others holds something else: until it is copied it neither leads, follows nor votes."""

    @property
    def log(self) -> PartitionLog:
        """The partition's."""
        return self.partition.log

    @property
    def tail(self) -> Position:
        """Where the accepted entries end."""
        return self.partition.log.tail

    @property
    def rebuilding(self) -> bool:
        """It is no consistent whole, or not to be believed, and must be copied."""
        return self.partition.rebuilding or self.suspect

    def follow(self, info: PartitionInfo) -> None:
        """Goes by a newer entry of the map, which somebody else has made, or this process while the partition rested (R9)."""
        old = self.info
        self.info, self.heir = info, None
        if info.primary == self.me and self.promised < info.epoch and (self.resting or old.primary != self.me):
            alike = info.epoch == old.epoch + 1 and (info.range, info.replicas) == (old.range, old.replicas)
            self.heir = Heir(info.epoch, old.epoch if alike else info.epoch)
        self.promise(info.epoch)

    def inheritance(self) -> Heir | None:
        """The right to lead the newest entry without an election, if it still holds."""
        heir = self.heir
        holds = heir is not None and heir.epoch == self.promised and self.log.tail == self.log.position
        return heir if holds else None

    def believes(self, epoch: int) -> bool:
        """Whether an epoch that a message names can be one (R15)."""
        return epoch <= self.info.epoch + MAX_EPOCHS_AHEAD

    def promise(self, epoch: int) -> None:
        """R2."""
        self.promised = max(self.promised, epoch)

    def accept(self, epoch: int, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that are new here. Raises Refused, having taken none or only the first of them (R1, R2)."""
        if epoch < self.promised or not self.believes(epoch) or self.primary is not None or self.rebuilding:
            raise Refused
        self.promise(epoch)
        fresh = []
        for entry in entries:
            if entry.position <= self.tail and self.log.history.contains(entry.position):
                continue  # sent twice
            if entry.previous != self.tail or not entry.follows(epoch):
                raise Refused
            self.log.append(entry)
            self.log.hand(entry.position)
            fresh.append(entry)
        return fresh

    def lead(
        self, epoch: int, in_sync: Sequence[NodeId], replicas: Sequence[NodeId], now: float, known: int = 0
    ) -> Primary:
        """Becomes the primary of an epoch that it has won; `known`: the epoch of the entry that it went by."""
        assert self.primary is None
        assert not self.rebuilding, "what is no whole replica leads nothing (R12)"
        written = self.log.position.epoch
        # the log that a merge leaves begins with the merge's own epoch, in which nobody has written yet
        assert epoch > written or (epoch == written and self.heir is not None), f"{epoch} is written in: {written}"
        self.heir = None
        assert self.log.tail == self.log.position, "what was accepted must be on disk first"
        self.promise(epoch)
        others = [node for node in replicas if node != self.me]
        followers = {node: Progress(required=node in in_sync, since=now, added=known) for node in others}
        self.primary = Primary(epoch, epoch, now, followers)
        return self.primary

    def propose(self, batch: Batch) -> None:
        """Gives a batch to the followers: it gets its epoch and its place in the log."""
        primary = self.primary
        assert primary is not None
        batch.epoch = primary.epoch
        entry = Entry(self.tail, batch.epoch, batch.first, batch.keys, batch.records)
        self.log.append(entry)
        primary.in_flight.append((batch, entry.position))

    def replicated(self) -> list[Batch]:
        """Takes the batches that may go to disk."""
        if self.primary is None:
            return []
        found = self.primary.replicated()
        if found:
            self.log.hand(found[-1].position)
        return found

    def resign(self) -> None:
        """Stops being the primary. What was not given to the disk is forgotten: the next primary has it, or it never was."""
        self.primary = None
        self.log.truncate(self.log.handed)

    def change_range(self) -> None:
        """The partition's range is another one: its log goes on, and what was sent before is history (R8)."""
        assert self.primary is None, "ranges change while a partition rests"
        self.range = self.partition.range
        # what a follower out of sync still writes goes on counting
        self.log.clear(self.log.position if self.rebuilding else max(self.log.position, self.log.handed))
