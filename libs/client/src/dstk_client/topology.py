"""The client's picture of the cluster: routes and addresses, from updates and from NotOwner answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from dstk.v1 import topology_pb2
from dstk_client.routing import Route, RoutingTable, route_of


class MapSource(Protocol):
    """Where updates come from: Topology.Watch of any node or router, or a router's own view of etcd."""

    def updates(self) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        """A full update first, then changes, without end; resumes by itself."""


class Topology:
    """Routes and node addresses. `changed` is replaced and set on every change."""

    def __init__(self) -> None:
        self.table = RoutingTable()
        self.addresses: dict[str, str] = {}
        self.nodes: dict[str, topology_pb2.Node] = {}
        self.entries: dict[int, topology_pb2.Partition] = {}
        """The map's entries whole, replicas and all, by id: beside the table, which finds routes by key."""
        self._partitions: dict[int, Route] = {}
        self._changed = asyncio.Event()
        self._on_addresses: Callable[[], None] = lambda: None
        self.ready = asyncio.Event()
        """Set once there is a map with partitions, or a `problem` for which there will be none."""
        self.problem: Exception | None = None

    def apply(self, update: topology_pb2.TopologyUpdate) -> None:
        """Takes over an update."""
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
            self.nodes.pop(
                name, None
            )  # its address stays while it is a primary: it may only be slow to renew its lease
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
        """No map will come."""
        self.problem = problem
        self.ready.set()

    def on_addresses(self, tell: Callable[[], None]) -> None:
        """Has `tell` called whenever addresses have come or gone."""
        self._on_addresses = tell

    def _forget_addresses(self) -> None:
        """Of nodes that have left and lead nothing any more: names may come and go for as long as a client lives."""
        kept = self.nodes.keys() | {route.primary for route in self._partitions.values()}
        for name in self.addresses.keys() - kept:
            del self.addresses[name]
        self._on_addresses()

    def heal(self, partition: topology_pb2.Partition, address: str) -> None:
        """Takes over the entry of a NotOwner answer, if it is newer."""
        route = route_of(partition)
        if address and self.addresses.get(route.primary) != address:
            self.addresses[route.primary] = address
            self._on_addresses()
        if self.table.learn(route):
            self._partitions[route.id] = route
            self.entries[route.id] = partition
            self._notify()

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
