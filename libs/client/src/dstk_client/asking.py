"""Calls storage nodes on an operator's behalf: the primary of a partition, one node, any node, or all nodes."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.message import Message

from dstk.v1 import topology_pb2
from dstk_client.admin import AdminLinks, AdminMethod
from dstk_client.topology import Topology
from dstk_service.errors import DeadlineExceeded, DstkError, InvalidArgument, NotOwner, NotServing, WriteAmbiguous

T = TypeVar("T")

TELL_SECONDS = 2.0
"""The timeout of one node's answer when all nodes are asked."""

ANY_SECONDS = 4.0
"""The timeout of one node when any node may answer; then the next node is asked."""

CHANGE_SECONDS = 12.0
REPAIR_SECONDS = 600.0
COMPACT_SECONDS = 60.0
"""The timeout of one step of a compaction, which takes two seconds on a fast disk."""

HEAL_SECONDS = 0.5
"""How long to wait for the map to catch up with a caller, or with a node that refused."""

SILENT = (NotServing, DeadlineExceeded, WriteAmbiguous)
"""Errors of a node that has not answered; a call that changes nothing may go to another node."""


class Asking:
    """Calls nodes. Every failure is a DstkError, and says what is known of the outcome."""

    def __init__(self, topology: Topology, links: AdminLinks) -> None:
        self.topology, self._links = topology, links

    async def primary(
        self, partition_id: int, method: AdminMethod[T], request: Message, seconds: float = CHANGE_SECONDS
    ) -> T:
        """Calls the primary of a partition. Raises InvalidArgument when the map has none with this id."""
        if partition_id not in self.topology.entries:
            await self.topology.change(HEAL_SECONDS)  # a caller who has just split one may be ahead of this router
        if partition_id not in self.topology.entries:
            raise InvalidArgument("partition_id", str(partition_id), "the id of a partition that is in the map")
        return await self._healed(lambda: self.topology.entries[partition_id].primary, method, request, seconds)

    async def primary_of(
        self, key: bytes, method: AdminMethod[T], request: Message, seconds: float = CHANGE_SECONDS
    ) -> T:
        """Calls the primary of the partition that holds a key."""

        def find() -> str:
            if (route := self.topology.table.route(key)) is None:
                raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
            return route.primary

        return await self._healed(find, method, request, seconds)

    async def named(self, name: str, method: AdminMethod[T], request: Message, seconds: float = CHANGE_SECONDS) -> T:
        """Calls one node."""
        await self._links.keep(self.topology.addresses.values())
        address = self.topology.addresses.get(name)
        if address is None:
            raise NotServing(f"no address is known of node {name!r}", 0.2)
        try:
            link = self._links.to(name, address)
        except InvalidArgument as error:
            raise NotServing(f"the map gives an invalid address of node {name!r}: {error}", 1.0) from error
        return await link.call(method, request, seconds)

    async def any(self, method: AdminMethod[T], request: Message) -> T:
        """Calls nodes in turn until one answers; the call must be idempotent."""
        problem: DstkError = NotServing("no storage node is alive", 1.0)
        for name in _serving_first(self.topology.nodes.values()):
            try:
                return await self.named(name, method, request, ANY_SECONDS)
            except SILENT as error:
                problem = error
        raise problem

    async def all(self, names: Iterable[str], method: AdminMethod[T], request: Message) -> dict[str, T | None]:
        """Calls all named nodes at once. Returns their answers in order of name; None: the node did not answer."""
        ordered = sorted(names)

        async def one(name: str) -> T | None:
            try:
                return await self.named(name, method, request, TELL_SECONDS)
            except SILENT:
                return None

        return dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))

    async def _healed(self, find: Callable[[], str], method: AdminMethod[T], request: Message, seconds: float) -> T:
        """Calls the node that `find` returns, and after a NotOwner answer, which heals the map, once more the node of the
        map.
        """
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
