"""Every system that can be measured, in the order of the tables."""

from dstk_bench.systems import dstk, echo, etcd, leveldb, redis, routing
from dstk_bench.systems.base import Provider

PROVIDERS = (
    Provider(("dstk", "dstk-gateway"), dstk.start),
    Provider(("dstk-1000p",), dstk.start_partitions),
    Provider(("dstk-3n",), dstk.start_nodes),
    Provider(("dstk-routing",), routing.start),
    Provider(("etcd",), etcd.start),
    Provider(("etcd-3m",), etcd.start_members),
    Provider(("redis",), redis.start),
    Provider(("leveldb",), leveldb.start),
    Provider(("echo",), echo.start),
)
