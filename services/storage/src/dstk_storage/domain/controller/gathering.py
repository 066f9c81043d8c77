"""Puts a situation together: from a look at the nodes, what people want, and what was done."""

from collections.abc import Iterable
from dataclasses import dataclass

from dstk_cluster.events import Event, Origin
from dstk_cluster.settings import DEFAULT_SETTINGS, ClusterSettings
from dstk_keytypes import NodeId, PartitionId
from dstk_service.clock import Clock
from dstk_storage.domain.controller.model import Action, Attempt, Deed, Situation, Step
from dstk_storage.domain.controller.ports import Cluster, EventLog, Overrides, Settings
from dstk_storage.domain.controller.tracker import Tracker

_ACTIONS = frozenset(Action)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a situation comes from."""

    cluster: Cluster
    settings: Settings
    overrides: Overrides
    events: EventLog
    clock: Clock


class Gathering:
    """Looks again and again. `settings`: as they were when they were last read."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._tracker = Tracker()
        self.settings: ClusterSettings = DEFAULT_SETTINGS

    def see(self) -> None:
        """Takes note of who is there: cheap, and done by every node, so that a new leader knows for how long each is gone."""
        current = self._sources.cluster.current()
        if current is not None:
            self._tracker.see(current, self._sources.clock.monotonic())

    async def ask(self) -> ClusterSettings:
        """Reads the settings. Raises CoordinatorUnavailable, InvalidSetting."""
        self.settings = await self._sources.settings.load()
        return self.settings

    async def look(
        self, deeds: Iterable[Deed], under_way: Iterable[Step] = (), resting: Iterable[Attempt] = ()
    ) -> Situation:
        """The situation now. Raises CoordinatorUnavailable, InvalidSetting."""
        settings, overrides = await self.ask(), await self._sources.overrides.load()
        seen = await self._sources.cluster.look()
        now = self._sources.clock.monotonic()
        self._tracker.see(seen.map, now)
        return Situation(
            seen.map,
            self._sources.clock.now_ms(),
            settings.controller,
            self._tracker.gone(now),
            seen.read_only,
            settings.nodes,
            self._tracker.measure(seen, now),
            tuple(under_way),
            frozenset(resting),
            tuple(deeds),
            overrides,
        )

    async def recall(self) -> list[Deed]:
        """What the events tell of. Raises CoordinatorUnavailable."""
        return [deed for event in await self._sources.events.newest() if (deed := deed_of(event)) is not None]

    def rest(self) -> None:
        """No look for a while."""
        self._tracker.rest()


def deed_of(event: Event) -> Deed | None:
    """An event as a deed; None: nothing was done to a partition. What has no outcome may have been done."""
    if event.action not in _ACTIONS or event.outcome.startswith("failed") or not event.partition:
        return None
    return Deed(
        Action(event.action),
        PartitionId(event.partition),
        event.at_ms,
        NodeId(event.subject) if event.subject else None,
        PartitionId(event.upper) if event.upper else None,
        NodeId(event.replaces) if event.replaces else None,
    )


def event_of(events: EventLog, step: Step) -> Event:
    """A step that begins now, as an event."""
    return events.make(
        step.action,
        partition=step.partition,
        subject=step.node or "",
        origin=Origin.CONTROLLER,
        reason=step.reason,
        outcome="",
        upper=step.upper or 0,
        replaces=step.replaces or "",
    )
