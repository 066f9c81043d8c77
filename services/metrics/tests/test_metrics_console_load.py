"""A thousand browsers at once, on a console in a process of its own: what they cost, and that nobody waits."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest
from kit.http import ask, opened, unchunked

from dstk_service import descriptors

CLIENTS = 1_000
SECONDS = 10
TOTALS = 5
"""The least number of totals, one a second, that each client sees in SECONDS, on a busy machine."""

MOST_BYTES_EACH = 200 * 1024
MOST_PROCESSOR = 0.75
INTEGRATION = Path(__file__).parents[3] / "integration"

pytestmark = pytest.mark.slow


@asynccontextmanager
async def console() -> AsyncIterator[tuple[str, psutil.Process]]:
    """The address of a console, and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kit.console",
        cwd=INTEGRATION,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        yield address, psutil.Process(process.pid)
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)


async def watched(reader: asyncio.StreamReader, until: float) -> int:
    """How many totals arrive until then."""
    number = 0
    messages = unchunked(reader)
    try:
        async with asyncio.timeout_at(until):
            async for message in messages:
                number += message.startswith(b"data: ")
    except TimeoutError:
        await messages.aclose()
    return number


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def test_a_thousand_clients_see_each_total_for_little_memory_and_processor() -> None:
    descriptors.require(CLIENTS + 200, "this test")
    async with console() as (address, process), AsyncExitStack() as stack:
        await ask(address, "POST", "/api/v1/ListPartitionStats", b"{}")
        before = process.memory_info().rss
        readers = []
        for _ in range(CLIENTS):
            _, _, reader = await stack.enter_async_context(opened(address, "GET", "/api/v1/WatchStats?intervalMs=1000"))
            readers.append(reader)
        spent, began = processor_seconds(process), time.monotonic()
        until = asyncio.get_running_loop().time() + SECONDS
        seen, answer = await asyncio.gather(
            asyncio.gather(*(watched(reader, until) for reader in readers)), patiently(address)
        )
        processor = (processor_seconds(process) - spent) / (time.monotonic() - began)
        each = (process.memory_info().rss - before) / CLIENTS
        cost = f"{processor:.0%} of a processor, {each / 1024:.0f} KiB each"
        print(f"{CLIENTS} clients: {cost}; a list took {answer:.2f} s")  # noqa: T201 - figures
        assert min(seen) >= TOTALS
        assert each < MOST_BYTES_EACH
        assert processor < MOST_PROCESSOR
        assert answer < 2


async def patiently(address: str) -> float:
    """The slowest of some lists that are asked for while all watch, in seconds."""
    slowest = 0.0
    for _ in range(SECONDS // 2):
        began = time.monotonic()
        assert (await ask(address, "POST", "/api/v1/ListPartitionStats", b"{}")).status == 200
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(1)
    return slowest
