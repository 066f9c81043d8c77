"""Where a key is to be sent: the storage node that the map names, or a router."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from dstk_client.lane import STALL_SECONDS, Lane
from dstk_client.nodes import Node
from dstk_client.operation import CLOSED, ClientClosed
from dstk_client.probing import Suspect
from dstk_client.routing import Route
from dstk_client.topology import Topology
from dstk_service.errors import InvalidArgument, NotServing

GATEWAY_STALL_SECONDS = 0.4
"""How long a router may leave everything unanswered until it is asked, on another connection, whether it lives."""

ROTATION_SECONDS = 0.1
"""How long one router is asked, at least, when refusals make its callers turn to the next one."""


class Target(NamedTuple):
    """Where to send, and the partition's epoch to send along; 0: unchecked."""

    node: Node
    epoch: int


class Locator(Protocol):
    """Finds the node for a key. Raises NotServing where none is known."""

    grace: float
    """For how many seconds `gave_up` must have been true until a call is given up."""

    def locate(self, key: bytes) -> Target:
        """For a key."""

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """For a single operation on a key: the lane and the epoch alone, since naming them costs 0.4 µs."""

    def locate_below(self, end: bytes) -> Target:
        """For the keys just below `end`; b"": the last ones."""

    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        """Whether to leave a node that keeps a call without an answer; `locate` finds whom the call would be sent to now."""

    async def changed(self, within: float) -> None:
        """Returns when something may be found elsewhere, or after so many seconds."""

    async def close(self) -> None:
        """Closes all connections."""


class ThickLocator:
    """Straight to the storage nodes, by the map. Connections to addresses that the map names no more are closed."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self._nodes: dict[str, Node] = {}
        self._retiring: dict[asyncio.Task[None], Node] = {}
        self._closed = False
        topology.on_addresses(self._retire)

    def locate(self, key: bytes) -> Target:
        """See Locator."""
        return self._target(self.topology.table.route(key), "for", key)

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """See Locator."""
        route = self.topology.table.route(key)
        if route is None:
            raise NotServing(f"no partition is known for key {key!r} at the moment", 0.05)
        return self.node(route.primary).lane, route.epoch

    def locate_below(self, end: bytes) -> Target:
        """See Locator."""
        return self._target(self.topology.table.route_below(end), "below", end)

    def _target(self, route: Route | None, where: str, key: bytes) -> Target:
        if route is None:
            raise NotServing(f"no partition is known {where} key {key!r} at the moment", 0.05)
        return Target(self.node(route.primary), route.epoch)

    def node(self, name: str) -> Node:
        """The connection to a node at its newest address. Raises NotServing when it has none, ClientClosed after `close`."""
        address = self.topology.addresses.get(name)
        if address is None:
            raise NotServing(f"node {name!r} is not there", 0.2)
        node = self._nodes.get(address)
        if node is None:
            if self._closed:
                raise ClientClosed(CLOSED)
            try:
                node = self._nodes[address] = Node(address, partial(self._is_elsewhere, address))
            except InvalidArgument as error:
                raise NotServing(f"the map says of node {name!r}: {error}", 1.0) from error
        return node

    def _is_elsewhere(self, address: str, key: bytes) -> bool:
        route = self.topology.table.route(key)
        return route is not None and self.topology.addresses.get(route.primary, address) != address

    grace = STALL_SECONDS
    """A primary that has handed its partition over still answers what it has taken."""

    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        """See Locator: when another node has taken over."""
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

    async def changed(self, within: float) -> None:
        """See Locator."""
        await self.topology.change(within)

    async def close(self) -> None:
        """See Locator."""
        self._closed = True
        retiring = list(self._retiring.items())
        for task, _ in retiring:
            task.cancel()
        await asyncio.gather(*(task for task, _ in retiring), return_exceptions=True)
        await asyncio.gather(*(node.close() for node in [*self._nodes.values(), *(node for _, node in retiring)]))


class GatewayLocator:
    """Everything through routers, one after the other as they fail. One that leaves everything unanswered is asked whether it
    lives: it may wait for a node itself.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._at = 0
        self._rotated = 0.0
        self._loop = asyncio.get_running_loop()
        self._suspects = [Suspect(address) for address in addresses]
        self._nodes = [self._new(at, address) for at, address in enumerate(addresses)]

    def _new(self, at: int, address: str) -> Node:
        if len(self._suspects) == 1:
            return Node(address)
        return Node(address, lambda _: self._hangs(at), stall=GATEWAY_STALL_SECONDS, broke=partial(self._leave, at))

    def locate(self, key: bytes) -> Target:
        """See Locator."""
        del key
        return Target(self._nodes[self._at], 0)

    def lane(self, key: bytes) -> tuple[Lane, int]:
        """See Locator."""
        del key
        return self._nodes[self._at].lane, 0

    def locate_below(self, end: bytes) -> Target:
        """See Locator."""
        return self.locate(end)

    async def changed(self, within: float) -> None:
        """See Locator: another router may serve what this one does not, if there is another."""
        if self._loop.time() - self._rotated > ROTATION_SECONDS:
            self._leave(self._at)
        await asyncio.sleep(within)

    grace = 0.0

    def gave_up(self, node: Node, locate: Callable[[], Target]) -> bool:
        """See Locator: when the router hangs, and there is another."""
        del locate
        return len(self._nodes) > 1 and self._hangs(self._nodes.index(node))

    def _hangs(self, at: int) -> bool:
        if self._suspects[at].hangs():
            self._leave(at)
            return True
        return False

    def _leave(self, at: int) -> None:
        """Turns to the next router, unless another one is in use already."""
        if at == self._at:
            self._at = (at + 1) % len(self._nodes)
            self._rotated = self._loop.time()

    async def close(self) -> None:
        """See Locator."""
        await asyncio.gather(*(node.close() for node in self._nodes), *(suspect.close() for suspect in self._suspects))
