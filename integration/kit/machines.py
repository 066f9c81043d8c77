"""The state machines of one node with plain values around them: no event loop, no disk, no other node."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.history import History, Position
from dstk_storage.domain.intake import Intake
from dstk_storage.domain.log import PartitionLog
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.actions import Action, Ship
from dstk_storage.domain.replication.heartbeats import HeartbeatResponse
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.ports import Appended
from dstk_storage.domain.replication.primary import Primary
from dstk_storage.domain.replication.primary_handler import Sent
from dstk_storage.domain.replication.progress import Progress
from dstk_storage.domain.replication.publishing import publish
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.timing import Timing
from kit.logs import entry

P, WHOLE = PartitionId(1), KeyRange(b"", None)
A, B, C = NodeId("a"), NodeId("b"), NodeId("c")


class Unwatched:
    """Takes no notice of promises."""

    def promised(self, partition: PartitionId) -> None:
        """Nobody judges claims here."""


@dataclass
class PlainDisk:
    """What a disk takes, and how much lies on it."""

    intake: Intake = field(default_factory=Intake)
    size: int = 0

    def weigh(self, _key_range: KeyRange) -> int:
        return self.size


def info_of(*replicas: NodeId, in_sync: tuple[NodeId, ...] = (), epoch: int = 1) -> PartitionInfo:
    """The map's entry of P; the first of the replicas is its primary."""
    return PartitionInfo(P, WHOLE, epoch, replicas[0], replicas, in_sync or replicas)


def replica_of(me: NodeId, info: PartitionInfo, promised: int = 1) -> Replica:
    """A replica on its own."""
    return Replica(me, info, Partition(P, WHOLE, info.epoch), promised, WHOLE, Unwatched())


class PureNode:
    """One node `me`, with a replica of P."""

    def __init__(
        self, me: NodeId, info: PartitionInfo, now: float = 0.0, incarnation: int = 1, history: History | None = None
    ) -> None:
        self.disk, self._history = PlainDisk(), history
        self.machines = Machines.of(me, Timing(), self.disk, now, incarnation)
        self.adopt(info, now)

    @property
    def replica(self) -> Replica:
        return self.machines.replicas[P]

    @property
    def primary(self) -> Primary:
        assert self.replica.primary is not None
        return self.replica.primary

    def follower(self, node: NodeId) -> Progress:
        return self.primary.followers[node]

    def adopt(self, info: PartitionInfo, now: float) -> None:
        """A newer map arrives."""
        (newest,) = self.machines.roster.adopt({P: info}, now)
        known = self.machines.replicas.get(P)
        partition = Partition(P, WHOLE, info.epoch, PartitionLog(self._history)) if known is None else known.partition
        self.machines.roster.line_up([(newest, partition)])
        self.machines.leases.connect(node for node in info.replicas if node != self.machines.me)

    def lead(self, now: float = 0.0, known_from: int = 1) -> Primary:
        """Becomes the primary by the entry that it has."""
        self.machines.watch.count_joining([])
        self.machines.primaries.lead(self.replica, now, known_from)
        return self.primary

    def drain(self) -> list[Action]:
        """What was asked for, but for Ship: followers are sent what they lack by `send`."""
        return [action for action in self.machines.outbox.drain() if not isinstance(action, Ship)]

    def shipped(self) -> list[NodeId]:
        """The nodes that were to be sent something; forgets everything else that was asked for."""
        return [action.node for action in self.machines.outbox.drain() if isinstance(action, Ship)]

    def has_for(self, node: NodeId) -> Sent | None:
        """The next message to a follower, if there is any."""
        return self.machines.primaries.next_append(self.replica, node)

    def send(self, node: NodeId) -> Sent:
        """The next message to a follower."""
        sent = self.has_for(node)
        assert sent is not None, f"nothing for {node}"
        return sent

    def answer(self, node: NodeId, sent: Sent, position: Position, now: float, **more: Any) -> None:
        """A follower has taken what it was sent, and stands there; `more`: of Appended."""
        answer = Appended(sent.append.partition, accepted=True, position=position, promised=0)
        self.machines.primaries.appended(node, self.replica, sent, replace(answer, **more), now)

    def publish(self) -> None:
        """Claims and leases are brought up to date, as after each event."""
        publish(self.replica, self.machines.leases, is_held=True)

    def heard_by(self, node: NodeId, sent: float, refused: Mapping[PartitionId, int] | None = None) -> None:
        """The node answers a heartbeat that was sent then."""
        message = self.machines.leases.heartbeat(node)
        response = HeartbeatResponse(message.session, message.version, refused or {})
        refusals = self.machines.leases.answer(node, sent, response)
        self.machines.primaries.heartbeat_answered(self.machines.replicas, node, refusals)

    def write(self, *, applied: bool) -> Position:
        """One more entry in the primary's log; `applied`: it is on its disk, too."""
        log = self.replica.log
        log.append(entry(log.tail, self.primary.epoch, b"k"))
        if applied:
            self.apply(log.tail)
        return log.tail

    def apply(self, position: Position) -> None:
        """The disk has everything up to there."""
        log = self.replica.log
        log.hand(max(position, log.handed))
        for each in log.entries_after(log.position) or []:
            if each.position <= position:
                log.applied(log.history.extended(each.epoch, each.first, each.position.seq))
