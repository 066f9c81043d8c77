"""Follows the keys under a prefix of etcd: reads them once, then watches them, and resumes after every interruption."""

import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from dstk_cluster.port import Compacted, Coordinator, CoordinatorUnavailable, WatchBatch, WatchLost
from dstk_service.backoff import Backoff
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

BACKOFF: Final = Backoff(first=0.1, longest=2.0)
"""Between attempts to reach etcd."""


class Follower:
    """Calls `load`, then `apply` with every later change under the prefix. Both return the revision up to which all changes are
    known.

    A broken watch resumes at the revision after that one, so that no change is missed. After a compaction everything is read
    again. `what` names what is followed in the log, such as "the map".
    """

    def __init__(
        self,
        coordinator: Coordinator,
        prefix: bytes,
        what: str,
        clock: Clock,
        rng: random.Random,
        *,
        load: Callable[[], Awaitable[int]],
        apply: Callable[[WatchBatch], Awaitable[int]],
    ) -> None:
        self._coordinator, self._prefix, self._what = coordinator, prefix, what
        self._clock, self._rng = clock, rng
        self._load, self._apply = load, apply
        self._seen: int | None = None
        """The revision up to which all changes are known; None: everything must be read."""
        self._failures = 0

    async def run(self) -> None:
        """Follows the keys until cancelled."""
        while True:
            try:
                await self._follow()
            except Compacted as error:
                log.warning(
                    "the history of %s was compacted: reading all of it",
                    self._what,
                    extra=LogFields(error=str(error)),
                )
                self._seen = None
            except (WatchLost, CoordinatorUnavailable) as error:
                await self._pause(error)

    async def _follow(self) -> None:
        if self._seen is None:
            self._seen = await self._load()
            self._recovered()
        async with aclosing(self._coordinator.watch(self._prefix, self._seen + 1)) as batches:
            async for batch in batches:
                self._recovered()
                self._seen = await self._apply(batch)

    def _recovered(self) -> None:
        if self._failures:
            log.info("etcd answers again: %s is up to date", self._what)
        self._failures = 0

    async def _pause(self, error: Exception) -> None:
        self._failures += 1
        pause = BACKOFF.jittered(self._failures, self._rng)
        if self._failures > 1:
            log.warning("waiting for etcd", extra=LogFields(error=str(error), retry_seconds=round(pause, 2)))
        await self._clock.sleep(pause)
