"""The follower's side: what a replica answers to primaries and to candidates. Pure: callers say what time it is, bring to disk
what is accepted, and perform what is put into the outbox.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.history import START
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.actions import Outbox
from dstk_storage.domain.replication.follower_watch import Disk
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.replication.ports import Append, Appended, Vote
from dstk_storage.domain.replication.promises import Promises
from dstk_storage.domain.replication.replica import Refused, Replica
from dstk_storage.domain.replication.stepping_down import step_down
from dstk_storage.domain.replication.timing import Timing
from dstk_storage.domain.room import Room


class Taken(NamedTuple):
    """The entries of an append that go to the disk. Not `is_all`: the disk has no room for the others."""

    entries: Sequence[Entry]
    is_all: bool


class FollowerHandler:
    """For all replicas of a node."""

    def __init__(
        self, replicas: Mapping[PartitionId, Replica], outbox: Outbox, promises: Promises, disk: Disk, timing: Timing
    ) -> None:
        self._replicas, self._outbox, self._promises = replicas, outbox, promises
        self._disk, self._timing = disk, timing

    def take(self, append: Append) -> Taken | None:
        """Accepts the entries that are new here, up to the first that the disk refuses; None: nothing was taken. What lies
        behind a refused entry is refused, too: on disk nothing may follow a gap (R1).
        """
        replica = self._replicas.get(append.partition)
        if replica is None or not is_about(append, replica):
            return None
        if replica.primary is not None and append.epoch > replica.primary.epoch:
            step_down(replica, self._outbox)
        refusal = self._disk.intake.refusal
        fitting = list(takewhile(lambda entry: refusal(entry.records) is None, append.entries))
        try:
            entries = replica.accept(append.epoch, fitting)
        except Refused:
            return None
        return Taken(entries, is_all=len(fitting) == len(append.entries))

    def lost(self, batch: Batch) -> None:
        """The disk has not taken an accepted entry, nor any behind it: the log ends where the disk does. To be called in the
        step in which the batch fails: what is accepted once the disk has recovered must follow what is on it (R1).
        """
        replica, log = self._replicas.get(batch.partition.id), batch.partition.log
        if not batch.is_stale and (replica is None or replica.primary is None):
            log.truncate(log.position)

    def answer(self, append: Append, *, accepted: bool, is_persisted: bool) -> Appended:
        """Where this node stands now, all of it on disk. `is_persisted`: the disk knows its range (R14)."""
        replica = self._replicas.get(append.partition)
        if replica is None or not is_about(append, replica) or not is_persisted:
            return Appended(append.partition, accepted=False, position=START, promised=0, behind=True)
        intake = self._disk.intake
        return Appended(
            append.partition,
            accepted,
            replica.log.position,
            replica.promised,
            replica.needs_snapshot,
            refuses_writes=intake.removals is not None,
            room=intake.room,
            snapshot_room=self._snapshot_room(replica) if intake.room >= Room.FULL else 0,
        )

    def heartbeat(self, heartbeat: Heartbeat, now: float) -> HeartbeatResponse:
        """Promises not to take over for a while what the sender claims."""
        response, touched = self._promises.receive(heartbeat, now, self.judge)
        for partition in touched:
            if (replica := self._replicas.get(partition)) is not None:
                self._outbox.touch(replica)
        return response

    def judge(self, partition: PartitionId, epoch: int) -> int | None:
        """Takes note of a claim; why it is refused, or that there is no whole replica: its primary may not know (R12)."""
        replica = self._replicas.get(partition)
        if replica is None or not replica.believes(epoch):
            return 0
        if replica.promised > epoch:
            return replica.promised
        replica.promise(epoch)
        replica.claimed = max(replica.claimed, epoch)
        return epoch if replica.needs_snapshot else None

    def promised(self, partition: PartitionId) -> None:
        """A replica promises more, appears, goes, or is whole or not: claims of it are checked again (promises.py, P1)."""
        self._promises.reconsider(partition, self.judge)
        if (replica := self._replicas.get(partition)) is not None:
            self._outbox.touch(replica)

    def vote(self, replica: Replica, epoch: int, now: float) -> Vote | None:
        """The vote, if it is clear at once: None: the epoch is promised, and the vote is where the replica stands once its disk
        has what was accepted. Promises the epoch, unless the replica is the primary and lives.
        """
        primary = replica.primary
        if primary is not None and primary.epoch >= epoch - 1 and self._lives(replica, now):
            return Vote(replica.log.tail, replica.promised, claims=True)
        step_down(replica, self._outbox)
        if replica.promised > epoch:
            return Vote(replica.log.position, replica.promised)
        replica.promise(epoch)
        return None

    def may_vote(self, replica: Replica | None, epoch: int) -> bool:
        """Whether the replica is a whole one that can take part in an election of this epoch."""
        return replica is not None and not replica.needs_snapshot and replica.believes(epoch)

    def _lives(self, replica: Replica, now: float) -> bool:
        """Whether the primary holds its lease, or is too young to have one."""
        assert replica.primary is not None
        return max(replica.partition.lease.end, replica.primary.since + self._timing.lease) > now

    def _snapshot_room(self, replica: Replica) -> int:
        return max(0, self._disk.intake.spare + self._disk.weigh(replica.range))


def is_about(append: Append, replica: Replica) -> bool:
    """Whether the follower's map is as new as what the primary speaks of (R8, R15)."""
    is_known = replica.info.epoch >= append.known_from
    return replica.range == append.range and is_known and replica.believes(append.epoch)


def holders(replicas: Mapping[PartitionId, Replica], me: NodeId) -> list[NodeId]:
    """The other nodes that hold replicas of the same partitions."""
    nodes = dict.fromkeys(node for replica in replicas.values() for node in replica.info.replicas)
    return [node for node in nodes if node != me]
