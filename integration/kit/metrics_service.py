"""A metrics service in this process, on a real etcd, over storage nodes that a test makes up."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from dstk.v1 import metrics_pb2_grpc
from dstk_cluster import records
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.port import Put
from dstk_keytypes import Key, NodeId
from dstk_metrics.config import MetricsConfig
from dstk_metrics.serve import serve
from dstk_service.config import OFF
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_telemetry.sentry import ErrorReports
from kit.feeds import FakeFeed, listening_feed
from kit.ports import free_port


def config_of(etcd: str, directory: Path, **settings: Any) -> MetricsConfig:
    """Settings of a service without HTTP."""
    given = {
        "listen": f"127.0.0.1:{free_port()}",
        "operations_listen": OFF,
        "console_listen": OFF,
        "data_dir": directory,
        "etcd": etcd,
        "cluster": "c",
        **settings,
    }
    return MetricsConfig(**given)


@asynccontextmanager
async def fake_nodes(etcd: str, feeds: Mapping[str, FakeFeed], borders: Sequence[str] = ()) -> AsyncIterator[MapStore]:
    """Registers nodes of these names, which serve these feeds, in a new cluster `c` with partitions between these keys."""
    async with AsyncExitStack() as stack:
        store = MapStore(EtcdCoordinator([etcd]), "c")
        stack.push_async_callback(store.coordinator.close)
        await store.ensure_cluster_uid()
        for name, feed in feeds.items():
            await register(store, name, await stack.enter_async_context(listening_feed(feed)))
        assert await store.bootstrap([Key(border.encode()) for border in borders], list(map(NodeId, feeds)))
        yield store


async def register(store: MapStore, name: str, address: str) -> None:
    """Registers a node, without a lease."""
    node = NodeInfo(NodeId(name), address, "", NodeState.SERVING, 1 << 40, "1", "x")
    await store.coordinator.txn([], [Put(store.keys.node(node.id), records.dump_node(node))])


@asynccontextmanager
async def running(config: MetricsConfig) -> AsyncIterator[metrics_pb2_grpc.MetricsStub]:
    """The stub of a service that runs for as long as the block does."""
    stop = asyncio.Event()
    service = asyncio.create_task(serve(config, stop, ErrorReports("", "metrics", "0")))
    try:
        async with GRPC.connect(config.listen) as channel:
            connected = asyncio.create_task(eventually(channel.connected))
            await asyncio.wait([service, connected], return_when=asyncio.FIRST_COMPLETED)
            yield metrics_pb2_grpc.MetricsStub(channel)
    finally:
        stop.set()
        await service
