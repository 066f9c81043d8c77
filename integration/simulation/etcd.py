"""etcd as a simulated process sees it: behind the network, and gone now and then."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import Compare, CoordinatorUnavailable, Delete, Entry, Put, Same, TxnResult, WatchBatch
from simulation.network import Lost, Network

T = TypeVar("T")

ETCD = "etcd"


class SimCoordinator:
    """See Coordinator: the shared twin, over the network. A lost answer leaves open whether a change was made."""

    def __init__(self, twin: MemoryCoordinator, network: Network, me: str) -> None:
        self._twin, self._network, self._me = twin, network, me

    async def get(self, key: bytes) -> Entry | None:
        """See Coordinator."""
        return await self._call(lambda: self._twin.get(key))

    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        """See Coordinator."""
        return await self._call(lambda: self._twin.range(prefix))

    async def txn(self, compares: Sequence[Compare | Same], changes: Sequence[Put | Delete]) -> TxnResult:
        """See Coordinator."""
        return await self._call(lambda: self._twin.txn(compares, changes))

    def watch(self, prefix: bytes, from_revision: int) -> AsyncIterator[WatchBatch]:
        """See Coordinator."""
        return self._watch(prefix, from_revision)

    async def _watch(self, prefix: bytes, from_revision: int) -> AsyncIterator[WatchBatch]:
        async for batch in self._twin.watch(prefix, from_revision):
            while True:
                try:
                    await self._network.call(ETCD, self._me, _nothing)
                except Lost:
                    continue  # the stream resumes where it was
                break
            yield batch

    async def grant_lease(self, seconds: int) -> int:
        """See Coordinator."""
        return await self._call(lambda: self._twin.grant_lease(seconds))

    async def keep_alive(self, lease: int) -> bool:
        """See Coordinator."""
        return await self._call(lambda: self._twin.keep_alive(lease))

    async def revoke(self, lease: int) -> None:
        """See Coordinator."""
        await self._call(lambda: self._twin.revoke(lease))

    async def close(self) -> None:
        """See Coordinator."""

    async def _call(self, serve: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._network.call(self._me, ETCD, serve)
        except Lost as error:
            raise CoordinatorUnavailable(str(error)) from error


async def _nothing() -> None:
    return None
