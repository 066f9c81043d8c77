"""The map from Topology.Watch of whichever server answers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import grpc

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_client.operation import UNREADABLE
from dstk_client.sources import Sources
from dstk_service.channels import CHANNEL_OPTIONS, end, open_channel, unanswered
from dstk_service.errors import InvalidArgument

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.1

_PING_MS = 400
"""A node that hangs says nothing, as one whose map does not change. Whoever listens to it alone would miss that others have
taken over, so this stream is given up after 0.8 s without a sign of life. Every piece of a map is one, and gRPC answers pings
without the server's event loop: a busy server is not taken for a dead one.
"""

_OPTIONS = [*(dict(CHANNEL_OPTIONS) | {"grpc.keepalive_time_ms": _PING_MS, **unanswered(_PING_MS)}).items()]

_NO_ANSWER = "answers nothing"


class WatchSource:
    """A MapSource on seed addresses and on all nodes of the map: goes on with the next one when a stream breaks or falls
    silent. Every stream starts with a full map.

    A map of another cluster is refused, whoever has come to listen at an address. So is one that is older than what was read
    last, unless all others fail, too: then the cluster has been taken back.
    """

    def __init__(self, seeds: Sequence[str]) -> None:
        self._sources = Sources(seeds)
        self._cluster = ""
        self._revision = 0
        self._behind: set[str] = set()
        self.problems: dict[str, str] = {}
        """Why the last try failed, by address."""

    async def updates(self) -> AsyncIterator[topology_pb2.TopologyUpdate]:
        """See MapSource."""
        while True:
            address = self._sources.current
            try:
                async with aclosing(self._stream(address)) as stream:
                    async for update in stream:
                        if why := self._wrong_with(update, address):
                            self._note(address, why)
                            break
                        self.problems.clear()
                        self._sources.learn(update)
                        yield update
            except grpc.aio.AioRpcError as error:
                self._note(address, _why(error))
            except TimeoutError:
                self._note(address, _NO_ANSWER)
            except InvalidArgument as error:  # an address of the map
                self._note(address, str(error))
            self._sources.failed()
            await asyncio.sleep(RETRY_SECONDS)

    async def _stream(self, address: str) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
        """What one server sends, each update whole. Raises AioRpcError, TimeoutError when it does not begin in time."""
        async with open_channel(address, _OPTIONS) as channel:
            call = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest())
            try:
                async with asyncio.timeout(self._sources.patience):
                    message = await call.read()
                begun: topology_pb2.TopologyUpdate | None = None
                while message is not grpc.aio.EOF:
                    if message is None:
                        self._note(address, UNREADABLE)
                        return
                    begun = joined(begun, message)
                    if not begun.more:
                        yield begun
                        begun = None
                    message = await call.read()
            finally:
                await end(call)

    def _wrong_with(self, update: topology_pb2.TopologyUpdate, address: str) -> str:
        """Why an update is not to be taken over; "": it is."""
        if update.full:
            cluster = update.cluster_uid or self._cluster
            if self._cluster not in {"", cluster}:
                return f"serves another cluster, {update.cluster!r}"
            if update.revision < self._revision and address not in self._behind:
                self._behind.add(address)
                return f"is behind, at revision {update.revision} of {self._revision}"
            self._cluster = cluster
            self._behind.clear()
        self._revision = update.revision
        return ""

    def _note(self, address: str, why: str) -> None:
        log.debug("no map from %s: %s", address, why)
        self.problems[address] = why


def joined(
    begun: topology_pb2.TopologyUpdate | None, message: topology_pb2.TopologyUpdate
) -> topology_pb2.TopologyUpdate:
    """What is there of an update with its next message; see `more` in topology.proto."""
    if begun is None:
        return message
    begun.MergeFrom(message)
    begun.more = message.more
    return begun


def _why(error: grpc.aio.AioRpcError) -> str:
    """In short: gRPC puts the reason of a failed connection last."""
    return f"{error.code().name} {(error.details() or '').rpartition('last error: ')[2]}".strip()
