"""One reactor for each node: gives events to the state machines and performs what they ask for.

Events are: a newer map, a heartbeat or its response, an append or its response, a vote, a batch on disk, an operator's request,
and the tick. Each is handled in one step of the event loop: the state machines change their state and fill the outbox; `flush`
performs it before anything is awaited. A tick looks only at replicas that are restless, and at one deadline for each pair of
nodes, so that partitions at rest cost nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from dstk_cluster.model import ClusterMap, NodeState, PartitionInfo
from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_storage.domain.converge import Assignment, Divergence
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.actions import (
    Action,
    Admit,
    BumpEpoch,
    Elect,
    Evict,
    HandOff,
    InstallSnapshot,
    SendHeartbeat,
    Ship,
)
from dstk_storage.domain.replication.follower_handler import holders
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.runtime.candidate import Candidate
from dstk_storage.domain.replication.runtime.informed import Informed
from dstk_storage.domain.replication.runtime.links import Links
from dstk_storage.domain.replication.runtime.map_changes import MapChanges
from dstk_storage.domain.replication.runtime.performer import Performer
from dstk_storage.domain.replication.runtime.tasks import Tasks
from dstk_storage.domain.replication.stepping_down import step_down

log = logging.getLogger(__name__)


class Store(Protocol):
    """This node's data, as far as the map and the reactor's tick touch it."""

    @property
    def writing(self) -> object:
        """What is on its way to the disk; None: nothing."""

    @property
    def is_corrupt(self) -> bool:
        """Whether the engine has met a corrupt block."""

    def converge(self, assigned: Iterable[Assignment]) -> list[Divergence]:
        """Holds what the map assigns from now on; returns what differed."""

    def local(self, number: PartitionId) -> Partition | None:
        """A partition of which this node has a replica."""

    def reread(self, before: Callable[[Partition], None]) -> None:
        """Reads where the logs stand on disk. `before`: called with each partition whose log is about to change."""

    def restart_empty(self) -> None:
        """The engine has been replaced by an empty one."""


Install = Callable[[InstallSnapshot], Awaitable[None]]
"""Sends a snapshot (snapshot_sender.py)."""

Transfer = Callable[[PartitionId], Awaitable[None]]
"""Has another replica lead, if that can be done (reconfiguration.py)."""


class Reactor:
    """Runs the state machines of one node."""

    def __init__(
        self,
        machines: Machines,
        store: Store,
        performer: Performer,
        links: Links,
        changes: MapChanges,
        candidate: Candidate,
        install: Install,
        hand_off: Transfer,
        informed: Informed,
        clock: Clock,
        tasks: Tasks,
        period: float,
    ) -> None:
        self._machines, self._store, self._performer, self._links = machines, store, performer, links
        self._changes, self._candidate, self._install, self._hand_off = changes, candidate, install, hand_off
        self._informed, self._clock, self._tasks, self._period = informed, clock, tasks, period

    def on_map(self, current: ClusterMap) -> None:
        """Adopts a newer map: first in the replicas, then in the store, then in what must follow from both."""
        machines, now = self._machines, self._clock.monotonic()
        mine = {info.id: info for info in current.partitions if machines.me in info.replicas}
        newest = machines.roster.adopt(mine, now)
        leaving = (node.id for node in current.nodes.values() if node.state is NodeState.LEAVING)
        machines.in_sync.note_retired(leaving)
        self._performer.flush()
        machines.roster.line_up(self._converge(newest, current.revision))
        machines.leases.connect(holders(machines.replicas, machines.me))
        self._performer.flush()
        self._informed.note()
        self.elect_own()

    def elect_own(self) -> None:
        """Elects at once what the map gives to this node to lead."""
        self._machines.elect_own(self._clock.monotonic(), is_corrupt=self._store.is_corrupt)
        self._performer.flush()

    def restart_empty(self) -> None:
        """The engine has been replaced by an empty one: every replica here needs a snapshot."""
        for replica in self._machines.replicas.values():
            step_down(replica, self._machines.outbox)
        self._performer.flush()
        self._store.restart_empty()
        self._machines.roster.reset()
        self._performer.flush()

    def engine_reopened(self) -> None:
        """The engine has been reopened in this step: a write that failed may be on disk all the same. Raises EngineError."""
        self._store.reread(self._step_down)

    def _step_down(self, partition: Partition) -> None:
        """Ends this node's term before the log gets an entry that followers in sync may lack: no caller may see it yet (R3),
        and none of them is sent it. Whoever leads next brings all in sync to one position first (R5).
        """
        if (replica := self._machines.replicas.get(partition.id)) is not None:
            step_down(replica, self._machines.outbox)
            self._performer.flush()

    async def run(self) -> None:
        """Ticks until cancelled."""
        while True:
            for node in self._machines.leases.peers:
                self._tasks.spawn(self._links.heartbeat(node))
            writing, is_corrupt = self._store.writing, self._store.is_corrupt
            self._machines.tick(self._clock.monotonic(), writing=writing, is_corrupt=is_corrupt)
            self._performer.flush()
            await self._clock.sleep(self._period)

    async def perform(self) -> None:
        """Performs what takes waiting, until cancelled."""
        while True:
            self._tasks.spawn(self._start(await self._performer.next()))

    async def _start(self, action: Action) -> None:
        match action:
            case SendHeartbeat(node):
                await self._links.heartbeat(node)
            case Ship(replica, node, delay):
                await self._clock.sleep(delay)
                self._machines.outbox.add(Ship(replica, node))
                self._performer.flush()
            case Elect(replica):
                await self._candidate.run(replica)
            case Evict(replica, nodes):
                await self._changes.evict(replica, nodes)
            case Admit(replica, node):
                await self._changes.admit(replica, node)
            case BumpEpoch(replica, promised):
                await self._changes.bump_epoch(replica, promised)
            case HandOff(replica):
                await self._hand_off(replica.info.id)
            case InstallSnapshot():
                await self._install(action)
            case _:
                raise AssertionError(f"{action} is performed at once")

    def _converge(self, newest: Iterable[PartitionInfo], revision: int) -> list[tuple[PartitionInfo, Partition]]:
        entries = list(newest)
        assigned = [Assignment(info.id, info.range, info.epoch, info.origin) for info in entries]
        for divergence in self._store.converge(assigned):
            ranges = list(map(str, divergence.ranges))
            extra = LogFields(action="converge", partition=divergence.partition, revision=revision, key_ranges=ranges)
            log.info("converging with the partition map: %s", divergence.text, extra=extra)
        held = [(info, self._store.local(info.id)) for info in entries]
        return [(info, partition) for info, partition in held if partition is not None]
