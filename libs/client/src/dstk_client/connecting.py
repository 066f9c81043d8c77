"""Connecting: the one place that puts a client together."""

import asyncio
import logging
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Literal, get_args

from dstk_client import arguments
from dstk_client.client import Client
from dstk_client.core import CoreClient
from dstk_client.events import MapUpdated
from dstk_client.locating import GatewayLocator, ThickLocator
from dstk_client.topology import MapSource, Topology
from dstk_client.watch import RETRY_SECONDS, WatchSource
from dstk_service.context import WrongContext
from dstk_service.errors import NotServing
from dstk_service.observe import NULL, Observer
from dstk_service.trace import NEVER, Sampler

log = logging.getLogger(__name__)

Mode = Literal["thick", "gateway"]


class Connection:
    """The result of `connect`: use it in `async with`, or `await` it for a client that you close yourself."""

    def __init__(
        self,
        addresses: tuple[str, ...],
        mode: Mode,
        timeout: float,
        observer: Observer = NULL,
        sampler: Sampler = NEVER,
    ) -> None:
        self._addresses = addresses
        self._mode = mode
        self._timeout = timeout
        self._observer, self._sampler = observer, sampler
        self._entered: list[Client] = []

    def __await__(self) -> Generator[Any, None, Client]:
        return self._open().__await__()

    async def __aenter__(self) -> Client:
        self._entered.append(await self._open())
        return self._entered[-1]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._entered.pop().close()

    def __getattr__(self, name: str) -> Any:
        how = "`async with connect(...) as client`, or `client = await connect(...)`"
        raise AttributeError(f"a connection has no {name!r} before it is opened: {how}")

    async def _open(self) -> Client:
        async with AsyncExitStack() as stack:
            if self._mode == "gateway":
                core = await stack.enter_async_context(
                    _through(self._addresses, self._timeout, self._observer, self._sampler)
                )
            else:
                source = WatchSource(self._addresses)
                watched = self._observer, self._sampler
                core, locator = await stack.enter_async_context(routed(source, self._timeout, *watched))
                await _map_arrives(locator.topology, source, self._timeout)
            return Client(core, stack.pop_all())


def connect(
    *addresses: str,
    mode: Mode = "thick",
    timeout: float = 5.0,
    observer: Observer = NULL,
    sampler: Sampler = NEVER,
) -> Connection:
    """A client of the cluster at `addresses`, each host:port.

    `async with connect("127.0.0.1:7000") as client:` closes the client at the end; `client = await connect("127.0.0.1:7000")`
    needs `await client.close()`.

    thick: reads the map from any of the addresses, storage node or router, then talks directly to the storage nodes, which is
    fastest. gateway: sends everything to the addresses; they must be routers. `timeout`: seconds for calls without a timeout,
    and for the map to arrive. `observer` is told of messages, retries, failures and news of the map (dstk_client.events), on
    the client's event loop. `sampler` decides which calls begin a trace; unless it is NEVER, calls within a trace
    (dstk_service.trace.within) are part of it. Raises InvalidArgument for invalid arguments, NotServing when no map arrives.
    """
    arguments.choice("mode", mode, get_args(Mode))
    seconds = arguments.seconds(timeout)
    if seconds is None:
        raise arguments.refusal("timeout", timeout, "a number of seconds above 0")
    return Connection(arguments.addresses(addresses), mode, seconds, observer, sampler)


@asynccontextmanager
async def _through(
    addresses: tuple[str, ...], timeout: float, observer: Observer, sampler: Sampler
) -> AsyncIterator[CoreClient]:
    locator = GatewayLocator(addresses, observer=observer)
    core = CoreClient(locator, timeout, observer=observer, sampler=sampler)
    try:
        yield core
    finally:
        core.closed = True
        await locator.close()


@asynccontextmanager
async def routed(
    source: MapSource, timeout: float, observer: Observer = NULL, sampler: Sampler = NEVER
) -> AsyncIterator[tuple[CoreClient, ThickLocator]]:
    """A client that follows the map of `source`; the map may not have arrived yet."""
    topology = Topology()
    locator = ThickLocator(topology, observer=observer)
    core = CoreClient(locator, timeout, observer=observer, sampler=sampler)
    following = asyncio.create_task(_follow(source, topology, observer))
    try:
        yield core, locator
    finally:
        core.closed = True
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await locator.close()


async def _follow(source: MapSource, topology: Topology, observer: Observer) -> None:
    """Follows the map for as long as the client lives: an error is logged, and the next stream starts with a full map."""
    while True:
        try:
            async for update in source.updates():
                topology.apply(update)
                observer.observe(MapUpdated(len(update.partitions), update.full))
        except WrongContext as error:
            topology.fail(error)
            return
        except Exception:
            log.exception("following the map failed; starting again")
        await asyncio.sleep(RETRY_SECONDS)


async def _map_arrives(topology: Topology, source: WatchSource, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            await topology.ready.wait()
    except TimeoutError:
        problems = "; ".join(f"{address}: {why}" for address, why in source.problems.items())
        why = f"no partition map within {timeout:g} s: is the cluster up, and bootstrapped? ({problems or 'the map is empty'})"
        raise NotServing(why, 1.0) from None
    if topology.problem is not None:
        raise topology.problem
