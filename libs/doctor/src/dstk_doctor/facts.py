"""What the doctor observes and what it finds. Plain values: examine.py derives everything from these alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from dstk.v1 import admin_pb2, topology_pb2
from dstk_doctor.alerts import ALERTS
from dstk_doctor.replication import wanted


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Something does not work, or one more fault loses data."""
    WARNING = "warning"
    """It works, but needs attention."""
    NOTE = "note"
    """A deliberate state that may have been forgotten."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind`: its class, for programs. `where`: the part of the cluster. `run`: the command that fixes it or shows more."""

    severity: Severity
    kind: str
    what: str
    where: str
    run: str

    @property
    def alerts(self) -> Sequence[str]:
        """The alerts that go with it; docs/runbooks has a page for each."""
        return ALERTS.get(self.kind, ())


@dataclass(frozen=True)
class Observation:
    """The partitions at one moment: by the map, by their primaries, and by every node that has a replica."""

    entries: Sequence[topology_pb2.Partition]
    statuses: Sequence[admin_pb2.PartitionStatus]
    replicas: Sequence[admin_pb2.ReplicaStatus]
    silent: Sequence[str] = ()
    """Nodes that did not report their replicas."""

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
    """All facts. The two observations are a second or more apart: what is still moving differs between them."""

    nodes: Sequence[admin_pb2.NodeStatus]
    first: Observation
    second: Observation
    controller: admin_pb2.GetControllerResponse | None
    nodes_took_s: float = 0.0
    """How long the nodes took to answer, in seconds: their clocks were not read at one moment."""
    controller_trouble: str = ""
    """Why the controller could not be queried; empty: it could."""
    events: Sequence[admin_pb2.Event] = field(default_factory=tuple)

    @cached_property
    def node(self) -> Mapping[str, admin_pb2.NodeStatus]:
        """By id."""
        return {status.node.id: status for status in self.nodes}

    @cached_property
    def wanted(self) -> int:
        """How many in-sync replicas each partition should have; 0: unknown."""
        return wanted(None if self.controller is None else self.controller.settings, self.nodes)

    @cached_property
    def now_ms(self) -> int:
        """The latest of the nodes' wall clocks, in Unix milliseconds; 0: no node reported one."""
        return max((status.clock_ms for status in self.nodes), default=0)

    def lasting(self) -> Iterator[tuple[topology_pb2.Partition, topology_pb2.Partition]]:
        """Yields the earlier and the later entry of each partition that is in both observations."""
        for entry in self.second.entries:
            if (before := self.first.by_id.get(entry.id)) is not None:
                yield before, entry


def named(partitions: Iterable[int], most: int = 5) -> str:
    """Returns the ids of partitions as text, at most `most` of them."""
    numbers = sorted(partitions)
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:most]))}{more}"
