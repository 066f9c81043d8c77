"""Admin calls of the commands, through a router."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import grpc

from dstk.v1 import admin_pb2, topology_pb2, topology_pb2_grpc
from dstk_cli.connection import Target
from dstk_cli.diagnosis import refuse_node, told_apart
from dstk_cli.errors import USAGE, CliError
from dstk_client.admin import AdminClient
from dstk_client.watch import joined
from dstk_service import tokens
from dstk_service.errors import NotServing
from dstk_service.status import from_rpc_error
from dstk_service.transport.credentials import OperatorCredentials
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel

T = TypeVar("T")

TOKEN_VARIABLE = "DSTK_ADMIN_TOKEN_FILE"  # noqa: S105 - the name of a variable
PATIENCE_SECONDS = 3.0
"""For how long a command waits out a takeover, before it says that a partition is not served."""

DesiredState = admin_pb2.DesiredState


class OperatorClient(AdminClient):
    """The Admin client of the commands, which also reads the router's map."""

    def __init__(self, channel: Channel, router: str, seconds: float) -> None:
        super().__init__(channel, f"the router at {router}", seconds, patience_seconds=PATIENCE_SECONDS)
        self._topology = topology_pb2_grpc.TopologyStub(channel)

    async def partition(self, partition_id: int) -> admin_pb2.PartitionStatus:
        """The partition with this id. Raises CliError if there is none."""
        answer = await self.partitions()
        found = next((status for status in answer.partitions if status.partition.id == partition_id), None)
        if found is None:
            raise CliError(f"there is no partition {partition_id}", "`dstk partitions` lists them", USAGE)
        return found

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
    file = os.environ.get(TOKEN_VARIABLE)
    if not file:
        return None
    try:
        token = tokens.read(Path(file))
    except (OSError, ValueError) as error:
        raise CliError(
            f"{TOKEN_VARIABLE} names {file!r}: {error}", "name the file that the routers have", USAGE
        ) from None
    if not (token.isascii() and token.isprintable()):
        raise CliError(
            f"{TOKEN_VARIABLE} names {file!r}, which holds no token", "name the file that the routers have", USAGE
        )
    return token
