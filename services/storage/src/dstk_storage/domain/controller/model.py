"""What the controller knows when it decides, and what it decides: plain immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dstk_cluster.model import ClusterMap
from dstk_cluster.overrides import Override
from dstk_cluster.settings import NodeSpec
from dstk_keytypes import NodeId, PartitionId
from dstk_service.controller_settings import ControllerSettings


class Action(StrEnum):
    """What the controller can do; the words of PlannedStep in admin.proto."""

    SPLIT = "split"
    MERGE = "merge"
    ADD_REPLICA = "add_replica"
    REMOVE_REPLICA = "remove_replica"
    SWITCH_PRIMARY = "transfer_primary"


Attempt = tuple[Action, PartitionId, NodeId | None]
"""What tells steps apart, whatever their reasons."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `reason`: for people, with figures and limits."""

    action: Action
    partition: PartitionId
    reason: str
    node: NodeId | None = None
    """The node that gets or loses a replica, or becomes primary."""
    at: bytes = b""
    """Of a merge: where the upper partition starts; `partition` is the lower one."""
    upper: PartitionId | None = None
    """Of a merge: the upper partition."""
    by_load: bool = False
    """Of a split: in the middle of the operations rather than of the bytes."""
    replaces: NodeId | None = None
    """Of an added replica: the node that is to lose its own in exchange."""

    @property
    def attempt(self) -> Attempt:
        """What stays the same when it is planned again for another reason."""
        return self.action, self.partition, self.node

    @property
    def touches(self) -> tuple[PartitionId, ...]:
        """The partitions that nothing else may be done to meanwhile."""
        return (self.partition,) if self.upper is None else (self.partition, self.upper)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be and that no step can mend; partition 0: not about a single one."""

    partition: int
    node: NodeId | None
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next, in order, all of it at once if hands allow, and what cannot be done."""

    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Follower:
    """A replica as its primary sees it. `sequence`: of the last write known to be on its disk."""

    sequence: int
    silent_seconds: float
    rebuilding: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What a partition bears. Operations are reads and writes a second; None: not known yet. Records that scans return do
    not count: a backup must not split what it reads.
    """

    bytes: int
    records: int
    operations: float | None = None
    """Between the last two looks."""
    sustained: float | None = None
    """The least of the last two measurements: a burst must not split a partition."""
    peak: float | None = None
    """The most within the last minute: a pause must not merge partitions."""
    followers: Mapping[NodeId, Follower] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done to a partition, by whomever. `upper`: see Event."""

    action: Action
    partition: PartitionId
    at_ms: int
    node: NodeId | None = None
    upper: PartitionId | None = None
    replaces: NodeId | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision rests on.

    `gone`: for how many seconds each missing node has been missing. `loads`: of the partitions whose primary could be asked.
    `under_way`: steps that were begun and have not ended. `resting`: attempts that failed lately, and are not made now.
    `deeds`, `overrides`: what was done to partitions, and which of it operators chose, up to `now_ms` (wall clock).
    """

    map: ClusterMap
    now_ms: int
    settings: ControllerSettings = field(default_factory=ControllerSettings)
    gone: Mapping[NodeId, float] = field(default_factory=dict)
    read_only: frozenset[NodeId] = frozenset()
    specs: Mapping[NodeId, NodeSpec] = field(default_factory=dict)
    loads: Mapping[PartitionId, Load] = field(default_factory=dict)
    under_way: tuple[Step, ...] = ()
    resting: frozenset[Attempt] = frozenset()
    deeds: tuple[Deed, ...] = ()
    overrides: tuple[Override, ...] = ()
