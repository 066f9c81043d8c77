"""The composition root of the router."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from typing_extensions import override

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, topology_pb2, topology_pb2_grpc
from dstk_client.connecting import routed
from dstk_client.topology import MapSource
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.topology import TopologyServicer, updates
from dstk_cluster.view import ClusterView
from dstk_router.admin import AdminServicer
from dstk_router.config import RouterConfig
from dstk_router.keyvalue import KeyValueServicer
from dstk_service import tokens
from dstk_service.clock import SystemClock
from dstk_service.server import GrpcServer
from dstk_service.together import together

log = logging.getLogger(__name__)


class ViewSource(MapSource):
    """A source of the client's map: the router's own view of etcd instead of another server."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    @override
    def updates(self) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        return updates(self._view)


async def serve(config: RouterConfig, stop: asyncio.Event) -> None:
    """Runs a router until `stop` is set; then lets the calls under way end. Raises OSError."""
    async with AsyncExitStack() as stack:
        coordinator = EtcdCoordinator(config.etcd.split(","))
        stack.push_async_callback(coordinator.close)
        rng = random.Random()  # noqa: S311 - jitter
        view = ClusterView(MapStore(coordinator, config.cluster), SystemClock(), rng)
        client, locator = await stack.enter_async_context(routed(ViewSource(view), config.request_seconds))
        token = tokens.read(config.admin_token_file) if config.admin_token_file else None
        server = GrpcServer(config.listen, admin_token=token, options=[("grpc.so_reuseport", int(config.workers > 1))])
        keyvalue = KeyValueServicer(client, server.drain, server.answers, config.request_seconds)
        server.add(kv_pb2_grpc.add_KeyValueServicer_to_server, keyvalue, "dstk.v1.KeyValue")
        server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(view), "dstk.v1.Topology")
        server.add(admin_pb2_grpc.add_AdminServicer_to_server, AdminServicer(locator, token), "dstk.v1.Admin")
        address = await server.start()

        async def come_up() -> None:
            current = await view.ready()
            await locator.topology.ready.wait()
            await server.set_serving(serving=True)
            log.info("serving", extra={"address": address, "partitions": len(current.partitions)})

        async def live() -> None:
            async with together() as group:
                group.create_task(view.run())
                group.create_task(come_up())

        living, stopping = asyncio.create_task(live()), asyncio.create_task(stop.wait())
        stack.callback(living.cancel)
        # ends early only when something fails, which must not pass in silence: a router that never serves must not stay
        done, _ = await asyncio.wait((living, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await server.stop(config.shutdown_seconds)
        if living in done:
            living.result()
