"""The registration of a node: a key under a lease, which is renewed in the background."""

import asyncio
import logging
import random
from dataclasses import replace
from typing import Final

from dstk_cluster import records
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.port import Coordinator, CoordinatorUnavailable, Put, RevisionIs
from dstk_cluster.records import Keys
from dstk_service.backoff import Backoff
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(first=0.2, longest=2.0)


class NodeIdTaken(Exception):
    """Another process has registered with this node's id, because two data directories are copies of each other."""


class Membership:
    """Keeps a node registered. `run` raises NodeIdTaken when another process registers with the same id later."""

    def __init__(
        self, coordinator: Coordinator, cluster: str, info: NodeInfo, seconds: int, clock: Clock, rng: random.Random
    ) -> None:
        self._coordinator = coordinator
        self._key = Keys(cluster).node(info.id)
        self._info = info
        self._seconds = seconds
        self._clock = clock
        self._rng = rng
        self._lease = 0
        self._written = False
        self._ever = False
        self._wake = asyncio.Event()
        self.reaches_etcd = False
        """Whether etcd answered the last call, which is at most a third of a lease ago."""
        self.renewed: float | None = None
        """When etcd was last asked, with success, to grant or renew the lease. Monotonic seconds; None: never yet."""

    @property
    def info(self) -> NodeInfo:
        """The registered values."""
        return self._info

    def update(self, state: NodeState) -> None:
        """Changes the state. `run` writes it as soon as etcd answers."""
        self._info = replace(self._info, state=state)
        self._written = False
        self._wake.set()

    async def run(self) -> None:
        """Registers the node and renews the registration until cancelled. Waits for etcd without a limit."""
        failures = 0
        while True:
            try:
                await self._step()
                if failures:
                    log.info("registered with etcd again")
                failures, pause = 0, self._seconds / 3
                self.reaches_etcd = True
            except CoordinatorUnavailable as error:
                failures += 1
                self.reaches_etcd = False
                pause = BACKOFF.jittered(failures, self._rng)
                log.warning(
                    "waiting for etcd to register", extra=LogFields(error=str(error), retry_seconds=round(pause, 2))
                )
            await self._wait(pause)

    async def leave(self) -> None:
        """Deletes the registration. If etcd does not answer, it is deleted when the lease ends."""
        try:
            if self._lease:
                await self._coordinator.revoke(self._lease)
        except CoordinatorUnavailable as error:
            log.warning(
                "left, but etcd does not answer: the registration ends with its lease",
                extra=LogFields(error=str(error)),
            )

    async def _step(self) -> None:
        asked = self._clock.monotonic()
        if not self._lease or not await self._coordinator.keep_alive(self._lease):
            self._lease = await self._coordinator.grant_lease(self._seconds)
            self._written = False
        self.renewed = asked
        if not self._written:
            await self._write()

    async def _write(self) -> None:
        entry = await self._coordinator.get(self._key)
        if entry is not None and self._ever:
            owner = records.load_node(self._info.id, entry.value)
            if owner.incarnation != self._info.incarnation:
                raise NodeIdTaken(
                    f"another process at {owner.address} has registered as node {self._info.id!r}: two data directories "
                    "have the same node.json. Stop one of them, and give it an empty directory"
                )
        compare = RevisionIs(self._key, 0 if entry is None else entry.revision)
        info = self._info
        put = Put(self._key, records.dump_node(info), self._lease)
        if (await self._coordinator.txn([compare], [put])).succeeded:
            self._ever = True
            self._written = info is self._info

    async def _wait(self, seconds: float) -> None:
        """Sleeps, but wakes up when there is something to write."""
        if not self._written and self._ever:
            seconds = min(seconds, 0.05)
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()
            self._wake.clear()
