"""Connections: one per address, opened when it is first needed; and where a key is to be sent."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, Protocol

import grpc

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc
from dstk_client.lane import CLOSED, Lane, Moved
from dstk_client.operation import ClientClosed, Unsent
from dstk_client.topology import Topology
from dstk_service.channels import open_channel
from dstk_service.errors import NotServing

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE
_CLOSED = grpc.ChannelConnectivity.SHUTDOWN


class Node:
    """A lane for coalesced operations, and a channel beside it for scans and bulk inserts."""

    def __init__(self, address: str, moved: Moved = lambda _: False) -> None:
        self.lane = Lane(address, moved)
        self._channel: grpc.aio.Channel = open_channel(address)
        self.keyvalue = kv_pb2_grpc.KeyValueStub(self._channel)
        self.admin = admin_pb2_grpc.AdminStub(self._channel)

    def check_open(self) -> None:
        """Raises ClientClosed after `close`."""
        if self.lane.closed:
            raise ClientClosed(CLOSED)

    async def connected(self, deadline: float) -> None:
        """Returns when the channel for scans and bulk inserts stands; at once when it does. Raises Unsent when it cannot be
        made, or not until then (on the loop's clock), ClientClosed after `close`.
        """
        state = self._channel.get_state(try_to_connect=True)
        if state is _READY:
            return
        try:
            async with asyncio.timeout_at(deadline):
                while state is not _READY:
                    if state is _CLOSED:
                        raise ClientClosed(CLOSED)
                    if state is _FAILED:
                        raise Unsent(f"{self.lane.address} cannot be reached")
                    await self._channel.wait_for_state_change(state)
                    state = self._channel.get_state(try_to_connect=True)
        except TimeoutError:
            raise Unsent(f"{self.lane.address} could not be reached in time") from None

    async def close(self) -> None:
        """Ends both."""
        await self.lane.close()
        await self._channel.close()


class Target(NamedTuple):
    """Where to send, and the partition's epoch to send along; 0: unchecked."""

    node: Node
    epoch: int


class Locator(Protocol):
    """Finds the node for a key. Raises NotServing where none is known."""

    def locate(self, key: bytes) -> Target:
        """For a key."""

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """For a single operation on a key: the lane and the epoch alone, since naming them costs 0.4 µs."""

    def locate_below(self, end: bytes) -> Target:
        """For the keys just below `end`; b"": the last ones."""

    async def changed(self, within: float) -> None:
        """Returns when something may be found elsewhere, or after so many seconds."""

    async def close(self) -> None:
        """Closes all connections."""


class ThickLocator:
    """Straight to the storage nodes, by the map."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._nodes: dict[str, Node] = {}

    def locate(self, key: bytes) -> Target:
        """See Locator."""
        route = self.topology.table.route(key)
        if route is None:
            raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
        return Target(self.node(route.primary), route.epoch)

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """See Locator."""
        route = self.topology.table.route(key)
        if route is None:
            raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
        return self.node(route.primary).lane, route.epoch

    def locate_below(self, end: bytes) -> Target:
        """See Locator."""
        route = self.topology.table.route_below(end)
        if route is None:
            raise NotServing(f"no partition is known below key {end!r} at the moment", 0.05)
        return Target(self.node(route.primary), route.epoch)

    def node(self, name: str) -> Node:
        """The connection to a node at its newest address. Raises NotServing when it has none."""
        address = self.topology.addresses.get(name)
        if address is None:
            raise NotServing(f"node {name!r} is not there", 0.2)
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(address, partial(self._is_elsewhere, address))
        return node

    def _is_elsewhere(self, address: str, key: bytes) -> bool:
        route = self.topology.table.route(key)
        return route is not None and self.topology.addresses.get(route.primary, address) != address

    async def changed(self, within: float) -> None:
        """See Locator."""
        await self.topology.change(within)

    async def close(self) -> None:
        """See Locator."""
        for node in self._nodes.values():
            await node.close()


class GatewayLocator:
    """Everything through routers, one after the other as they fail."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._nodes = [Node(address) for address in addresses]

    def locate(self, key: bytes) -> Target:
        """See Locator."""
        del key
        return Target(self._nodes[0], 0)

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """See Locator."""
        del key
        return self._nodes[0].lane, 0

    def locate_below(self, end: bytes) -> Target:
        """See Locator."""
        return self.locate(end)

    async def changed(self, within: float) -> None:
        """See Locator: after a failure the next router is tried at once, if there is another."""
        if len(self._nodes) > 1:
            self._nodes.append(self._nodes.pop(0))
            within = min(within, 0.01)
        await asyncio.sleep(within)

    async def close(self) -> None:
        """See Locator."""
        for node in self._nodes:
            await node.close()
