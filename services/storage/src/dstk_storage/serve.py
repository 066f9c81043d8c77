"""The composition root of the storage node: the only place that knows every part."""

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial

from dstk.v1 import admin_pb2_grpc, kv_pb2_grpc, topology_pb2_grpc
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_cluster.membership import Membership
from dstk_cluster.model import NodeInfo, NodeState
from dstk_cluster.topology import TopologyServicer
from dstk_cluster.view import ClusterView
from dstk_keytypes import Key
from dstk_service.clock import SystemClock
from dstk_service.server import GrpcServer
from dstk_storage import __version__
from dstk_storage.adapters.datadir import DataDir, FileSystemDisk
from dstk_storage.adapters.leveldb import LevelDBEngine, LevelDBOptions, shorten_switch_interval
from dstk_storage.adapters.threads import ThreadOffload
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
