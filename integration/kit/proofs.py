"""A node whose engine proves what it holds, from start to start."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from dstk_cluster.engines import EngineRegistry, KnownEngine
from dstk_cluster.memory import MemoryCoordinator
from dstk_keytypes import NodeId
from dstk_service.clock import Clock, SystemClock
from dstk_service.testing import ManualClock, RecordingObserver
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain import layout
from dstk_storage.domain.admission import QueueLimits
from dstk_storage.domain.commit import GroupCommitter
from dstk_storage.domain.identity import EngineIdentity
from dstk_storage.domain.proof import EngineProof
from dstk_storage.domain.write_queue import WriteQueue
from kit.offloads import inline
from kit.proposers import UnreplicatedProposer

ME, UID = NodeId("me"), "uid"


@asynccontextmanager
async def exclusive() -> AsyncIterator[None]:
    yield


@dataclass
class ProofNode:
    """A data directory, and what starts on it."""

    etcd: MemoryCoordinator = field(default_factory=MemoryCoordinator)
    engine: MemoryEngine = field(default_factory=MemoryEngine)
    observer: RecordingObserver = field(default_factory=RecordingObserver)

    def fill(self, identity: EngineIdentity) -> None:
        self.engine.reset({layout.ENGINE: identity.encode()}, keep=False)

    @property
    def own(self) -> EngineIdentity:
        raw = self.engine.get(layout.ENGINE)
        assert raw is not None
        return EngineIdentity.decode(raw)

    @property
    def registry(self) -> EngineRegistry:
        return EngineRegistry(self.etcd, "c")

    async def known(self) -> KnownEngine | None:
        return await self.registry.read(ME)

    @contextmanager
    def process(self, clock: Clock | None = None) -> Iterator[EngineProof]:
        committer = GroupCommitter(self.engine, inline, ManualClock().monotonic)
        loop = asyncio.ensure_future(
            committer.run(WriteQueue(committer, UnreplicatedProposer(committer), QueueLimits()))
        )
        observer = self.observer
        yield EngineProof(
            ME, self.own, self.engine, committer, self.registry, exclusive, clock or SystemClock(), observer=observer
        )
        loop.cancel()

    async def start(self) -> EngineIdentity:
        """Until it counts."""
        with self.process() as proof:
            await proof.establish(UID, lambda: None)
            return proof.identity
