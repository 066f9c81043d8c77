"""What replication needs from the world outside: the other nodes, and the partition map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dstk_cluster.model import PartitionInfo
from dstk_keytypes import NodeId, PartitionId
from dstk_storage.domain.history import History, Position
from dstk_storage.domain.replication.election import Standing
from dstk_storage.domain.replication.ring import Entry


class PeerUnreachable(Exception):
    """The node did not answer. It may have done what it was asked."""


@dataclass(frozen=True, slots=True)
class Append:
    """What one partition's follower is sent. `epoch`: the sender's own; `entries` may be older, or none (only a question)."""

    partition: PartitionId
    epoch: int
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Appended:
    """The answer: where the follower stands, all of it on disk. Not `accepted`: it stands elsewhere, or has promised another
    epoch.
    """

    partition: PartitionId
    accepted: bool
    position: Position
    promised: int
    rebuilding: bool = False
    """It is no consistent whole, and must be copied anew."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """A node's sign of life. `claims`: the partitions that it is the primary of, with their epochs. `unclaimed`: those that the
    map gives to it at these epochs and that it will not claim at them any more, since it has restarted or stepped down.
    """

    sender: NodeId
    claims: Mapping[PartitionId, int]
    unclaimed: frozenset[tuple[PartitionId, int]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a rebuilt replica. The first one empties the replica; the last one carries the history that the copy began
    with: what was written since comes as entries.
    """

    partition: PartitionId
    epoch: int
    keys: Sequence[bytes]
    records: Sequence[bytes]
    first: bool = False
    history: History | None = None


class Peers(Protocol):
    """The other nodes. Messages to one node arrive in order or not at all. Everything raises PeerUnreachable."""

    async def append(self, node: NodeId, appends: Sequence[Append]) -> Sequence[Appended]:
        """Answers when the entries are on the follower's disk."""

    async def beacon(self, node: NodeId, beacon: Beacon) -> Mapping[PartitionId, int]:
        """Returns when the node has heard it: the claims that it does not follow, each with the epoch that it has promised
        (0: it has no such replica).
        """

    async def inquire(self, node: NodeId, partition: PartitionId, epoch: int) -> Standing:
        """Has the node promise not to follow any epoch below, and say where it stands."""

    async def copy(self, node: NodeId, chunk: Chunk) -> None:
        """Returns when the chunk is on the node's disk."""


class MapChanger(Protocol):
    """Changes of single partitions in the map."""

    async def read(self, partition: PartitionId) -> PartitionInfo | None:
        """The entry as it is now. Raises CoordinatorUnavailable."""

    async def change(self, old: PartitionInfo, new: PartitionInfo) -> bool:
        """Replaces an entry; False: it was another one already. Raises CoordinatorUnavailable, and may have changed it then."""
