"""What the state machines ask for: values, in the order in which they are to be performed. Only the reactor performs them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dstk_keytypes import NodeId
from dstk_service.observe import Event
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.replication.progress import Progress
from dstk_storage.domain.replication.replica import Replica


@dataclass(frozen=True, slots=True)
class Ship:
    """The node may have to be sent something of this replica, after `delay` seconds."""

    replica: Replica
    node: NodeId
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Commit:
    """All required followers have these batches: they go to this disk."""

    replica: Replica
    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Serve:
    """The replica answers callers from now on."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class StepDown:
    """The replica answers callers no more; the outcome of its pending batches is unknown."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class Evict:
    """The map is to name these followers in the in-sync set no more."""

    replica: Replica
    nodes: Sequence[NodeId]


@dataclass(frozen=True, slots=True)
class Admit:
    """The map is to name this follower in the in-sync set."""

    replica: Replica
    node: NodeId


@dataclass(frozen=True, slots=True)
class BumpEpoch:
    """A follower has promised a candidate without success this epoch: the primary goes above it."""

    replica: Replica
    promised: int


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """The follower is sent a snapshot."""

    replica: Replica
    node: NodeId
    progress: Progress


@dataclass(frozen=True, slots=True)
class Elect:
    """The replica tries to become the primary."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class HandOff:
    """Another replica is to lead, if that can be done: this node cannot write at the moment."""

    replica: Replica


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """The node is sent a heartbeat at once."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Nobody serves the partition, for its only replica in sync is lost (R13); or that is over."""

    replica: Replica
    is_lost: bool


@dataclass(frozen=True, slots=True)
class Observe:
    """Something happened that observers are told of."""

    event: Event


Action = (
    Ship
    | Commit
    | Serve
    | StepDown
    | Evict
    | Admit
    | BumpEpoch
    | InstallSnapshot
    | Elect
    | HandOff
    | SendHeartbeat
    | Quarantine
    | Observe
)


@dataclass(slots=True)
class Outbox:
    """Where the state machines of a node put what they ask for. The reactor drains it after each event."""

    actions: list[Action] = field(default_factory=list)
    restless: dict[Replica, None] = field(default_factory=dict)
    """Replicas that the next tick looks at: something has happened, or is due. Those at rest cost nothing."""
    changed: dict[Replica, None] = field(default_factory=dict)
    """Replicas whose claims or required followers may have changed since they were last published."""

    def add(self, action: Action) -> None:
        """Asks for something."""
        self.actions.append(action)

    def touch(self, replica: Replica) -> None:
        """Has the next tick look at the replica."""
        self.restless[replica] = None

    def change(self, replica: Replica) -> None:
        """Has the replica's claims and lease brought up to date, too."""
        self.restless[replica] = self.changed[replica] = None

    def drain(self) -> list[Action]:
        """Takes what was asked for."""
        actions, self.actions = self.actions, []
        return actions
