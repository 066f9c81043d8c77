"""The client's copy of the map: routes and addresses, from updates and from NotOwner answers."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Protocol

from dstk.v1 import topology_pb2
from dstk_client.routing import Route, RoutingTable, route_of


class MapSource(Protocol):
    """A source of updates: Topology.Watch of any node or router, or a router's own view of etcd."""

    def updates(self) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
        """Yields a full update first, then changes, without end; resumes by itself."""


class Topology:
    """Routes and node addresses. `changed` is replaced and set on every change."""

    def __init__(self) -> None:
        self.table = RoutingTable()
        self.addresses: dict[str, str] = {}
        self.nodes: dict[str, topology_pb2.Node] = {}
        self.entries: dict[int, topology_pb2.Partition] = {}
        """The map's complete entries, with replicas, by id; `table` finds routes by key."""
        self._partitions: dict[int, Route] = {}
        self._changed = asyncio.Event()
        self._on_addresses: Callable[[], None] = lambda: None
        self.ready = asyncio.Event()
        """Set once there is a map with partitions, or a `problem` that prevents one."""
        self.problem: Exception | None = None

    def apply(self, update: topology_pb2.TopologyUpdate) -> None:
        """Adopts an update."""
        if update.full:
            self._partitions.clear()
            self.entries.clear()
            self.nodes.clear()
        for number in update.removed_partitions:
            self._partitions.pop(number, None)
            self.entries.pop(number, None)
        for partition in update.partitions:
            self._partitions[partition.id] = route_of(partition)
            self.entries[partition.id] = partition
        for name in update.removed_nodes:
            self.nodes.pop(name, None)  # the address of a primary stays: the node may only be slow to renew its lease
        for node in update.nodes:
            self.nodes[node.id] = node
            self.addresses[node.id] = node.address
        if update.full or update.partitions or update.removed_partitions:
            self.table = RoutingTable(self._partitions.values())
        if self._partitions:
            self.ready.set()
        if update.full or update.nodes or update.removed_nodes:
            self._forget_addresses()
        self._notify()

    def fail(self, problem: Exception) -> None:
        """Records that no map will arrive."""
        self.problem = problem
        self.ready.set()

    def on_addresses(self, tell: Callable[[], None]) -> None:
        """Sets the function that is called whenever addresses change."""
        self._on_addresses = tell

    def _forget_addresses(self) -> None:
        """Forgets the addresses of nodes that have left and are primary of nothing; else a client would keep every name."""
        kept = self.nodes.keys() | {route.primary for route in self._partitions.values()}
        for name in self.addresses.keys() - kept:
            del self.addresses[name]
        self._on_addresses()

    def heal(self, partition: topology_pb2.Partition, address: str) -> bool:
        """Adopts the entry of a NotOwner answer, if it is newer; returns whether it was."""
        route = route_of(partition)
        if address and self.addresses.get(route.primary) != address:
            self.addresses[route.primary] = address
            self._on_addresses()
        is_newer = self.table.learn(route)
        if is_newer:
            self._partitions[route.id] = route
            self.entries[route.id] = partition
            self._notify()
        return is_newer

    async def change(self, within: float) -> None:
        """Returns at the next change, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            return

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
