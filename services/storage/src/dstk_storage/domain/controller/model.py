"""What the controller knows when it plans, and what it plans: plain immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dstk_cluster.model import ClusterMap
from dstk_cluster.overrides import Override
from dstk_cluster.settings import NodeSpec
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import ControllerSettings


class Action(StrEnum):
    """What a step can do; the words of PlannedStep in admin.proto."""

    SPLIT = "split"
    MERGE = "merge"
    ADD_REPLICA = "add_replica"
    REMOVE_REPLICA = "remove_replica"
    TRANSFER_PRIMARY = "transfer_primary"


Attempt = tuple[Action, PartitionId, NodeId | None]
"""What identifies a step, whatever its reason."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of one partition. `reason`: for people, with figures and limits."""

    action: Action
    partition: PartitionId
    reason: str
    node: NodeId | None = None
    """The node that gains or loses a replica, or becomes primary."""
    at: bytes = b""
    """Of a merge: the start of the upper partition; `partition` is the lower one."""
    upper: PartitionId | None = None
    """Of a merge: the upper partition."""
    by_load: bool = False
    """Of a split: in the middle of the operations instead of the bytes."""
    replaces: NodeId | None = None
    """Of an added replica: the node that loses its replica in exchange, later."""

    @property
    def attempt(self) -> Attempt:
        """What identifies the step when it is planned again for another reason."""
        return self.action, self.partition, self.node

    @property
    def touches(self) -> tuple[PartitionId, ...]:
        """The partitions that no other step may change at the same time."""
        return (self.partition,) if self.upper is None else (self.partition, self.upper)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem that no step can fix now. `partition` 0: it concerns the whole cluster."""

    partition: int
    node: NodeId | None
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The next steps, the most urgent first, and the problems that no step can fix.

    The steps touch different partitions, so all of them can run at once.
    """

    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """The size and traffic of a partition. Operations are reads and writes a second; None: not measured yet.

    Records that scans return are not counted: a backup must not split what it reads.
    """

    bytes: int
    records: int
    operations: float | None = None
    """Between the last two samples."""
    sustained: float | None = None
    """The lower of the last two measurements: a burst must not split a partition."""
    peak: float | None = None
    """The highest of the last minute: a pause must not merge partitions."""
    silent: Mapping[NodeId, float] = field(default_factory=dict)
    """Living nodes whose replicas are not in sync and do not answer the primary, and for how many seconds."""


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action on a partition that was taken, or may have been taken, by the controller or an operator.

    `upper`: see Event.
    """

    action: Action
    partition: PartitionId
    at_ms: int
    node: NodeId | None = None
    upper: PartitionId | None = None
    replaces: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a plan depends on.

    `now_ms`: wall clock, Unix ms. `gone`: for how many seconds each missing node has been missing. `loads`: of the partitions
    whose primary answered. `running`: steps that have begun and not ended. `backing_off`: attempts that failed and must not
    be repeated yet. `records`: what was done to partitions recently. `overrides`: what of it operators did.
    """

    map: ClusterMap
    now_ms: int
    settings: ControllerSettings = field(default_factory=ControllerSettings)
    gone: Mapping[NodeId, float] = field(default_factory=dict)
    read_only: frozenset[NodeId] = frozenset()
    specs: Mapping[NodeId, NodeSpec] = field(default_factory=dict)
    loads: Mapping[PartitionId, Load] = field(default_factory=dict)
    running: tuple[Step, ...] = ()
    backing_off: frozenset[Attempt] = frozenset()
    records: tuple[ActionRecord, ...] = ()
    overrides: tuple[Override, ...] = ()
