"""What the controller needs from the world outside. Each port has a real adapter and an in-memory twin."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dstk_cluster.events import Event
from dstk_cluster.model import ClusterMap
from dstk_cluster.overrides import Override
from dstk_cluster.settings import ClusterSettings
from dstk_keytypes import KeyRange, NodeId, PartitionId
from dstk_storage.domain.controller.model import Follower, Step


class StepFailed(Exception):
    """The step was refused, or nobody knows whether it was made."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a step ended. `upper`: of a split the new upper half, of a merge the partition that is no more."""

    detail: str = ""
    upper: PartitionId | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """A partition's figures as its primary `node` tells them. `operations`: since its process started."""

    node: NodeId
    range: KeyRange
    bytes: int
    records: int
    operations: int
    followers: Mapping[NodeId, Follower] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen in one look at all nodes. Partitions whose primary did not answer have no figures."""

    map: ClusterMap
    read_only: frozenset[NodeId] = frozenset()
    figures: Mapping[PartitionId, Figures] = field(default_factory=dict)


class Cluster(Protocol):
    """The nodes, to look at."""

    def current(self) -> ClusterMap | None:
        """The map, as far as it is known here; None: not read yet."""

    async def look(self) -> Observation:
        """Asks all nodes, and waits no longer than a second or two for any. Never fails."""


class Hands(Protocol):
    """Does what was planned."""

    async def take(self, step: Step) -> Done:
        """Returns when it is done; an added replica is not in sync by then. Raises StepFailed."""


class Leadership(Protocol):
    """See Election."""

    @property
    def acting(self) -> bool:
        """Whether this node is the leader for certain, at this moment."""

    @property
    def leader(self) -> NodeId | None:
        """Who leads, as far as is known."""


class Settings(Protocol):
    """See SettingsStore."""

    async def load(self) -> ClusterSettings:
        """Reads the settings. Raises CoordinatorUnavailable, InvalidSetting."""


class Overrides(Protocol):
    """See OverrideStore. Everything raises CoordinatorUnavailable."""

    async def load(self) -> tuple[Override, ...]:
        """All that are kept."""

    async def adopt(self, partitions: Collection[PartitionId], at_ms: int) -> None:
        """Once in the life of a cluster: its boundaries count as chosen."""

    async def forget(self, overrides: Iterable[Override]) -> None:
        """Removes what does not count any more."""


class EventLog(Protocol):
    """See EventLog."""

    def make(self, action: str, **about: Any) -> Event:
        """An event of this node and this moment."""

    async def append(self, event: Event) -> bytes | None:
        """Writes it down; never fails."""

    async def conclude(self, key: bytes | None, event: Event, outcome: str) -> Event:
        """Writes down how it ended; never fails."""

    async def newest(self, limit: int = ...) -> list[Event]:
        """Newest first. Raises CoordinatorUnavailable."""
