"""What the doctor looked at, and what it found. Plain values: everything in examine.py is worked out from these alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from dstk.v1 import admin_pb2, topology_pb2
from dstk_cli.operate.replication import wanted


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work, or one more fault would lose data."""
    WARNING = "warning"
    """It works, and should be seen to."""
    NOTE = "note"
    """Nothing is wrong: somebody wanted it so, and may have forgotten."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind`: what sort of trouble, for programs. `where`: of the cluster. `run`: the command that helps, or looks closer."""

    severity: Severity
    kind: str
    what: str
    where: str
    run: str


@dataclass(frozen=True)
class Look:
    """The partitions at one moment: by the map, by their primaries, by every node that has a replica."""

    entries: Sequence[topology_pb2.Partition]
    statuses: Sequence[admin_pb2.PartitionStatus]
    replicas: Sequence[admin_pb2.ReplicaStatus]
    silent: Sequence[str] = ()
    """Nodes that did not say what they have."""

    @cached_property
    def by_id(self) -> Mapping[int, topology_pb2.Partition]:
        """The map's entries."""
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def status_of(self) -> Mapping[int, admin_pb2.PartitionStatus]:
        """The primaries' figures, by partition."""
        return {status.partition.id: status for status in self.statuses}

    @cached_property
    def replica_at(self) -> Mapping[tuple[int, str], admin_pb2.ReplicaStatus]:
        """By partition and node."""
        return {(replica.partition_id, replica.node): replica for replica in self.replicas}


@dataclass(frozen=True)
class Facts:
    """Everything that was gathered. Two looks, a second or more apart: what is only on its way differs between them."""

    nodes: Sequence[admin_pb2.NodeStatus]
    first: Look
    second: Look
    controller: admin_pb2.GetControllerResponse | None
    nodes_took_s: float = 0.0
    """How long it took the nodes to answer: their clocks were not read at one moment."""
    controller_trouble: str = ""
    """Why there is no answer about the controller."""
    events: Sequence[admin_pb2.Event] = field(default_factory=tuple)

    @cached_property
    def node(self) -> Mapping[str, admin_pb2.NodeStatus]:
        """By id."""
        return {status.node.id: status for status in self.nodes}

    @cached_property
    def wanted(self) -> int:
        """Replicas in sync that each partition should have; 0: not known."""
        return wanted(None if self.controller is None else self.controller.settings, self.nodes)

    @cached_property
    def now_ms(self) -> int:
        """By the wall clock of the node that is furthest; 0: none has told."""
        return max((status.clock_ms for status in self.nodes), default=0)

    def lasting(self) -> Iterator[tuple[topology_pb2.Partition, topology_pb2.Partition]]:
        """The entries of partitions that were in both looks, earlier and later."""
        for entry in self.second.entries:
            if (before := self.first.by_id.get(entry.id)) is not None:
                yield before, entry


def named(partitions: Iterable[int], most: int = 5) -> str:
    """Ids of partitions, cut where they are many."""
    numbers = sorted(partitions)
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:most]))}{more}"
