"""Performs what the state machines ask for: at once what needs no waiting; the rest goes to the reactor's queue."""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from dstk_service.observe import Observer
from dstk_storage.domain.batch import REPLICATED, Batch
from dstk_storage.domain.errors import CommitFailed
from dstk_storage.domain.events import PartitionQuarantined
from dstk_storage.domain.partition import Partition
from dstk_storage.domain.replication.actions import (
    Action,
    Commit,
    Observe,
    Outbox,
    Quarantine,
    Serve,
    Ship,
    StepDown,
)
from dstk_storage.domain.replication.lease_book import LeaseBook
from dstk_storage.domain.replication.publishing import publish
from dstk_storage.domain.replication.replica import Replica
from dstk_storage.domain.replication.roster import Replicas
from dstk_storage.domain.replication.runtime.shipping import ShippingQueues
from dstk_storage.domain.replication.stepping_down import step_down


class Serving(Protocol):
    """Which partitions callers reach on this node."""

    def activate(self, partition: Partition) -> None:
        """Callers reach it."""

    def deactivate(self, partition: Partition) -> None:
        """Callers reach it no more."""


class Committing(Protocol):
    """The next stage of a batch."""

    def commit(self, batch: Batch) -> None:
        """All required followers have the batch: it goes to this disk."""


class Performer:
    """`flush` is to be called after each event, before anything is awaited."""

    def __init__(
        self,
        outbox: Outbox,
        replicas: Replicas,
        leases: LeaseBook,
        serving: Serving,
        committing: Committing,
        shipping: ShippingQueues,
        observer: Observer,
    ) -> None:
        self._outbox, self._replicas, self._leases = outbox, replicas, leases
        self._serving, self._committing = serving, committing
        self._shipping, self._observer = shipping, observer
        self._waiting: deque[Action] = deque()
        self._wake = asyncio.Event()

    def flush(self) -> None:
        """Performs everything that was asked for."""
        while self._outbox.actions:
            for action in self._outbox.drain():
                self._perform(action)
        if self._outbox.changed:
            self._publish()

    async def next(self) -> Action:
        """The next action that takes waiting."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def _perform(self, action: Action) -> None:
        match action:
            case Ship(replica, node, 0.0):
                self._shipping.add(replica, node)
            case Commit(replica, batches):
                self._commit(replica, batches)
            case Serve(replica):
                assert replica.primary is not None
                replica.partition.epoch = replica.primary.epoch
                self._serving.activate(replica.partition)
            case StepDown(replica):
                self._serving.deactivate(replica.partition)
                replica.partition.abandon(CommitFailed("the partition has another primary now"))
            case Quarantine(replica, is_lost):
                self._quarantine(replica, is_lost=is_lost)
            case Observe(event):
                self._observer.observe(event)
            case _:
                self._waiting.append(action)
                self._wake.set()

    def _commit(self, replica: Replica, batches: Sequence[Batch]) -> None:
        failed = partial(self._failed, replica)
        for batch in batches:
            batch.advance(REPLICATED)
            batch.on_failure = failed
            self._committing.commit(batch)

    def _failed(self, replica: Replica, _: Batch) -> None:
        """A primary whose disk fails would fall behind its followers: it steps down, and stands where its disk does."""
        step_down(replica, self._outbox)
        replica.log.truncate(replica.log.position)
        self.flush()

    def _quarantine(self, replica: Replica, *, is_lost: bool) -> None:
        replica.partition.quarantined = is_lost
        if is_lost:
            self._serving.activate(replica.partition)
            reason = "its only replica in sync is lost"
            self._observer.observe(PartitionQuarantined(replica.info.id, reason))
        else:
            self._serving.deactivate(replica.partition)

    def _publish(self) -> None:
        """Brings claims and leases up to date, before another heartbeat goes out."""
        changed, self._outbox.changed = self._outbox.changed, {}
        for replica in changed:
            publish(replica, self._leases, is_held=self._replicas.get(replica.info.id) is replica)
