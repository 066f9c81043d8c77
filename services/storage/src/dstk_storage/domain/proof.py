"""Proves that this node's engine is the one that the cluster knows, and replaces it with an empty one when it is not.

Invariants:
 R10 Nothing that the engine holds counts before the cluster has confirmed it: it knows this engine, and no higher mark than the
     engine holds. A mark is raised in the engine first, on disk, and in etcd second, so an engine ahead is one that crashed in
     between, and an engine behind is an older state of the disk.
 R13 An engine that does not count is moved aside as a whole before a new, empty one takes its place, and the new one says so
     from its first byte on: its mark is 0, and it is no founding one once there is a map (R11).

Losses since the last mark are not noticed: the mark is raised every MARK_SECONDS, and once more in an orderly stop. A mark with
each write would cost an etcd transaction each.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from dstk_cluster.engines import EngineRegistry, KnownEngine
from dstk_cluster.membership import NodeIdTaken
from dstk_cluster.port import CoordinatorUnavailable
from dstk_keytypes import NodeId
from dstk_service.clock import Clock, sleep_unless
from dstk_service.logs.fields import LogFields
from dstk_service.observe import NULL, Observer
from dstk_storage.domain import layout
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.errors import StorageError
from dstk_storage.domain.events import EngineReplaced
from dstk_storage.domain.identity import EngineIdentity, doubt
from dstk_storage.ports import Engine, EngineCorruption, EngineError

log = logging.getLogger(__name__)

MARK_SECONDS = 30.0
RETRY_SECONDS = 1.0
END_SECONDS = 3.0
"""Deadline of the last mark."""

Exclusive = Callable[[], AbstractAsyncContextManager[None]]


class EngineProof:
    """The identity of the engine of node `me`. `exclusive` keeps all other calls of the engine away; `observer` is told of
    a replacement once the cluster knows it; a process stays registered for `lease` seconds after its end.
    """

    def __init__(
        self,
        me: NodeId,
        identity: EngineIdentity,
        engine: Engine,
        committer: GroupCommitter,
        registry: EngineRegistry,
        exclusive: Exclusive,
        clock: Clock,
        *,
        observer: Observer = NULL,
        lease: float = 0.0,
    ) -> None:
        self.identity = identity
        self._me = me
        self._engine, self._committer, self._registry = engine, committer, registry
        self._exclusive, self._clock, self._observer, self._lease = exclusive, clock, observer, lease
        self._cluster_uid = ""
        self._claimed = False
        self._claiming = asyncio.Lock()
        self._wake = asyncio.Event()

    async def establish(self, cluster_uid: str, load: Callable[[], None]) -> None:
        """Returns when the engine counts, as it is or as a new one in its place, and `load` has read it. Waits for etcd and for
        the disk as long as it takes. Raises NodeIdTaken, EngineError.
        """
        self._cluster_uid = cluster_uid
        await self._claim_at_last()
        try:
            load()
        except EngineCorruption as error:
            await self.replace(str(error))
            await self._claim_at_last()
            load()

    async def end(self) -> None:
        """Raises the mark a last time, after all other writes: an engine that holds it holds all that was written before."""
        if not self._claimed:
            return
        try:
            async with self._clock.timeout(END_SECONDS):
                await self.claim()
        except (CoordinatorUnavailable, StorageError, EngineError, NodeIdTaken, TimeoutError) as error:
            log.warning("ending without a last mark in the engine", extra=LogFields(error=str(error)))

    async def _claim_at_last(self) -> None:
        while True:
            try:
                await self.claim()
            except (CoordinatorUnavailable, StorageError) as error:
                log.warning("waiting to prove the engine", extra=LogFields(error=str(error)))
                await self._recover(error)
            else:
                return

    async def _recover(self, error: Exception) -> None:
        """LevelDB compacts as soon as it is open, and takes no write any more once that has met a damaged table: such an engine
        will never be proven. Whatever else is in the way may pass.
        """
        if isinstance(error.__cause__, EngineCorruption):
            await self.replace(str(error.__cause__))
        else:
            await self._clock.sleep(RETRY_SECONDS)

    async def run(self) -> None:
        """Raises the mark every MARK_SECONDS, and soon after a replacement, until cancelled. Raises NodeIdTaken."""
        while True:
            await self._pause()
            if self._committer.intake.removals is not None and self.identity.mark:
                continue  # marks must not fill a full disk
            try:
                await self.claim()
            except (CoordinatorUnavailable, StorageError) as error:
                log.warning("the engine's mark waits", extra=LogFields(error=str(error)))
                await self._clock.sleep(RETRY_SECONDS)

    async def claim(self) -> None:
        """Registers this engine, and a new mark of it, with the cluster. Raises CoordinatorUnavailable, StorageError,
        EngineError, NodeIdTaken.
        """
        async with self._claiming:
            while not await self._try_to_claim():
                pass

    async def replace(self, why: str, *, keep: bool = True) -> None:
        """Replaces this engine, which no longer counts, with a new, empty one; `keep`: keeps the old files.
        Raises EngineError.
        """
        async with self._claiming:  # no mark of the old engine may be on its way to disk
            await self._replace(why, keep=keep)

    async def _replace(self, why: str, *, keep: bool = True) -> None:
        new = EngineIdentity.new(self._me, self.identity.cluster, self._clock.now_ms(), why)
        async with self._exclusive():
            kept = self._engine.reset({layout.ENGINE: new.encode()}, keep=keep)
        self.identity = new
        extra = LogFields(action="engine_replaced", reason=why, path=kept)
        log.error("the engine has been replaced: its replicas are rebuilt from others", extra=extra)
        self._wake.set()

    async def _try_to_claim(self) -> bool:
        """Tries once; False: there is more to do, or the cluster's record changed meanwhile."""
        own, known = self.identity, await self._registry.read(self._me)
        why = doubt(own, known, self._me, self._cluster_uid)
        if known is not None and known.engine == own.engine and not why:
            return await self._advance(known)
        if known is not None:
            await self._be_alone(known)
        if why:
            if self._claimed:
                raise NodeIdTaken(f"{why}: another process runs, or ran, as node {self._me!r}. Stop one of them")
            await self._replace(why)
            return False
        if known is not None and not own.why:
            self.identity = replace(own, why=f"its data directory was empty, and it had held engine {known.engine}")
        await self._registry.change(self._me, known, own.known)
        return False

    async def _advance(self, known: KnownEngine) -> bool:
        own = self.identity
        founding = own.founding if own.mark else not await self._registry.has_map()
        mark = max(own.mark, known.mark) + 1
        new = replace(own, cluster_uid=self._cluster_uid, mark=mark, founding=founding)
        self._committer.put_metadata(layout.ENGINE, new.encode())
        await self._committer.durable()
        self.identity = new
        if not await self._registry.change(self._me, known, new.known):
            return False
        self._claimed = True
        if new.why and not own.mark:
            self._observer.observe(EngineReplaced(new.why))
        return True

    async def _be_alone(self, known: KnownEngine) -> None:
        """Returns when no other process is registered as this node: one that runs must not lose its place to an empty engine.
        That of a process that was killed stays until its lease ends.
        """
        if self._claimed:
            return  # the registration is this process's own
        end = self._clock.monotonic() + self._lease
        while await self._registry.is_registered(self._me):
            if self._clock.monotonic() >= end:
                raise NodeIdTaken(
                    f"node {self._me!r} runs elsewhere, on engine {known.engine}: give this process a node id of its own, or "
                    "stop the other one"
                )
            await self._clock.sleep(RETRY_SECONDS)

    async def _pause(self) -> None:
        """MARK_SECONDS, or until the engine is replaced."""
        self._wake.clear()
        await sleep_unless(self._wake, self._clock, MARK_SECONDS)
