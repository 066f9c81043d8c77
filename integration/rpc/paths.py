"""The ways from a caller to a node, with a wire in front of the node that can go wrong."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kit.fake_store import FakeStore
from kit.map_entries import map_entry
from kit.routing import routing
from kit.scripted import ScriptedServer, scripted
from kit.wire import Wire, wire

from dstk.v1 import topology_pb2
from dstk_client import Client, connect
from dstk_service.testing import PATIENCE_SECONDS
from rpc.operations import HERE, NEW, filled

THICK, GATEWAY, ROUTER = "thick", "gateway", "router"
"""Straight to the node; from a gateway client to its router, which is the scripted server here; and through a real router,
whose onward calls are the ones that fail.
"""
PATHS = (THICK, GATEWAY, ROUTER)


@dataclass(frozen=True, slots=True)
class Bed:
    """A caller, the node at the end of its path, what that keeps, and the wire between."""

    client: Client
    server: ScriptedServer
    store: FakeStore
    wire: Wire

    @property
    def asked(self) -> int:
        """How often the node was asked for anything."""
        return len(self.server.asked) + len(self.server.unary)

    @property
    def effects(self) -> int:
        """How often what was asked for was done, by the key that saw it most."""
        return max(self.store.effects.values(), default=0)


@asynccontextmanager
async def bed(path: str, seconds: float) -> AsyncIterator[Bed]:
    """Everything of one row. `seconds`: how long a call may take."""
    store = filled()
    async with scripted() as server, wire(server.address) as between:
        server.keeps(store, HERE, NEW)
        server.owns(map_entry(1), nodes={"storage-1": between.address})
        async with to_node(path, server, between.address, seconds) as client:
            yield Bed(client, server, store, between)


@asynccontextmanager
async def to_node(path: str, server: ScriptedServer, address: str, seconds: float) -> AsyncIterator[Client]:
    """A client whose path ends at a node that is reached at this address; the server shows the map."""
    async with AsyncExitStack() as stack:
        if path == THICK:
            client = await stack.enter_async_context(connect(server.address, timeout=PATIENCE_SECONDS))
        else:
            router = address if path == GATEWAY else await stack.enter_async_context(routing(_map(address)))
            client = await stack.enter_async_context(connect(router, mode="gateway", timeout=PATIENCE_SECONDS))
        client._core.timeout = seconds  # noqa: SLF001 - connecting has time enough, and a scan takes no time of its own
        yield client


def _map(address: str) -> topology_pb2.TopologyUpdate:
    node = topology_pb2.Node(id="storage-1", address=address)
    return topology_pb2.TopologyUpdate(revision=1, full=True, partitions=[map_entry(1)], nodes=[node])
