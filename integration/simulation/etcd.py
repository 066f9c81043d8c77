"""etcd as a simulated process sees it: behind the network, and gone now and then."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from typing_extensions import override

from dstk_cluster.memory import MemoryCoordinator
from dstk_cluster.port import (
    Coordinator,
    CoordinatorUnavailable,
    Delete,
    Entry,
    Put,
    RevisionIs,
    TxnResult,
    ValueIs,
    WatchBatch,
)
from simulation.network import Lost, Network

T = TypeVar("T")

ETCD = "etcd"


class SimCoordinator(Coordinator):
    """The shared in-memory coordinator, over the simulated network. A lost answer leaves a change ambiguous."""

    def __init__(self, twin: MemoryCoordinator, network: Network, me: str) -> None:
        self._twin, self._network, self._me = twin, network, me

    @override
    async def get(self, key: bytes) -> Entry | None:
        return await self._call(lambda: self._twin.get(key))

    @override
    async def range(self, prefix: bytes) -> tuple[list[Entry], int]:
        return await self._call(lambda: self._twin.range(prefix))

    @override
    async def txn(self, compares: Sequence[RevisionIs | ValueIs], changes: Sequence[Put | Delete]) -> TxnResult:
        return await self._call(lambda: self._twin.txn(compares, changes))

    @override
    def watch(self, prefix: bytes, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        return self._watch(prefix, from_revision)

    async def _watch(self, prefix: bytes, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        async for batch in self._twin.watch(prefix, from_revision):
            while True:
                try:
                    await self._network.call(ETCD, self._me, _nothing)
                except Lost:
                    continue  # the stream resumes where it was
                break
            yield batch

    @override
    async def grant_lease(self, seconds: int) -> int:
        return await self._call(lambda: self._twin.grant_lease(seconds))

    @override
    async def keep_alive(self, lease: int) -> bool:
        return await self._call(lambda: self._twin.keep_alive(lease))

    @override
    async def revoke(self, lease: int) -> None:
        await self._call(lambda: self._twin.revoke(lease))

    @override
    async def close(self) -> None: ...

    async def _call(self, serve: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._network.call(self._me, ETCD, serve)
        except Lost as error:
            raise CoordinatorUnavailable(str(error)) from error


async def _nothing() -> None:
    return None
