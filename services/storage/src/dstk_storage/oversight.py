"""The controller of a node, put together: its election, its eyes and hands, its desk and its notes."""

import random
from collections.abc import Coroutine

from dstk_cluster.election import Election
from dstk_cluster.events import EventLog
from dstk_cluster.overrides import OverrideStore
from dstk_cluster.port import Coordinator
from dstk_cluster.settings import SettingsStore
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_storage.adapters.overseer import AdminLinks, GrpcCluster, GrpcHands
from dstk_storage.desk import ControllerDesk
from dstk_storage.domain.controller.gathering import Sources
from dstk_storage.domain.controller.loop import Controller, Parts
from dstk_storage.domain.replication.comparer import Pace
from dstk_storage.notes import OperatorNotes
from dstk_storage.ports import Offload


class Oversight:
    """`desk` and `notes` can be used at once; `loops` run once the node serves; `close` comes before it hands over."""

    def __init__(
        self,
        me: NodeId,
        cluster: str,
        coordinator: Coordinator,
        view: ClusterView,
        *,
        token: str | None,
        clock: Clock,
        rng: random.Random,
        offload: Offload,
    ) -> None:
        self._election = Election(coordinator, cluster, me, clock, rng)
        self._links = AdminLinks(token)
        settings, overrides = SettingsStore(coordinator, cluster), OverrideStore(coordinator, cluster)
        self.events = EventLog(coordinator, cluster, me, clock)
        sources = Sources(GrpcCluster(view, self._links), settings, overrides, self.events, clock)
        parts = Parts(me, self._election, sources, GrpcHands(view, self._links), offload)
        controller = self._controller = Controller(parts)
        self.desk = ControllerDesk(controller, settings, self.events, view)
        self.notes = OperatorNotes(self.events, overrides, view)

    def loops(self) -> tuple[Coroutine[None, None, None], Coroutine[None, None, None]]:
        """What goes on all the time, until cancelled."""
        return self._election.run(), self._controller.run()

    def pace(self) -> Pace:
        """Of the background comparison, as people want it."""
        settings = self._controller.gathering.settings.controller
        return Pace(settings.compare_hours * 3600, settings.compare_bytes_per_second)

    async def close(self) -> None:
        """Lets another node be the controller at once. The loops should have been cancelled."""
        await self._election.resign()
        await self._links.close()
