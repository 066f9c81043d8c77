"""etcd through aetcd, one member and three. Its servers sync every write before they answer."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dstk_bench.processes import child, free_port, until_ready
from dstk_bench.systems.base import Place, System, UnavailableError
from dstk_bench.workload import CHUNK_RECORDS, Record, Workload, pages
from dstk_localcluster.errors import LocalClusterError
from dstk_localcluster.etcd import COMPACTION, program

_TXN_OPERATIONS = 128
_MEMBERS = 3
_LOOKS, _LOOK_SECONDS = 50, 0.1


@asynccontextmanager
async def server(directory: Path) -> AsyncIterator[int]:
    """Runs a single member that keeps its data in `directory`; yields its client port."""
    async with _members(directory, 1) as ports:
        yield ports[0]


@asynccontextmanager
async def _members(directory: Path, count: int) -> AsyncIterator[tuple[int, ...]]:
    """Runs `count` members of one cluster; yields their client ports."""
    peers = {f"member-{number}": free_port() for number in range(count)}
    cluster = ",".join(f"{name}=http://127.0.0.1:{port}" for name, port in peers.items())
    ports, started = [], []
    async with AsyncExitStack() as stack:
        for name, peer_port in peers.items():
            port, log = free_port(), directory / f"{name}.log"
            argv = _arguments(name, directory / name, port, peer_port, cluster)
            started.append((await stack.enter_async_context(child(argv, log)), log))
            ports.append(port)
        for port, (process, log) in zip(ports, started, strict=True):
            async with _client(port) as client:
                await until_ready("etcd", process, log, client.status)
        yield tuple(ports)


def _arguments(name: str, data: Path, port: int, peer_port: int, cluster: str) -> list[str]:
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    settings = {
        "name": name,
        "data-dir": str(data),
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": cluster,
        "log-level": "warn",
        **COMPACTION,
    }
    return [_program(), *(f"--{name}={value}" for name, value in settings.items())]


def _program() -> str:
    try:
        return program()
    except LocalClusterError as error:
        raise UnavailableError(error.message) from None


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Starts an empty etcd and yields the system `etcd`."""
    if find_spec("aetcd") is None:
        raise UnavailableError("the Python package aetcd is not installed")
    async with server(place.folder("etcd")) as port, _client(port) as client:
        calls = _Calls(client, place.workload)
        about = f"etcd {(await client.status()).version}, aetcd {version('aetcd')}"
        yield (System("etcd", about, calls.load, client.get, client.put, scan=calls.scan),)


@asynccontextmanager
async def start_members(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Starts three members and yields the system `etcd-3m`. The client calls their leader, which is the shortest way."""
    if find_spec("aetcd") is None:
        raise UnavailableError("the Python package aetcd is not installed")
    async with _members(place.folder("etcd-3m"), _MEMBERS) as ports, _client(await _leader(ports)) as client:
        calls = _Calls(client, place.workload)
        yield (
            System("etcd-3m", f"{_MEMBERS} members of etcd, aetcd at the leader", calls.load, client.get, client.put),
        )


async def _leader(ports: Sequence[int]) -> int:
    """The client port of the member that leads. Raises UnavailableError if none is elected in 5 s."""
    for _ in range(_LOOKS):
        for port in ports:
            async with _client(port) as client:
                status = await client.status()
                if status.leader is not None and status.leader.name == f"member-{ports.index(port)}":
                    return port
        await asyncio.sleep(_LOOK_SECONDS)
    raise UnavailableError("the three members of etcd agreed on no leader")


def _client(port: int) -> Any:
    import aetcd  # noqa: PLC0415 - absent on some machines, and then this system is skipped

    return aetcd.Client(host="127.0.0.1", port=port, timeout=30)


class _Calls:
    """The operations that take more than one call of aetcd."""

    def __init__(self, client: Any, workload: Workload) -> None:
        self._client = client
        self._pages = list(pages(workload.read_keys, CHUNK_RECORDS))

    async def load(self, records: Sequence[Record]) -> None:
        for start in range(0, len(records), _TXN_OPERATIONS):
            puts = [self._client.transactions.put(*record) for record in records[start : start + _TXN_OPERATIONS]]
            await self._client.transaction(compare=[], success=puts, failure=[])

    async def scan(self) -> int:
        """Range reads of a thousand records each. aetcd cannot set a limit, so the pages are bounded by known keys."""
        count = 0
        for first, end in self._pages:
            for _record in await self._client.get_range(first, end):
                count += 1
        return count
