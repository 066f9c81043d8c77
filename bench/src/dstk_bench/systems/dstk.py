"""DSTK through the Python client: etcd, storage nodes and a router, each in its own process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from dstk_bench.systems.base import Place, System
from dstk_bench.systems.echo import unary_calls
from dstk_bench.workload import CHUNK_RECORDS, READ_PREFIX, Record, split_keys
from dstk_client import Client, connect
from dstk_keytypes import Key, KeyRange
from dstk_localcluster import ClusterSpec, LocalCluster, local_cluster
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Profile

NODE = "storage-1"
_NODES = 3
_PARTITIONS = 1000


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """One storage node with one partition: the systems `dstk` (thick) and `dstk-gateway` (through a router)."""
    async with _cluster(place.folder("dstk"), 1) as cluster, AsyncExitStack() as stack:
        thick = await stack.enter_async_context(connect(cluster.addresses[NODE]))
        gateway = await stack.enter_async_context(connect(cluster.router, mode="gateway"))
        channel = await stack.enter_async_context(GRPC.connect(cluster.router, Profile.DEFAULT))
        get, put = unary_calls(channel)
        yield (
            system_of("dstk", "1 storage node, thick client", thick),
            system_of("dstk-gateway", "the same node, through the router", gateway, unary_get=get, unary_put=put),
        )


@asynccontextmanager
async def start_partitions(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """One storage node with 1,000 partitions, reads and writes spread over all: the system `dstk-1000p`."""
    workload = place.workload
    splits = split_keys(sorted(workload.read_keys + workload.write_keys), _PARTITIONS)
    async with _cluster(place.folder("dstk-1000p"), 1, splits) as cluster, connect(cluster.addresses[NODE]) as client:
        yield (system_of("dstk-1000p", f"1 storage node with {len(splits) + 1:,} partitions, thick client", client),)


@asynccontextmanager
async def start_nodes(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Three storage nodes, three replicas, reads and writes spread over all: the system `dstk-3n`."""
    workload = place.workload
    reads, writes = (split_keys(keys, _NODES) for keys in (workload.read_keys, workload.write_keys))
    splits = [*reads, workload.write_keys[0], *writes]
    async with (
        _cluster(place.folder("dstk-3n"), _NODES, splits) as cluster,
        connect(cluster.addresses[NODE]) as client,
    ):
        yield (system_of("dstk-3n", f"{_NODES} storage nodes, three replicas of each partition, thick client", client),)


def _cluster(directory: Path, nodes: int, splits: Sequence[bytes] = ()) -> AbstractAsyncContextManager[LocalCluster]:
    """Runs etcd, `nodes` storage nodes and a router, with the key space cut at `splits`."""
    borders = tuple(each.decode() for each in splits)
    return local_cluster(directory, ClusterSpec(nodes, splits=borders, cluster="bench", metrics=False))


def system_of(name: str, about: str, client: Client, **unary: Any) -> System:
    """Returns the system that this client calls. `unary`: its operations around the client's coalescing."""
    calls = _Calls(client)
    return System(
        name,
        about,
        calls.load,
        client.get,
        client.put,
        bulk=calls.bulk,
        scan=calls.scan,
        as_key=Key,
        as_chunk=_as_chunk,
        **unary,
    )


def _as_chunk(records: Sequence[Record]) -> list[tuple[Key, bytes]]:
    return [(Key(key), value) for key, value in records]


class _Calls:
    """The operations that take more than one call of the client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._range = KeyRange.prefix(READ_PREFIX)

    async def load(self, records: Sequence[Record]) -> None:
        await self._client.insert_sorted(_as_chunk(records), batch_size=CHUNK_RECORDS)

    async def bulk(self, chunk: Sequence[tuple[Key, bytes]]) -> None:
        result = await self._client.bulk_insert(chunk)
        if result.inserted != len(chunk):
            raise RuntimeError(f"{result.inserted} of {len(chunk)} records were inserted: {result.stop}")

    async def scan(self) -> int:
        count = 0
        async for page in self._client.scan(self._range).pages():
            for _record in page:
                count += 1
        return count
