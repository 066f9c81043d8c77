"""The controller's ports. `adapters.admin_cluster` implements them with Admin calls, `adapters.memory_cluster` in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dstk_cluster.model import ClusterMap
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.controller.model import Step


class StepFailed(Exception):
    """The step was refused, or its outcome is unknown."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step that is done. `upper`: of a split the new upper half, of a merge the partition that is gone."""

    upper: PartitionId | None = None


@dataclass(frozen=True, slots=True)
class PartitionSample:
    """A partition's figures as its primary `node` reports them. `operations`: reads and writes since its process started."""

    node: NodeId
    range: KeyRange
    bytes: int
    records: int
    operations: int
    silent: Mapping[NodeId, float] = field(default_factory=dict)
    """Living nodes whose replicas are not in sync and do not answer the primary, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class ClusterSample:
    """The figures of all nodes at one moment. Partitions whose primary did not answer are missing from `partitions`.

    The sample of a partition is best the same object as before while nothing in it has changed.
    """

    map: ClusterMap
    read_only: frozenset[NodeId] = frozenset()
    partitions: Mapping[PartitionId, PartitionSample] = field(default_factory=dict)


class ClusterReader(Protocol):
    """Reads the map and the figures of the nodes."""

    def current(self) -> ClusterMap | None:
        """Returns the newest map known to this node; None before the first one was read."""

    async def sample(self) -> ClusterSample:
        """Asks all nodes for their figures and waits at most a second or two for each. Never fails."""


class Executor(Protocol):
    """Carries out steps."""

    async def execute(self, step: Step) -> StepResult:
        """Returns when the step is done; an added replica is not yet in sync then. Raises StepFailed."""


class Leadership(Protocol):
    """Whether this node is the controller; see Election."""

    @property
    def acting(self) -> bool:
        """Whether this node is certain to be the leader at this moment."""

    @property
    def leader(self) -> NodeId | None:
        """The leader, as far as this node knows."""
