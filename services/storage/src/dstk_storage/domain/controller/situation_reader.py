"""Reads the situation that the controller plans for."""

from collections.abc import Iterable
from dataclasses import dataclass

from dstk_cluster.events import EventLog
from dstk_cluster.overrides import OverrideStore
from dstk_cluster.settings import DEFAULT_SETTINGS, ClusterSettings, SettingsStore
from dstk_service.clock import Clock
from dstk_storage.domain.controller.absence_tracker import AbsenceTracker
from dstk_storage.domain.controller.action_records import to_record
from dstk_storage.domain.controller.load_tracker import LoadTracker
from dstk_storage.domain.controller.model import ActionRecord, Attempt, Situation, Step
from dstk_storage.domain.controller.ports import ClusterReader


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a situation comes from."""

    cluster: ClusterReader
    settings: SettingsStore
    overrides: OverrideStore
    events: EventLog
    clock: Clock


class SituationReader:
    """Reads situations, and remembers from one to the next what a single reading cannot show.

    `settings`: the cluster's settings as they were last read.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._absences = AbsenceTracker()
        self._loads = LoadTracker()
        self.settings: ClusterSettings = DEFAULT_SETTINGS

    def update_absences(self) -> None:
        """Records which nodes are alive. Every node does this, so that a new leader knows for how long a node has been gone."""
        current = self._sources.cluster.current()
        if current is not None:
            self._absences.update(current, self._sources.clock.monotonic())

    async def read_settings(self) -> ClusterSettings:
        """Reads the settings. Raises CoordinatorUnavailable, InvalidSetting."""
        self.settings = await self._sources.settings.load()
        return self.settings

    async def read(
        self, records: Iterable[ActionRecord], running: Iterable[Step] = (), backing_off: Iterable[Attempt] = ()
    ) -> Situation:
        """Reads the situation. Raises CoordinatorUnavailable, InvalidSetting."""
        settings, overrides = await self.read_settings(), await self._sources.overrides.load()
        sample = await self._sources.cluster.sample()
        now = self._sources.clock.monotonic()
        self._absences.update(sample.map, now)
        return Situation(
            sample.map,
            self._sources.clock.now_ms(),
            settings.controller,
            self._absences.gone(now),
            sample.read_only,
            settings.nodes,
            self._loads.measure(sample, now),
            tuple(running),
            frozenset(backing_off),
            tuple(records),
            overrides,
        )

    async def read_records(self) -> list[ActionRecord]:
        """Reads the recent actions from the event log. Raises CoordinatorUnavailable."""
        return [record for event in await self._sources.events.newest() if (record := to_record(event)) is not None]

    def pause(self) -> None:
        """Forgets the counters of operations, because no sample follows soon."""
        self._loads.reset()
