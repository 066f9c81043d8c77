"""What a metrics service costs at scale: `python -m metrics.scale --partitions 100000 --nodes 100` from integration/.

A real service process follows simulated nodes, over real gRPC and a real etcd. Prints the share of a core that it takes, its
memory, and how long lists take.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
from kit.etcd import running_etcd
from kit.metrics_service import register
from kit.ports import free_port
from kit.scrape import answer

from dstk.v1 import metrics_pb2, metrics_pb2_grpc
from dstk_cluster.etcd import EtcdCoordinator
from dstk_cluster.mapstore import MapStore
from dstk_keytypes import Key, NodeId
from dstk_service.python import command
from dstk_service.testing import eventually
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.grpc_server import GrpcServer
from metrics.loaded_feeds import LoadedFeed, listen

REPLICAS = 3
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mib(pid: int, name: str) -> float:
    """VmRSS or VmHWM of a process."""
    line = next(each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1]) / 1024


async def bootstrap(store: MapStore, nodes: int, partitions: int, busy: float) -> list[GrpcServer]:
    """Makes the map, and nodes that report its partitions. Their servers run for as long as they are kept."""
    await store.ensure_cluster_uid()
    names = [NodeId(f"node-{number:03d}") for number in range(nodes)]
    borders = [Key(b"user/%08d" % number) for number in range(1, partitions)]
    assert await store.bootstrap(borders, names, REPLICAS)
    whole = await store.load()
    servers = []
    for number, name in enumerate(names):
        led = [info for info in whole.partitions if info.primary == name]
        server, address = await listen(LoadedFeed(led, busy, number))
        servers.append(server)
        await register(store, name, address)
    return servers


def start(
    etcd: str, directory: str, listen_at: str, operations: str, options: Sequence[str]
) -> "subprocess.Popen[bytes]":
    """A service process."""
    settings = {
        "--etcd": etcd, "--cluster": "c", "--listen": listen_at, "--data-dir": directory, "--console-listen": "off",
        "--operations-listen": operations, "--log-level": "warning",
    }  # fmt: skip
    argv = [*command("dstk_metrics"), *(word for pair in settings.items() for word in pair), *options]
    return subprocess.Popen(argv)  # noqa: ASYNC220, RUF100 - it runs beside this process


async def lists(stub: metrics_pb2_grpc.MetricsStub) -> None:
    """Prints how long lists take: the median of five calls."""
    cases = {
        "by key, first 100": {},
        "by reads, top 100": {"sort_by": metrics_pb2.FIGURE_READS},
        "by bytes, page at 99,900": {"sort_by": metrics_pb2.FIGURE_BYTES, "offset": 99_900},
        "by time, 1,000": {"sort_by": metrics_pb2.FIGURE_TIME, "limit": 1_000},
        "by time, 10,000": {"sort_by": metrics_pb2.FIGURE_TIME, "limit": 10_000},
    }
    for name, fields in cases.items():
        took = []
        for _ in range(5):
            began = time.perf_counter()
            await stub.ListPartitionStats(metrics_pb2.ListPartitionStatsRequest(**fields))
            took.append(time.perf_counter() - began)
        print(f"list {name}: {sorted(took)[2] * 1000:.0f} ms")
    began = time.perf_counter()
    hot = await stub.ListHotPartitions(metrics_pb2.ListHotPartitionsRequest())
    print(f"hot, all figures ({len(hot.partitions)}): {(time.perf_counter() - began) * 1000:.0f} ms")


async def measure(arguments: argparse.Namespace) -> None:
    """Runs everything, and prints what it costs."""
    with running_etcd() as etcd, tempfile.TemporaryDirectory() as directory:
        store = MapStore(EtcdCoordinator([etcd], timeout=60), "c")
        servers = await bootstrap(store, arguments.nodes, arguments.partitions, arguments.busy)
        address, operations = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        service = start(etcd, directory, address, operations, ["--feed-seconds", str(arguments.feed_seconds)])
        try:
            async with GRPC.connect(address) as channel:
                await eventually(channel.connected)
                await watch(metrics_pb2_grpc.MetricsStub(channel), service.pid, operations, arguments)
        finally:
            service.terminate()
            service.wait()
            await asyncio.gather(*(server.stop(0) for server in servers))
            await store.coordinator.close()


async def watch(stub: metrics_pb2_grpc.MetricsStub, pid: int, operations: str, arguments: argparse.Namespace) -> None:
    """Prints what the service costs once everything is known."""

    async def is_known() -> bool:
        call = stub.WatchStats(metrics_pb2.WatchStatsRequest(interval_ms=60_000), wait_for_ready=True)
        try:
            seen = await call.read()
        except grpc.aio.AioRpcError:  # there is no map yet
            return False
        call.cancel()
        return isinstance(seen, metrics_pb2.ClusterStats) and not seen.stale_partitions

    began = time.monotonic()
    await eventually(is_known, within=120)
    print(f"all {arguments.partitions} partitions known after {time.monotonic() - began:.0f} s")
    await asyncio.sleep(arguments.feed_seconds)
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(arguments.seconds)
    share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
    print(f"{share:.1%} of a core, {memory_mib(pid, 'VmRSS'):.0f} MiB now, {memory_mib(pid, 'VmHWM'):.0f} MiB at most")
    await lists(stub)
    for line in (await answer(operations, "/metrics"))[1].splitlines():
        if line.startswith(("dstk_event_loop_lag_seconds_bucket", "dstk_gc_pause_seconds_total")):
            print(line)


def main() -> None:
    """Reads the options and measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--busy", type=float, default=1.0, help="Part of the partitions that change between updates.")
    parser.add_argument("--feed-seconds", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
