"""What replication needs from the world outside: the other nodes, and the partition map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import Key, KeyRange, NodeId, PartitionId
from dstk_storage.domain.history import History, Position
from dstk_storage.domain.log import Entry
from dstk_storage.domain.replication.heartbeats import Heartbeat, HeartbeatResponse
from dstk_storage.domain.room import Room


class PeerUnreachable(Exception):
    """The node did not answer. It may have done what it was asked. `refused`: nobody listens at its address, so that waiting
    for it is no use.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Append:
    """What one partition's follower is sent. `epoch`: the sender's own; `entries` may be of older ones, or none (a probe).
    `range`: the partition's, as the sender has it. `known_from`: an epoch of the map's entry that the follower must know to
    answer: it was made a replica by then, and might otherwise answer for one that it is about to drop (R8).
    """

    partition: PartitionId
    epoch: int
    range: KeyRange
    entries: Sequence[Entry]
    known_from: int = 0


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the follower stands, all of it on disk. Not `accepted`: it stands elsewhere, or has promised another epoch."""

    partition: PartitionId
    accepted: bool
    position: Position
    promised: int
    needs_snapshot: bool = False
    """It is no consistent whole."""
    behind: bool = False
    """It has no such replica, or another range, yet: its map is older than the sender's."""
    refuses_writes: bool = False
    """Its disk takes no writes at the moment."""
    room: Room = Room.AMPLE
    """What its disk has room for."""
    snapshot_room: int = 0
    """When the disk is FULL or worse: bytes that a snapshot may take there, once the replica is emptied for it."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What an in-sync replica answers to a candidate. `claims`: it is the primary, and lives."""

    position: Position
    promised: int
    claims: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """A piece of a snapshot. The first one empties the replica; the last one carries the history that the snapshot ends with:
    what was written since comes as entries. `range`: the partition's, as the sender has it.
    """

    partition: PartitionId
    epoch: int
    range: KeyRange
    keys: Sequence[bytes]
    records: Sequence[bytes]
    first: bool = False
    history: History | None = None
    attempt: int = 0
    """Tells snapshots from each other, those of one sender and of several: a late piece of an older one is refused."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the records of a range: BLAKE2b of 16 bytes over keys and stored forms, how many they are, and their bytes.
    `position`: that of the last write that it counts.
    """

    digest: bytes
    records: int
    bytes: int
    position: Position


class Peers(Protocol):
    """The other nodes. Messages to one node arrive in order or not at all. Everything raises PeerUnreachable."""

    async def append(self, node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        """Returns when the entries are on the follower's disk."""

    async def heartbeat(self, node: NodeId, heartbeat: Heartbeat) -> HeartbeatResponse:
        """Returns when the node has heard it."""

    async def request_vote(self, node: NodeId, partition: PartitionId, epoch: int, known: int) -> Vote:
        """Has the node promise not to follow any epoch below, and say where it stands. `known`: the epoch of the map's entry
        that the candidate goes by; the node answers when it knows that one too.
        """

    async def install_snapshot(self, node: NodeId, chunk: SnapshotChunk) -> None:
        """Returns when the chunk is on the node's disk."""

    async def leave(self, node: NodeId) -> None:
        """Announces that this node is about to stop: returns when the node has evicted this one from its in-sync sets."""

    async def digest(self, node: NodeId, partition: PartitionId, key_range: KeyRange) -> Digest:
        """Of the node's replica. A node that has no whole one counts as unreachable."""


class MapChanger(Protocol):
    """Changes of partitions in the map, each one transaction."""

    async def read(self, partition: PartitionId) -> PartitionInfo | None:
        """The entry as it is now. Raises CoordinatorUnavailable."""

    async def change(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        """Replaces an entry; False: it was another one already. Raises CoordinatorUnavailable, and may have changed it then."""

    async def split(self, partition: PartitionInfo, at: Key) -> tuple[PartitionInfo, PartitionInfo]:
        """Replaces a partition by two. Raises MapConflict, CoordinatorUnavailable likewise."""

    async def merge(self, lower: PartitionInfo, upper: PartitionInfo, merged: PartitionInfo) -> None:
        """Replaces two partitions by one. Raises MapConflict, CoordinatorUnavailable likewise."""
