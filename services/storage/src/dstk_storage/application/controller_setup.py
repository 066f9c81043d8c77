"""The controller of a node, put together: its election, its ports, and what operators reach of it."""

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

from dstk_cluster.election import Election
from dstk_cluster.events import EventLog
from dstk_cluster.overrides import OverrideStore
from dstk_cluster.port import Coordinator
from dstk_cluster.settings import SettingsStore
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.observe import Observer
from dstk_storage.application.cluster_admin import ClusterAdmin
from dstk_storage.application.overrides import OperatorActions
from dstk_storage.domain.controller.controller import Controller, Parts
from dstk_storage.domain.controller.model import Step
from dstk_storage.domain.controller.ports import ClusterReader, Executor
from dstk_storage.domain.controller.situation_reader import Sources
from dstk_storage.domain.replication.runtime.comparer import Pace
from dstk_storage.ports import Offload


@dataclass(frozen=True, slots=True)
class ControllerPorts:
    """What the controller needs. `nodes`: reads their figures; `executor`: carries out steps; `offload`: runs the planner;
    `events`: the event log of the cluster.
    """

    coordinator: Coordinator
    view: ClusterView
    nodes: ClusterReader
    executor: Executor
    clock: Clock
    rng: random.Random
    offload: Offload
    events: EventLog
    observer: Observer


class ControllerFigures(NamedTuple):
    """The controller of one node at one moment. `backlog` and `findings` are 0 where it does not lead."""

    leads: bool
    paused: bool
    backlog: int
    """Steps that are running, or that a paused controller would run."""
    findings: int
    """Problems that no step can fix now."""


class ControllerSetup:
    """`admin` and `actions` work at once; `loops` run once the node serves; `resign` comes before it hands over."""

    def __init__(self, me: NodeId, cluster: str, ports: ControllerPorts) -> None:
        coordinator, clock = ports.coordinator, ports.clock
        self._election = Election(coordinator, cluster, me, clock, ports.rng)
        settings, overrides = SettingsStore(coordinator, cluster), OverrideStore(coordinator, cluster)
        sources = Sources(ports.nodes, settings, overrides, ports.events, clock)
        parts = Parts(me, self._election, sources, ports.executor, ports.offload, ports.observer)
        self._controller = Controller(parts)
        self.admin = ClusterAdmin(self._controller, settings, ports.events, ports.view)
        self.actions = OperatorActions(ports.events, overrides, ports.view)

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that this node's controller carries out at this moment."""
        return self._controller.running

    @property
    def wanted_replicas(self) -> int:
        """How many replicas a partition should have, by the settings as they were last read."""
        return self._controller.reader.settings.controller.replicas

    def figures(self) -> ControllerFigures:
        """What the controller is doing."""
        controller = self._controller
        paused = controller.reader.settings.controller.paused
        backlog = {*controller.running, *(controller.plan.steps if paused else ())}
        return ControllerFigures(self._election.acting, paused, len(backlog), len(controller.plan.findings))

    @property
    def loops(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """The election and the controller; each runs until cancelled."""
        return self._election.run, self._controller.run

    def pace(self) -> Pace:
        """How often, and how fast, replicas are compared: a setting of the cluster."""
        settings = self._controller.reader.settings.controller
        return Pace(settings.compare_hours * 3600, settings.compare_bytes_per_second)

    async def resign(self) -> None:
        """Lets another node be the controller at once. Cancel the loops first."""
        await self._election.resign()
