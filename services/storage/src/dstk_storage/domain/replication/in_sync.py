"""Which nodes may be in sync. Pure: callers say what time it is.

A disk and a connection are a node's, not a partition's. So what one partition learns about a follower's node counts for all,
and none of them waits for that node as long as the first one did.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

from dstk_keytypes import NodeId
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

LEAVING_SECONDS = 10.0
"""How long a node that announced its leave is kept out of the in-sync sets, unless it is seen to be gone before."""

HANGING_SECONDS = 10.0
"""How long a node whose disk hangs is kept out of the in-sync sets, unless it writes something before."""

STALLS = 2
"""After so many times the patience with followers, a primary gives up on its own disk: the others in sync have a better one."""

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 8.0
FORGIVEN_SECONDS = 30.0
"""A node that is silent once is readmitted as soon as it answers. If it is silent again within this time, its readmission is
delayed, twice as long each time. Where nodes have more to do than they can, each readmission is a change of the map for each
partition, which keeps them from answering: the delay ends that.
"""


@dataclass(slots=True)
class FlapDamper:
    """How often a node was silent recently."""

    count: int = 0
    last: float = -math.inf

    def note(self, now: float, lease: float) -> None:
        """The node is silent. Many partitions tell of it at one moment, or one after the other."""
        if now - self.last > lease:
            self.count = self.count + 1 if now - self.last < FORGIVEN_SECONDS else 1
            self.last = now

    def readmitted_at(self) -> float:
        """From when on the node may be readmitted."""
        if self.count <= 1:
            return -math.inf
        return self.last + min(LONGEST_DELAY_SECONDS, math.ldexp(FIRST_DELAY_SECONDS, self.count - 2))


class InSyncManager:
    """This node's judgement of the others, and of its own disk. To evict a follower is always safe: it takes a change of the
    map.
    """

    def __init__(self, lease: float, stall: float) -> None:
        self._lease, self._stall = lease, stall
        self._leaving: dict[NodeId, float] = {}
        self._hanging: dict[NodeId, float] = {}
        self._flapping: dict[NodeId, FlapDamper] = {}
        self._retired: frozenset[NodeId] = frozenset()
        self._writing: object = None
        self._writing_since = 0.0
        self.own_disk_hangs = False
        """This node's disk has left a write unanswered for too long: it is to lead nothing."""

    def note_retired(self, nodes: Iterable[NodeId]) -> None:
        """The nodes that register as leaving, by the newest map."""
        self._retired = frozenset(nodes)

    def note_leave(self, node: NodeId, now: float) -> None:
        """The node is about to stop."""
        self._leaving[node] = now + LEAVING_SECONDS

    def note_silence(self, node: NodeId, now: float) -> None:
        """The node has answered nothing for the lease period."""
        self._flapping.setdefault(node, FlapDamper()).note(now, self._lease)

    def note_hang(self, node: NodeId, now: float) -> None:
        """The node answers heartbeats, and leaves a batch unanswered."""
        self._hanging[node] = now + HANGING_SECONDS

    def note_unreachable(self, node: NodeId, now: float) -> None:
        """A message to the node was lost, or nobody listens at its address."""
        self._leaving.pop(node, None)
        if node in self._hanging:
            self._hanging[node] = now + HANGING_SECONDS

    def note_empty(self, node: NodeId) -> None:
        """A node that has nothing has not left: it replaced a corrupt engine, and needs snapshots."""
        self._leaving.pop(node, None)

    def note_written(self, node: NodeId) -> None:
        """A follower has taken entries to its disk."""
        self._hanging.pop(node, None)

    def watch_own_disk(self, writing: object, now: float) -> bool:
        """Takes what this node's disk is writing (None: nothing); whether `own_disk_hangs` has changed."""
        before = self.own_disk_hangs
        if writing is not self._writing:
            self._writing, self._writing_since = writing, now
        self.own_disk_hangs = writing is not None and now - self._writing_since >= STALLS * self._stall
        if self.own_disk_hangs and not before:
            extra = LogFields(action="disk_hangs", seconds=round(now - self._writing_since, 1))
            log.error("the disk hangs: others are to lead", extra=extra)
        elif before and not self.own_disk_hangs:
            log.info("the disk answers again", extra=LogFields(action="disk_answers"))
        return before != self.own_disk_hangs

    def may_join(self, node: NodeId, now: float) -> bool:
        """Whether the node may enter an in-sync set: it neither leaves nor hangs, and is not silent again and again."""
        flapping = self._flapping.get(node)
        is_delayed = flapping is not None and now < flapping.readmitted_at()
        return not (self.is_leaving(node, now) or self.hangs(node, now) or is_delayed)

    def is_leaving(self, node: NodeId, now: float) -> bool:
        """Whether the node announced its leave and was not seen to be gone since, or registers as leaving."""
        return self._leaving.get(node, 0.0) > now or node in self._retired

    def hangs(self, node: NodeId, now: float) -> bool:
        """Whether the node's disk leaves writes unanswered."""
        return self._hanging.get(node, 0.0) > now
