"""One partition on one node: what it accepts as a follower, and how it begins and ends its time as the primary. No I/O, no
time.

Invariants (as docs/replication.md numbers them):
 R1  A follower applies entries in order: each one's `previous` is where the follower stood.
 R2  A replica follows no epoch below the highest that it has promised.
 R9  An epoch is led once: by the process that won it, or that saw the entry appear which granted it the quiesced partition.
 R15 No message makes a replica promise an epoch far above the map's: a promise is for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.log import Entry, PartitionLog
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import Progress

MAX_EPOCHS_AHEAD = 1000
"""How far an epoch that a message names may be above that of the map's entry, as this node knows it. Elections without a winner
take a few. A node whose map is older than that has to learn of a newer one first.
"""


class Refused(Exception):
    """The follower cannot take this: it stands elsewhere, or has promised a higher epoch."""


class PromiseKeeper(Protocol):
    """Hears of each promise at once, before anything else is answered (promises.py, P1)."""

    def promised(self, partition: PartitionId) -> None:
        """The replica has promised a higher epoch."""


class Grant(NamedTuple):
    """The right to lead the partition without an election: it was quiesced when the entry was made (R9)."""

    epoch: int
    """The epoch that it may lead."""
    known_from: int
    """The epoch of the entry that the others must know before they are believed (R8)."""


@dataclass(slots=True, eq=False)
class Replica:
    """`partition.log` holds its entries; `info` is the map's entry that it goes by."""

    me: NodeId
    info: PartitionInfo
    partition: Partition
    promised: int
    range: KeyRange
    """The range that the log is about: what lies before a change of range is never sent again (R8)."""
    keeper: PromiseKeeper
    primary: Primary | None = None
    is_electing: bool = False
    """It is trying to become the primary, or transferring the partition."""
    is_quiesced: bool = False
    """It was the primary until now, all in sync stand where it does, and a change of the map is being made."""
    grant: Grant | None = None
    """Set when the newest entry has given the partition to this process."""
    claimed: int = 0
    """The highest epoch at which another node's heartbeat has claimed it."""
    is_lost: bool = False
    """It is the only one in sync by the map, and not whole: nobody serves the partition (R13)."""
    is_suspect: bool = False
    """A majority of the others holds something else: until a snapshot is installed it neither leads, follows nor votes."""

    @property
    def log(self) -> PartitionLog:
        """The partition's log."""
        return self.partition.log

    @property
    def needs_snapshot(self) -> bool:
        """It is no consistent whole, or is not to be believed."""
        return self.partition.needs_snapshot or self.is_suspect

    def follow(self, info: PartitionInfo) -> None:
        """Adopts a newer map entry that another node made, or this process while the partition was quiesced (R9)."""
        old = self.info
        self.info, self.grant = info, None
        if info.primary == self.me and self.promised < info.epoch and (self.is_quiesced or old.primary != self.me):
            is_alike = info.epoch == old.epoch + 1 and (info.range, info.replicas) == (old.range, old.replicas)
            self.grant = Grant(info.epoch, old.epoch if is_alike else info.epoch)
        self.promise(info.epoch)

    def valid_grant(self) -> Grant | None:
        """The right to lead the newest entry without an election, if it still holds."""
        grant = self.grant
        holds = grant is not None and grant.epoch == self.promised and self.log.tail == self.log.position
        return grant if holds else None

    def believes(self, epoch: int) -> bool:
        """Whether an epoch that a message names can be one (R15)."""
        return epoch <= self.info.epoch + MAX_EPOCHS_AHEAD

    def promise(self, epoch: int) -> None:
        """R2."""
        if epoch > self.promised:
            self.promised = epoch
            self.keeper.promised(self.info.id)

    def accept(self, epoch: int, entries: Iterable[Entry]) -> list[Entry]:
        """Appends the entries that are new here and returns them. Raises Refused, having taken none or only the first of them
        (R1, R2).
        """
        if epoch < self.promised or not self.believes(epoch) or self.primary is not None or self.needs_snapshot:
            raise Refused
        self.promise(epoch)
        fresh = []
        for entry in entries:
            if entry.position <= self.log.tail and self.log.history.contains(entry.position):
                continue  # sent twice
            if entry.previous != self.log.tail or not entry.follows(epoch):
                raise Refused
            self.log.append(entry)
            self.log.hand(entry.position)
            fresh.append(entry)
        return fresh

    def lead(self, epoch: int, since: float, followers: dict[NodeId, Progress]) -> Primary:
        """Becomes the primary of an epoch that it has won."""
        assert self.primary is None
        assert not self.needs_snapshot, "what is no whole replica leads nothing (R12)"
        written = self.log.position.epoch
        # the log of a merge begins with the merge's own epoch, in which nobody has written yet
        assert epoch > written or (epoch == written and self.grant is not None), f"{epoch} is written in: {written}"
        assert self.log.tail == self.log.position, "what was accepted must be on disk first"
        self.grant = None
        self.promise(epoch)
        self.log.truncate(self.log.tail)
        self.primary = Primary(epoch, epoch, since, followers)
        return self.primary

    def propose(self, batch: Batch) -> None:
        """Gives a batch its epoch and its place in the log, from where followers are sent it."""
        primary = self.primary
        assert primary is not None
        batch.epoch = primary.epoch
        entry = Entry(self.log.tail, batch.epoch, batch.first, batch.keys, batch.records, batch.context)
        primary.in_flight.append((batch, entry.position))
        self.log.append(entry)

    def take_replicated(self) -> list[Batch]:
        """The batches that may be committed, in order; the disk is given them by the caller."""
        if self.primary is None:
            return []
        replicated = self.primary.take_replicated()
        if replicated:
            self.log.hand(replicated[-1].position)
        return replicated

    def resign(self) -> None:
        """Stops being the primary. What was not given to the disk is truncated: the next primary has it, or it never was."""
        if self.primary is None:
            return
        for progress in self.primary.followers.values():
            progress.cursor.close()
        self.primary = None
        self.log.truncate(self.log.handed)

    def change_range(self) -> None:
        """The partition has another range: its log goes on, and what was sent before is history (R8)."""
        assert self.primary is None, "ranges change while a partition is quiesced"
        self.range = self.partition.range
        position = self.log.position
        if not self.needs_snapshot:
            position = max(position, self.log.handed)  # what a follower out of sync still writes goes on counting
        self.log.clear(position)
