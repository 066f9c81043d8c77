"""An entry of etcd under a lease, which is renewed in the background: a registration that ends with its process."""

import asyncio
import logging
import random
from typing import Final

from dstk_cluster.port import Coordinator, CoordinatorUnavailable, Put, RevisionIs
from dstk_service.backoff import Backoff
from dstk_service.clock import Clock, sleep_unless
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(first=0.2, longest=2.0)


class LeasedEntry:
    """Keeps a value under a key while `run` runs. `seconds`: the length of the lease."""

    def __init__(
        self, coordinator: Coordinator, key: bytes, value: bytes, seconds: int, clock: Clock, rng: random.Random
    ) -> None:
        self._coordinator, self._key, self._value = coordinator, key, value
        self._seconds, self._clock, self._rng = seconds, clock, rng
        self._lease = 0
        self._written = False
        self._ever = False
        self._wake = asyncio.Event()
        self.reaches_etcd = False
        """Whether etcd answered the last call, which is at most a third of a lease ago."""
        self.renewed: float | None = None
        """When etcd was last asked, with success, to grant or renew the lease. Monotonic seconds; None: never yet."""

    def replace(self, value: bytes) -> None:
        """Changes the value. `run` writes it as soon as etcd answers."""
        self._value = value
        self._written = False
        self._wake.set()

    async def run(self) -> None:
        """Writes the entry and renews its lease until cancelled. Waits for etcd without a limit. Raises what `check` raises."""
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
        """Deletes the entry, once `run` has ended. If etcd does not answer, it is deleted when the lease ends."""
        lease, self._lease, self._written = self._lease, 0, False
        try:
            if lease:
                await self._coordinator.revoke(lease)
        except CoordinatorUnavailable as error:
            log.warning(
                "left, but etcd does not answer: the registration ends with its lease",
                extra=LogFields(error=str(error)),
            )

    def check(self, found: bytes) -> None:
        """Called with the value that the key has before it is written again. Raises if another process has written it."""

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
            self.check(entry.value)
        compare = RevisionIs(self._key, 0 if entry is None else entry.revision)
        value = self._value
        if (await self._coordinator.txn([compare], [Put(self._key, value, self._lease)])).succeeded:
            self._ever = True
            self._written = value is self._value

    async def _wait(self, seconds: float) -> None:
        """Sleeps, but wakes up when there is something to write."""
        if not self._written and self._ever:
            seconds = min(seconds, 0.05)
        try:
            await sleep_unless(self._wake, self._clock, seconds)
        finally:
            self._wake.clear()
