"""What the parts of a storage node tell their observer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from dstk_keytypes import NodeId, PartitionId
from dstk_service.observe import Event
from dstk_service.trace import Span, TraceContext
from dstk_storage.domain.history import Position


@dataclass(frozen=True, slots=True)
class ElectionStarted(Event):
    """This node asks the other in-sync replicas for their votes, for this epoch."""

    partition: PartitionId
    epoch: int


@dataclass(frozen=True, slots=True)
class ElectionLost(Event):
    """An election ended without a change: another replica has the better right, or the map has changed, or etcd is away."""

    partition: PartitionId
    epoch: int
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ElectionWon(Event):
    """This node has won a partition by a change of the map. `previous`: its primary before, which may be this node."""

    partition: PartitionId
    epoch: int
    previous: NodeId
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ReplicaAdmitted(Event):
    """A follower joined the in-sync set: it has everything. `epoch`: of the map's entry from then on."""

    partition: PartitionId
    node: NodeId
    epoch: int


@dataclass(frozen=True, slots=True)
class ReplicaEvicted(Event):
    """A follower left the in-sync set, and writes go on without it. `epoch`: of the map's entry from then on."""

    partition: PartitionId
    node: NodeId
    epoch: int


@dataclass(frozen=True, slots=True)
class ReplicaOutvoted(Event):
    """A replica differs from the majority, and is rebuilt."""

    partition: PartitionId
    node: NodeId


@dataclass(frozen=True, slots=True)
class ReplicasDiffer(Event):
    """Replicas differ in so many key ranges, and no majority agrees: nothing was changed. Told once until they agree."""

    partition: PartitionId
    nodes: tuple[NodeId, ...]
    ranges: int


@dataclass(frozen=True, slots=True)
class PartitionQuarantined(Event):
    """A partition is out of service on this node until an operator decides."""

    partition: PartitionId
    reason: str


@dataclass(frozen=True, slots=True)
class EngineReplaced(Event):
    """The cluster knows an empty engine in the place of the one that this node had."""

    reason: str


@dataclass(frozen=True, slots=True)
class CorruptionFound(Event):
    """The engine met a block that does not match its checksum. Told once until the engine is replaced."""

    reason: str


@dataclass(frozen=True, slots=True)
class RangeCompacted(Event):
    """The engine has compacted a piece of its keys. Bytes are those on disk, roughly."""

    bytes_before: int
    bytes_after: int
    seconds: float


@dataclass(slots=True)
class GroupCommitted(Event):
    """One synced write of the engine is on disk: batches that this node's primaries or other nodes' sent, and metadata."""

    batches: int
    records: int
    """Puts and removals of all batches."""
    bytes: int
    """Of keys and values, roughly."""
    wait_seconds: float
    """How long the oldest of them waited for the disk."""
    write_seconds: float
    """How long the engine's write with its fsync took, the way to the thread and back included."""


@dataclass(frozen=True, slots=True)
class BatchEnded(Event):
    """A batch with traced operations ended, on its primary or on a follower. The others are not told one by one."""

    span: Span
    operations: Sequence[TraceContext]
    """The spans of its traced operations; on a follower, that of the append which brought it."""
    partition: PartitionId
    records: int
    bytes: int
    """Of keys and values."""
    seconds: float
    """Since its first traced operation."""
    spent: Mapping[str, float]
    """The seconds of `seconds` by state (batch.py): GATHERING, PROPOSED, REPLICATED."""
    failure: str
    """The kind of error that it ended with; empty: it is on disk."""


@dataclass(frozen=True, slots=True)
class WriteFailed(Event):
    """The disk refused a write of the engine: the node takes no writes until the engine is reopened."""

    reason: str


@dataclass(frozen=True, slots=True)
class RecordsExpired(Event):
    """One step of the expiry reaper is on disk."""

    removed: int
    """Entries of the expiry index, with the records that still expired then."""
    skipped: int
    """Entries that are due and left to the nodes that lead their partitions."""
    more: bool
    """Others may be due behind them."""


@dataclass(frozen=True, slots=True)
class EpochBumped(Event):
    """A primary goes on with a higher epoch, because a follower had promised it to a candidate without success."""

    partition: PartitionId
    epoch: int


@dataclass(frozen=True, slots=True)
class SnapshotStarted(Event):
    """A primary begins to send its replica to a follower that its log does not reach."""

    partition: PartitionId
    node: NodeId


@dataclass(frozen=True, slots=True)
class SnapshotEnded(Event):
    """A snapshot is installed, or was given up and begins again."""

    partition: PartitionId
    node: NodeId
    records: int
    """Records and removals that were sent."""
    bytes: int
    """Of their keys and encoded records."""
    seconds: float
    failure: str
    """Why it was given up; empty: it is installed."""


class MapChange(StrEnum):
    """What operators and the controller ask for, and a node that stops does by itself."""

    SPLIT = "split"
    MERGE = "merge"
    TRANSFER = "transfer"
    ADD_REPLICA = "add_replica"
    REMOVE_REPLICA = "remove_replica"
    FORCE_PRIMARY = "force_primary"


@dataclass(frozen=True, slots=True)
class MapChanged(Event):
    """The partition map has a new entry that this node asked for. `epoch`: of the entry; of a split, of its lower half."""

    change: MapChange
    partition: PartitionId
    epoch: int
    node: NodeId | None = None
    """The new primary, or the replica that was added or removed."""
    other: PartitionId | None = None
    """The upper half that is new after a split, or gone after a merge."""
    position: Position | None = None
    """Where the log of a replica ends that was forced to be the primary."""


@dataclass(frozen=True, slots=True)
class StepEnded(Event):
    """A step of this node's controller ended."""

    action: str
    """A value of `controller.model.Action`."""
    failed: bool
    """It was refused, or its outcome is unknown."""
