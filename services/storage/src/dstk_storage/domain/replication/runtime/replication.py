"""Replication on one node, put together."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from dstk_keytypes import NodeId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain.batch import Batch
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.replication.machines import Machines
from dstk_storage.domain.replication.ports import MapChanger, Peers
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.runtime.candidate import Candidate
from dstk_storage.domain.replication.runtime.comparer import Comparer, Pace
from dstk_storage.domain.replication.runtime.comparison import Comparing
from dstk_storage.domain.replication.runtime.distrust import Distrust
from dstk_storage.domain.replication.runtime.informed import Informed
from dstk_storage.domain.replication.runtime.links import Links
from dstk_storage.domain.replication.runtime.local_disk import LocalDisk
from dstk_storage.domain.replication.runtime.log_shipper import LogShipper
from dstk_storage.domain.replication.runtime.map_changes import MapChanges
from dstk_storage.domain.replication.runtime.peer_api import PeerApi
from dstk_storage.domain.replication.runtime.performer import Performer
from dstk_storage.domain.replication.runtime.quiescing import Quiescing
from dstk_storage.domain.replication.runtime.reactor import Reactor
from dstk_storage.domain.replication.runtime.reconfigurations import Reconfigurations
from dstk_storage.domain.replication.runtime.shipping import ShippingQueues
from dstk_storage.domain.replication.runtime.snapshot_receiver import SnapshotReceiver
from dstk_storage.domain.replication.runtime.snapshot_sender import SnapshotSender
from dstk_storage.domain.replication.runtime.tasks import Tasks
from dstk_storage.domain.replication.timing import Timing
from dstk_storage.domain.store import Store
from dstk_storage.domain.write_queue import Proposer

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Ports:
    """What replication works with. `incarnation`: a random number of this process, of up to 47 bits."""

    me: NodeId
    store: Store
    peers: Peers
    map_changer: MapChanger
    clock: Clock
    timing: Timing
    incarnation: int
    observer: Observer = NULL


class Proposals(Proposer):
    """The stage before the disk, for partitions that are replicated."""

    def __init__(self, machines: Machines, flush: Callable[[], None]) -> None:
        self._machines, self._flush = machines, flush

    @override
    def propose(self, batch: Batch) -> None:
        self._machines.primaries.propose(self._machines.replicas[batch.partition.id], batch)
        self._flush()


class Replication:
    """Composes the state machines and the reactor once. Its users take the parts that they need."""

    def __init__(self, ports: Ports) -> None:
        clock, peers, disk = ports.clock, ports.peers, LocalDisk(ports.store)
        engine, offload = ports.store.engine, ports.store.offload
        self.ports, now = ports, clock.monotonic()
        machines = self.machines = Machines.of(ports.me, ports.timing, disk, now, ports.incarnation)
        self.replicas, self.tasks, self.informed = machines.replicas, Tasks(), Informed(machines.replicas, clock)
        shipping = ShippingQueues(lambda node, queue: self.tasks.spawn(shipper.serve(node, queue)))
        performer = Performer(
            machines.outbox, self.replicas, machines.leases, disk, ports.store.committer, shipping, ports.observer
        )
        flush = performer.flush
        changes = MapChanges(machines.updater, ports.map_changer, clock, flush)
        self.links = Links(machines, changes, peers, clock, ports.timing, flush)
        shipper = LogShipper(self.replicas, machines.primaries, peers, clock, self.tasks, flush, self.links.unreachable)
        followers = machines.followers
        self.peer_api = PeerApi(
            self.replicas, followers, self.informed, disk, engine, offload, clock, flush, self.links.evict
        )
        drain = self.peer_api.drain
        self.snapshots = SnapshotReceiver(self.replicas, followers, disk, engine, offload, clock, drain, flush)
        candidate = Candidate(machines.elections, changes, peers, clock, drain, machines.outbox, flush)

        def elect() -> None:
            machines.elect_own(clock.monotonic(), is_corrupt=disk.is_corrupt)
            flush()

        quiescing = Quiescing(disk, machines.outbox, clock, flush, elect)
        self.reconfigurations = Reconfigurations(
            machines, quiescing, changes, ports.map_changer, peers, self.informed, clock, flush, elect
        )
        sender = SnapshotSender(engine, offload, disk.durable, disk.operations, peers, clock, machines.outbox, flush)
        self.reactor = Reactor(
            machines,
            disk,
            performer,
            self.links,
            changes,
            candidate,
            sender.run,
            self.reconfigurations.hand_off,
            self.informed,
            clock,
            self.tasks,
            ports.timing.heartbeat,
        )
        self.comparing = Comparing(self.reconfigurations, peers, engine, offload, disk.durable, clock)
        self.distrust = Distrust(changes, machines.outbox)
        self.disk = disk
        self.proposals = Proposals(machines, flush)

    def comparer(self, pace: Callable[[], Pace], rng: random.Random) -> Comparer:
        """The loop that compares the replicas of what this node leads."""
        transfer, observer = self.reconfigurations.transfer, self.ports.observer
        return Comparer(self.comparing, self.replicas, self.disk, self.distrust, transfer, observer, pace, rng)

    async def persisted(self) -> None:
        """Returns when the disk knows every range that this node holds (R14), however long the disk fails before."""
        while True:
            try:
                await self.disk.durable()
            except StorageError as error:
                log.warning("waiting for the disk to take the ranges of this node", extra=LogFields(error=str(error)))
            if all(self.disk.is_persisted(replica.partition) for replica in self.replicas.values()):
                return
            await self.ports.clock.sleep(SETTLE_SECONDS)

    async def settled(self, within: float) -> None:
        """Returns when all that the map gives to this node to lead is served, by it or by another; or after so many seconds."""
        end = self.ports.clock.monotonic() + within
        while self.ports.clock.monotonic() < end and not all(map(self._is_served, self.replicas.values())):
            await self.ports.clock.sleep(SETTLE_SECONDS)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.reactor.run())
            tasks.create_task(self.reactor.perform())

    def end(self) -> None:
        """Ends everything that was begun."""
        self.tasks.cancel()

    def _is_served(self, replica: Replica) -> bool:
        is_serving = replica.primary is not None and replica.primary.is_serving
        return replica.info.primary != self.ports.me or is_serving
