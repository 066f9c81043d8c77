"""Topology.Watch. Storage nodes and routers serve it in the same way."""

from collections.abc import AsyncGenerator, AsyncIterator

import grpc
from typing_extensions import override

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_cluster.model import ClusterMap
from dstk_cluster.view import ClusterView
from dstk_cluster.wire import Update, difference, full, messages, whole
from dstk_service.errors import NotServing


async def updates(view: ClusterView) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
    """Yields the whole map, then differences. When the cluster is bootstrapped, yields the whole map again."""
    async for update in _updates(view):
        yield whole(update)


async def _updates(view: ClusterView) -> AsyncIterator[Update]:
    shown: ClusterMap | None = None
    async for current in view.maps():
        if shown is None or not shown.partitions:
            yield full(current)
        else:
            yield difference(shown, current)
        shown = current


class TopologyServicer(topology_pb2_grpc.TopologyServicer):
    """Streams the maps of the view."""

    def __init__(self, view: ClusterView) -> None:
        self._view = view

    @override
    async def Watch(
        self, request: topology_pb2.WatchRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        if self._view.current is None:
            raise NotServing("this process has not read the partition map yet", 0.2)
        async for update in _updates(self._view):
            for message in messages(update):
                yield message
