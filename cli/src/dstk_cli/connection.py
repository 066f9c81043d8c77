"""Finds the router of a cluster and connects to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from dstk.v1 import topology_pb2, topology_pb2_grpc
from dstk_cli.diagnosis import told_apart
from dstk_cli.directories import data_dir_option
from dstk_cli.errors import NOT_RUNNING, USAGE, CliError
from dstk_client import Client, connect
from dstk_localcluster import ClusterDir, state_file
from dstk_service.addresses import checked
from dstk_service.errors import InvalidArgument, NotServing
from dstk_service.status import from_rpc_error
from dstk_service.transport.grpc_connector import GRPC


@dataclass(frozen=True, slots=True)
class Target:
    """A router's host:port, and the seconds that each operation may take."""

    router: str
    timeout: float

    @asynccontextmanager
    async def client(self, mode: Literal["gateway", "thick"] = "gateway") -> AsyncIterator[Client]:
        """A client for the duration of the block; in `thick` mode it calls the storage nodes directly."""
        async with told_apart(self.router), connect(self.router, mode=mode, timeout=self.timeout) as client:
            yield client

    async def identity(self) -> tuple[str, str]:
        """The cluster's name and unique id. Raises DstkError, or CliError if the address is not that of a router."""
        async with told_apart(self.router), GRPC.connect(self.router) as channel:
            watching = topology_pb2_grpc.TopologyStub(channel).Watch(topology_pb2.WatchRequest(), timeout=self.timeout)
            try:
                update = await watching.read()
            except grpc.aio.AioRpcError as error:
                raise from_rpc_error(error) from None
            finally:
                watching.cancel()
        if update is grpc.aio.EOF:
            raise NotServing(f"{self.router} does not say which cluster it belongs to", 1.0)
        return update.cluster, update.cluster_uid


def find(router: str | None, data_dir: Path, timeout: float) -> Target:
    """The named router, or that of the local cluster in `data_dir`. Raises CliError if no such cluster is up."""
    if router is not None:
        return Target(_checked(router), timeout)
    directory = ClusterDir.at(data_dir)
    running = state_file.load(directory.state)
    if running is None:
        why = f"no cluster is up in {data_dir}, and no router is named"
        raise CliError(
            why,
            f"start one: dstk local up --detach{data_dir_option(directory.root)}   or name one: --router HOST:PORT",
            NOT_RUNNING,
        )
    return Target(running.router, timeout)


def _checked(address: str) -> str:
    try:
        return checked(address, "--router")
    except InvalidArgument as error:
        raise CliError(str(error), "give HOST:PORT, such as 127.0.0.1:7000", USAGE) from None
