"""The primary's side: sends followers what they lack, commits what they have, and judges them. Pure: callers say what time it
is, and perform what is put into the outbox.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from dstk_keytypes import NodeId, PartitionId
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import START
from dstk_storage.domain.intake import has_data
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.actions import (
    BumpEpoch,
    Commit,
    Outbox,
    SendHeartbeat,
    Serve,
    Ship,
)
from dstk_storage.domain.replication.follower_watch import Disk, FollowerWatch, ship
from dstk_storage.domain.replication.in_sync import InSyncManager
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.ports import Append, Appended
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.progress import FollowerState, Progress
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.room import Room

log = logging.getLogger(__name__)

SHIP_BYTES = 4 << 20
"""Of one partition in one message."""

SOON_SECONDS, SOON_RETRY_SECONDS = 0.2, 0.005
"""How long after its election a primary that does not serve yet probes followers with an old map again so soon."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a message to a follower has for one partition, and what the response will be about."""

    append: Append
    progress: Progress
    generation: int

    def is_answered_by(self, progress: Progress | None) -> bool:
        """Whether a response that arrives now still counts: the term of office is the same, and the follower was not probed
        again since (R6).
        """
        return self.progress is progress and self.generation == self.progress.generation


class PrimaryHandler:
    """For all partitions that a node leads."""

    def __init__(
        self, outbox: Outbox, leases: LeaseBook, in_sync: InSyncManager, disk: Disk, watch: FollowerWatch
    ) -> None:
        self._outbox, self._leases, self._in_sync = outbox, leases, in_sync
        self._disk, self._watch = disk, watch

    def lead(self, replica: Replica, now: float, known_from: int) -> None:
        """Becomes the primary by the replica's map entry; serves when those in sync have said where they stand, and answered a
        heartbeat. `known_from`: the epoch of the entry that they must know to be believed.
        """
        info = replica.info
        self._leases.release(info.id)
        others = [node for node in info.replicas if node != replica.me]
        followers = {node: self.follower(replica, node, now, known_from) for node in others}
        for node in info.in_sync:
            if node != replica.me:
                followers[node].required = True
        replica.lead(info.epoch, now, followers)
        self._outbox.change(replica)
        ship(replica, self._outbox)
        self.advance(replica)
        for node in info.in_sync:
            if node != replica.me:
                self._outbox.add(SendHeartbeat(node))

    def follower(self, replica: Replica, node: NodeId, now: float, known_from: int) -> Progress:
        """A follower of which nothing is known yet."""
        outbox = self._outbox
        cursor = replica.log.subscribe(START, lambda: outbox.add(Ship(replica, node)))
        return Progress(cursor, known_from, now)

    def propose(self, replica: Replica, batch: Batch) -> None:
        """Sends a closed batch on its way."""
        replica.propose(batch)
        self._outbox.touch(replica)
        self.advance(replica)

    def advance(self, replica: Replica) -> None:
        """Commits what all required followers have; serves as soon as they all stand where this replica does (R5)."""
        primary = replica.primary
        if primary is None:
            return
        if batches := replica.take_replicated():
            self._outbox.add(Commit(replica, batches))
        if not primary.is_serving and primary.is_quiet(replica.log.tail):
            primary.is_serving = True
            self._outbox.add(Serve(replica))
            extra = LogFields(action="primary_serving", partition=replica.info.id, epoch=primary.epoch)
            log.info("serving as primary", extra=extra)

    def next_append(self, replica: Replica, node: NodeId) -> Sent | None:
        """What the node is to be sent of this partition next, if anything."""
        primary, progress = replica.primary, progress_of(replica, node)
        if primary is None or progress is None or progress.state is FollowerState.SNAPSHOT:
            return None
        if not progress.is_known or progress.refuses_writes:
            return self._probe(replica, primary, progress)
        entries = _next_entries(progress)
        if entries is None:
            progress.probe()  # the log has forgotten what follows: from its answer it is known that it needs a snapshot
            return self._probe(replica, primary, progress)
        if entries:
            return _sent(replica, primary, progress, entries)
        # by the answer to a probe it is known when the disk has room again
        is_waiting = progress.room and not progress.refuses_writes
        return self._probe(replica, primary, progress) if is_waiting else None

    def appended(self, node: NodeId, replica: Replica | None, sent: Sent, answer: Appended, now: float) -> None:
        """The node has answered what it was sent."""
        primary, progress = None if replica is None else replica.primary, sent.progress
        if replica is None or primary is None or not sent.is_answered_by(primary.followers.get(node)):
            return
        progress.asked = False
        self._outbox.touch(replica)
        if answer.behind or sent.append.range != replica.range:
            progress.rewind()
            self._probe_soon(replica, primary, node, now)
            return
        if answer.promised > primary.epoch:
            progress.rewind()  # it has not said where it stands by what it was sent
            self._outbox.add(BumpEpoch(replica, answer.promised))
            return
        if progress.state is FollowerState.SNAPSHOT:
            return  # what it said when it was sent this is over
        if answer.accepted and sent.append.entries:
            self._in_sync.note_written(node)
        self._note(replica, node, progress, answer)
        self._watch.consider(replica, node, progress, now)
        self.advance(replica)
        if not progress.refuses_writes and (sent.append.entries or not progress.room) and _lacks(replica, progress):
            self._outbox.add(Ship(replica, node))

    def unreachable(self, replica: Replica, node: NodeId) -> bool:
        """What the node was sent of this partition may not have arrived. Whether it is to be sent again soon: a learner whose
        node is silent can wait until that one answers a heartbeat.
        """
        if (progress := progress_of(replica, node)) is None:
            return False
        progress.rewind()
        return progress.required or not self._leases.is_silent(node)

    def heartbeat_answered(
        self, replicas: Mapping[PartitionId, Replica], node: NodeId, refusals: Mapping[PartitionId, int | None]
    ) -> None:
        """The node's response has changed something for these partitions (see LeaseBook.answer)."""
        for partition, refusal in refusals.items():
            replica = replicas.get(partition)
            progress = None if replica is None else progress_of(replica, node)
            if replica is None or replica.primary is None or progress is None:
                continue
            self._outbox.change(replica)
            if refusal is not None and refusal > replica.primary.epoch:
                self._outbox.add(BumpEpoch(replica, refusal))
            if refusal and progress.is_known:
                progress.probe()  # it may have lost everything since it said where it stands
                self._outbox.add(Ship(replica, node))

    def _probe(self, replica: Replica, primary: Primary, progress: Progress) -> Sent | None:
        if progress.asked:
            return None
        progress.asked = True
        return _sent(replica, primary, progress, ())

    def _probe_soon(self, replica: Replica, primary: Primary, node: NodeId, now: float) -> None:
        """The follower's map is old, for a moment mostly: while callers wait for its answer it is probed again soon. Else the
        next look at the followers does so.
        """
        if not primary.is_serving and now < primary.since + SOON_SECONDS:
            self._outbox.add(Ship(replica, node, SOON_RETRY_SECONDS))

    def _note(self, replica: Replica, node: NodeId, progress: Progress, answer: Appended) -> None:
        """Takes down where the follower stands. One that stands outside this history needs a snapshot."""
        progress.refuses_writes, progress.room = answer.refuses_writes, answer.room
        if answer.needs_snapshot:
            self._in_sync.note_empty(node)
        # what is no whole replica stands nowhere: not even at the beginning, where that of an empty partition stands
        if answer.needs_snapshot or progress.distrusted:
            self._need_snapshot(replica, progress, answer)
            return
        progress.stand(answer.position, accepted=answer.accepted)
        missing = replica.log.entries_after(progress.acked, max_bytes=1)
        is_full = answer.room >= Room.FULL and not progress.required
        if missing is None or (is_full and missing and has_data(missing[0].records)):
            self._need_snapshot(replica, progress, answer)

    def _need_snapshot(self, replica: Replica, progress: Progress, answer: Appended) -> None:
        """It waits until the snapshot fits onto its disk."""
        fits = answer.room < Room.FULL or answer.snapshot_room >= self._disk.weigh(replica.range)
        progress.state = FollowerState.SNAPSHOT if fits else FollowerState.PROBE
        progress.refuses_writes = progress.refuses_writes or not fits


def progress_of(replica: Replica, node: NodeId) -> Progress | None:
    """What the replica, as a primary, knows of a follower."""
    return None if replica.primary is None else replica.primary.followers.get(node)


def _lacks(replica: Replica, progress: Progress) -> bool:
    """Whether the follower is to be sent something at once. A follower without room for everything is probed again."""
    return progress.cursor.position != replica.log.tail or not progress.is_known or progress.room > Room.AMPLE


def _sent(replica: Replica, primary: Primary, progress: Progress, entries: Sequence[Entry]) -> Sent:
    append = Append(replica.info.id, primary.epoch, replica.range, entries, progress.known_from)
    return Sent(append, progress, progress.generation)


def _next_entries(progress: Progress) -> Sequence[Entry] | None:
    """What follows in the log; of that, what a full disk takes. When the first entry is not of it, the follower takes nothing
    until its disk has room.
    """
    before = progress.cursor.position
    entries = progress.cursor.next(SHIP_BYTES)
    if progress.room < Room.FULL or not entries:
        return entries
    removals = list(takewhile(lambda entry: not has_data(entry.records), entries))
    progress.refuses_writes = progress.refuses_writes or not removals
    progress.cursor.seek(removals[-1].position if removals else before)
    return removals
