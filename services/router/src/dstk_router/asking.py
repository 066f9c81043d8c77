"""How a router asks storage nodes on an operator's behalf: the primary of a partition, one node, any of them, or all."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from dstk.v1 import admin_pb2_grpc, topology_pb2
from dstk_client.locating import ThickLocator
from dstk_client.operation import Ambiguous, Unsent
from dstk_client.retries import of_call
from dstk_client.topology import Topology
from dstk_service.errors import DeadlineExceeded, DstkError, InvalidArgument, NotOwner, NotServing, WriteAmbiguous
from dstk_service.status import is_ours

T = TypeVar("T")

TELL_SECONDS = 2.0
"""How long one node may take to tell what it knows."""

ANY_SECONDS = 4.0
"""How long one node may take that is asked in place of all; then the next one is."""

CHANGE_SECONDS = 12.0
REPAIR_SECONDS = 600.0
COMPACT_SECONDS = 60.0
"""A step takes two seconds where the disk is quick."""

HEAL_SECONDS = 0.5
"""How long the map may take to show what a caller, or a node that refused, has seen already."""

UNREACHABLE_SECONDS = 0.5
"""After which a node that could not be reached may be tried again."""

SILENT = (NotServing, DeadlineExceeded, WriteAmbiguous)
"""Of a node that has not answered; whoever asked for no change may ask another one."""

Method = Callable[[admin_pb2_grpc.AdminStub], Callable[..., Awaitable[T]]]
"""Which call of a node is meant."""


class Asking:
    """Calls of nodes. Every failure is one of ours, and says what is known of the outcome."""

    def __init__(self, locator: ThickLocator, token: str | None) -> None:
        self._locator = locator
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    @property
    def topology(self) -> Topology:
        """The map."""
        return self._locator.topology

    async def primary(
        self, partition_id: int, method: Method[T], request: Message, seconds: float = CHANGE_SECONDS
    ) -> T:
        """The primary of a partition. Raises InvalidArgument when the map has none with this id."""
        if partition_id not in self.topology.entries:
            await self.topology.change(HEAL_SECONDS)  # whoever has just split one may be ahead of this router
        if partition_id not in self.topology.entries:
            raise InvalidArgument("partition_id", str(partition_id), "the id of a partition that is in the map")
        return await self._healed(lambda: self.topology.entries[partition_id].primary, method, request, seconds)

    async def primary_of(self, key: bytes, method: Method[T], request: Message, seconds: float = CHANGE_SECONDS) -> T:
        """The primary of the partition that a key lies in."""

        def find() -> str:
            if (route := self.topology.table.route(key)) is None:
                raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
            return route.primary

        return await self._healed(find, method, request, seconds)

    async def named(self, name: str, method: Method[T], request: Message, seconds: float = CHANGE_SECONDS) -> T:
        """One node."""
        node = self._locator.node(name)
        try:
            # else it would be unknown whether it was asked at all
            await node.connected(asyncio.get_running_loop().time() + seconds)
            return await method(node.admin)(request, timeout=seconds, metadata=self._metadata)
        except Unsent as error:
            raise NotServing(f"node {name!r}: {error}", UNREACHABLE_SECONDS) from error
        except grpc.aio.AioRpcError as error:
            raise _ours(error, name, seconds) from error

    async def any(self, method: Method[T], request: Message) -> T:
        """The first living node that answers; what is asked must do no harm when it is done twice."""
        problem: DstkError = NotServing("no storage node is alive", 1.0)
        for name in _serving_first(self.topology.nodes.values()):
            try:
                return await self.named(name, method, request, ANY_SECONDS)
            except SILENT as error:
                problem = error
        raise problem

    async def all(self, names: Iterable[str], method: Method[T], request: Message) -> dict[str, T | None]:
        """Every named node at once, by name in order; None: it did not answer."""
        ordered = sorted(names)

        async def one(name: str) -> T | None:
            try:
                return await self.named(name, method, request, TELL_SECONDS)
            except SILENT:
                return None

        return dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))

    async def _healed(self, find: Callable[[], str], method: Method[T], request: Message, seconds: float) -> T:
        """Asks whom the map names, and once more whom it names after a refusal: the first answer heals the map."""
        name = find()
        try:
            return await self.named(name, method, request, seconds)
        except NotOwner as refusal:
            if refusal.partition is not None:
                self.topology.heal(refusal.partition, refusal.address)
            if find() == name:
                await self.topology.change(HEAL_SECONDS)
        return await self.named(find(), method, request, seconds)


def _serving_first(nodes: Iterable[topology_pb2.Node]) -> list[str]:
    ordered = sorted(nodes, key=lambda node: (node.state != topology_pb2.NODE_STATE_SERVING, node.id))
    return [node.id for node in ordered]


def _ours(error: grpc.aio.AioRpcError, name: str, seconds: float) -> DstkError:
    ours = of_call(error)
    if isinstance(ours, Ambiguous):
        why = f"the connection to node {name!r} broke; what was asked of it may have happened: look before asking again"
        return WriteAmbiguous(f"{why} ({ours})")
    assert isinstance(ours, DstkError)
    if isinstance(ours, DeadlineExceeded) and not is_ours(error):
        what = f"node {name!r} did not answer within {seconds:g} s; what was asked of it may yet happen"
        return DeadlineExceeded(what)
    if isinstance(ours, NotServing):
        return NotServing(f"node {name!r}: {ours.why}", ours.retry_after or UNREACHABLE_SECONDS)
    return ours
