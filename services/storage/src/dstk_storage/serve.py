"""The composition root of the storage node: the only place that knows every part."""

import asyncio
import logging
import random
import secrets
from contextlib import AsyncExitStack

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, topology_pb2_grpc
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.topology import TopologyServicer
from dstk_cluster.view import ClusterView
from dstk_keytypes import NodeId
from dstk_service.clock import SystemClock
from dstk_service.server import GrpcServer
from dstk_storage import __version__
from dstk_storage.adapters.datadir import DataDir, FileSystemDisk
from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions, shorten_switch_interval
from dstk_storage.adapters.threads import ThreadOffload
from dstk_storage.bootstrap import join_cluster, make_map
from dstk_storage.config import StorageConfig
from dstk_storage.domain.commit import Committer, QueueLimits
from dstk_storage.domain.disk import DiskGuard
from dstk_storage.domain.recount import Recounter
from dstk_storage.domain.store import Store
from dstk_storage.domain.sweep import Sweeper
from dstk_storage.node import MapOwners, NodeParts, StorageNode
from dstk_storage.servicers.admin import AdminServicer
from dstk_storage.servicers.keyvalue import KeyValueServicer
from dstk_storage.servicers.translate import Translator

log = logging.getLogger(__name__)


async def serve(config: StorageConfig, stop: asyncio.Event) -> None:
    """Runs a storage node until `stop` is set, then ends in order: no more calls, what waits goes to disk, the engine is
    closed, the registration goes last. Raises DataDirError, OSError, NodeIdTaken.
    """
    shorten_switch_interval()
    async with AsyncExitStack() as stack:
        data_dir = stack.enter_context(DataDir(config.data_dir))
        identity = data_dir.identity(config.cluster, NodeId(config.node_id) if config.node_id else None)
        coordinator = EtcdCoordinator(config.etcd.split(","))
        stack.push_async_callback(coordinator.close)
        map_store = MapStore(coordinator, config.cluster)
        clock, chance = SystemClock(), random.Random()  # noqa: S311 - jitter
        engine, commits, reads = _open_engine(config, data_dir)
        committer = Committer(engine, commits, QueueLimits(config.queue_writes, config.queue_bytes))
        store = Store(engine, reads, committer)
        view = ClusterView(map_store, clock, chance)
        disk = FileSystemDisk(data_dir.path)

        async def reopen() -> None:
            async with reads.exclusive(), commits.exclusive():
                engine.reopen()

        guard = DiskGuard(disk, committer, reopen, clock, reserve_bytes=config.disk_reserve_bytes)
        node = StorageNode(NodeParts(identity.node_id, store, map_store, view, disk, guard))
        server = _server(config, store, clock, view, node)
        address = await server.start()
        membership = Membership(
            coordinator,
            config.cluster,
            _info(config, identity.node_id, address, disk),
            config.lease_seconds,
            clock,
            chance,
        )

        async def come_up() -> None:
            await join_cluster(data_dir, identity, map_store, clock)
            store.load()
            tasks.create_task(view.run())
            tasks.create_task(membership.run())
            if config.bootstrap_expect:
                tasks.create_task(make_map(map_store, view, config.bootstrap_expect, config.bootstrap_splits, clock))
            node.converge(await view.ready())
            tasks.create_task(node.follow())
            await committer.durable()
            membership.update(NodeState.SERVING)
            await server.set_serving(serving=True)
            log.info("serving", extra={"address": address, "partitions": len(store.table)})

        try:
            async with asyncio.TaskGroup() as tasks:
                sweeper = Sweeper(engine, reads, store, clock, step_size=config.sweep_records)
                for loop in (committer.run(), sweeper.run(), Recounter(engine, reads, store, clock).run(), guard.run()):
                    tasks.create_task(loop)
                starting = tasks.create_task(come_up())
                await stop.wait()
                starting.cancel()
                membership.update(NodeState.LEAVING)
                await server.stop(config.shutdown_seconds)
                await committer.settle()
                raise _Stopped
        except* _Stopped:
            log.info("stopped")
        finally:
            await reads.close()
            await commits.close()
            engine.close()
            await membership.leave()


class _Stopped(Exception):
    """Ends the task group from inside once everything is drained."""


def _open_engine(config: StorageConfig, data_dir: DataDir) -> tuple[LevelDBEngine, ThreadOffload, ThreadOffload]:
    """The engine, one thread for commits, two for scans and upkeep."""
    options = LevelDBOptions(write_buffer=config.write_buffer_bytes, block_cache=config.block_cache_bytes)
    engine = LevelDBEngine(data_dir.engine_path, options)
    return engine, ThreadOffload(1, "commit"), ThreadOffload(2, "read")


def _server(
    config: StorageConfig, store: Store, clock: SystemClock, view: ClusterView, node: StorageNode
) -> GrpcServer:
    token = config.admin_token_file.read_text().strip() if config.admin_token_file else None
    server = GrpcServer(config.listen, admin_token=token)
    translate = Translator(MapOwners(view))
    server.add(
        kv_pb2_grpc.add_KeyValueServicer_to_server, KeyValueServicer(store, clock, translate), "dstk.v1.KeyValue"
    )
    server.add(topology_pb2_grpc.add_TopologyServicer_to_server, TopologyServicer(view), "dstk.v1.Topology")
    server.add(admin_pb2_grpc.add_AdminServicer_to_server, AdminServicer(store, node, translate), "dstk.v1.Admin")
    return server


def _info(config: StorageConfig, node_id: NodeId, address: str, disk: FileSystemDisk) -> NodeInfo:
    return NodeInfo(
        node_id,
        config.advertise or address,
        config.zone,
        NodeState.STARTING,
        disk.capacity_bytes(),
        __version__,
        secrets.token_hex(8),
    )
