"""A router with a given map instead of one from etcd, so that its nodes can be scripted."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from dstk.v1 import topology_pb2
from dstk_client.connecting import routed
from dstk_client.topology import MapSource
from dstk_router.keyvalue import KeyValueServicer
from dstk_service.observe import NULL, Observer
from dstk_service.trace import NEVER, Sampler
from dstk_service.transport.grpc_server import GrpcServer
from kit.servers import listening

REQUEST_SECONDS = 5.0


class _Map(MapSource):
    """Yields the given map once."""

    def __init__(self, update: topology_pb2.TopologyUpdate) -> None:
        self._update = update

    @override
    async def updates(self) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
        yield self._update
        await asyncio.Event().wait()


@asynccontextmanager
async def routing(
    update: topology_pb2.TopologyUpdate, observer: Observer = NULL, sampler: Sampler = NEVER
) -> AsyncIterator[str]:
    """The address of a router with this map."""
    async with routed(_Map(update), REQUEST_SECONDS, observer) as (client, locator):
        await locator.topology.ready.wait()
        server = GrpcServer("127.0.0.1:0", observer=observer, sampler=sampler)
        servicer = KeyValueServicer(client, server.drain, server.answers, REQUEST_SECONDS, observer, sampler)
        async with listening(server, KeyValue=servicer) as address:
            yield address
