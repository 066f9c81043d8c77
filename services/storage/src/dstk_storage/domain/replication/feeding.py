"""The primary's side: sends followers what they lack, and applies what they have."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

from dstk_keytypes import NodeId
from dstk_storage.domain.batch import REPLICATED, Batch
from dstk_storage.domain.intake import has_data
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.ports import Append, Appended, PeerUnreachable
from dstk_storage.domain.replication.rebuild import Rebuild
from dstk_storage.domain.replication.replica import Primary, Progress, Replica
from dstk_storage.domain.room import Room

if TYPE_CHECKING:
    from dstk_storage.domain.replication.replicator import Replicator

log = logging.getLogger(__name__)

FEED_BYTES = 4 << 20
"""Of one partition in one message."""

MESSAGES_AT_ONCE = 3
"""On their way to one node. With one, a batch waited for the message before it as long as for its own."""

RETRY_SECONDS = 0.05
SOON_SECONDS, SOON_RETRY_SECONDS = 0.2, 0.005
"""How long after it took office a primary that does not serve yet asks followers with an old map again so soon."""

JOINING_AT_ONCE = 16
"""Learners on their way into in-sync sets. Each is a change of the map; hundreds at one moment, when a node is back that
follows as many partitions, would keep all nodes from sending heartbeats.
"""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What a message to a follower has for one partition, and what the answer will be about."""

    append: Append
    progress: Progress
    turn: int

    def is_answered_by(self, progress: Progress | None) -> bool:
        """Whether an answer that comes now still counts for the follower: it is asked for the same term of office, and was not
        asked anew since (R6).
        """
        return self.progress is progress and self.turn == self.progress.turn


@dataclass(slots=True)
class _Lane:
    """What one node is to be sent of."""

    due: dict[Replica, None] = field(default_factory=dict)
    work: asyncio.Event = field(default_factory=asyncio.Event)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MESSAGES_AT_ONCE))

    def add(self, replica: Replica) -> None:
        self.due[replica] = None
        self.work.set()


class Feeding:
    """A few messages at a time to each node, each with whatever all partitions have for it that was not sent yet."""

    def __init__(self, home: "Replicator") -> None:
        self._home = home
        self._lanes: dict[NodeId, _Lane] = {}
        self._room = 0

    def count_joining(self) -> None:
        """Lets as many learners join as there is room for, until it is called again."""
        primaries = [replica.primary for replica in self._home.replicas.values() if replica.primary is not None]
        joining = sum(each.joins_at is not None for primary in primaries for each in primary.followers.values())
        self._room = JOINING_AT_ONCE - joining

    def propose(self, replica: Replica, batch: Batch) -> None:
        """Sends a closed batch on its way."""
        replica.propose(batch)
        self.advance(replica)
        self.wake(replica)

    def wake(self, replica: Replica) -> None:
        """Has every follower fed that is behind."""
        for node in replica.primary.followers if replica.primary is not None else ():
            lane = self._lanes.get(node)
            if lane is None:
                lane = self._lanes[node] = _Lane()
                self._home.spawn(self._feed(node, lane))
            lane.add(replica)

    def advance(self, replica: Replica) -> None:
        """Brings to disk what all required followers have; serves as soon as they all stand where this replica does (R5)."""
        primary = replica.primary
        if primary is None:
            return
        for batch in replica.replicated():
            batch.advance(REPLICATED)
            batch.ended().add_done_callback(partial(self._on_end, replica, batch))
            self._home.around.committer.commit(batch)
        if not primary.serving and primary.at_rest(replica.tail):
            primary.serving = True
            replica.partition.epoch = primary.epoch
            self._home.around.store.activate(replica.partition)
            log.info("serving as primary", extra={"partition": replica.info.id, "epoch": primary.epoch})
        self._home.renew(replica)

    def _on_end(self, replica: Replica, batch: Batch, _: "asyncio.Future[None]") -> None:
        """A primary whose disk fails would fall behind its followers: it resigns."""
        if batch.failure is not None:
            self._home.resign(replica)
            replica.partition.log.truncate(replica.partition.log.position)

    async def _feed(self, node: NodeId, lane: _Lane) -> None:
        while True:
            await lane.work.wait()
            await lane.slots.acquire()
            lane.work.clear()
            due, lane.due = lane.due, {}
            message = [sent for replica in due if (sent := self._next(replica, node)) is not None]
            if message:
                self._home.spawn(self._exchange(node, lane, list(due), message))
            else:
                lane.slots.release()

    async def _exchange(self, node: NodeId, lane: _Lane, due: Sequence[Replica], message: Sequence[_Sent]) -> None:
        """One message, and what follows from its answer."""
        try:
            answers = await self._home.around.peers.append(node, [sent.append for sent in message])
            for sent, answer in zip(message, answers, strict=True):
                self._digest(node, lane, sent, answer)
        except PeerUnreachable as error:
            self._home.care.lost_sight(node, error)
            await self._home.around.clock.sleep(RETRY_SECONDS)
            for replica in due:
                if (progress := _progress(replica, node)) is not None:
                    progress.rewind()
                lane.add(replica)
        finally:
            lane.slots.release()

    def _next(self, replica: Replica, node: NodeId) -> _Sent | None:
        """What the node is to be sent of this partition next, if anything."""
        primary, progress = replica.primary, _progress(replica, node)
        if primary is None or progress is None or progress.copying:
            return None
        if not progress.known or progress.ailing:
            if progress.asked:
                return None
            progress.asked = True
            return _sent(replica, primary, progress, ())
        entries = replica.partition.log.entries_after(progress.sent, FEED_BYTES)
        if progress.room >= Room.FULL:
            entries = self._removals(progress, entries)
        if not entries and progress.room and not progress.asked and not progress.ailing:
            progress.asked = True  # by its answer it is known when there is room again
            return _sent(replica, primary, progress, ())
        if not entries:
            return None
        progress.sent = entries[-1].position
        return _sent(replica, primary, progress, entries)

    def _digest(self, node: NodeId, lane: _Lane, sent: _Sent, answer: Appended) -> None:
        replica, progress = self._home.replicas.get(sent.append.partition), sent.progress
        primary = None if replica is None else replica.primary
        if replica is None or primary is None or not sent.is_answered_by(primary.followers.get(node)):
            return
        progress.asked = False
        if answer.behind or sent.append.range != replica.range:
            progress.rewind()
            self._home.spawn(self._ask_again(replica, primary, lane))
            return
        if answer.promised > primary.epoch:
            progress.rewind()  # it has not said where it stands by what it was sent
            self._home.spawn(self._home.changes.outbid(replica, answer.promised))
            return
        if answer.accepted and sent.append.entries:
            self._home.care.has_written(node)
        self._note(replica, node, progress, answer)
        self.consider(replica, node, progress)
        self.advance(replica)
        if not progress.ailing and (sent.append.entries or not progress.room):
            lane.add(replica)

    async def _ask_again(self, replica: Replica, primary: Primary, lane: _Lane) -> None:
        """The follower's map is old, for a moment mostly: while callers wait for its answer it is asked again soon. Else the
        next look at the followers does so.
        """
        clock = self._home.around.clock
        if not primary.serving and clock.monotonic() < primary.since + SOON_SECONDS:
            await clock.sleep(SOON_RETRY_SECONDS)
            lane.add(replica)

    def _note(self, replica: Replica, node: NodeId, progress: Progress, answer: Appended) -> None:
        """Where the follower stands; a follower that stands outside this history must be rebuilt."""
        # what is no whole replica stands nowhere: not even at the beginning, where that of an empty partition stands
        progress.known = not (answer.rebuilding or progress.distrusted)
        progress.ailing, progress.room = answer.ailing, answer.room
        if answer.rebuilding:
            self._home.care.begins_anew(node)
        if answer.rebuilding or progress.distrusted:
            self._must_copy(replica, progress, answer)
            return
        if answer.position > progress.acked or not answer.accepted:
            progress.acked = answer.position
        if not answer.accepted or progress.sent < progress.acked:
            progress.sent = progress.acked
        missing = replica.partition.log.entries_after(progress.acked)
        blocked = answer.room >= Room.FULL and not progress.required and missing and has_data(missing[0].records)
        if missing is None or blocked:
            self._must_copy(replica, progress, answer)

    def _must_copy(self, replica: Replica, progress: Progress, answer: Appended) -> None:
        """It waits until the copy fits onto its disk."""
        fits = answer.room < Room.FULL or answer.copy_room >= self._home.around.store.weigh(replica.range)
        progress.copying, progress.ailing = fits, progress.ailing or not fits

    def _removals(self, progress: Progress, entries: Sequence[Entry] | None) -> list[Entry]:
        """What a full disk takes of the entries. When the first one is not of it, the follower takes nothing for now."""
        taken = list(takewhile(lambda entry: not has_data(entry.records), entries or ()))
        progress.ailing = progress.ailing or (bool(entries) and not taken)
        return taken

    def consider(self, replica: Replica, node: NodeId, progress: Progress) -> None:
        """What the follower's progress asks for: a rebuild, or its way into the in-sync set (R4, R6)."""
        if progress.copying:
            if not progress.required and not progress.busy:  # a required one is removed first
                assert replica.primary is not None
                self._home.spawn(Rebuild(self._home, replica, replica.primary, node, progress).run())
        elif progress.joins_at is not None and progress.known and progress.acked >= progress.joins_at:
            self._home.spawn(self._home.changes.admit(replica, node))
        elif not progress.required and self._is_close(replica, progress) and self._has_room(node):
            self._room -= 1
            progress.require(self._home.around.clock.monotonic())
            progress.joins_at = replica.tail
            self.wake(replica)

    def _is_close(self, replica: Replica, progress: Progress) -> bool:
        """It has what this replica has on disk, so that waiting for it costs little; and has answered a heartbeat of late, else
        the lease would be over at once.
        """
        primary, around = replica.primary, self._home.around
        has_all = progress.acked >= replica.partition.log.position
        answers = progress.answered + around.timing.lease / 2 > around.clock.monotonic()
        return primary is not None and primary.serving and has_all and answers and not progress.ailing

    def _has_room(self, node: NodeId) -> bool:
        return self._room > 0 and self._home.care.is_welcome(node)


def _sent(replica: Replica, primary: Primary, progress: Progress, entries: Sequence[Entry]) -> _Sent:
    append = Append(replica.info.id, primary.epoch, replica.range, entries, progress.added)
    return _Sent(append, progress, progress.turn)


def _progress(replica: Replica, node: NodeId) -> Progress | None:
    return None if replica.primary is None else replica.primary.followers.get(node)
