"""Why a call did not get through: found by asking what is at the address, not by reading the text of an error."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dstk_cli.errors import CliError
from dstk_service import errors as service
from dstk_service.addresses import split
from dstk_service.transport.grpc_connector import GRPC
from dstk_service.transport.port import Channel

PROBE_SECONDS = 1.0
"""For each question."""

NAME_ANOTHER = "`dstk local status` shows the router of a local cluster; name another one with --router HOST:PORT"
_PUZZLING = (service.NotServing, service.DeadlineExceeded, service.Internal)
"""What may also mean that there is no router at the address."""

_KEY_VALUE = "dstk.v1.KeyValue"
_OF_NODES = "dstk.v1.Replication"
"""Only storage nodes have this service."""

_NO_GRPC = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL}
_Health = health_pb2.HealthCheckResponse


@asynccontextmanager
async def told_apart(router: str) -> AsyncIterator[None]:
    """Errors of the block that may have to do with the address are raised as a `CliError` that says what is there."""
    try:
        yield
    except (*_PUZZLING, ExceptionGroup) as error:
        first = _first(error)
        if not isinstance(first, _PUZZLING):
            raise
        raise await _explained(router, first) from error


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


async def _explained(router: str, error: Exception) -> Exception:
    found = await trouble_at(router)
    if found is None:  # the router is there, and has said it itself
        return error
    if isinstance(error, service.DeadlineExceeded):  # it may have been done: that is not to be lost
        return CliError(f"{error}; {found.message}", f"{found.hint}; if this was to write, look before doing it again")
    return found


async def trouble_at(router: str) -> CliError | None:
    """What is wrong with the address as that of a router; None: a router is there and serves."""
    return await _unreachable(router) or await _no_router(router)


async def _unreachable(address: str) -> CliError | None:
    host, port = split(address)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, int(port))
    except socket.gaierror as error:
        return CliError(f"there is no host {host!r}: {error.strerror}", f"is the name right? {NAME_ANOTHER}")
    except TimeoutError:
        why = f"nothing answers at {address} within {PROBE_SECONDS:g} s"
        return CliError(why, f"is the machine up, and does a firewall let this through? {NAME_ANOTHER}")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        return CliError(f"nothing answers at {address}: {why}", f"is it up? {NAME_ANOTHER}")
    writer.close()
    return None


async def _no_router(address: str) -> CliError | None:
    async with GRPC.connect(address) as channel:
        answer = await _health(channel, _KEY_VALUE)
        if answer in _NO_GRPC:
            why = f"something listens at {address}, but does not answer as a router does"
            return CliError(why, "is it another service, a port with TLS (DSTK has none yet), or a process that hangs?")
        if answer == _Health.NOT_SERVING:
            why = f"the service at {address} is not serving: it starts, stops, or waits for etcd"
            return CliError(why, "try again in a moment; its log says more")
        if answer != _Health.SERVING:
            return CliError(f"what answers at {address} is not DSTK", f"is the port right? {NAME_ANOTHER}")
        return _node(address) if await is_node(channel) else None


async def is_node(channel: Channel) -> bool:
    """Whether a storage node answers there, which knows of itself alone."""
    return await _health(channel, _OF_NODES) in {_Health.SERVING, _Health.NOT_SERVING}


async def refuse_node(channel: Channel, address: str) -> None:
    """Raises CliError when a storage node is there: operators' commands would take what it knows for the whole cluster."""
    if await is_node(channel):
        raise _node(address)


def _node(address: str) -> CliError:
    return CliError(f"{address} is a storage node, which knows of itself alone; this asks a router", NAME_ANOTHER)


async def _health(channel: Channel, name: str) -> int | grpc.StatusCode:
    """The service's health, or the code of the call that failed."""
    request = health_pb2.HealthCheckRequest(service=name)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=PROBE_SECONDS)
    except grpc.aio.AioRpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return int(answer.status)
