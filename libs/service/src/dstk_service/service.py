"""The life of a service: its parts start in order, serve, drain, and close in reverse.

    start    each part in order; background loops run from here on
    ready    each part in order: health says SERVING
    drain    each part in reverse, when told to stop; the loops still run, so that work under way can end
             then the loops are cancelled
    close    each part in reverse, also after a failure: what was opened first, such as a lock or a lease, goes last

Told to stop during its start, a service drains and closes the parts that it has begun to start. When a part fails to start, or
a loop fails, nothing is drained: everything is closed, and `run` raises the first failure.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from typing_extensions import override

from dstk_service.logs.fields import LogFields
from dstk_service.together import together
from dstk_service.transport.port import Server

log = logging.getLogger(__name__)

SERVER_STOP_SECONDS = 5.0
"""How much longer than its grace a server may take to stop."""


class Background(Protocol):
    """Runs loops beside the parts."""

    def __call__(self, loop: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        """Runs `loop` until every part has drained. Its failure ends the service; its return does not."""


class Part:
    """One part of a service. A step that a part does not override does nothing.

    `drain_seconds` and `close_seconds` are deadlines: a step that takes longer is cancelled, and the next part follows. A start
    may take as long as it likes, such as until etcd answers.
    """

    name = "part"
    drain_seconds = 10.0
    close_seconds = 10.0

    async def start(self, background: Background) -> None:
        """Starts, and returns when the next part can start."""

    async def ready(self) -> None:
        """Called once all parts have started."""

    async def drain(self) -> None:
        """Ends what is under way; begins nothing new."""

    async def close(self) -> None:
        """Gives up what it holds. Called when `start` was called, even if that failed."""


class Closing(Part):
    """Something that was opened before the service began, and is closed in its turn."""

    def __init__(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        self.name, self._close = name, close

    @override
    async def close(self) -> None:
        await self._close()


class Listener(Part):
    """The gRPC server. `grace`: seconds that calls under way may take while it drains."""

    name = "listener"

    def __init__(self, server: Server, grace: float) -> None:
        self._server, self._grace = server, grace
        self.address = ""
        """host:port, once it has started."""
        self.obstacle = "the service is starting"
        """Why the service does not serve; empty: it serves."""
        self.drain_seconds = grace + SERVER_STOP_SECONDS

    @override
    async def start(self, background: Background) -> None:
        self.address = await self._server.start()
        log.info("listening", extra=LogFields(address=self.address))

    @override
    async def ready(self) -> None:
        self.obstacle = ""
        await self._server.set_serving(serving=True)

    @override
    async def drain(self) -> None:
        self.obstacle = "the service is stopping"
        await self._server.stop(self._grace)

    @override
    async def close(self) -> None:
        await self._server.stop(0)


class Service:
    """A service, made of its parts in the order in which they start."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    async def run(self, stop: asyncio.Event) -> None:
        """Runs from the first start to the last close; `stop` ends it. Raises the first failure of a part or a loop."""
        async with AsyncExitStack() as closing, together() as tasks:
            loops, draining = _Loops(tasks), AsyncExitStack()
            starting = tasks.create_task(self._start(loops, draining, closing))
            await stop.wait()
            starting.cancel()
            await asyncio.wait([starting])
            await draining.aclose()
            loops.cancel()
        log.info("stopped", extra=LogFields(action="service_stopped"))

    async def _start(self, background: Background, draining: AsyncExitStack, closing: AsyncExitStack) -> None:
        for part in self._parts:
            closing.push_async_callback(_close, part)
            draining.push_async_callback(_drain, part)
            log.debug("starting", extra=LogFields(part=part.name))
            await part.start(background)
        for part in self._parts:
            await part.ready()
        log.info("serving", extra=LogFields(action="service_started"))


class _Loops:
    """The background loops of a running service."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()

    def __call__(self, loop: Coroutine[Any, Any, None], /) -> "asyncio.Task[None]":
        task = self._tasks.create_task(loop)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel(self) -> None:
        for task in self._running:
            task.cancel()


async def _drain(part: Part) -> None:
    await _within(part.drain_seconds, part.drain(), "drained", part)


async def _close(part: Part) -> None:
    await _within(part.close_seconds, part.close(), "closed", part)


async def _within(seconds: float, step: Coroutine[Any, Any, None], done: str, part: Part) -> None:
    """Awaits a step of a part, and logs how it ended."""
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(seconds) as deadline:
            await step
    except TimeoutError:
        if not deadline.expired():
            raise  # of the step itself
        log.warning("not %s within %g s: going on without", done, seconds, extra=LogFields(part=part.name))
    else:
        took = asyncio.get_running_loop().time() - began
        log.debug("%s", done, extra=LogFields(part=part.name, seconds=round(took, 3)))
