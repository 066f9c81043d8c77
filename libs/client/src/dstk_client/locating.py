"""Finds where to send a key: to the storage node that the map names, or to a router."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from typing_extensions import override

from dstk_client.lane import STALL_SECONDS, Lane
from dstk_client.nodes import Node
from dstk_client.operation import CLOSED, ClientClosed
from dstk_client.probing import Suspect
from dstk_client.routing import Route
from dstk_client.topology import Topology
from dstk_service.errors import InvalidArgument, NotServing
from dstk_service.observe import NULL, Observer
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Connector

GATEWAY_STALL_SECONDS = 0.4
"""Seconds without any answer after which a router is probed on another connection."""

ROTATION_SECONDS = 0.1
"""The least number of seconds between two changes of the router because of refusals."""


class Target(NamedTuple):
    """The node to send to, and the partition's epoch to send along; 0: not checked."""

    node: Node
    epoch: int


class Locator(Protocol):
    """Finds the node for a key. Raises NotServing when none is known."""

    grace: float
    """For how many seconds `gave_up` must be true before a call is cancelled."""

    def locate(self, key: bytes) -> Target:
        """The target for a key."""

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """The lane and the epoch for one operation on a key. A plain tuple, since a Target costs 0.4 µs more."""

    def locate_below(self, end: bytes) -> Target:
        """The target for the keys just below `end`; b"": for the last keys."""

    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        """Whether to give up a node that does not answer a call. `locate` finds where the call would be sent now."""

    async def changed(self, within: float) -> None:
        """Returns when a key may have moved to another node, or after `within` seconds."""

    async def close(self) -> None:
        """Closes all connections."""


class ThickLocator(Locator):
    """Sends directly to the storage nodes, by the map. Closes connections to addresses that the map no longer names."""

    def __init__(self, topology: Topology, connector: Connector = GRPC, observer: Observer = NULL) -> None:
        self._new_node = partial(Node, connector=connector, observer=observer)
        self.topology = topology
        self._nodes: dict[str, Node] = {}
        self._retiring: dict[asyncio.Task[None], Node] = {}
        self._closed = False
        topology.on_addresses(self._retire)

    @override
    def locate(self, key: bytes) -> Target:
        return self._target(self.topology.table.route(key), "for", key)

    @override
    def lane(self, key: bytes) -> tuple[Lane, int]:
        route = self.topology.table.route(key)
        if route is None:
            raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
        return self.node(route.primary).lane, route.epoch

    @override
    def locate_below(self, end: bytes) -> Target:
        return self._target(self.topology.table.route_below(end), "below", end)

    def _target(self, route: Route | None, where: str, key: bytes) -> Target:
        if route is None:
            raise NotServing(f"no partition is known {where} key {key!r} at the moment", 0.05)
        return Target(self.node(route.primary), route.epoch)

    def node(self, name: str) -> Node:
        """The connection to a node at its newest address. Raises NotServing when it has none, ClientClosed after `close`."""
        address = self.topology.addresses.get(name)
        if address is None:
            raise NotServing(f"no address is known of node {name!r}", 0.2)
        node = self._nodes.get(address)
        if node is None:
            if self._closed:
                raise ClientClosed(CLOSED)
            try:
                moved = partial(self._is_elsewhere, address)
                node = self._nodes[address] = self._new_node(address, moved)
            except InvalidArgument as error:
                raise NotServing(f"the map gives an invalid address of node {name!r}: {error}", 1.0) from error
        return node

    @property
    def queued(self) -> int:
        """How many operations wait for a place in a message, to all nodes."""
        return sum(node.queued for node in self._nodes.values())

    def _is_elsewhere(self, address: str, key: bytes) -> bool:
        route = self.topology.table.route(key)
        return route is not None and self.topology.addresses.get(route.primary, address) != address

    grace = STALL_SECONDS
    """A primary that has transferred its partition still answers the calls that it has accepted."""

    @override
    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        try:
            return locate().node is not node
        except NotServing:
            return False

    def _retire(self) -> None:
        for address in self._nodes.keys() - set(self.topology.addresses.values()):
            node = self._nodes.pop(address)
            task = asyncio.create_task(node.close_once_idle())
            self._retiring[task] = node
            task.add_done_callback(lambda done: self._retiring.pop(done, None))

    @override
    async def changed(self, within: float) -> None:
        await self.topology.change(within)

    @override
    async def close(self) -> None:
        self._closed = True
        retiring = list(self._retiring.items())
        for task, _ in retiring:
            task.cancel()
        await asyncio.gather(*(task for task, _ in retiring), return_exceptions=True)
        await asyncio.gather(*(node.close() for node in [*self._nodes.values(), *(node for _, node in retiring)]))


class GatewayLocator(Locator):
    """Sends everything through one router, and switches to the next when it fails.

    A router that answers nothing is probed first, because it may be waiting for a node itself.
    """

    def __init__(self, addresses: Sequence[str], connector: Connector = GRPC, observer: Observer = NULL) -> None:
        self._at = 0
        self._new_node = partial(Node, connector=connector, observer=observer)
        self._rotated = 0.0
        self._loop = asyncio.get_running_loop()
        self._suspects = [Suspect(address, connector) for address in addresses]
        self._nodes = [self._new(at, address) for at, address in enumerate(addresses)]

    def _new(self, at: int, address: str) -> Node:
        if len(self._suspects) == 1:
            return self._new_node(address)
        broke = partial(self._leave, at)
        return self._new_node(address, lambda _: self._hangs(at), stall=GATEWAY_STALL_SECONDS, broke=broke)

    @override
    def locate(self, key: bytes) -> Target:
        del key
        return Target(self._nodes[self._at], 0)

    @override
    def lane(self, key: bytes) -> tuple[Lane, int]:
        del key
        return self._nodes[self._at].lane, 0

    @override
    def locate_below(self, end: bytes) -> Target:
        return self.locate(end)

    @override
    async def changed(self, within: float) -> None:
        if self._loop.time() - self._rotated > ROTATION_SECONDS:
            self._leave(self._at)
        await asyncio.sleep(within)

    grace = 0.0

    @override
    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        del locate
        return len(self._nodes) > 1 and self._hangs(self._nodes.index(node))

    def _hangs(self, at: int) -> bool:
        if self._suspects[at].hangs():
            self._leave(at)
            return True
        return False

    def _leave(self, at: int) -> None:
        """Switches to the next router, unless another one is in use already."""
        if at == self._at:
            self._at = (at + 1) % len(self._nodes)
            self._rotated = self._loop.time()

    @override
    async def close(self) -> None:
        await asyncio.gather(*(node.close() for node in self._nodes), *(suspect.close() for suspect in self._suspects))
