"""Redis from PATH, every write synced (`appendfsync always`), through redis-py's asyncio client."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dstk_bench.processes import child, free_port, until_ready
from dstk_bench.systems.base import Place, System, UnavailableError
from dstk_bench.workload import CHUNK_RECORDS, Record
from dstk_localcluster.environment import on_path

_CONNECTIONS = 300


@asynccontextmanager
async def start(place: Place) -> AsyncIterator[tuple[System, ...]]:
    """Starts an empty Redis and yields the system `redis`."""
    program = on_path("redis-server")
    if program is None:
        raise UnavailableError("no redis-server on PATH")
    try:
        from redis import asyncio as redis  # noqa: PLC0415 - absent on some machines, and then this system is skipped
    except ImportError as error:
        raise UnavailableError("the Python package redis is not installed") from error
    directory, port = place.folder("redis"), free_port()
    log = directory / "log"
    argv = _arguments(program, port, directory)
    async with (
        child(argv, log) as process,
        redis.Redis(host="127.0.0.1", port=port, max_connections=_CONNECTIONS) as client,
    ):
        await until_ready("redis-server", process, log, client.ping)
        yield (await _system(client),)


def _arguments(program: str, port: int, directory: Path) -> list[str]:
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(directory),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "auto-aof-rewrite-percentage": "0",
    }
    return [program, *(word for name, value in settings.items() for word in (f"--{name}", value))]


async def _system(client: Any) -> System:
    info = await client.info("server")

    async def load(records: Sequence[Record]) -> None:
        for start in range(0, len(records), CHUNK_RECORDS):
            await client.mset(dict(records[start : start + CHUNK_RECORDS]))

    about = f"redis {info['redis_version']} (appendfsync always), redis-py {version('redis')}"
    return System("redis", about, load, client.get, client.set, bulk=client.mset, as_chunk=dict)
