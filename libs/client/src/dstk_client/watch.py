"""Reads the map from Topology.Watch of any server that answers."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import grpc
from typing_extensions import override

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_client.operation import UNREADABLE
from dstk_client.sources import Sources
from dstk_client.topology import MapSource
from dstk_service.errors import InvalidArgument
from dstk_service.transport.grpc_connector import GRPC, end
from dstk_service.transport.port import Connector, Profile

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.1

_NO_ANSWER = "no answer"


class WatchSource(MapSource):
    """Reads the map from the seeds and the nodes of the map; switches to the next server when a stream breaks or stalls.

    Every stream starts with a full map. A map of another cluster is refused. So is a map older than the last one, unless all
    other servers fail too: then the cluster has been restored to an earlier state.
    """

    def __init__(self, seeds: Sequence[str], connector: Connector = GRPC) -> None:
        self._connector = connector
        self._sources = Sources(seeds)
        self._cluster = ""
        self._revision = 0
        self._behind: set[str] = set()
        self.problems: dict[str, str] = {}
        """Why the last attempt failed, by address."""

    @override
    async def updates(self) -> AsyncGenerator[topology_pb2.TopologyUpdate, None]:
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
        """The complete updates of one server. Raises AioRpcError, and TimeoutError when the first message is late."""
        async with self._connector.connect(address, Profile.WATCH) as channel:
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
        """Why an update is refused; "": it is accepted."""
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
    """Joins the messages of one update; `more` in topology.proto says when it is complete."""
    if begun is None:
        return message
    begun.MergeFrom(message)
    begun.more = message.more
    return begun


def _why(error: grpc.aio.AioRpcError) -> str:
    """The error in short: gRPC puts the reason of a failed connection last."""
    return f"{error.code().name} {(error.details() or '').rpartition('last error: ')[2]}".strip()
