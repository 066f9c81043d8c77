"""Runs several router processes on one port: the parent starts them, replaces dead ones, and stops them."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

from dstk_service import python
from dstk_service.backoff import Backoff
from dstk_service.config import OFF
from dstk_service.logs.actions import FAILURE
from dstk_service.logs.fields import LogFields

log = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.2, longest=5.0)
STABLE_SECONDS = 5.0
"""A worker that ran for longer starts the backoff over."""


WORKER = "--as-worker="
"""How the parent tells a process that it is one of several, and its number from 0 on; not a setting."""


def operations_address(listen: str, number: int) -> str:
    """Where the worker's own operations server listens: the workers do not share its port, since each has its own figures."""
    host, _, port = listen.rpartition(":")
    return listen if listen == OFF or port == "0" else f"{host}:{int(port) + number}"


async def supervise(argv: Sequence[str], count: int, stop: asyncio.Event) -> None:
    """Runs `count` workers until `stop`, then ends them with SIGTERM and waits for them."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            tasks.create_task(_keep([*argv, f"{WORKER}{number}"], number, stop))


async def as_worker(serve: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    """Serves until `stop`, or until the parent ends, which closes its end of this process's standard input."""
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)  # readable only when closed: the parent never writes
    try:
        await serve(stop)
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def _keep(argv: Sequence[str], number: int, stop: asyncio.Event) -> None:
    failures = 0
    while not stop.is_set():
        command = (*python.command("dstk_router"), *argv)
        worker = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        ended, stopping = asyncio.create_task(worker.wait()), asyncio.create_task(stop.wait())
        begun = asyncio.get_running_loop().time()
        await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            if worker.returncode is None:
                worker.send_signal(signal.SIGTERM)
            await ended
            return
        stable = asyncio.get_running_loop().time() - begun > STABLE_SECONDS
        failures = 1 if stable else failures + 1
        pause = BACKOFF.delay(failures)
        extra = LogFields(
            action="worker_ended", worker=number, exit_code=worker.returncode or 0, retry_seconds=pause, outcome=FAILURE
        )
        log.error("worker %d ended with %s: restarting it", number, worker.returncode, extra=extra)
        await asyncio.sleep(pause)
