"""The leases of the partitions that this node leads, kept between pairs of nodes. Pure: callers say what time it is.

A node sends one heartbeat to each node that holds replicas of partitions that it leads; the response covers all claims that
both sides know, except those listed as refused. A partition's lease ends LEASE after the sending of the last heartbeat that
*covered* it at every required follower. Promises (promises.py) is the other side; docs/replication.md has the argument.

Invariants:
 L1  A response covers a claim only if the follower had that claim, of this term of office, when it answered, and did not
     refuse it. A claim that is made or withdrawn is not covered before a response confirms its version.
 L2  From the moment a refusal is known, heartbeats no longer renew the partition's lease: what the follower had covered
     before goes on counting (`_frozen`), nothing after.
 L3  Partitions that rest on the same followers, all of which cover them, share one Lease. A response costs as much as there
     are groups of followers, refusals and changes, never as much as there are partitions.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.lease import FOR_EVER, Lease
from dstk_storage.domain.replication.heartbeats import Claim, Heartbeat, HeartbeatResponse, blocks
from dstk_storage.domain.replication.timing import Timing

SESSION_BITS = 16


@dataclass(slots=True)
class _Pair:
    """This node's claims towards one other node, and what that one has confirmed."""

    session: int
    version: int = 1
    confirmed: int = 0
    claims: dict[PartitionId, Claim] = field(default_factory=dict)
    changed: dict[PartitionId, int] = field(default_factory=dict)
    """The version in which a claim last changed, until it is confirmed."""
    covered: dict[PartitionId, None] = field(default_factory=dict)
    refused: dict[PartitionId, int] = field(default_factory=dict)
    answered: float = -math.inf
    """When the last heartbeat was sent that the node has answered."""
    is_silent: bool = False

    def set(self, partition: PartitionId, claim: Claim | None) -> None:
        before = self.claims.get(partition)
        if before == claim:
            return
        if claim is None:
            del self.claims[partition]
        else:
            self.claims[partition] = claim
        self.version += 1
        self.changed[partition] = self.version
        if claim is None or not claim.leads or before is None or not before.leads:
            self.covered.pop(partition, None)  # L1; a higher epoch of the same office stays covered

    def restart(self) -> None:
        self.session += 1
        self.version, self.confirmed = self.version + 1, 0
        self.changed = dict.fromkeys(self.claims, self.version)
        self.covered, self.refused = {}, {}

    def confirm(self, version: int) -> list[PartitionId]:
        """The claims that this confirms."""
        self.confirmed = max(self.confirmed, version)
        new = [partition for partition, changed in self.changed.items() if changed <= self.confirmed]
        for partition in new:
            del self.changed[partition]
        return new


class LeaseBook:
    """All pairs of one node as a leader. `incarnation`: a random number of this process, of up to 47 bits."""

    def __init__(self, me: NodeId, timing: Timing, incarnation: int) -> None:
        self._me, self._timing, self._incarnation = me, timing, incarnation
        self._pairs: dict[NodeId, _Pair] = {}
        self._groups: dict[frozenset[NodeId], Lease] = {}
        self._rests_on: dict[PartitionId, frozenset[NodeId]] = {}
        self._own: dict[PartitionId, Lease] = {}
        """Leases of partitions that are not covered by all followers they rest on."""
        self._frozen: dict[tuple[PartitionId, NodeId], float] = {}

    def connect(self, nodes: Iterable[NodeId]) -> None:
        """The nodes that hold replicas of the same partitions as this one; others are forgotten."""
        wanted = dict.fromkeys(nodes)
        self._pairs = {node: self._pair(node) for node in wanted}
        self._groups = {group: lease for group, lease in self._groups.items() if group <= wanted.keys()}

    @property
    def peers(self) -> list[NodeId]:
        """The nodes to send heartbeats to."""
        return list(self._pairs)

    def claim(self, partition: PartitionId, claim: Claim | None, nodes: Iterable[NodeId]) -> None:
        """What this node says of the partition to these nodes from now on, and nothing to others."""
        wanted = {node: self._pair(node) for node in nodes}
        for node, pair in self._pairs.items():
            pair.set(partition, claim if node in wanted else None)

    def rest_on(self, partition: PartitionId, required: Iterable[NodeId]) -> Lease:
        """The lease of a partition that waits for these followers."""
        group = self._rests_on[partition] = frozenset(required)
        if not group:
            self._own.pop(partition, None)
            return FOR_EVER
        if all(partition in self._pair(node).covered for node in group):
            self._own.pop(partition, None)
            return self._groups.setdefault(group, Lease(self._end(partition, group)))
        lease = self._own.setdefault(partition, Lease(-math.inf))
        lease.end = self._end(partition, group)
        return lease

    def release(self, partition: PartitionId) -> None:
        """This node does not lead the partition any more."""
        self._rests_on.pop(partition, None)
        self._own.pop(partition, None)
        for node in self._pairs:
            self._frozen.pop((partition, node), None)

    def heartbeat(self, node: NodeId) -> Heartbeat:
        """The next message to the node."""
        pair = self._pair(node)
        claims = {partition: pair.claims.get(partition) for partition in pair.changed}
        return Heartbeat(self._me, pair.session, pair.confirmed, pair.version, claims)

    def answer(self, node: NodeId, sent: float, response: HeartbeatResponse) -> dict[PartitionId, int | None]:
        """Takes the response to a heartbeat that was sent at this time. Returns the partitions whose coverage it changes or
        that the node refuses, each with the epoch of the refusal (see HeartbeatResponse), or None; all of them, when the node
        was silent.
        """
        pair = self._pairs.get(node)
        if pair is None or response.session != pair.session or sent < pair.answered:
            return {}
        if not response.version:
            self._lose(node, pair)
            return {}
        candidates = dict.fromkeys([*pair.confirm(response.version), *pair.refused])
        touched: dict[PartitionId, int | None] = dict.fromkeys(pair.claims) if pair.is_silent else {}
        for partition, epoch in response.refused.items():
            if (claim := pair.claims.get(partition)) is not None and claim.leads:
                touched[partition] = epoch
                # what has changed since, it does not know: it refuses, and is not bound by, the claim before
                if blocks(claim, epoch) or partition in pair.changed:
                    self._uncover(node, pair, partition)
        pair.answered, pair.is_silent, pair.refused = sent, False, dict(response.refused)
        for partition in candidates:
            claim = pair.claims.get(partition)
            is_known = claim is not None and claim.leads and partition not in pair.changed
            if claim is not None and is_known and not blocks(claim, response.refused.get(partition)):
                pair.covered[partition] = None
                touched[partition] = response.refused.get(partition)
        self._renew(node)
        return touched

    def is_silent(self, node: NodeId) -> bool:
        """Whether the node has left heartbeats unanswered for the lease period, as of the last `fall_silent`."""
        pair = self._pairs.get(node)
        return pair is None or pair.is_silent

    def answered(self, partition: PartitionId, node: NodeId) -> float:
        """When the last heartbeat was sent that the node has answered for the partition."""
        pair = self._pairs.get(node)
        if pair is not None and partition in pair.covered:
            return pair.answered
        return self._frozen.get((partition, node), -math.inf)

    def fall_silent(self, now: float) -> list[PartitionId]:
        """The partitions that this node leads and whose follower has been silent for the lease period; once per silence."""
        found: dict[PartitionId, None] = {}
        for pair in self._pairs.values():
            if not pair.is_silent and pair.answered + self._timing.lease <= now:
                pair.is_silent = True
                found |= {partition: None for partition, claim in pair.claims.items() if claim.leads}
        return list(found)

    def _pair(self, node: NodeId) -> _Pair:
        if (pair := self._pairs.get(node)) is None:
            pair = self._pairs[node] = _Pair(self._incarnation << SESSION_BITS)
        return pair

    def _lose(self, node: NodeId, pair: _Pair) -> None:
        """The node has lost track, most likely since it has restarted: nothing is covered before it has heard all claims."""
        for partition in list(pair.covered):
            self._uncover(node, pair, partition)
        pair.restart()

    def _uncover(self, node: NodeId, pair: _Pair, partition: PartitionId) -> None:
        """L2."""
        if partition in pair.covered:
            del pair.covered[partition]
            self._frozen[partition, node] = pair.answered

    def _renew(self, node: NodeId) -> None:
        for group, lease in self._groups.items():
            if node in group:
                lease.end = min(self._pair(each).answered for each in group) + self._timing.lease
        for partition, lease in self._own.items():
            if node in (group := self._rests_on[partition]):
                lease.end = self._end(partition, group)

    def _end(self, partition: PartitionId, group: Iterable[NodeId]) -> float:
        return min(self.answered(partition, node) for node in group) + self._timing.lease
