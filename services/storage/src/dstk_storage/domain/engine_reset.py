"""Resets a corrupt engine once no partition depends on it.

A block that does not match its checksum is found by a read, a snapshot or a compaction. LevelDB cannot say which keys it held,
and refuses writes once a compaction meets it, so a single partition cannot be repaired in place. But every partition that has
another in-sync replica can be rebuilt on this node from a snapshot: the node hands over what it leads, leaves the in-sync sets,
and starts with an empty engine. A partition whose only in-sync replica is here stays quarantined, and the engine is kept.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from dstk_keytypes import PartitionId
from dstk_service.clock import Clock
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain.events import CorruptionFound
from dstk_storage.ports import Engine, EngineError

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


class InSyncSets(Protocol):
    """The in-sync sets that this node's replicas belong to."""

    async def known(self) -> None:
        """Returns when this node has a map."""

    def sole(self) -> Sequence[PartitionId]:
        """Partitions whose only in-sync replica is on this node."""

    def left(self) -> AbstractAsyncContextManager[bool]:
        """Leaves them all, and takes no partition over while the block runs; False: some still name this node."""

    def restart_empty(self) -> None:
        """The engine is empty now: every replica of this node needs a snapshot."""


class EngineReset:
    """Watches the engine. `replace` puts an empty one in its place, and takes the reason (proof.py)."""

    def __init__(
        self,
        engine: Engine,
        in_sync: InSyncSets,
        replace: Callable[[str], Awaitable[None]],
        clock: Clock,
        observer: Observer = NULL,
    ) -> None:
        self._engine, self._in_sync, self._replace, self._clock = engine, in_sync, replace, clock
        self._observer = observer
        self._sole: Sequence[PartitionId] = []
        self._told = ""
        """The corruption that observers know of."""

    async def run(self) -> None:
        """Polls until cancelled. Without a map it would seem that no partition depends on this node."""
        await self._in_sync.known()
        while True:
            if self._engine.corruption:
                await self.reset()
            await self._clock.sleep(POLL_SECONDS)

    async def reset(self) -> bool:
        """Tries once; False: partitions still depend on the engine, or the others do not know yet that none does."""
        if self._told != self._engine.corruption:
            self._told = self._engine.corruption
            self._observer.observe(CorruptionFound(self._told))
        sole, corruption = self._in_sync.sole(), self._engine.corruption
        if sole != self._sole:
            self._sole = sole
            log.error(
                "corrupt data, and no other replica in sync", extra=LogFields(partitions=list(sole), error=corruption)
            )
        if sole:
            return False
        log.error("corrupt data: leaving the in-sync sets", extra=LogFields(action="engine_corrupt", error=corruption))
        async with self._in_sync.left() as is_out:
            return is_out and await self._start_empty()

    async def _start_empty(self) -> bool:
        try:
            await self._replace(f"corrupt data: {self._engine.corruption}")
        except EngineError as error:
            log.warning("the engine cannot be reset yet", extra=LogFields(error=str(error)))
            return False
        self._in_sync.restart_empty()
        log.warning("the corrupt engine was reset: its replicas are rebuilt from the others")
        return True
