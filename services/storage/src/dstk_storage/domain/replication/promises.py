"""What a follower's node has promised to the primaries' nodes: not to take over for a while. Pure: callers say what time it is.

Invariants:
 P1  A replica is bound for GRACE from the last heartbeat of the node whose claim it follows. It follows no claim below the
     epoch that it has promised, and from the moment it promises more, no heartbeat of the older claim binds it or is answered
     for it.
 P2  A restart forgets all promises, so for a primary that was not heard since, the grace period is START from the restart.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat, HeartbeatResponse, blocks
from dstk_storage.domain.replication.timing import Timing

Judge = Callable[[PartitionId, int], int | None]
"""Takes note of a claim (partition, epoch); returns why it is refused, as HeartbeatResponse has it; None: it is followed."""


@dataclass(slots=True)
class _Session:
    """What one other node claims."""

    number: int
    version: int = 0
    heard: float = -math.inf
    claims: dict[PartitionId, Claim] = field(default_factory=dict)
    refused: dict[PartitionId, int] = field(default_factory=dict)
    is_silent: bool = False


class Promises:
    """All pairs of one node as a follower."""

    def __init__(self, timing: Timing, started: float) -> None:
        self._timing, self._started = timing, started
        self._sessions: dict[NodeId, _Session] = {}
        self._claimants: defaultdict[PartitionId, dict[NodeId, None]] = defaultdict(dict)
        self._followed: dict[PartitionId, NodeId] = {}
        self._heard: dict[PartitionId, float] = {}
        """When a partition was last heard of apart from the heartbeats of the node whose claim it follows."""

    def receive(self, heartbeat: Heartbeat, now: float, judge: Judge) -> tuple[HeartbeatResponse, list[PartitionId]]:
        """The response, and the partitions whose claims have changed."""
        session = self._session(heartbeat)
        if session is None:
            return HeartbeatResponse(heartbeat.session, 0), []
        touched: list[PartitionId] = []
        if heartbeat.version > session.version:
            touched = list(heartbeat.claims)
            for partition, claim in heartbeat.claims.items():
                self._claim(heartbeat.sender, session, partition, claim, judge)
            session.version = heartbeat.version
        session.heard, session.is_silent = now, False
        return HeartbeatResponse(session.number, session.version, dict(session.refused)), touched

    def reconsider(self, partition: PartitionId, judge: Judge) -> None:
        """To be called at once when a replica appears, goes, or promises a higher epoch (P1)."""
        for node in list(self._claimants.get(partition, ())):
            self._judge(node, self._sessions[node], partition, judge)

    def hear(self, partition: PartitionId, now: float) -> None:
        """The partition is led, as is known by another way than a heartbeat."""
        self._heard[partition] = max(now, self._heard.get(partition, now))

    def bound_until(self, partition: PartitionId) -> float:
        """Until when the partition may not be taken over."""
        node = self._followed.get(partition)
        heard = self._heard.get(partition, -math.inf)
        if node is not None:
            heard = max(heard, self._sessions[node].heard)
        return self._started + self._timing.start if heard == -math.inf else heard + self._timing.grace

    def is_followed(self, partition: PartitionId) -> bool:
        """Whether a node that was heard within the grace period claims the partition, and is followed: nothing is due until
        that node stops answering or the claim changes.
        """
        node = self._followed.get(partition)
        return node is not None and not self._sessions[node].is_silent

    def is_disclaimed(self, partition: PartitionId, epoch: int, by: NodeId) -> bool:
        """Whether the node has said that it does not lead the partition at this epoch and will not."""
        session = self._sessions.get(by)
        return session is not None and session.claims.get(partition) == Claim(epoch, leads=False)

    def fall_silent(self, now: float) -> list[PartitionId]:
        """The partitions whose primary's node has been silent for the grace period; once per silence."""
        found: list[PartitionId] = []
        for node, session in self._sessions.items():
            if not session.is_silent and session.heard + self._timing.grace <= now:
                session.is_silent = True
                found += [partition for partition in session.claims if self._followed.get(partition) == node]
        return found

    def _session(self, heartbeat: Heartbeat) -> _Session | None:
        """The session that the heartbeat goes on with or begins; None: this node has lost track of it."""
        session = self._sessions.get(heartbeat.sender)
        if session is not None and session.number == heartbeat.session:
            return session if session.version >= heartbeat.base else None
        if heartbeat.base:
            return None
        if session is not None:
            for partition in list(session.claims):
                self._claim(heartbeat.sender, session, partition, None, _never)
        session = self._sessions[heartbeat.sender] = _Session(heartbeat.session)
        return session

    def _claim(
        self, node: NodeId, session: _Session, partition: PartitionId, claim: Claim | None, judge: Judge
    ) -> None:
        if claim is None:
            session.claims.pop(partition, None)
            self._claimants[partition].pop(node, None)
            if not self._claimants[partition]:
                del self._claimants[partition]
        else:
            session.claims[partition] = claim
            self._claimants[partition][node] = None
        self._judge(node, session, partition, judge)

    def _judge(self, node: NodeId, session: _Session, partition: PartitionId, judge: Judge) -> None:
        claim, refusal = session.claims.get(partition), None
        if claim is not None and claim.leads:
            refusal = judge(partition, claim.epoch)
        if refusal is None:
            session.refused.pop(partition, None)
        else:
            session.refused[partition] = refusal
        if claim is None or not claim.leads or blocks(claim, refusal):
            self._unfollow(node, partition)
        else:
            self._follow(node, partition)

    def _follow(self, node: NodeId, partition: PartitionId) -> None:
        followed = self._followed.get(partition)
        if followed is not None and followed != node:
            self._unfollow(followed, partition)
        self._followed[partition] = node

    def _unfollow(self, node: NodeId, partition: PartitionId) -> None:
        if self._followed.get(partition) == node:
            del self._followed[partition]
            self._heard[partition] = max(self._heard.get(partition, -math.inf), self._sessions[node].heard)


def _never(_partition: PartitionId, _epoch: int) -> int | None:
    raise AssertionError("a claim that is withdrawn is not judged")
