"""Connections to one node or router: lanes for single operations, a channel for all other calls."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from dstk.v1 import kv_pb2_grpc
from dstk_client.lane import Lane
from dstk_client.operation import CLOSED, ClientClosed, Moved, Unsent
from dstk_service.observe import NULL, Observer
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Connector

IDLE_CHECK_SECONDS = 0.1


class Node:
    """Lanes for coalesced operations, small and large, and a channel for scans and bulk inserts.

    The arguments are those of Lane.
    """

    def __init__(
        self,
        address: str,
        moved: Moved = lambda _: False,
        *,
        stall: float | None = None,
        broke: Callable[[], None] = lambda: None,
        connector: Connector = GRPC,
        observer: Observer = NULL,
    ) -> None:
        self.address = address
        self._large: Lane | None = None
        self._new_lane = partial(Lane, address, moved, stall=stall, broke=broke, connector=connector, observer=observer)
        self.lane = self._new_lane(large=self._large_lane)
        self._channel = connector.connect(address)
        self._users = 0
        self.keyvalue = kv_pb2_grpc.KeyValueStub(self._channel)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the channel open during the block, unless the client is closed."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def check_open(self) -> None:
        """Raises ClientClosed after `close`."""
        if self.lane.closed:
            raise ClientClosed(CLOSED)

    async def connected(self, deadline: float) -> None:
        """Returns when the channel for scans and bulk inserts is connected. Raises Unsent when it cannot be connected before
        `deadline` (on the loop's clock), ClientClosed after `close`.
        """
        try:
            async with asyncio.timeout_at(deadline):
                connected = await self._channel.connected()
        except TimeoutError:
            raise Unsent(f"{self.address} could not be reached in time") from None
        if not connected:
            self.check_open()
            raise Unsent(f"{self.address} cannot be reached")

    @property
    def queued(self) -> int:
        """How many operations wait for a place in a message."""
        return len(self.lane.queue) + (0 if self._large is None else len(self._large.queue))

    @property
    def idle(self) -> bool:
        """Whether no call waits for this node."""
        return not self._users and self.lane.idle and (self._large is None or self._large.idle)

    async def close_once_idle(self) -> None:
        """Closes all connections once no call waits; the caller must send nothing more."""
        while not self.idle:
            await asyncio.sleep(IDLE_CHECK_SECONDS)
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        await self.lane.close()
        if self._large is not None:
            await self._large.close()
        await self._channel.close()

    def _large_lane(self) -> Lane:
        if self._large is None:
            self._large = self._new_lane()
        return self._large
