"""Admin calls of the commands, through a router."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from dstk.v1 import admin_pb2, topology_pb2, topology_pb2_grpc
from dstk_cli.connection import Target
from dstk_cli.diagnosis import refuse_node, told_apart
from dstk_cli.errors import USAGE, CliError
from dstk_client.admin import AdminClient
from dstk_client.watch import joined
from dstk_service import admin_requests, tokens
from dstk_service.errors import NotServing
from dstk_service.status import from_rpc_error
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel

TOKEN_VARIABLE = "DSTK_ADMIN_TOKEN_FILE"  # noqa: S105 - the name of a variable
PATIENCE_SECONDS = 3.0
"""For how long a command waits out a takeover, before it says that a partition is not served."""


class OperatorClient(AdminClient):
    """The Admin client of the commands, which also reads the router's map."""

    def __init__(self, channel: Channel, router: str, seconds: float) -> None:
        super().__init__(channel, f"the router at {router}", seconds, patience_seconds=PATIENCE_SECONDS)
        self._topology = topology_pb2_grpc.TopologyStub(channel)

    async def partition(self, partition_id: int) -> admin_pb2.PartitionStatus:
        """The partition with this id. Raises CliError if there is none."""
        for status in (await self.partitions()).partitions:
            if status.partition.id == partition_id:
                return status
        raise CliError(f"there is no partition {partition_id}", "`dstk partitions` lists them", USAGE)

    async def node(self, name: str) -> admin_pb2.NodeStatus:
        """The node with this id. Raises CliError for an unknown one, which is most likely a typing mistake."""
        admin_requests.node(name)
        nodes = {status.node.id: status for status in await self.nodes()}
        if name not in nodes:
            raise CliError(f"there is no node {name!r}", f"known nodes: {', '.join(nodes) or 'none'}", USAGE)
        return nodes[name]

    async def entries(self) -> list[topology_pb2.Partition]:
        """The entries of the router's map, by start of range."""
        call = self._topology.Watch(topology_pb2.WatchRequest(), timeout=self._seconds)
        try:
            update: topology_pb2.TopologyUpdate | None = None
            async for message in call:
                update = joined(update, message)
                if not update.more:
                    return sorted(update.partitions, key=lambda entry: entry.start)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None
        finally:
            call.cancel()
        raise NotServing("the router ended the stream before the map was complete", 1.0)


@asynccontextmanager
async def reach(target: Target) -> AsyncIterator[OperatorClient]:
    """The cluster behind a router. Raises CliError."""
    operator = OperatorCredentials(_token())
    async with told_apart(target.router), GRPC.connect(target.router, credentials=operator) as channel:
        await refuse_node(channel, target.router)
        yield OperatorClient(channel, target.router, target.timeout)


def _token() -> str | None:
    """The operators' token, from the file that the environment names; None if it names none."""
    file = os.environ.get(TOKEN_VARIABLE)
    if not file:
        return None
    try:
        token = tokens.read(Path(file))
        why = "" if token.isascii() and token.isprintable() else "it holds no token"
    except (OSError, ValueError) as error:
        why = str(error)
    if why:
        raise CliError(f"{TOKEN_VARIABLE} names {file!r}: {why}", "name the file that the routers have", USAGE)
    return token
